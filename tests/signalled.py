"""Commands that are sent a signal at some moment: how they ended, and whatever they left behind."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toolchain.files.temporary import SHARED_MEMORY
from toolchain.interrupts import INTERRUPTS

_MARK = "PUMICE_SIGNALLED"
_PROCESSES = Path("/proc")
_PATIENCE_S = 15.0
REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code, that of a signal which ended it at once as 128 and its number.
        seconds: How long it took.
        stderr: What it said.
        left: What it left in the temporary folder, beside its output, in shared memory and of processes.
    """

    code: int
    seconds: float
    stderr: str
    left: tuple[str, ...]


class Child(Protocol):
    """A command that runs."""

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code, the number of a signal that ended it below zero."""
        ...

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""
        ...


Start = Callable[[Sequence[str], Mapping[str, str], int], Child]
"""Starts the command with arguments and environment variables; standard error is a file's number."""


def command(arguments: Sequence[str], environment: Mapping[str, str], stderr: int) -> Child:
    """Start the command in a new process, as a user does."""
    return subprocess.Popen(
        [sys.executable, "-m", "toolchain.cli", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        cwd=REPOSITORY,
        env=os.environ | environment,
        # Whoever runs the tests in the background ignores Ctrl-C, and would hand that down.
        preexec_fn=_default_signals,  # noqa: PLW1509 - it takes no lock
    )


def signalled(
    arguments: Sequence[str],
    output: Path,
    after: float | Callable[[], bool] | None = None,
    numbers: Sequence[int] = (signal.SIGTERM,),
    *,
    start: Start = command,
) -> Ended:
    """Run a command in a temporary folder of its own, send it signals, and look for what it left.

    Args:
        arguments: Of the command.
        output: What it writes; in a folder of its own, nothing else may appear.
        after: Seconds until the first signal, or what says that it is time; None for no signal.
        numbers: The signals, a few milliseconds apart.
        start: Starts the command.
    """
    mark = secrets.token_hex(8)
    before, shared = _names(output.parent), _names(SHARED_MEMORY)
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryFile() as told:
        place = Path(made)
        started = time.monotonic()
        settings = {"OMP_NUM_THREADS": "1", _MARK: mark, "TMPDIR": made}
        child = start(arguments, settings, told.fileno())
        if after is not None:
            _wait(child, after)
            for number in numbers:
                child.send_signal(number)
                time.sleep(0.003)
        code = child.wait(timeout=300)
        seconds = time.monotonic() - started
        left = [f"process {command}" for command in _soon(lambda: _processes(mark))]
        left += [f"in TMPDIR: {name}" for name in _soon(lambda: sorted(_names(place)))]
        beside = _names(output.parent) - before - {output.name}
        left += [f"beside the output: {name}" for name in sorted(beside)]
        hidden = [item.relative_to(output) for item in output.rglob(".*")] if output.is_dir() else []
        left += [f"in the output: {name}" for name in hidden]
        left += [f"shared memory: {name}" for name in _soon(lambda: _unused(_names(SHARED_MEMORY) - shared))]
        told.seek(0)
        stderr = told.read().decode(errors="replace")
    return Ended(128 - code if code < 0 else code, seconds, stderr, tuple(left))


def _default_signals() -> None:
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_DFL)


def _wait(child: Child, after: float | Callable[[], bool]) -> None:
    started = time.monotonic()
    while child.poll() is None and not (after() if callable(after) else time.monotonic() - started >= after):
        time.sleep(0.001)


def _names(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()} if folder.is_dir() else set()


def _soon(look: Callable[[], list[str]]) -> list[str]:
    """Return what is still found after some patience: what ends by itself may take a moment."""
    deadline = time.monotonic() + _PATIENCE_S
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _processes(mark: str) -> list[str]:
    """Return the commands of the processes that come from ours; zombies have no environment."""
    found = []
    for entry in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):
            if f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


def _unused(names: set[str]) -> list[str]:
    """Return which segments no process has mapped: others may run beside us."""
    used = ""
    for entry in _PROCESSES.glob("[0-9]*/maps") if names else ():
        with suppress(OSError):
            used += entry.read_text(errors="replace")
    return sorted(name for name in names if f"{SHARED_MEMORY}/{name}" not in used)
