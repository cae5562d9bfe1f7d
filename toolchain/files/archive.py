"""Arrays in `.npz` files that are larger than the memory: written part by part, read part by part."""

import gzip
import math
import shutil
import weakref
import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final, cast, final

import numpy as np
from numpy.lib import format as npy_format
from numpy.lib.mixins import NDArrayOperatorsMixin

from toolchain.arrays import Array
from toolchain.files.atomic import replacing_file
from toolchain.files.claims import Claim, check_room, claims_of, opened, read_header, reading_npz
from toolchain.files.disk import check_file
from toolchain.files.npz import array_entry, read_claim
from toolchain.memory import budget

HELD_BYTES: Final = 64 * 2**20
"""Arrays of more bytes stay in their file and are read as they are needed."""
_COPIED_AT_ONCE: Final = 2**20
_FAST: Final = 1
"""Compression of what is written only to be read once."""


@final
class ArrayWriter:
    """Appends to arrays along their first axis; see `writing_arrays`.

    Args:
        folder: Where the parts wait until the archive is put together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._types: dict[str, np.dtype[Any]] = {}

    def append(self, arrays: Mapping[str, Array]) -> None:
        """Append the rows of every array to those that were appended under its name."""
        for name, values in arrays.items():
            shape = self._shapes.get(name, (0, *values.shape[1:]))
            if shape[1:] != values.shape[1:] or self._types.setdefault(name, values.dtype) != values.dtype:
                raise ValueError(f"'{name}' was {shape[1:]}, this part is {values.shape[1:]} {values.dtype}")
            self._shapes[name] = (shape[0] + len(values), *shape[1:])
            with gzip.open(self._waiting(name), "ab", compresslevel=_FAST) as file:
                file.write(np.ascontiguousarray(values).data)

    def finish(self, path: Path) -> None:
        """Put the archive together: the very bytes that `write_arrays` writes of the whole arrays."""
        with zipfile.ZipFile(path, "w") as archive:
            for name in sorted(self._shapes):
                with archive.open(array_entry(name), "w", force_zip64=True) as entry:
                    self._copy(name, entry)
                self._waiting(name).unlink()

    def _copy(self, name: str, entry: IO[bytes]) -> None:
        kind = npy_format.dtype_to_descr(self._types[name])
        header = {"descr": kind, "fortran_order": False, "shape": self._shapes[name]}
        npy_format.write_array_header_1_0(entry, header)
        with gzip.open(self._waiting(name)) as file:
            shutil.copyfileobj(file, entry, _COPIED_AT_ONCE)

    def _waiting(self, name: str) -> Path:
        """Return the file in which an array waits; names of records may hold any character."""
        return self._folder / f"{list(self._types).index(name)}.gz"


@contextmanager
def writing_arrays(path: Path) -> Generator[ArrayWriter, None, None]:
    """Yield a writer of a `.npz` whose arrays come part by part; the file appears whole or not at all.

    The parts wait beside `path`, compressed. However the block ends, nothing else is left behind.

    Args:
        path: The file to write. Its parent folders are created.
    """
    # In the folder that is the file's own, the next writer finds what a killed one left.
    with replacing_file(path) as temporary:
        writer = ArrayWriter(temporary.parent)
        yield writer
        writer.finish(temporary)


@final
class StoredArray(NDArrayOperatorsMixin):
    """An array that stays in its `.npz` and is read as it is needed.

    Slices and indices along the first axis read only their rows; reading forwards is quick, reading backwards
    begins the file anew. For everything else it stands for the whole array, which is then read.

    Args:
        path: What errors call the file.
        archive: The open archive; closed once no array needs it, so that the file may be replaced meanwhile.
        claim: One of its arrays, in C order.

    Raises:
        CorruptArtifactError: The array cannot be read safely, here or when its rows are read.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, claim: Claim) -> None:
        self._path = path
        self._archive = archive
        self._lock = Lock()
        _, file = read_header(path, archive, claim.entry)
        self._file: Any = file
        self.shape, self.dtype = claim.shape, claim.dtype
        self._start = self._file.tell()
        self._row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - as an array's
        if isinstance(index, tuple):
            return np.asarray(self)[index]
        rows = np.arange(len(self))[index]
        if rows.ndim == 0:
            return self._read(int(rows), int(rows) + 1)[0]
        if rows.ndim == 1 and rows.size and np.array_equal(rows, np.arange(rows[0], rows[0] + rows.size)):
            return self._read(int(rows[0]), int(rows[0]) + rows.size)
        chosen = np.empty((*rows.shape, *self.shape[1:]), self.dtype)
        for place in np.argsort(rows.ravel(), kind="stable"):
            row = int(rows.flat[place])
            chosen[np.unravel_index(place, rows.shape)] = self._read(row, row + 1)[0]
        return chosen

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:  # noqa: ANN401, FBT001 - NumPy's
        del copy
        return self._read(0, len(self)).astype(self.dtype if dtype is None else dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:  # noqa: ANN401
        whole = [np.asarray(each) if isinstance(each, StoredArray) else each for each in inputs]
        return getattr(ufunc, method)(*whole, **options)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as an array's
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def _read(self, start: int, stop: int) -> Array:
        budget().check_file(self._path, (stop - start) * self._row_bytes)
        with reading_npz(self._path):
            rows = np.empty((stop - start, *self.shape[1:]), self.dtype)
            room: Any = memoryview(cast("Any", rows.reshape(-1).view(np.uint8)))
            with self._lock:
                self._file.seek(self._start + start * self._row_bytes)
                for place in range(0, len(room), _COPIED_AT_ONCE):
                    wanted = room[place : place + _COPIED_AT_ONCE]
                    if self._file.readinto(wanted) != len(wanted):
                        raise EOFError("it ends early")
        return rows


def open_arrays(
    path: Path, held_bytes: int = HELD_BYTES, source: IO[bytes] | None = None
) -> dict[str, Array]:
    """Read the arrays of a `.npz`; those of more than `held_bytes` stay in the file.

    Such a `StoredArray` is used as an array is. Damage of its values shows when they are read, and only then
    is memory taken for them.

    Args:
        path: The file.
        held_bytes: Arrays of up to so many bytes are read now.
        source: The file, opened; it is closed once no array needs it. By default `path` is opened.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: As `read_arrays`.
    """
    if source is None:
        check_file("file", path)
        source = path.open("rb")
    with reading_npz(path):
        archive = _closed_at_last(path, source)
        claims = claims_of(path, archive)
        # The rows of an array in Fortran's order are scattered over all of it.
        in_memory = {claim.name: claim for claim in claims if claim.scattered or claim.size <= held_bytes}
        check_room(path, in_memory.values())
        arrays: dict[str, Any] = {}
        for claim in claims:
            read = claim.name in in_memory
            arrays[claim.name] = read_claim(archive, claim) if read else StoredArray(path, archive, claim)
        return arrays


def _closed_at_last(path: Path, source: IO[bytes]) -> zipfile.ZipFile:
    """Return the archive of a file that is closed with its last reader, or now if it holds none."""
    try:
        archive = opened(path, source)
    except BaseException:
        source.close()
        raise
    weakref.finalize(archive, source.close)
    return archive
