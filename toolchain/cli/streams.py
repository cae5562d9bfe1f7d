"""Standard output and standard error: nothing that becomes of them ends the command with a traceback.

Where the reader of the output has gone, as `head` does, the command ends quietly, as other tools do. Output
that a disk refuses is an error. What cannot be told on standard error is not told: a log that is full or
closed must not end hours of work.
"""

import io
import os
import sys
from pathlib import Path
from typing import Any, Final, TextIO, final

from toolchain.errors import StorageError

READER_GONE: Final = 141
"""The exit code of a tool that the signal SIGPIPE ends: 128 + 13."""
_OUTPUT: Final = 1


def open_streams() -> None:
    """Give this process its standard streams; those that were closed when it started lead nowhere."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one; a file of ours must never get it.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _stream(_OUTPUT, sys.stdout), _stream(2, sys.stderr)


def _stream(number: int, before: Any) -> TextIO:  # noqa: ANN401 - None where it was closed
    if before is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    before.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(number)),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )


@final
class _Stream(io.FileIO):
    """Bytes that are printed.

    Args:
        number: 1 for standard output, 2 for standard error.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self._is_output = number == _OUTPUT
        self._gone = False

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - anything with bytes
        """Write bytes; after a failure, none."""
        if self._gone:
            return len(data)
        try:
            return super().write(data) or 0
        except BlockingIOError:
            raise
        except OSError as error:
            self._gone = True
            if not self._is_output:
                return len(data)
            if isinstance(error, BrokenPipeError):
                raise SystemExit(READER_GONE) from None
            reason = (error.strerror or str(error)).lower()
            raise StorageError(
                Path("standard output"), f"cannot be written: {reason}", "send it elsewhere"
            ) from None
