"""The compiled search for shortest paths behind betweenness (Brandes 2001)."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolchain.compiled import njit


class Neighbours(NamedTuple):
    """A directed graph, sorted by one end of its edges.

    Attributes:
        pointers: Where the edges of each node begin, `[N + 1]`.
        ends: Node at the other end of every edge.
    """

    pointers: NDArray[Any]
    ends: NDArray[Any]


class _Search(NamedTuple):
    """State of a breadth-first search.

    Attributes:
        level: Distance of every node from the pivot; -1 if it was not reached yet.
        paths: Number of shortest paths from the pivot to every node.
        delta: Dependency of the pivot on every node.
        order: Nodes in the order in which they were reached.
    """

    level: NDArray[Any]
    paths: NDArray[Any]
    delta: NDArray[Any]
    order: NDArray[Any]


@njit(nogil=True, cache=True)
def path_dependencies(
    outgoing: Neighbours, incoming: Neighbours, pivots: NDArray[Any], total: NDArray[Any]
) -> None:
    """Add to `total` the dependency of every pivot on every node (Brandes 2001).

    Each level of the search is expanded from the side with fewer edges: forward from the frontier, or
    backward from the nodes that were not reached yet (Beamer et al. 2012). In a dense graph of small diameter
    the last levels hold few nodes, so that a search touches a small part of the edges.

    Args:
        outgoing: The graph by source.
        incoming: The same graph by target.
        pivots: Starting nodes.
        total: Sum of the dependencies per node, updated.
    """
    size = len(outgoing.pointers) - 1
    level, order, unreached = np.empty(size, np.int32), np.empty(size, np.int64), np.empty(size, np.int64)
    search = _Search(level, np.empty(size), np.empty(size), order)
    starts = np.empty(size + 2, np.int64)
    for pivot in pivots:
        level[:] = -1
        search.paths[:] = 0.0
        search.delta[:] = 0.0
        level[pivot] = 0
        search.paths[pivot] = 1.0
        order[0] = pivot
        unreached[:] = np.arange(size)
        left = _still_unreached(unreached, size, level)
        done, depth = 1, 0
        starts[0], starts[1] = 0, 1
        while starts[depth] < starts[depth + 1] and left > 0:
            frontier, rest = order[starts[depth] : starts[depth + 1]], unreached[:left]
            if _count_edges(outgoing, frontier) <= _count_edges(incoming, rest):
                done = _reach_forward(outgoing, frontier, search, done)
            else:
                done = _reach_backward(incoming, rest, depth, search, done)
            left = _still_unreached(unreached, left, level)
            depth += 1
            starts[depth + 1] = done
        for below in range(depth, 0, -1):
            lower = order[starts[below] : starts[below + 1]]
            upper = order[starts[below - 1] : starts[below]]
            if _count_edges(incoming, lower) <= _count_edges(outgoing, upper):
                _give_to_sources(incoming, lower, search)
            else:
                _take_from_targets(outgoing, upper, search)
        search.delta[pivot] = 0.0
        total += search.delta


@njit(nogil=True, cache=True)
def _count_edges(graph: Neighbours, nodes: NDArray[Any]) -> int:
    count = 0
    for i in nodes:
        count += graph.pointers[i + 1] - graph.pointers[i]
    return int(count)


@njit(nogil=True, cache=True)
def _still_unreached(unreached: NDArray[Any], left: int, level: NDArray[Any]) -> int:
    """Move the nodes without a level to the front; return how many there are."""
    remaining = 0
    for position in range(left):
        j = unreached[position]
        if level[j] == -1:
            unreached[remaining] = j
            remaining += 1
    return remaining


@njit(nogil=True, cache=True)
def _reach_forward(outgoing: Neighbours, frontier: NDArray[Any], search: _Search, done: int) -> int:
    pointers, targets = outgoing
    level, paths, _, order = search
    deeper = level[frontier[0]] + 1
    for i in frontier:
        for e in range(pointers[i], pointers[i + 1]):
            j = targets[e]
            if level[j] == -1:
                level[j] = deeper
                order[done] = j
                done += 1
            if level[j] == deeper:
                paths[j] += paths[i]
    return done


@njit(nogil=True, cache=True)
def _reach_backward(incoming: Neighbours, rest: NDArray[Any], depth: int, search: _Search, done: int) -> int:
    pointers, sources = incoming
    level, paths, _, order = search
    for j in rest:
        count = 0.0
        for e in range(pointers[j], pointers[j + 1]):
            if level[sources[e]] == depth:
                count += paths[sources[e]]
        if count > 0.0:
            level[j] = depth + 1
            paths[j] = count
            order[done] = j
            done += 1
    return done


@njit(nogil=True, cache=True)
def _give_to_sources(incoming: Neighbours, lower: NDArray[Any], search: _Search) -> None:
    pointers, sources = incoming
    level, paths, delta, _ = search
    for j in lower:
        share = (1.0 + delta[j]) / paths[j]
        for e in range(pointers[j], pointers[j + 1]):
            i = sources[e]
            if level[i] == level[j] - 1:
                delta[i] += paths[i] * share


@njit(nogil=True, cache=True)
def _take_from_targets(outgoing: Neighbours, upper: NDArray[Any], search: _Search) -> None:
    pointers, targets = outgoing
    level, paths, delta, _ = search
    for i in upper:
        for e in range(pointers[i], pointers[i + 1]):
            j = targets[e]
            if level[j] == level[i] + 1:
                delta[i] += paths[i] * (1.0 + delta[j]) / paths[j]
