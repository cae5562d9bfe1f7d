"""Reads HDF5 files as plain data, inside of the process of `process.py`.

Links out of the file, values stored elsewhere, plug-in filters and data sets that claim more than they store
are refused.
"""

from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from toolchain.confined.process import RefusedError

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
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


def check_hdf5(path: str) -> None:
    """Raise unless a file begins as HDF5 does."""
    with Path(path).open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise RefusedError("is not an HDF5 file")


def read_hdf5(path: str, _: int, limit: int) -> dict[str, Any]:
    """Return every data set of a file by its path in it; text as `str_`."""
    check_hdf5(path)
    walk = Walk(limit)
    with h5py.File(path, "r", locking=False) as file:
        walk.group(file, "", 0)
    return {name: np.asarray(array) for name, array in walk.arrays.items()}
