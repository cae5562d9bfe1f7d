"""Threads that share the parts of one piece of work, for compiled loops that leave Python's lock alone.

Work is cut into a fixed number of parts, whatever the number of threads, so that sums have one order and
results do not depend on the machine. The threads are started once for a process and wait between two pieces
of work: to start them anew takes as long as a loop over a hundred thousand numbers. A process that was forked
off starts its own.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np

PARTS: Final = 8

Item = TypeVar("Item")
Result = TypeVar("Result")
_pools: list[ThreadPoolExecutor] = []
"""The pool, once it was needed."""
_limit: list[int] = []
"""The most cores that may be used, once somebody said so."""
# After a fork the threads are gone, and work that is given to them would wait for ever.
os.register_at_fork(after_in_child=_pools.clear)


def limit_threads(count: int) -> None:
    """Let this process use so many cores at most from now on: others work beside it."""
    _limit[:] = [count]


def threads() -> int:
    """Return how many cores this process may use."""
    return min([_cores(), *_limit])


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parts(size: int, most: int = PARTS) -> list[tuple[int, int]]:
    """Return up to `most` ranges that cover `0 .. size`."""
    edges = np.linspace(0, size, min(most, max(size, 1)) + 1).astype(int).tolist()
    return list(pairwise(edges))


def share(work: Callable[[Item], object], items: Iterable[Item], count: int) -> None:
    """Do all parts of some work, each once, in any order.

    Args:
        work: Function of a part. Parts must not touch one another's results.
        items: The parts; a thread that is done with one takes the next.
        count: Number of threads that work, this one among them.
    """
    listed = list(items)
    waiting = iter(listed)

    def take() -> None:
        for item in waiting:
            work(item)

    others = [_pool().submit(take) for _ in range(min(count, len(listed)) - 1)]
    try:
        take()
    finally:
        # Whatever happened here, nothing is written to any more once this has returned. What has not begun
        # finds nothing left to do, and need not be waited for.
        for other in others:
            if not other.cancel():
                other.result()


def in_threads(
    work: Callable[[Item], Result], items: Sequence[Item], count: int | None = None
) -> list[Result]:
    """Return `work` of every item, in order.

    Args:
        work: Function of an item; it may raise.
        items: The items.
        count: Number of threads; None for one on each core.
    """
    results: dict[int, Result] = {}

    def note(k: int) -> None:
        results[k] = work(items[k])

    share(note, range(len(items)), threads() if count is None else count)
    return [results[k] for k in range(len(items))]


def _pool() -> ThreadPoolExecutor:
    if not _pools:
        _pools.append(ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="pumice"))
    return _pools[0]
