"""Threads that share the parts of one piece of work, for compiled loops that leave Python's lock alone.

The threads are started once for a process and wait between two pieces of work: to start them anew takes as
long as a loop over a hundred thousand numbers. A process that was forked off starts its own.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
_pools: list[ThreadPoolExecutor] = []
"""The pool, once it was needed."""
# After a fork the threads are gone, and work that is given to them would wait for ever.
os.register_at_fork(after_in_child=_pools.clear)


def share(work: Callable[[Part], object], parts: Iterable[Part], threads: int) -> None:
    """Do all parts of some work, each once, in any order.

    Args:
        work: Function of a part. Parts must not touch one another's results.
        parts: The parts; a thread that is done with one takes the next.
        threads: Number of threads that work, this one among them.
    """
    listed = list(parts)
    if threads == 1 or len(listed) == 1:
        for part in listed:
            work(part)
        return
    waiting = iter(listed)

    def take() -> None:
        for part in waiting:
            work(part)

    others = [_pool().submit(take) for _ in range(min(threads, len(listed)) - 1)]
    try:
        take()
    finally:
        # Whatever happened here, nothing is written to any more once this has returned. What has not begun
        # finds nothing left to do, and need not be waited for.
        for other in others:
            if not other.cancel():
                other.result()


def _pool() -> ThreadPoolExecutor:
    if not _pools:
        _pools.append(ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="pumice"))
    return _pools[0]
