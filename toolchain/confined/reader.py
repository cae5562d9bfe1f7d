"""Reads files of strangers whose libraries trust them too much: data only, in bounded time and memory.

The C library behind h5py believes what a file says of itself: one flipped byte can make it loop for ever,
allocate what a header claims, or end the process. Decoders of event recordings panic. So they run in a
process of their own, with limits, which hands over plain arrays (`process.py`).
"""

import json
import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from enum import Enum
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.disk import check_file
from toolchain.errors import CorruptArtifactError
from toolchain.memory import budget

_START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from toolchain.confined.process import serve; serve(int(sys.argv[2]))"
)
_ROOT: Final = Path(__file__).resolve().parents[2]
"""Where the package is that the process imports: this one, however it was found."""
_PLAIN: Final = re.compile(r"[<>|][biufU]\d{1,9}")
"""Types of arrays that are numbers or text."""
_GRACE: Final = 10.0
"""Seconds of waiting beyond the time that reading may take."""
_PER_SECOND: Final = 10 * 2**20
"""Bytes of a file that are read in a second even on a slow disk."""
_PIPE: Final = 2**20
"""Bytes that the process may be ahead."""


class Format(Enum):
    """What a file of a stranger is read as."""

    HDF5 = "hdf5"
    """Every data set by its path in the file, such as `node/nodes/lif/tau`; text as `str_`."""


class _LostError(Exception):
    """The process ended, was too slow, or answered what is no answer."""


@final
class ConfinedReader:
    """A process that reads one file after another; it starts with the first.

    Args:
        seconds: Least time a file may take; large files have more.
        limit: Most bytes that the arrays of one file may have together; by default what no archive may
            exceed, and a quarter of this machine's memory.
    """

    def __init__(self, seconds: int = 20, limit: int | None = None) -> None:
        self._seconds, self._limit = seconds, limit or budget().limit // 2
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ConfinedReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def read(self, kind: Format, path: Path, index: int = 0) -> dict[str, NDArray[Any]]:
        """Return the arrays of a file.

        Args:
            kind: What it is read as.
            path: The file.
            index: Which recording, for files that hold several.

        Raises:
            MissingFileError: There is no such file.
            CorruptArtifactError: It is of another format, is damaged, or holds what is not read.
        """
        check_file("file", path)
        size = path.stat().st_size
        if size > self._limit:
            raise CorruptArtifactError(path, f"has {size} bytes; more than {self._limit} are not read")
        seconds = self._seconds + size // _PER_SECOND
        asked = {"format": kind.value, "path": str(path.resolve()), "index": index, "seconds": seconds}
        try:
            return self._ask(path, asked, seconds)
        except BaseException as error:
            # Whatever is left of the answer must not be taken for the next one.
            if not isinstance(error, CorruptArtifactError):
                self._stop()
            if isinstance(error, _LostError):
                raise CorruptArtifactError(path, f"{error}: it is damaged") from None
            raise

    def _ask(self, path: Path, asked: Mapping[str, object], seconds: int) -> dict[str, NDArray[Any]]:
        pipe = _Pipe(self._process or self._start(), seconds + _GRACE)
        pipe.send(json.dumps(asked).encode() + b"\n")
        said = pipe.document(self._limit)
        if isinstance(said.get("refused"), str):
            raise CorruptArtifactError(path, said["refused"])
        return pipe.arrays(said.get("arrays"), self._limit)

    def _start(self) -> "subprocess.Popen[bytes]":
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-P", "-c", _START, str(_ROOT), str(self._limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pipesize=_PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        return self._process

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None


@final
class _Pipe:
    """What is asked of a process and answered by it, within so many seconds; what it says is not trusted."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        if process.stdin is None or process.stdout is None:  # pragma: no cover - both are pipes
            raise _LostError("cannot be read: no pipe to the reading process")
        self._input, self._output = process.stdin, process.stdout.fileno()
        self._seconds, self._deadline = seconds, time.monotonic() + seconds

    def send(self, line: bytes) -> None:
        try:
            self._input.write(line)
        except BrokenPipeError:
            raise _LostError("ended the reading process") from None

    def document(self, limit: int) -> dict[str, Any]:
        """Return the JSON object that begins an answer."""
        size = int.from_bytes(self._bytes(8), "big")
        if size > limit:
            raise _LostError("confused the reading process")
        try:
            said = json.loads(self._bytes(size))
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise _LostError("confused the reading process")
        return said

    def arrays(self, listed: object, limit: int) -> dict[str, NDArray[Any]]:
        """Return the arrays that follow such an object, by name."""
        arrays: dict[str, NDArray[Any]] = {}
        try:
            for name, kind, shape in listed:  # pyright: ignore[reportGeneralTypeIssues] - checked by use
                if not _PLAIN.fullmatch(kind) or any(int(extent) < 0 for extent in shape):
                    raise _LostError("confused the reading process")
                size = np.dtype(kind).itemsize * prod(shape)
                limit -= size
                if limit < 0:
                    raise _LostError("made the reading process send more than was asked")
                arrays[str(name)] = np.ndarray(tuple(shape), kind, self._bytes(size))
        except (TypeError, ValueError):
            raise _LostError("confused the reading process") from None
        return arrays

    def _bytes(self, count: int) -> bytearray:
        found = bytearray(count)
        left = memoryview(found)
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while left:
                if not selector.select(timeout=max(self._deadline - time.monotonic(), 0)):
                    raise _LostError(f"could not be read within {self._seconds - _GRACE:g} seconds")
                got = os.readv(self._output, [left])
                if not got:
                    raise _LostError("ended the reading process")
                left = left[got:]
        return found


def read_hdf5(path: Path, reader: ConfinedReader | None = None) -> dict[str, NDArray[Any]]:
    """Return every data set of an HDF5 file by its path in it; see `ConfinedReader.read`."""
    if reader is not None:
        return reader.read(Format.HDF5, path)
    with ConfinedReader() as own:
        return own.read(Format.HDF5, path)
