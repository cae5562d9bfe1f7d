"""Work of compiled loops that is split over threads.

It is cut into a fixed number of parts, whatever the number of threads, so that sums have one order and
results do not depend on the machine.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np

PARTS: Final = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(
    work: Callable[[Item], Result], items: Sequence[Item], count: int | None = None
) -> list[Result]:
    """Return `work` of every item, in order; compiled loops run side by side.

    Args:
        work: What is done; it may raise.
        items: What it is done with.
        count: Number of threads; None for one on each core.
    """
    count = threads() if count is None else count
    if len(items) == 1 or count == 1:
        return [work(item) for item in items]
    return list(_pool(count, os.getpid()).map(work, items))


def parts(size: int, most: int = PARTS) -> list[tuple[int, int]]:
    """Return up to `most` ranges that cover `0 .. size`."""
    edges = np.linspace(0, size, min(most, max(size, 1)) + 1).astype(int).tolist()
    return list(pairwise(edges))


@lru_cache(maxsize=2)
def _pool(count: int, process: int) -> ThreadPoolExecutor:
    """Return threads that wait for work; a process that was forked off has none of its parent's."""
    del process
    return ThreadPoolExecutor(count, thread_name_prefix="loops")
