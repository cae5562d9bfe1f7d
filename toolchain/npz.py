"""Arrays in `.npz` files: written with bytes that depend on nothing but the content, read as data only."""

import errno
import io
import math
import os
import shutil
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import DTypeLike, NDArray

from toolchain.atomic import replacing_file
from toolchain.disk import OTHER_TEMPORARY, check_file, writing
from toolchain.errors import ArgumentError, CorruptArtifactError

MAX_ARRAY_BYTES = 8 * 2**30
"""An archive may not claim more in all: a few bytes could otherwise ask for the whole memory."""
# What zipfile, zlib and numpy raise on damaged files: found by flipping bytes.
UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    OverflowError,
    MemoryError,
)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as a compressed `.npz`. The bytes depend only on the content."""
    needed = sum(np.asanyarray(array).nbytes for array in arrays.values())
    with replacing_file(path, needed) as temporary, temporary.open("wb") as file:
        _write_archive(file, arrays)


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write one array as `.npy`, for a process that maps it; not atomic, for temporary folders."""
    reserve_array(path, array.dtype, array.shape)[...] = array


def reserve_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a file `.npy`, all zero, mapped into memory, whose room on the disk is already taken.

    A mapped file is otherwise given room when it is written, where a full disk ends the process.

    Raises:
        StorageError: There is no room.
    """
    size = np.dtype(dtype).itemsize * math.prod(shape)
    with writing(path, size, OTHER_TEMPORARY):
        # Asked before: taking more than there is would fill the disk for everybody before it fails.
        if size > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        array = npy_format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
        if hasattr(os, "posix_fallocate"):
            _take_room(path)
    return array


def _take_room(path: Path) -> None:
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            # Some network disks do not know how; there a full disk is told later.
            if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                path.unlink()
                raise


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return named arrays as the bytes of a compressed `.npz`."""
    packed = io.BytesIO()
    _write_archive(packed, arrays)
    return packed.getvalue()


def _write_archive(target: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(arrays):
            with archive.open(array_entry(name), "w", force_zip64=True) as file:
                npy_format.write_array(file, np.asanyarray(arrays[name]), allow_pickle=False)


def array_entry(name: str) -> zipfile.ZipInfo:
    """Return the entry of an array in a `.npz`: without a date, so that equal arrays are equal bytes.

    Raises:
        ArgumentError: The name would be another there: it holds a zero byte, or is no Unicode.
    """
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    if entry.filename != f"{name}.npy" or name.encode(errors="ignore").decode() != name:
        raise ArgumentError("name of an array", "a name that an archive can hold", repr(name))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read a `.npz` without ever unpickling, and without trusting a header's size.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not an archive of plain arrays, or an entry claims a size
            that differs from its content or exceeds `MAX_ARRAY_BYTES`.
    """
    check_file("file", path)
    with path.open("rb") as file:
        return _read_archive(path, file)


def unpack_arrays(packed: bytes, path: Path) -> dict[str, NDArray[Any]]:
    """Read what `pack_arrays` returned, out of the file `path`; see `read_arrays`."""
    return _read_archive(path, io.BytesIO(packed))


def _read_archive(path: Path, source: IO[bytes]) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(source) as archive:
            check_claim(path, archive)
            return {entry_name(path, entry): read_entry(path, archive, entry) for entry in archive.infolist()}
    except UNREADABLE as error:
        raise CorruptArtifactError(path, f"is not a readable .npz: {error}") from None


def check_claim(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise if an archive claims more bytes than are ever read."""
    claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > MAX_ARRAY_BYTES:
        raise CorruptArtifactError(path, f"claims {claimed} bytes; more than {MAX_ARRAY_BYTES} are not read")


def entry_name(path: Path, entry: zipfile.ZipInfo) -> str:
    """Return the name of an array in a `.npz`."""
    if not entry.filename.endswith(".npy"):
        raise CorruptArtifactError(path, f"holds '{entry.filename}', which is not an array")
    return entry.filename.removesuffix(".npy")


def read_entry(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array of a `.npz`; see `read_arrays`."""
    with archive.open(entry) as file:
        read_header(path, entry, file)
    with archive.open(entry) as file:
        return np.asarray(npy_format.read_array(file, allow_pickle=False))


def read_header(
    path: Path, entry: zipfile.ZipInfo, file: IO[bytes]
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, Fortran order and type of an array in a `.npz`, and leave `file` at its content.

    Raises:
        CorruptArtifactError: It holds objects, or claims a size that differs from its content.
    """
    version = npy_format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = npy_format.read_array_header_1_0(file)
    else:
        shape, fortran, dtype = npy_format.read_array_header_2_0(file)
    content = entry.file_size - file.tell()
    claimed = dtype.itemsize * int(np.prod(shape, dtype=object))
    if dtype.hasobject or claimed != content or min(shape, default=0) < 0:
        raise CorruptArtifactError(
            path, f"entry '{entry.filename}' claims {claimed} bytes of {dtype} but holds {content}"
        )
    return shape, fortran, dtype
