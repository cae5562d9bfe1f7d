"""Reads HDF5 files as plain data, inside of the process of `process.py`.

Links out of the file, values stored elsewhere, plug-in filters and data sets that claim more than they store
are refused.
"""

from math import prod
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from toolchain.confined.process import RefusedError, allow

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
MAX_DEPTH: Final = 32
MAX_OBJECTS: Final = 20_000
"""Each takes about half a millisecond."""
LARGEST_RATIO: Final = 1032
"""No deflated stream holds more bytes per byte."""
CLOSE_BYTES: Final = 64 * 2**20
CLOSEST: Final = 200
"""A file whose data sets claim more than that, and so many times what it stores, holds little but zeros."""
UNSTORED: Final = 4096
"""Bytes that a data set may claim without storing any."""
TEXT_BYTES: Final = 32 * 2**20
"""What text may take, as Python's objects or as an array: it names things."""
OBJECT_BYTES: Final = 80
"""Of a text as an object of Python, and where an array names it."""
CHARACTER_BYTES: Final = 4
"""Of a character, at most."""
LEAST_CHUNK: Final = 2**24
"""Bytes that a chunk of a smaller data set may have: it is unpacked whole."""
PACKINGS: Final = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF}
FILTERS: Final = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
}


class Walk:
    """Collects the data sets of one file, which may claim so many bytes in all.

    Attributes:
        data_sets: The data sets by their paths; nothing of them was read yet.
        left: Bytes that further data sets may claim.
    """

    def __init__(self, limit: int) -> None:
        self.limit = self.left = limit
        self.seen: set[tuple[int, Any]] = set()
        self.data_sets: dict[str, Any] = {}

    def group(self, group: Any, prefix: str, depth: int) -> None:  # noqa: ANN401 - h5py has no types
        """Collect everything below a group."""
        if depth > MAX_DEPTH:
            raise RefusedError(f"groups are nested more than {MAX_DEPTH} deep")
        for name in group:
            if not isinstance(name, str):
                raise RefusedError(f"'{prefix}' holds something whose name is no text: {name!r}")
            path = f"{prefix}{name}"
            link = group.id.links.get_info(name.encode())
            if link.type != h5py.h5l.TYPE_HARD:  # pyright: ignore[reportAttributeAccessIssue] - no stubs
                raise RefusedError(f"'{path}' is a link to somewhere else")
            member = group[name]
            info = h5py.h5o.get_info(member.id)  # pyright: ignore[reportAttributeAccessIssue] - no stubs
            place = (info.fileno, info.addr)
            if place in self.seen or len(self.seen) >= MAX_OBJECTS:
                raise RefusedError(f"'{path}' stands twice in the file, or there are too many objects")
            self.seen.add(place)
            if isinstance(member, h5py.Group):
                self.group(member, f"{path}/", depth + 1)
            elif isinstance(member, h5py.Dataset):
                self.check(member, path)
                self.data_sets[path] = member
            else:
                raise RefusedError(f"'{path}' is neither a group nor a data set")

    def check(self, data_set: Any, path: str) -> None:  # noqa: ANN401 - likewise
        """Raise unless a data set holds plain values that may be read, and count them."""
        if data_set.shape is None:
            raise RefusedError(f"'{path}' holds nothing")
        if h5py.check_string_dtype(data_set.dtype) is None and data_set.dtype.kind not in "biuf":
            raise RefusedError(f"'{path}' holds {data_set.dtype}, expected numbers or text")
        self.left -= check_storage(data_set, path, self.left)

    def check_packing(self, size: int) -> None:
        """Raise if the data sets together claim far more than a file of `size` bytes can mean."""
        claimed = self.limit - self.left
        if claimed > CLOSE_BYTES and claimed > CLOSEST * size:
            raise RefusedError(
                f"its data sets claim {claimed} bytes, more than {CLOSEST} times what it stores; "
                "nothing but zeros packs like that"
            )

    @property
    def room(self) -> int:
        """Bytes that reading takes: all arrays, and unpacking the largest of them."""
        largest = max(
            (data_set.size * data_set.dtype.itemsize for data_set in self.data_sets.values()), default=0
        )
        return self.limit - self.left + 2 * max(largest, LEAST_CHUNK) + 3 * TEXT_BYTES


def check_storage(data_set: Any, path: str, limit: int) -> int:  # noqa: ANN401 - likewise
    """Return the bytes that a data set claims, or of lists of any length, the bytes of where they are.

    Raises:
        RefusedError: Values lie elsewhere, need a plug-in, or are claimed to be more than is stored.
    """
    plan = data_set.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise RefusedError(f"'{path}' keeps its values in another file")
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    unknown = {*filters} - FILTERS
    if unknown:
        raise RefusedError(f"'{path}' is packed with a filter that is not read: {sorted(unknown)}")
    if sum(each in PACKINGS for each in filters) > 1:
        raise RefusedError(f"'{path}' is packed twice")
    claimed, stored = data_set.size * data_set.dtype.itemsize, data_set.id.get_storage_size()
    ratio = LARGEST_RATIO if filters else 1
    if claimed > stored * ratio + UNSTORED or claimed > limit:
        raise RefusedError(f"'{path}' claims {claimed} bytes, but the file stores {stored}")
    chunk = prod(data_set.chunks or ()) * data_set.dtype.itemsize
    if chunk > max(claimed, LEAST_CHUNK):
        raise RefusedError(f"'{path}' has {claimed} bytes in chunks of {chunk} bytes")
    return claimed


def text_of(data_set: Any, path: str, size: int) -> NDArray[np.str_]:  # noqa: ANN401 - likewise
    """Return a data set of text, after what it takes was counted.

    Elements may share their characters in the file, and an array of text gives each element as much room as
    the longest one has.

    Args:
        data_set: The data set.
        path: Path of the data set in the file.
        size: Size of the file: no element of variable length has more bytes.

    Raises:
        RefusedError: It takes more than `TEXT_BYTES`.
    """
    variable = h5py.check_string_dtype(data_set.dtype).length is None
    most = size if variable else data_set.dtype.itemsize
    taken = data_set.size * (OBJECT_BYTES + CHARACTER_BYTES * most)
    if taken <= TEXT_BYTES:
        return np.asarray(data_set.asstr()[()], dtype=object).astype(np.str_)
    if not variable or data_set.size * OBJECT_BYTES > TEXT_BYTES:
        raise RefusedError(f"'{path}' holds more text than is read")
    lines: list[str] = []
    longest = 0
    for place in np.ndindex(data_set.shape):
        lines.append(data_set.asstr()[place])
        longest = max(longest, len(lines[-1]))
        if data_set.size * (OBJECT_BYTES + CHARACTER_BYTES * longest) > TEXT_BYTES:
            raise RefusedError(f"'{path}' holds more text than is read")
    return np.array(lines, np.str_).reshape(data_set.shape)


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
        size = Path(path).stat().st_size
        walk.check_packing(size)
        # Unpacking allocates what a chunk turns out to hold, whatever it claims.
        allow(walk.room)
        return {
            name: np.asarray(
                data_set[()]
                if h5py.check_string_dtype(data_set.dtype) is None
                else text_of(data_set, name, size)
            )
            for name, data_set in walk.data_sets.items()
        }
