"""The process that reads files of strangers; `reader.py` starts it and says why.

It is asked by lines of JSON on its input: what to read (`format`, `path`, and `index` for files of several
recordings), within how many `seconds` of the processor, and the `limit` of bytes of the arrays together. Its
answer is a length of eight bytes, a JSON document of that length, and, one after the other, the bytes of the
arrays that the document lists: `{"arrays": [[name, dtype, shape], ...]}`. Or the document says what is wrong
with the file: `{"refused": "..."}`.
"""

import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

Read = Callable[[str, int, int], Mapping[str, NDArray[Any]]]
"""Returns the arrays of a file: its path, which recording of it, how many bytes they may have together."""

_RECORDINGS: Final = ("n_mnist", "cifar10_dvs", "dvs_gesture", "shd", "shd_labels")
_AEDAT: Final = ("dvs_128", "davis_346", "dvs_346mini", "dvs_ibm", "dvs_red")
_MODULES: Final = {
    "hdf5": "toolchain.confined.hdf5",
    **dict.fromkeys(_RECORDINGS, "toolchain.confined.recordings"),
    **dict.fromkeys(_AEDAT, "toolchain.confined.aedat"),
}
"""Where the function `read_FORMAT` of a format is."""
WORKING: Final = 256 * 2**20
"""Bytes by which this process may grow until what a file claims was found to be no more than it may."""
_PAGES: Final = Path("/proc/self/statm")
_FIRST: Final = 2 * 2**30
"""Bytes of addresses that Python, NumPy and h5py take, where the system does not say."""


class RefusedError(Exception):
    """The file holds what is not read."""


def serve() -> None:
    """Answer every line of the input."""
    # A library that prints must not disturb the answers.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        kind, limit = asked["format"], asked["limit"]
        read = getattr(import_module(_MODULES[kind]), f"read_{kind}")
        confine(asked["seconds"])
        send(output, *answer(read, asked["path"], asked["index"], limit))


def confine(seconds: int) -> None:
    """Limit what reading one file may take; what is exceeded ends this process or is an error in it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime)
    # A library can loop for ever on a damaged file; the system ends it even if nobody waits any more.
    _limit(resource.RLIMIT_CPU, spent + seconds + 1)
    allow(WORKING)
    # No file grows, and a crash leaves no core.
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))


def allow(room: int) -> None:
    """Limit by how many bytes this process may grow from now on, until it is asked for the next file."""
    taken = int(_PAGES.read_text().split()[0]) * resource.getpagesize() if _PAGES.exists() else _FIRST
    _limit(resource.RLIMIT_AS, taken + room)


def _limit(kind: int, most: int) -> None:
    """Set a limit that can be raised again, within what the user's own limits are."""
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def answer(read: Read, path: str, index: int, limit: int) -> tuple[Mapping[str, NDArray[Any]], str]:
    """Return the arrays of a file, and what is wrong with it, if anything is."""
    try:
        arrays = read(path, index, limit)
        if sum(array.nbytes for array in arrays.values()) > limit:
            return {}, f"holds more than {limit} bytes; more are not read"
    except RefusedError as error:
        return {}, str(error)
    except MemoryError:
        return {}, "needs more memory than files of its size may"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - libraries raise what they like; a panic is no Exception
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return {}, f"is damaged or of another format ({said})"
    return arrays, ""


def send(output: IO[bytes], arrays: Mapping[str, NDArray[Any]], refused: str) -> None:
    """Write one answer."""
    listed = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
    document = json.dumps({"refused": refused} if refused else {"arrays": listed}).encode()
    output.write(len(document).to_bytes(8, "big") + document)
    for array in arrays.values():
        if array.nbytes:
            output.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    output.flush()
