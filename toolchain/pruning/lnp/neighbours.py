"""The compiled loops over the rows of a sparse pattern: common neighbours, and where an edge stands."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.compiled import njit


@njit(nogil=True, cache=True)
def shared_neighbours(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    inverse: NDArray[Any],
    start: int,
    stop: int,
    count: NDArray[Any],
    weight: NDArray[Any],
) -> None:
    """For every edge i < j of an undirected graph, count common neighbours and sum their `inverse`.

    Args:
        indptr: Where the sorted rows of the graph begin (CSR).
        indices: Neighbours.
        inverse: One positive number per node.
        start: First row to visit.
        stop: Row after the last one to visit.
        count: Common neighbours per entry of `indices`, written; entries with `j < i` stay as they are.
        weight: Sum of `inverse` over the common neighbours, written likewise.
    """
    mark = np.zeros(len(inverse))
    for i in range(start, stop):
        for e in range(indptr[i], indptr[i + 1]):
            mark[indices[e]] = inverse[indices[e]]
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            if j > i:
                common, total = 0, 0.0
                for f in range(indptr[j], indptr[j + 1]):
                    value = mark[indices[f]]
                    common += value > 0.0
                    total += value
                count[e] = common
                weight[e] = total
        for e in range(indptr[i], indptr[i + 1]):
            mark[indices[e]] = 0.0


@njit(nogil=True, cache=True)
def find_edges(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    rows: NDArray[Any],
    columns: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Set `out[e]` to the position of `(rows[e], columns[e])` in a sorted CSR pattern that holds it."""
    for e in range(len(rows)):
        low, high = indptr[rows[e]], indptr[rows[e] + 1]
        while low < high:
            middle = (low + high) // 2
            if indices[middle] < columns[e]:
                low = middle + 1
            else:
                high = middle
        out[e] = low
