"""Opening a cluster: processes of this machine, or the workers of a scheduler that runs already."""

import re
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, final

from toolchain.cluster.flow import Flow
from toolchain.cluster.library import load_distributed, quiet
from toolchain.cluster.likeness import check_files, check_shares, check_versions
from toolchain.cluster.local import LocalNodes, local_nodes, workers_of_machine
from toolchain.errors import ArgumentError, ClusterError
from toolchain.intake import count_of
from toolchain.interrupts import Held

_ADDRESS: Final = re.compile(r"(tcp|tls|ws|wss)://\S+:\d{1,5}/?")
_ANSWER_S: Final = 10
_WORKERS_S: Final = 10.0
_OWN_WORKERS_S: Final = 60.0


@final
class Cluster:
    """Workers that are ready.

    Args:
        client: Client of the library.
        address: Address of the scheduler.
        nodes: Processes of a local cluster; None for one that others started.
    """

    def __init__(self, client: Any, address: str, nodes: LocalNodes | None) -> None:  # noqa: ANN401 - see library
        self._client, self._nodes, self.address = client, nodes, address
        self._flows: list[Flow] = []

    @property
    def workers(self) -> tuple[str, ...]:
        """Addresses of the workers."""
        return tuple(sorted(self._client.nthreads()))

    @property
    def dashboard(self) -> str | None:
        """Address of the page that shows what happens; None where the library that draws it is not there."""
        answer = self._client.get_versions(packages=["bokeh"])["scheduler"]
        return self._client.dashboard_link if answer["packages"].get("bokeh") else None

    @property
    def where(self) -> str:
        """Where tasks run, as words."""
        count = len(self.workers)
        processes = f"{count} worker{'s' * (count != 1)}"
        return (
            f"{processes} of {f'the scheduler at {self.address}' if self._nodes is None else 'this machine'}"
        )

    def flow(self) -> Flow:
        """Return a flow of tasks; what it has not given back at the end of the cluster is let go."""
        self._flows.append(Flow(self._client, self.address, self._nodes))
        return self._flows[-1]

    def check_shares(self, folder: Path) -> None:
        """Raise if a worker does not see what this process writes in a folder.

        Args:
            folder: Folder that must be on a disk that all workers share.

        Raises:
            MissingFileError: There is no such folder here.
            ClusterError: Names the workers that do not see it.
        """
        check_shares(self._client, folder)

    def check_files(self, paths: Sequence[Path]) -> None:
        """Raise if a worker does not see files as they are here.

        Args:
            paths: The files, by absolute paths.

        Raises:
            ClusterError: Names the workers that do not see one.
        """
        check_files(self._client, paths)

    def close(self) -> None:
        """Let go of all tasks."""
        for flow in self._flows:
            flow.close()


@contextmanager
def open_cluster(scheduler: str | None = None, workers: int | None = None) -> Generator[Cluster, None, None]:
    """Yield a cluster: by default processes of this machine that end with the block, whatever happens.

    Args:
        scheduler: Address of a scheduler that runs already, such as `tcp://host:8786`.
        workers: Number of workers on this machine; by default as many as its cores and memory allow.

    Raises:
        UsageError: The library that runs clusters is not installed.
        ArgumentError: Both were given, or what was given is no address or no number.
        ClusterError: The scheduler does not answer, has no workers, or has some that are unlike this machine.
    """
    if scheduler is not None and workers is not None:
        raise ArgumentError(
            "workers", "no number beside a `scheduler`, which has its own", str(workers), "leave one out"
        )
    if scheduler is not None and not _ADDRESS.fullmatch(scheduler):
        raise ArgumentError("scheduler", "an address such as tcp://host:8786", repr(scheduler))
    count = None if workers is None else count_of(workers, "workers", least=1)
    distributed = load_distributed()
    with ExitStack() as stack:
        stack.enter_context(quiet())
        nodes = None
        if scheduler is None:
            count = count or workers_of_machine()
            nodes = stack.enter_context(local_nodes(count))
        address = nodes.address if nodes else scheduler or ""
        client = stack.enter_context(Held(lambda: _connect(distributed, address, nodes), _disconnect))
        _wait_for_workers(client, address, nodes, count or 1)
        _ask(address, lambda: check_versions(client))
        yield stack.enter_context(Held(lambda: Cluster(client, address, nodes), Cluster.close))


def _connect(distributed: Any, address: str, nodes: LocalNodes | None) -> Any:  # noqa: ANN401 - see library
    options: dict[str, Any] = {} if nodes is None else {"security": nodes.security}
    try:
        return distributed.Client(
            address,
            timeout=_ANSWER_S,
            name="pumice",
            set_as_default=False,
            direct_to_workers=False,
            **options,
        )
    except (OSError, ImportError, ValueError, RuntimeError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ClusterError(
            f"the scheduler at {address} does not answer: {reason}",
            "check the address, and that it runs, as by 'dask scheduler'",
        ) from error


def _disconnect(client: Any) -> None:  # noqa: ANN401 - see library
    with suppress(Exception):
        client.close(timeout=2)


def _ask(address: str, question: Callable[[], None]) -> None:
    """Ask the workers; what the library raises meanwhile is a scheduler or worker that went."""
    try:
        question()
    except (OSError, TimeoutError) as error:
        raise ClusterError(f"the cluster at {address} stopped answering: {error}", "start again") from error


def _wait_for_workers(client: Any, address: str, nodes: LocalNodes | None, count: int) -> None:  # noqa: ANN401 - see library
    limit = _WORKERS_S if nodes is None else _OWN_WORKERS_S
    deadline = time.monotonic() + limit
    while len(client.nthreads()) < count:
        if nodes is not None:
            nodes.tend()
        if time.monotonic() > deadline:
            started = f", as 'dask worker {address}' does" if nodes is None else ""
            raise ClusterError(
                f"the scheduler at {address} had no{' further' * (count > 1)} workers for {limit:.0f} s",
                f"start some{started}",
            )
        time.sleep(0.05)
