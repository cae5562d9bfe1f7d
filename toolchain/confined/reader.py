"""Reads files of strangers whose libraries trust them too much: data only, in bounded time and memory.

The C library behind h5py believes what a file says of itself: one flipped byte can make it loop for ever,
allocate what a header claims, or end the process. Decoders of event recordings panic. So they run in a
process of their own, with limits, which hands over plain arrays (`process.py`).
"""

import os
import subprocess
import sys
import threading
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, final

from numpy.typing import NDArray

from toolchain.confined.pipe import LostError, Pipe
from toolchain.errors import CorruptArtifactError, UsageError
from toolchain.files.disk import check_file
from toolchain.memory import budget

_START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from toolchain.confined.process import serve; serve()"
)
_ROOT: Final = Path(__file__).resolve().parents[2]
"""Where the package is that the process imports: this one, however it was found."""
_GRACE: Final = 10.0
"""Seconds of waiting beyond the time that reading may take."""
_PER_SECOND: Final = 10 * 2**20
"""Bytes of a file that are read in a second even on a slow disk."""
_PIPE: Final = 2**20
"""Bytes of an answer that the process may be ahead."""


class Format(Enum):
    """What a file of a stranger is read as."""

    HDF5 = "hdf5"
    """Every data set by its path in the file, such as `node/nodes/lif/tau`; text as `str_`."""
    N_MNIST = "n_mnist"
    """Events of N-MNIST by `t`, `x`, `y` and `p`, as stored: the time in microseconds."""
    CIFAR10_DVS = "cifar10_dvs"
    """Events of CIFAR10-DVS likewise."""
    DVS_GESTURE = "dvs_gesture"
    """Events of DVS-Gesture likewise: the time in milliseconds."""
    SHD = "shd"
    """Events of one recording of SHD by `t` and `x`: the time in seconds."""
    SHD_LABELS = "shd_labels"
    """The `labels` of all recordings of SHD."""
    DVS_128 = "dvs_128"
    """Events of a DVS 128 in AEDAT 2, by `t` in microseconds, `x`, `y` and `p`."""
    DAVIS_346 = "davis_346"
    """Events of a DAVIS 346 likewise."""
    DVS_346MINI = "dvs_346mini"
    """Events of a DVS 346 mini likewise."""
    DVS_IBM = "dvs_ibm"
    """Events in AEDAT 3.1 as IBM published gestures."""
    DVS_RED = "dvs_red"
    """Events of the red series likewise."""


_MOST: Final = {
    Format.N_MNIST: 2**26,
    Format.CIFAR10_DVS: 2**26,
    Format.SHD: 2**26,
    Format.SHD_LABELS: 2**20,
    **dict.fromkeys((Format.DVS_128, Format.DAVIS_346, Format.DVS_346MINI), 2**27),
    **dict.fromkeys((Format.DVS_IBM, Format.DVS_RED), 2**27),
}
"""Most bytes of the arrays of what takes more in memory than in its file: two million events and more."""


@final
class ConfinedReader:
    """A process that reads one file after another; it starts with the first, and ends with the block.

    Threads take turns, and a forked process starts one of its own.

    Args:
        seconds: Least time a file may take; large files have more.
        limit: Most bytes that the arrays of one file may have together; by default half of what one file may
            take on this machine.
    """

    def __init__(self, seconds: int = 20, limit: int | None = None) -> None:
        self._forget()
        self._seconds, self._limit = seconds, limit or budget().limit // 2

    def __reduce__(self) -> tuple[type["ConfinedReader"], tuple[int, int]]:
        # A copy in another process reads for itself.
        return ConfinedReader, (self._seconds, self._limit)

    def __enter__(self) -> "ConfinedReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __del__(self) -> None:
        self._stop()

    def read(self, kind: Format, path: Path, index: int | None = None) -> dict[str, NDArray[Any]]:
        """Return the arrays of a file.

        Args:
            kind: Format that it is read as.
            path: The file.
            index: Number of the recording, for files that hold several.

        Raises:
            MissingFileError: There is no such file.
            CorruptArtifactError: It is of another format, is damaged, or holds what is not read.
            UsageError: The system starts no more processes.
        """
        check_file("file", path)
        size = path.stat().st_size
        if size > self._limit:
            raise CorruptArtifactError(path, f"has {size} bytes; more than {self._limit} are not read")
        question = {
            "format": kind.value,
            "path": str(path.absolute()),
            "index": index,
            "seconds": self._seconds + size // _PER_SECOND,
            "limit": min(self._limit, _MOST.get(kind, self._limit)),
        }
        if self._owner != os.getpid():
            self._forget()
        with self._turn:
            answer = self._ask(question)
        if isinstance(answer, str):
            which = "" if index is None else f"recording {index}: "
            raise CorruptArtifactError(path, f"{which}{answer}")
        return answer

    def _ask(self, question: dict[str, Any]) -> str | dict[str, NDArray[Any]]:
        process = self._process or self._start()
        try:
            return Pipe(process, question["seconds"] + _GRACE, question["limit"]).ask(question)
        except LostError as error:
            self._stop()
            return f"{error}: it is damaged"
        except BaseException:
            # What is left of the answer must not be taken for the next one.
            self._stop()
            raise

    def _start(self) -> "subprocess.Popen[bytes]":
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own code
                [sys.executable, "-P", "-c", _START, str(_ROOT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                # Ctrl-C goes to all of a terminal's group; whoever asks decides when this one ends.
                start_new_session=True,
                pipesize=_PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        except OSError as error:
            raise UsageError(
                f"the process that reads files of strangers cannot be started: {error.strerror}; "
                "end other programs, or raise the limits of this one (see 'ulimit -a')"
            ) from None
        return self._process

    def _stop(self) -> None:
        if self._process is None or self._owner != os.getpid():
            return
        self._process.kill()
        self._process.communicate()
        self._process = None

    def _forget(self) -> None:
        """Begin anew, as in a forked process, whose parent goes on with the process there was."""
        self._owner, self._turn = os.getpid(), threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None


def read_hdf5(path: Path, reader: ConfinedReader | None = None) -> dict[str, NDArray[Any]]:
    """Return every data set of an HDF5 file by its path in it; see `ConfinedReader.read`."""
    if reader is not None:
        return reader.read(Format.HDF5, path)
    with ConfinedReader() as own:
        return own.read(Format.HDF5, path)
