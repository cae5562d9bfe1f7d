"""The inner loops of pruning, compiled, and split over threads without a pool of spinning workers.

Work is cut into a fixed number of parts, whatever the number of threads, so that sums have one order
and results do not depend on the machine.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from toolchain.compiled import njit

PARTS: Final = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return `work` of every item, in order; compiled kernels run side by side."""
    if len(items) == 1 or threads() == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(work, items))


def parts(size: int) -> list[tuple[int, int]]:
    """Return up to `PARTS` ranges that cover `0 .. size`."""
    edges = np.linspace(0, size, min(PARTS, max(size, 1)) + 1).astype(int).tolist()
    return list(pairwise(edges))


@njit(nogil=True, cache=True)
def run_spikes(  # noqa: PLR0917 - a compiled loop has no objects to group its arrays in
    indptr: NDArray[Any],
    indices: NDArray[Any],
    data: NDArray[Any],
    beta: NDArray[Any],
    threshold: NDArray[Any],
    drive: NDArray[Any],
    v: NDArray[Any],
    spikes: NDArray[Any],
) -> bool:
    """Run a pool event by event: cost goes with spikes times fan-out.

    Args:
        indptr: Of the weights by source (CSC).
        indices: Targets.
        data: Weights.
        beta: Per neuron.
        threshold: Per neuron.
        drive: Input `[steps, N]`.
        v: Out: potentials `[steps, N]` before the reset.
        spikes: Out: 0 or 1, `[steps, N]`.

    Returns:
        Whether every potential stayed finite.
    """
    steps, size = drive.shape
    state = np.zeros(size)
    current = np.zeros(size)
    finite = True
    for t in range(steps):
        for i in range(size):
            p = beta[i] * state[i] + current[i] + drive[t, i]
            finite = finite and np.isfinite(p)
            v[t, i] = p
            fired = p > threshold[i]
            spikes[t, i] = fired
            state[i] = 0.0 if fired else p
            current[i] = 0.0
        for j in range(size):
            if spikes[t, j]:
                for e in range(indptr[j], indptr[j + 1]):
                    current[indices[e]] += data[e]
    return finite


@njit(nogil=True, cache=True)
def filter_spikes(spikes: NDArray[Any], forget: float, first: int, every: int, rates: NDArray[Any]) -> None:
    """Filter spikes exponentially; keep every few steps from `first` on in `rates[N, samples]`."""
    steps, size = spikes.shape
    level = np.zeros(size)
    sample = 0
    for t in range(steps):
        keep = t >= first and (t - first) % every == every - 1
        for i in range(size):
            level[i] = forget * level[i] + (1.0 - forget) * spikes[t, i]
            if keep:
                rates[i, sample] = level[i]
        if keep:
            sample += 1


@njit(nogil=True, cache=True, fastmath=True)
def edge_products(
    targets: NDArray[Any], sources: NDArray[Any], values: NDArray[Any], out: NDArray[Any]
) -> None:
    """Set `out[e]` to the inner product of the rows of `values` at both ends of edge `e`."""
    for e in range(len(targets)):
        i, j = targets[e], sources[e]
        total = np.float32(0.0)
        for m in range(values.shape[1]):
            total += values[i, m] * values[j, m]
        out[e] = total


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
        indptr: Rows of the graph, CSR, sorted.
        indices: Neighbours.
        inverse: One positive number per node.
        start: First row.
        stop: Row after the last.
        count: Out, per entry of `indices`; entries with `j < i` are left alone.
        weight: Out, likewise.
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


@njit(nogil=True, cache=True)
def path_dependencies(
    out_ptr: NDArray[Any],
    out_index: NDArray[Any],
    in_ptr: NDArray[Any],
    in_index: NDArray[Any],
    pivots: NDArray[Any],
    total: NDArray[Any],
) -> None:
    """Add to `total` the dependency of every pivot on every node (Brandes 2001).

    Each level of the search is expanded from the side with fewer edges: forward from the frontier, or
    backward from the nodes not reached yet (Beamer et al. 2012). In a dense graph of small diameter
    the last levels hold few nodes, so that a search touches a small part of the edges.

    Args:
        out_ptr: Graph by source, CSR.
        out_index: Targets.
        in_ptr: Graph by target, CSR.
        in_index: Sources.
        pivots: Starting nodes.
        total: In and out, per node.
    """
    size = len(out_ptr) - 1
    level = np.empty(size, np.int32)
    paths = np.empty(size)
    delta = np.empty(size)
    order = np.empty(size, np.int64)
    unreached = np.empty(size, np.int64)
    starts = np.empty(size + 2, np.int64)
    for pivot in pivots:
        level[:] = -1
        paths[:] = 0.0
        delta[:] = 0.0
        level[pivot] = 0
        paths[pivot] = 1.0
        order[0] = pivot
        unreached[:] = np.arange(size)
        left = _still_unreached(unreached, size, level)
        done, depth = 1, 0
        starts[0], starts[1] = 0, 1
        while starts[depth] < starts[depth + 1] and left > 0:
            frontier = order[starts[depth] : starts[depth + 1]]
            rest = unreached[:left]
            if _edges(out_ptr, frontier) <= _edges(in_ptr, rest):
                done = _reach_forward(out_ptr, out_index, frontier, level, paths, order, done)
            else:
                done = _reach_backward(in_ptr, in_index, rest, depth, level, paths, order, done)
            left = _still_unreached(unreached, left, level)
            depth += 1
            starts[depth + 1] = done
        for below in range(depth, 0, -1):
            lower = order[starts[below] : starts[below + 1]]
            upper = order[starts[below - 1] : starts[below]]
            if _edges(in_ptr, lower) <= _edges(out_ptr, upper):
                _give_to_sources(in_ptr, in_index, lower, level, paths, delta)
            else:
                _take_from_targets(out_ptr, out_index, upper, level, paths, delta)
        delta[pivot] = 0.0
        total += delta


@njit(nogil=True, cache=True)
def _edges(pointers: NDArray[Any], nodes: NDArray[Any]) -> int:
    count = 0
    for i in nodes:
        count += pointers[i + 1] - pointers[i]
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
def _reach_forward(
    pointers: NDArray[Any],
    targets: NDArray[Any],
    frontier: NDArray[Any],
    level: NDArray[Any],
    paths: NDArray[Any],
    order: NDArray[Any],
    done: int,
) -> int:
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
def _reach_backward(  # noqa: PLR0917 - a compiled loop has no objects to group its arrays in
    pointers: NDArray[Any],
    sources: NDArray[Any],
    rest: NDArray[Any],
    depth: int,
    level: NDArray[Any],
    paths: NDArray[Any],
    order: NDArray[Any],
    done: int,
) -> int:
    for j in rest:
        found = 0.0
        for e in range(pointers[j], pointers[j + 1]):
            if level[sources[e]] == depth:
                found += paths[sources[e]]
        if found > 0.0:
            level[j] = depth + 1
            paths[j] = found
            order[done] = j
            done += 1
    return done


@njit(nogil=True, cache=True)
def _give_to_sources(
    pointers: NDArray[Any],
    sources: NDArray[Any],
    lower: NDArray[Any],
    level: NDArray[Any],
    paths: NDArray[Any],
    delta: NDArray[Any],
) -> None:
    for j in lower:
        share = (1.0 + delta[j]) / paths[j]
        for e in range(pointers[j], pointers[j + 1]):
            i = sources[e]
            if level[i] == level[j] - 1:
                delta[i] += paths[i] * share


@njit(nogil=True, cache=True)
def _take_from_targets(
    pointers: NDArray[Any],
    targets: NDArray[Any],
    upper: NDArray[Any],
    level: NDArray[Any],
    paths: NDArray[Any],
    delta: NDArray[Any],
) -> None:
    for i in upper:
        for e in range(pointers[i], pointers[i + 1]):
            j = targets[e]
            if level[j] == level[i] + 1:
                delta[i] += paths[i] * (1.0 + delta[j]) / paths[j]
