"""Data sets with their parts: what can be named under `[data]`, and how it is split."""
