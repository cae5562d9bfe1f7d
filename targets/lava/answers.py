"""What the Lava child tells its parent: heartbeats, the first failure, and that it is done."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, final

from targets.lava.runtime.strict_json import FormatDocument, read_text, text_of

HEARTBEAT: Final = "heartbeat.npy"
"""File of two numbers per process, its step and what it does, in the order of `process_names`."""
RUNNING: Final = 0
WAITING: Final = 1
"""What a process does: it computes, or it waits for a message."""
SIMULATOR: Final = "lava"
"""Process that is named where no process of the network is at fault."""
_FAILURE: Final = "failure.json"
_DONE: Final = "done"


@final
@dataclass(frozen=True)
class Failure(FormatDocument):
    """Why a run failed.

    Attributes:
        process: Name of the process that failed first.
        step: Step of Lava that the process was in.
        reason: What went wrong, in one line.
        traceback: Python's traceback, if there is one; otherwise empty.
    """

    FORMAT: ClassVar[str] = "pumice-lava-failure"
    VERSION: ClassVar[int] = 1

    process: str
    step: int
    reason: str
    traceback: str


def report_failure(folder: Path, failure: Failure) -> None:
    """Write a failure, unless somebody has written one before."""
    temporary = folder / f"failure.{os.getpid()}"
    temporary.write_text(text_of(failure), encoding="utf-8")
    try:
        # A link fails if the name exists: the first failure is the cause of the others.
        os.link(temporary, folder / _FAILURE)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def read_failure(folder: Path) -> Failure | None:
    """Return the first failure of a run; None if there is none."""
    path = folder / _FAILURE
    return read_text(path.read_text(encoding="utf-8"), Failure, _FAILURE) if path.exists() else None


def report_done(folder: Path) -> None:
    """Tell the parent that every step was done."""
    (folder / _DONE).touch()


def is_done(folder: Path) -> bool:
    """Return whether the child has done every step."""
    return (folder / _DONE).exists()
