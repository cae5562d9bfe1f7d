"""Work that is split over threads without a pool of spinning workers.

It is cut into a fixed number of parts, whatever the number of threads, so that sums have one order and
results do not depend on the machine.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
