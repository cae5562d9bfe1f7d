"""How many synapses a network may keep so that its tables fit."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.c.source import NetworkCode
from toolchain import ir
from toolchain.ir import Graph
from toolchain.ir.matrix import Matrix

_HALVINGS: Final = 7


def largest_share(graph: Graph, table_bytes: int) -> float:
    """Return the largest share of synapses with which the tables take so many bytes, by bisection.

    The smallest of each matrix go first. Convolutions keep theirs, since a kernel with holes takes as much.

    Args:
        graph: A fixed graph whose tables take more.
        table_bytes: What they may take.
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        if NetworkCode(thinned(graph, share)).table_bytes <= table_bytes:
            low = share
        else:
            high = share
    return low


def thinned(graph: Graph, share: float) -> Graph:
    """Return a graph with so many of the synapses of each matrix, the smallest of them at zero."""
    return graph.map(
        lambda node: (
            replace(node, weights=_thin(node.weights, share)) if isinstance(node, ir.FixedDense) else node
        )
    )


def _thin(weights: Matrix, share: float) -> Matrix:
    if isinstance(weights, csr_array):
        thin = csr_array(weights, copy=True)
        thin.data = _without_smallest(thin.data, share)
        return thin
    return _without_smallest(weights.ravel(), share).reshape(weights.shape)


def _without_smallest(values: NDArray[Any], share: float) -> NDArray[Any]:
    count = int(np.count_nonzero(values) * share)
    order = np.argsort(-np.abs(values), kind="stable")
    left = np.zeros_like(values)
    left[order[:count]] = values[order[:count]]
    return left
