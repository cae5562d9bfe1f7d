"""Means of a session: memory that is used again at every block, and the cores it may use."""

from collections.abc import Callable
from concurrent.futures import Executor
from math import prod
from typing import final

import numpy as np

from toolchain.arrays import Array


@final
class Workspace:
    """Memory for sums, and cores.

    Memory that is allocated anew at every block costs more time than the sums that are written to it.

    Args:
        pool: Threads that may share the work of one session; None to work alone.
        cores: Number of its threads.
    """

    def __init__(self, pool: Executor | None = None, cores: int = 1) -> None:
        self._pool = pool
        self._cores = cores if pool is not None else 1
        self._arrays: dict[str, Array] = {}

    def room(self, purpose: str, shape: tuple[int, ...], number: type[np.generic]) -> Array:
        """Return an array of any content; the next call for the same purpose returns the same memory."""
        size = prod(shape)
        array = self._arrays.get(purpose)
        if array is None or array.size < size:
            array = self._arrays[purpose] = np.empty(size, number)
        return array[:size].reshape(shape)

    def split(self, work: Callable[[slice], None], count: int, *, most: int, least: int) -> None:
        """Do some work for `count` things, on all cores if that saves time.

        Args:
            work: Function of the part to be done. Parts must not touch one another's results.
            count: Number of things.
            most: Number of things that fit into one part.
            least: Number of things below which waking another thread does not pay.
        """
        step = max(1, min(most, max(least, -(-count // self._cores))))
        parts = [slice(start, min(start + step, count)) for start in range(0, count, step)]
        if self._pool is None or len(parts) == 1:
            for part in parts:
                work(part)
        else:
            # This thread works as well: waking another one costs more than a small part.
            others = [self._pool.submit(work, part) for part in parts[1:]]
            work(parts[0])
            for other in others:
                other.result()
