"""Sparse training: synapses leave and come back while a network learns, and their number is what was asked."""
