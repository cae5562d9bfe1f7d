"""How far a training of a sweep is, in a small file that its worker writes and the sweep reads."""

import time
from pathlib import Path
from typing import Annotated, Final, final

from pydantic import Field

from toolchain.errors import ToolchainError
from toolchain.files.documents import Document, read_document, write_document

_AGAIN_S: Final = 1.0
"""Least time between two notes of the same stage."""


class StageNote(Document):
    """How far a training is.

    Attributes:
        stage: What it is doing.
        done: Units of the stage that are finished, such as epochs.
        total: Units of the stage.
    """

    stage: str
    done: Annotated[int, Field(ge=0)]
    total: Annotated[int, Field(ge=0)]


@final
class NotedProgress:
    """A `StageProgress` that leaves notes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: tuple[str, float] | None = None

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Leave a note, at most one a second of each stage."""
        now = time.monotonic()
        if self._last is None or stage != self._last[0] or now >= self._last[1] + _AGAIN_S:
            self._last = stage, now
            write_document(self._path, StageNote(stage=stage, done=done, total=total))

    def remove(self) -> None:
        """Take the note away, if there is one."""
        self._path.unlink(missing_ok=True)


def read_note(path: Path) -> StageNote | None:
    """Return the note of a training; None if there is none that can be read."""
    try:
        return read_document(path, StageNote)
    except ToolchainError:
        return None
