"""Programs of others, and programs made here, as child processes that never outlive their work."""

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

from toolchain.interrupts import Held


def end_child(child: "subprocess.Popen[bytes]") -> None:
    """End a child process that leads a session of its own, and all that it started."""
    # Before it is waited for: until then its number is nobody else's.
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def problem_of(
    command: Sequence[str],
    folder: Path,
    log: Path,
    *,
    patience_s: float,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a tool of the user's in a folder, and return why it failed; empty if it did not.

    Args:
        command: The tool and its arguments; no shell sees them.
        folder: Folder in which it runs.
        log: File for all that it says, in plain English where it knows that.
        patience_s: Seconds after which it is ended.
        environment: Variables that it sees beside those of this process.
    """

    def start(said: BinaryIO) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - the user's own tool, no shell
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
        )

    with log.open("wb") as said, Held(lambda: start(said), end_child) as child:
        try:
            status = child.wait(patience_s)
        except subprocess.TimeoutExpired:
            return f"it took longer than {patience_s:g} s"
    return f"it ended with status {status}" if status else ""


def read_whole(pipe: IO[bytes], into: memoryview, patience_s: float) -> None:
    """Read an answer of known length from a pipe.

    Args:
        pipe: The pipe; nothing of it has been read ahead.
        into: Where the answer goes; all of it is filled.
        patience_s: Seconds in which the next bytes must come.

    Raises:
        TimeoutError: They do not.
        EOFError: Whoever writes has ended.
    """
    place = 0
    while place < len(into):
        if not select.select([pipe], [], [], patience_s)[0]:
            raise TimeoutError
        part = os.read(pipe.fileno(), len(into) - place)
        if not part:
            raise EOFError
        into[place : place + len(part)] = part
        place += len(part)
