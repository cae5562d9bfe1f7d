"""A flow of tasks in this process, for tests of what is done with their ends."""

from collections import deque
from collections.abc import Callable
from typing import Any

from toolchain.cluster import Outcome, RemoteError
from toolchain.errors import ClusterError, ToolchainError


class FlowHere:
    """A flow whose tasks run when they are waited for; it loses the scheduler after some."""

    def __init__(self, most: int = 3, *, last_first: bool = False, lost_after: int = 10**6) -> None:
        self._most, self._last_first, self._left = most, last_first, lost_after
        self._tasks: deque[tuple[str, Callable[..., Any], tuple[Any, ...]]] = deque()
        self.longest = 0

    @property
    def free(self) -> int:
        return self._most - len(self._tasks)

    @property
    def waiting(self) -> int:
        return len(self._tasks)

    def submit(self, key: str, function: Callable[..., Any], *arguments: Any) -> None:
        assert key not in [each[0] for each in self._tasks]
        self._tasks.append((key, function, arguments))
        self.longest = max(self.longest, len(self._tasks))

    def next(self, idle: Callable[[], object]) -> Outcome:
        idle()
        self._left -= 1
        if self._left < 0:
            raise ClusterError("the scheduler is lost")
        key, function, arguments = self._tasks.pop() if self._last_first else self._tasks.popleft()
        try:
            return Outcome(key, function(*arguments), worker="w")
        except ToolchainError as error:
            return Outcome(key, error=error, worker="w")
        except Exception as error:  # noqa: BLE001 - as in a worker
            return Outcome(key, error=RemoteError(f"Traceback: {error}"), worker="w")
