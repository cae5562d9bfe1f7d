"""Graphs on tensors, one step at a time: float graphs, and fixed ones on a GPU."""
