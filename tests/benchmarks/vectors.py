"""What the loops in LLVM's language are worth beside plain Numba: `python -m tests.benchmarks.vectors`.

By turns in one process, each on one thread; the smallest of many times of this thread, so that what else the
machine does hardly counts.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from rich.console import Console

from targets.emulator.compiled import vectors as loops
from targets.emulator.compiled.vectors import BLOCK
from toolchain.arrays import Array

_TURNS = 30

# Numba gives an intrinsic its first argument.
add_pairs: Any = loops.add_pairs
sum_lanes: Any = loops.sum_lanes


@njit(nogil=True)
def _pairs_in_vectors(rows: Array, places: Array, ends: Array, sums: Array) -> None:
    for n in range(ends.size - 1):
        add_pairs(rows, 0, places, ends[n], ends[n + 1], sums, n)


@njit(nogil=True)
def _rows_in_numba(rows: Array, places: Array, ends: Array, sums: Array) -> None:
    for n in range(ends.size - 1):
        total = sums[n]
        p = ends[n]
        # Four rows at a time: the best that was found.
        while p + 4 <= ends[n + 1]:
            a, b, c, d = (
                np.uint64(places[p]) * np.uint64(BLOCK),
                np.uint64(places[p + 1]) * np.uint64(BLOCK),
                np.uint64(places[p + 2]) * np.uint64(BLOCK),
                np.uint64(places[p + 3]) * np.uint64(BLOCK),
            )
            for k in range(np.uint64(BLOCK)):
                total[k] += (
                    np.int16(rows[a + k])
                    + np.int16(rows[b + k])
                    + np.int16(rows[c + k])
                    + np.int16(rows[d + k])
                )
            p += 4
        while p < ends[n + 1]:
            a = np.uint64(places[p]) * np.uint64(BLOCK)
            for k in range(np.uint64(BLOCK)):
                total[k] += np.int16(rows[a + k])
            p += 1


@njit(nogil=True)
def _lanes_in_vectors(words: Array, sources: Array, weights: Array, indptr: Array, out: Array) -> None:
    for i in range(indptr.size - 1):
        sum_lanes(words, sources, weights, indptr[i], indptr[i + 1], out[i])


@njit(nogil=True)
def _lanes_in_numba(flags: Array, sources: Array, weights: Array, indptr: Array, out: Array) -> None:
    """Masks are whole words of each lane here, the fastest form that Numba has for them."""
    for i in range(indptr.size - 1):
        total = out[i]
        total[:] = 0
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            mask, weight = flags[sources[p]], weights[p]
            for k in range(total.size):
                total[k] += mask[k] & weight


def _best(run: Callable[[], None]) -> float:
    started = time.thread_time()
    run()
    return time.thread_time() - started


def _by_turns(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    first()
    second()
    times = [(_best(first), _best(second)) for _ in range(_TURNS)]
    return min(a for a, _ in times), min(b for _, b in times)


def rows_at(rate: float) -> tuple[float, float]:
    """Seconds of one image of 32 x 32 positions, 9 x 64 sources each, in vectors and in Numba."""
    rng = np.random.default_rng(0)
    spikes = rng.random((1024, 576)) < rate
    places = np.nonzero(spikes)[1].astype(np.uint32)
    ends = np.concatenate([[0], np.cumsum(spikes.sum(axis=1))])
    rows = rng.integers(-20, 21, (576, BLOCK)).astype(np.int16)
    low, high = np.split(rows, 2, axis=1)
    pairs = (np.left_shift(high, 8) + (low + np.int16(128))).ravel()
    flat = rows.astype(np.int8).ravel()
    sums = np.zeros((2, 1024, BLOCK), np.int16)
    result = _by_turns(
        lambda: _pairs_in_vectors(pairs, places, ends, sums[0]),
        lambda: _rows_in_numba(flat, places, ends, sums[1]),
    )
    # As many times as were measured, and once before.
    assert np.array_equal(sums[0, :, BLOCK // 2 :], sums[1, :, BLOCK // 2 :])
    return result


def lanes() -> tuple[float, float]:
    """Seconds of one step of 1,024 neurons with 51 synapses each, 64 samples, in vectors and in Numba."""
    rng = np.random.default_rng(0)
    flags = rng.random((1024, 64)) < 0.1
    words = np.packbits(flags, axis=1, bitorder="little").view(np.uint64).ravel()
    sources = rng.integers(0, 1024, 1024 * 51).astype(np.uint16)
    weights = rng.integers(-100, 101, sources.size).astype(np.int16)
    indptr = np.arange(0, sources.size + 1, 51)
    out = np.zeros((2, 1024, 64), np.int16)
    masks = -flags.astype(np.int16)
    result = _by_turns(
        lambda: _lanes_in_vectors(words, sources, weights, indptr, out[0]),
        lambda: _lanes_in_numba(masks, sources, weights, indptr, out[1]),
    )
    assert np.array_equal(out[0], out[1])
    return result


def main() -> None:
    """Measure and print."""
    console = Console()
    for name, (vectors, numba) in {
        "add_pairs, 10 % spikes": rows_at(0.1),
        "add_pairs, 50 % spikes": rows_at(0.5),
        "sum_lanes": lanes(),
    }.items():
        console.print(
            f"{name}: {1e6 * vectors:.1f} us, plain Numba {1e6 * numba:.1f} us, {numba / vectors:.2f} times"
        )


if __name__ == "__main__":
    main()
