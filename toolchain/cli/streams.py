"""Standard output and standard error: whatever happens to them, no command ends with a traceback.

If the reader of the output has gone, such as `head`, the command ends quietly, as other tools do. If a disk
refuses the output, that is an error. What cannot be written to standard error is dropped: a log that is full
or closed must not end hours of work.
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
    """Give this process its standard streams; one that was closed when it started leads nowhere."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # This takes the lowest free number, the missing one: no file that we open may get it.
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
    """A standard stream, as bytes.

    Args:
        number: 1 for standard output, 2 for standard error.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self._is_output = number == _OUTPUT
        self._gone = False

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - anything with bytes
        """Write bytes; after a failure, write no more."""
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
