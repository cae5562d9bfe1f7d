"""What a session works with: room that is used again at every block, and the cores it may use."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import final

import numpy as np
from numpy.typing import NDArray


@final
class Workspace:
    """Room for sums, and cores.

    Memory that is asked for anew at every block costs more than the sums that are written to it.

    Args:
        pool: Threads that may share the work of one session; None to work alone.
        cores: How many threads it has.
    """

    def __init__(self, pool: Executor | None = None, cores: int = 1) -> None:
        self._pool = pool
        self._cores = cores if pool is not None else 1
        self._held: dict[str, NDArray[np.int32]] = {}

    def room(self, purpose: str, shape: tuple[int, ...]) -> NDArray[np.int32]:
        """Return an array of any content; the next call for the same purpose returns the same memory."""
        size = int(np.prod(shape))
        held = self._held.get(purpose)
        if held is None or held.size < size:
            held = self._held[purpose] = np.empty(size, np.int32)
        return held[:size].reshape(shape)

    def split(self, work: Callable[[slice], None], count: int, *, most: int, least: int) -> None:
        """Do some work for `count` things, on all cores if it is worth it.

        Args:
            work: Takes the part to be done. Parts must not touch one another's results.
            count: How many things there are.
            most: So many fit into one part.
            least: Fewer are not worth waking another thread.
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
