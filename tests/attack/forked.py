"""A piece of work in a process of its own: how it ended, how long it took, how much memory it asked for.

The process is a fork of this one, so that nothing has to be imported again. It is ended when it takes too
long or too much memory, with everything that it started, which is known by a word in its environment.
"""

import gc
import json
import os
import secrets
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from toolchain.errors import ToolchainError

WORD: Final = "PUMICE_ATTACK"
"""Name of the variable by which processes of an attack are known, however they detach themselves."""
_PROCESSES: Final = Path("/proc")
_POLL_S: Final = 0.02
_KIB: Final = 1024
BROKEN: Final = "broken: "
"""How it begins what `Outcome` says of an error that no user should see."""


@final
@dataclass(frozen=True)
class Outcome:
    """How a piece of work ended.

    Attributes:
        said: `read`; the class of a `ToolchainError`; or, after `broken: `, what no user should see.
        text: The message of the error, or its traceback.
        memory: Bytes by which the process and those it started grew.
        seconds: How long it took.
    """

    said: str
    text: str
    memory: int
    seconds: float

    @property
    def broken(self) -> bool:
        """Whether it ended otherwise than by a result or an error of ours."""
        return self.said.startswith(BROKEN)


def forked(work: Callable[[], object], *, seconds: float = 30.0, memory: int = 1536 * 2**20) -> Outcome:
    """Do a piece of work in a fork of this process.

    Args:
        work: What is done; its result is dropped.
        seconds: After so many it is ended.
        memory: Likewise, if it grows by so many bytes.
    """
    word = secrets.token_hex(8)
    gc.freeze()
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work(work, writer, word)
    os.close(writer)
    peak, reason = _watch(child, word, started + seconds, memory)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read() if not reason else b""
    spent = time.monotonic() - started
    for left in processes_of(word, child):
        with suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    if not told:
        return Outcome(f"{BROKEN}{reason or 'the process died'}", "", peak, spent)
    said, text, own = json.loads(told)
    return Outcome(said, text, max(peak, own), spent)


def _work(work: Callable[[], object], writer: int, word: str) -> None:
    """Be the forked process."""
    os.setsid()
    os.environ[WORD] = word
    (_PROCESSES / "self/clear_refs").write_text("5")
    before = _status(os.getpid(), "VmRSS")
    said, text = ended(work)
    grown = (_status(os.getpid(), "VmHWM") - before) * _KIB
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(json.dumps([said, text[-4000:], grown]).encode(errors="replace"))
    os._exit(0)


def ended(work: Callable[[], object]) -> tuple[str, str]:
    """Do a piece of work here; return how it ended, as in `Outcome`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work()
    except ToolchainError as error:
        # Whoever prints it must not stumble over it.
        return type(error).__name__, str(error).encode().decode()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
        return f"{BROKEN}{type(error).__name__}", traceback.format_exc()
    return "read", ""


def _watch(child: int, word: str, deadline: float, memory: int) -> tuple[int, str]:
    """Return the most memory beyond that of the start, and why the child was ended, if it was."""
    peak, before = 0, _status(child, "VmRSS")
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        own = _status(child, "VmRSS") - before
        others = sum(_status(other, "VmHWM") for other in processes_of(word, child) if other != child)
        peak = max(peak, (own + others) * _KIB)
        late = time.monotonic() > deadline
        if late or peak > memory:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return peak, "it took too long" if late else "it took too much memory"
        time.sleep(_POLL_S)
    return peak, ""


def _status(process: int, key: str) -> int:
    """Return a figure of a process in KiB; 0 if there is no such process any more."""
    with suppress(OSError):
        for line in (_PROCESSES / str(process) / "status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0


def processes_of(word: str, session: int = 0) -> Iterator[int]:
    """Yield the processes of an attack: of its session, or begun with its word in their environment."""
    wanted = f"{WORD}={word}".encode()
    for entry in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):
            same = session > 0 and os.getsid(int(entry.name)) == session
            if same or wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
