"""A bounded flow of tasks: a few for every worker are under way, and each leaves as soon as it has ended.

The scheduler cannot say which task killed a worker, so it suspects all that were assigned to it. A suspect is
tried again alone, when nothing else is under way: what kills a worker then has done it itself.
"""

import queue
import secrets
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any, Final, final

from toolchain.cluster.local import LocalNodes
from toolchain.cluster.outcome import Outcome, RemoteError
from toolchain.cluster.work import Ended, code_fingerprint, run_task
from toolchain.errors import ClusterError, UsageError

PER_THREAD: Final = 3
"""Tasks under way for every thread: one runs, the next is there already."""
_POLL_S: Final = 0.25
_TEND_S: Final = 0.2
_REFRESH_S: Final = 2.0
_ALONE_S: Final = 600.0
"""How long a flow waits for a worker where there is none any more."""

Task = tuple[Callable[..., Any], tuple[Any, ...]]


@final
class Flow:
    """Tasks under way on a cluster.

    Args:
        client: Client of the library.
        address: Address of the scheduler.
        nodes: Processes of a local cluster; None for one that others started.
    """

    def __init__(self, client: Any, address: str, nodes: LocalNodes | None) -> None:  # noqa: ANN401 - see library
        self._client, self._address, self._nodes = client, address, nodes
        self._prefix = f"pumice-{secrets.token_hex(6)}"
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._tasks: dict[str, Task] = {}
        self._futures: dict[str, Any] = {}
        self._suspects: dict[str, Task] = {}
        self._alone = ""
        self._threads, self._refreshed, self._tended = 0, 0.0, 0.0
        self._last_worker = time.monotonic()
        self._number = 0

    @property
    def free(self) -> int:
        """How many more tasks may be submitted now."""
        if self._suspects or self._alone:
            return 0
        return max(0, PER_THREAD * max(self._count_threads(), 1) - len(self._futures))

    @property
    def waiting(self) -> int:
        """How many tasks were submitted and not taken yet."""
        return len(self._tasks)

    def submit(self, key: str, function: Callable[..., Any], *arguments: Any) -> None:  # noqa: ANN401 - whatever it takes
        """Submit a task.

        Args:
            key: Name of the task among those under way.
            function: Function of a module that workers have.
            arguments: Small arguments of it: paths and numbers, not arrays.

        Raises:
            UsageError: A task of this key is under way.
        """
        if key in self._tasks:
            raise UsageError(f"the task '{key}' is under way already")
        self._tasks[key] = function, arguments
        self._send(key)

    def next(self, idle: Callable[[], object] = lambda: None) -> Outcome:
        """Wait for the next task that ends, in whatever order they do, and return what became of it.

        Args:
            idle: Is called again and again while none ends.

        Raises:
            ClusterError: The scheduler is lost, there are no workers any more, or one has other code.
            UsageError: No task is under way.
        """
        while True:
            if not self._tasks:
                raise UsageError("no task is under way", "submit one before")
            self._try_suspects()
            # Also while others go on ending: a worker that died must not stay away.
            if time.monotonic() > self._tended + _TEND_S:
                self._tend()
            try:
                key = self._ended.get(timeout=_POLL_S)
            except queue.Empty:
                idle()
                continue
            outcome = self._take(key)
            if outcome is not None:
                return outcome

    def close(self) -> None:
        """Let go of all tasks that were not taken."""
        futures = list(self._futures.values())
        self._futures.clear()
        self._tasks.clear()
        self._suspects.clear()
        if futures and self._client.status == "running":
            self._client.cancel(futures, force=True)

    def _send(self, key: str) -> None:
        self._number += 1
        function, arguments = self._tasks[key]
        try:
            future = self._client.submit(
                run_task,
                code_fingerprint(),
                function,
                arguments,
                key=f"{self._prefix}-{self._number}",
                pure=False,
            )
        except Exception as error:
            self._check_scheduler()
            raise ClusterError(f"a task cannot be sent to workers: {error}") from error
        self._futures[key] = future
        future.add_done_callback(lambda _: self._ended.put(key))

    def _take(self, key: str) -> Outcome | None:
        """Return what became of a task; None where that is not known yet."""
        future = self._futures.pop(key, None)
        if future is None:
            return None
        if future.status != "finished":
            return self._failed(key, future)
        ended = self._result(key, future)
        if ended is None:
            return self._failed(key, future)
        future.release()
        self._end(key)
        if self._nodes is not None:
            self._nodes.note_success()
        error = None if ended.error is None else ended.error.restored()
        if isinstance(error, ClusterError):
            # Not of the task: a worker that came later has other code, and would take all that is left.
            raise error
        return Outcome(key, ended.result, error, ended.worker)

    def _result(self, key: str, future: Any) -> Ended | None:  # noqa: ANN401 - see library
        """Return what a worker has made of a task; None where the task failed after all.

        The worker that has the result may die before it hands it over. Then the task runs once more, for
        which there must be a worker: they are looked after also while this waits.
        """
        deadline = time.monotonic() + _ALONE_S
        while True:
            try:
                ended = future.result(timeout=_POLL_S)
            except TimeoutError as error:
                self._tend()
                if time.monotonic() < deadline:
                    continue
                raise ClusterError(f"the result of task '{key}' was lost", "start again") from error
            except (Exception, CancelledError) as error:
                self._check_scheduler()
                if future.status == "error":
                    return None
                raise ClusterError(f"the result of task '{key}' was lost: {error}", "start again") from error
            assert isinstance(ended, Ended)  # noqa: S101 - what `run_task` returns
            return ended

    def _failed(self, key: str, future: Any) -> Outcome | None:  # noqa: ANN401 - see library
        """Return the outcome of a task whose end was not told by its worker."""
        if future.status != "error":
            self._lost()
        error = future.exception()
        future.release()
        if type(error).__name__ != "KilledWorker":
            self._end(key)
            return Outcome(key, error=RemoteError(f"{type(error).__name__}: {error}"))
        worker = getattr(getattr(error, "last_worker", None), "address", "")
        if key != self._alone:
            self._suspects[key] = self._tasks[key]
            return None
        self._end(key)
        killed = ClusterError(
            "its workers were killed again and again while it ran, also when it ran alone",
            "it may need more memory than a worker has: start fewer workers on a machine",
        )
        return Outcome(key, error=killed, worker=worker)

    def _try_suspects(self) -> None:
        if self._suspects and not self._futures:
            key = self._alone = next(iter(self._suspects))
            del self._suspects[key]
            self._send(key)

    def _end(self, key: str) -> None:
        del self._tasks[key]
        if key == self._alone:
            self._alone = ""

    def _tend(self) -> None:
        """Look after the workers."""
        self._tended = time.monotonic()
        if self._nodes is not None:
            self._nodes.tend()
        self._check_scheduler()
        if self._count_threads():
            self._last_worker = time.monotonic()
        elif time.monotonic() > self._last_worker + _ALONE_S:
            raise ClusterError(
                f"the scheduler at {self._address} has had no worker for {_ALONE_S / 60:.0f} minutes",
                "start workers, and start again: what is done is not done twice",
            )

    def _count_threads(self) -> int:
        if time.monotonic() > self._refreshed + _REFRESH_S:
            try:
                self._threads = sum(self._client.nthreads().values())
            except Exception:  # noqa: BLE001 - whatever the library raises, what matters is whether it is there
                self._check_scheduler()
            self._refreshed = time.monotonic()
        return self._threads

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            self._lost()

    def _lost(self) -> None:
        raise ClusterError(
            f"the scheduler at {self._address} is lost",
            "start it and its workers again, and then this: what is done is not done twice",
        )
