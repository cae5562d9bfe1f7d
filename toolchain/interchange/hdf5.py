"""Reads HDF5 files of strangers: data only, in bounded time and memory.

The C library behind h5py trusts what a file says of itself: one flipped byte can make it loop for ever,
allocate what a header claims, or end the process. So it runs in a process of its own, with limits, and hands
over plain arrays. Links out of the file, values stored elsewhere, plug-in filters and data sets that claim
more than they store are refused.
"""

import os
import selectors
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, final

from numpy.typing import NDArray

from toolchain.disk import OTHER_TEMPORARY, check_file, writing
from toolchain.errors import CorruptArtifactError
from toolchain.memory import machine_memory
from toolchain.npz import MAX_ARRAY_BYTES, read_arrays

_SCRIPT: Final = Path(__file__).with_name("hdf5_process.py")
_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_MEMORY: Final = 2 * 2**30
"""Bytes of addresses that Python, NumPy and h5py take before anything is read."""
_GRACE: Final = 10.0
"""Seconds of waiting beyond the time that reading may take."""
_PER_SECOND: Final = 10 * 2**20
"""Bytes of a file that are read in a second even on a slow disk."""


def read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    """Return every data set of a file by its path in it, such as `node/nodes/lif/tau`; text as `str_`.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not HDF5, is damaged, or holds what is not read.
    """
    with Hdf5Reader() as reader:
        return reader.read(path)


@final
class Hdf5Reader:
    """A process that reads one file after another; it starts with the first.

    Args:
        seconds: Least time a file may take; large files have more.
        limit: Most bytes that the data sets of one file may claim together; by default what no archive may
            exceed, and a quarter of this machine's memory.
    """

    def __init__(self, seconds: int = 20, limit: int | None = None) -> None:
        memory = machine_memory()
        self._seconds, self._limit = seconds, limit or min(MAX_ARRAY_BYTES, memory // 4)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="pumice-hdf5-")

    def __enter__(self) -> "Hdf5Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._folder.cleanup()

    def read(self, path: Path) -> dict[str, NDArray[Any]]:
        """Return what `read_hdf5` does."""
        check_file("file", path)
        with path.open("rb") as file:
            if file.read(len(_SIGNATURE)) != _SIGNATURE:
                raise CorruptArtifactError(path, "is not an HDF5 file")
        size = path.stat().st_size
        if size > self._limit:
            raise CorruptArtifactError(path, f"has {size} bytes; more than {self._limit} are not read")
        archive = Path(self._folder.name) / "arrays.npz"
        said = self._ask(path.resolve(), archive, self._seconds + size // _PER_SECOND)
        if said.startswith("disk "):
            with writing(archive.parent.parent, mend=OTHER_TEMPORARY):
                raise OSError(int(said.removeprefix("disk ")), "no room for the arrays")
        if said != "ok":
            raise CorruptArtifactError(path, said.removeprefix("error "))
        arrays = read_arrays(archive)
        archive.unlink()
        return arrays

    def _ask(self, path: Path, archive: Path, seconds: int) -> str:
        text = str(path)
        if set(text) & set("\t\n\r"):
            raise CorruptArtifactError(path, "has a tab or a new line in its name; rename it")
        process = self._process or self._start()
        if process.stdin is None or process.stdout is None:  # pragma: no cover - both are pipes
            raise CorruptArtifactError(path, "cannot be read: no pipe to the reading process")
        try:
            process.stdin.write(f"{seconds}\t{text}\t{archive}\n".encode())
            process.stdin.flush()
        except BrokenPipeError:
            self._stop()
            return "ended the reading process"
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout=seconds + _GRACE):
                self._stop()
                return f"could not be read within {seconds} seconds: it is damaged"
        line = process.stdout.readline().decode(errors="replace").strip()
        if not line:
            self._stop()
            return "ended the reading process: it is damaged"
        return line

    def _start(self) -> "subprocess.Popen[bytes]":
        memory = _MEMORY + 2 * self._limit
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-P", str(_SCRIPT), str(self._limit), str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        return self._process

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None
