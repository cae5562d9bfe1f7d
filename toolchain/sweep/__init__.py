"""Sweeps: many experiments, as a grid or as a search, each point a RUN and a BUILD folder."""
