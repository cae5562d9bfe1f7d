"""A cluster on this machine: a scheduler and workers as processes of their own, gone with the driver.

Each is in a session of its own, so that the Ctrl-C of a terminal reaches the driver only, and has a pipe to
the driver: its end is the end of the process. A worker that dies is started again.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, final

from toolchain.cluster.keys import make_key, security_of
from toolchain.cluster.node import ADDRESS
from toolchain.cluster.work import THREAD_VARIABLES
from toolchain.errors import ClusterError
from toolchain.files.temporary import temporary_folder
from toolchain.interrupts import Held
from toolchain.memory import VARIABLE, machine_memory
from toolchain.threads import threads

WORKER_BYTES: Final = 2 * 2**30
"""What a worker should have at least, torch and a network in training among it."""
_START_S: Final = 60
_LOG_BYTES: Final = 2000
_NODE: Final = Path(__file__).with_name("node.py")


def workers_of_machine() -> int:
    """Return how many workers the cores and the memory of this machine allow."""
    return max(1, min(threads(), machine_memory() // WORKER_BYTES))


@final
class LocalNodes:
    """The processes of a local cluster.

    Args:
        folder: Folder for their files.
        count: Number of workers.

    Attributes:
        address: Address of the scheduler.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._deaths = 0
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.address = ""

    def start(self) -> None:
        """Start all of them, and wait until the scheduler listens."""
        make_key(self._folder)
        for name in ("scheduler", *(f"worker-{n}" for n in range(self._count))):
            self._nodes[name] = self._start_node(name)
        deadline = time.monotonic() + _START_S
        while not (self._folder / ADDRESS).exists():
            self.tend()
            if time.monotonic() > deadline:
                raise ClusterError(f"the scheduler did not start within {_START_S} s{self._log('scheduler')}")
            time.sleep(0.02)
        self.address = (self._folder / ADDRESS).read_text(encoding="ascii")

    @property
    def security(self) -> Any:  # noqa: ANN401 - a class of a library that need not be there
        """How clients speak with them."""
        return security_of(self._folder)

    def tend(self) -> None:
        """Start workers again that have died.

        Raises:
            ClusterError: The scheduler died, or workers die without having done anything.
        """
        for name, node in list(self._nodes.items()):
            if node.poll() is None:
                continue
            reason = f"ended with {node.returncode}{self._log(name)}"
            if name == "scheduler":
                raise ClusterError(f"the scheduler of the local cluster {reason}", "start again")
            self._deaths += 1
            if self._deaths > 4 + 4 * self._count:
                raise ClusterError(f"workers die again and again: the last one {reason}")
            _end(node)
            self._nodes[name] = self._start_node(name)

    def note_success(self) -> None:
        """Forget the workers that died before a task was done."""
        self._deaths = 0

    def end(self) -> None:
        """End all of them."""
        while self._nodes:
            _end(self._nodes.popitem()[1])

    def _start_node(self, name: str) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).parents[2])
        settings = dict.fromkeys(THREAD_VARIABLES, "1") | {
            "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
            VARIABLE: str(max(machine_memory() // max(1, self._count), 2**20)),
        }
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own script, no shell
                [sys.executable, "-P", str(_NODE), name.partition("-")[0], str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | settings,
            )

    def _log(self, name: str) -> str:
        with suppress(OSError):
            text = (self._folder / f"{name}.log").read_bytes()[-_LOG_BYTES:].decode(errors="replace").strip()
            return f":\n{text}" if text else ""
        return ""


@contextmanager
def local_nodes(count: int) -> Generator[LocalNodes, None, None]:
    """Yield the processes of a local cluster; whatever happens, they end with the block.

    Args:
        count: Number of workers.

    Raises:
        ClusterError: They do not start.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder("cluster"))
        nodes = stack.enter_context(Held(lambda: LocalNodes(folder, count), LocalNodes.end))
        nodes.start()
        yield nodes


def _end(node: subprocess.Popen[bytes]) -> None:
    # Before it is waited for: until then its number is nobody else's.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(node.pid, signal.SIGKILL)
    if node.stdin is not None:
        with suppress(OSError):
            node.stdin.close()
    node.wait()
