"""Passes over time as compiled loops, forward and backward, for networks that feed back."""
