"""Sparse training: synapses leave and come back while a network learns, as many as are asked for."""

from toolchain.pruning.sparse.options import Allocation, Price, SparseMethod, SparseOptions
from toolchain.pruning.sparse.training import SparseTraining, SynapseUpdate

__all__ = ["Allocation", "Price", "SparseMethod", "SparseOptions", "SparseTraining", "SynapseUpdate"]
