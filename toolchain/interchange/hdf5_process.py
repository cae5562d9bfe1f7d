"""Reads HDF5 files in a process of its own; `hdf5.py` starts it and says why.

A script that needs NumPy and h5py only. It answers one line per line of its input, `SECONDS <tab> FILE <tab>
ARCHIVE`: `ok` once the archive is written, or what is wrong with the file, after `error `.
"""

import errno
import resource
import sys
import zipfile
from typing import Any, Final

import h5py
import numpy as np

MAX_DEPTH: Final = 32
MAX_OBJECTS: Final = 100_000
LARGEST_RATIO: Final = 1032
"""No deflated stream holds more bytes per byte."""
UNSTORED: Final = 4096
"""Bytes that a data set may claim without storing any."""
FILTERS: Final = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
}


class RefusedError(Exception):
    """The file holds what is not read."""


class Walk:
    """Collects the data sets of one file, which may claim so many bytes in all."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.seen: set[tuple[int, Any]] = set()
        self.arrays: dict[str, Any] = {}

    def group(self, group: Any, prefix: str, depth: int) -> None:  # noqa: ANN401 - h5py has no types
        """Collect everything below a group."""
        if depth > MAX_DEPTH:
            raise RefusedError(f"groups are nested more than {MAX_DEPTH} deep")
        for name in group:
            link = group.get(name, getlink=True)
            path = f"{prefix}{name}"
            if not isinstance(link, h5py.HardLink):
                raise RefusedError(f"'{path}' is a link to somewhere else")
            item = group[name]
            info = h5py.h5o.get_info(item.id)  # pyright: ignore[reportAttributeAccessIssue] - no stubs
            place = (info.fileno, info.addr)
            if place in self.seen or len(self.seen) >= MAX_OBJECTS:
                raise RefusedError(f"'{path}' stands twice in the file, or there are too many objects")
            self.seen.add(place)
            if isinstance(item, h5py.Group):
                self.group(item, f"{path}/", depth + 1)
            elif isinstance(item, h5py.Dataset):
                self.arrays[path] = self.values(item, path)
            else:
                raise RefusedError(f"'{path}' is neither a group nor a data set")

    def values(self, item: Any, path: str) -> Any:  # noqa: ANN401 - likewise
        """Return one data set, after its claims were checked."""
        if item.shape is None:
            raise RefusedError(f"'{path}' holds nothing")
        text = h5py.check_string_dtype(item.dtype)
        if text is None and item.dtype.kind not in "biuf":
            raise RefusedError(f"'{path}' holds {item.dtype}, expected numbers or text")
        self.check_storage(item, path)
        if text is None:
            return item[()]
        found = np.asarray(item.asstr()[()], dtype=object)
        self.left -= sum(4 * len(each) for each in found.ravel())
        if self.left < 0:
            raise RefusedError(f"'{path}' holds more text than the file has bytes for")
        return found.astype(np.str_)

    def check_storage(self, item: Any, path: str) -> None:  # noqa: ANN401 - likewise
        """Raise if values lie elsewhere, need a plug-in, or claim more than is stored."""
        plan = item.id.get_create_plist()
        if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
            raise RefusedError(f"'{path}' keeps its values in another file")
        unknown = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())} - FILTERS
        if unknown:
            raise RefusedError(f"'{path}' is packed with a filter that is not read: {sorted(unknown)}")
        claimed, stored = item.size * item.dtype.itemsize, item.id.get_storage_size()
        ratio = LARGEST_RATIO if plan.get_nfilters() else 1
        if claimed > stored * ratio + UNSTORED or claimed > self.left:
            raise RefusedError(f"'{path}' claims {claimed} bytes, but the file stores {stored}")
        self.left -= claimed


def convert(source: str, archive: str, limit: int) -> None:
    """Write every data set of a file into an archive of plain arrays."""
    walk = Walk(limit)
    with h5py.File(source, "r", locking=False) as file:
        walk.group(file, "", 0)
    with zipfile.ZipFile(archive, "w") as target:
        for name, array in walk.arrays.items():
            with target.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def answer(seconds: int, source: str, archive: str, limit: int) -> str:
    """Convert one file and say how it went."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    # The library can loop for ever on a damaged file; the system ends it even if nobody waits any more.
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent.ru_utime + spent.ru_stime) + seconds + 1, hard))
    try:
        convert(source, archive, limit)
    except RefusedError as error:
        return f"error {error}"
    except OSError as error:
        # The archive has no room, which says nothing of the file.
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return f"disk {error.errno}"
        return f"error {type(error).__name__}: {error}"
    except MemoryError:
        return "error needs more memory than files of its size may"
    except Exception as error:  # noqa: BLE001 - h5py raises whatever its library says
        return f"error {type(error).__name__}: {error}"
    return "ok"


def main() -> None:
    """Answer every line of the input."""
    limit, memory = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        seconds, source, archive = line.rstrip("\n").split("\t")
        sys.stdout.write(" ".join(answer(int(seconds), source, archive, limit).split()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
