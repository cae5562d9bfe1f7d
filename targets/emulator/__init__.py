"""Batched execution of float and fixed graphs in PyTorch, integers bit for bit as Lava's."""
