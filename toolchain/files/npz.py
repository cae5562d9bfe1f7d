"""Arrays in `.npz` files: written with bytes that depend on nothing but the content, read as data only."""

import errno
import hashlib
import io
import math
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import DTypeLike, NDArray

from toolchain.errors import ArgumentError, CorruptArtifactError
from toolchain.files.atomic import replacing_file
from toolchain.files.claims import Claim, check_room, claims_of, opened, reading_npz
from toolchain.files.disk import OTHER_TEMPORARY, check_file, writing

_UNPACKED_TWICE: Final = 64 * 2**20
_AT_ONCE: Final = 2**20

_HASH: Final = "/sha256"
"""Where the hash of all other arrays stands; no array of ours is called so."""


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
    """Read a `.npz` without ever unpickling, and without trusting what it claims.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not an archive of plain arrays, an entry claims something else than it
            holds, or all of them take more memory than a file may (see `toolchain.memory`).
    """
    check_file("file", path)
    with path.open("rb") as file:
        return arrays_of(file, path)


def write_sealed_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays with their hash, for `read_sealed_arrays`: a state that will be continued."""
    write_arrays(path, {**arrays, _HASH: _hash_of(arrays)})


def read_sealed_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_sealed_arrays` wrote.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: As `read_arrays`, or it was changed since it was written.
    """
    arrays = read_arrays(path)
    if not np.array_equal(arrays.pop(_HASH, np.zeros(0)), _hash_of(arrays)):
        raise CorruptArtifactError(path, "was changed after it was written (its hash differs); remove it")
    return arrays


def _hash_of(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        digest.update(values.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def unpack_arrays(packed: bytes, path: Path) -> dict[str, NDArray[Any]]:
    """Read what `pack_arrays` returned, out of the file `path`; see `read_arrays`."""
    return arrays_of(io.BytesIO(packed), path)


def arrays_of(file: IO[bytes], path: Path) -> dict[str, NDArray[Any]]:
    """Read an open `.npz`, and close it; `path` is what errors call it. See `read_arrays`."""
    with reading_npz(path), opened(path, file) as archive:
        claims = claims_of(path, archive)
        check_room(path, claims)
        return {claim.name: read_claim(archive, claim) for claim in claims}


def read_claim(archive: zipfile.ZipFile, claim: Claim) -> NDArray[Any]:
    """Read one array of an archive whose claims were checked."""
    if claim.size > _UNPACKED_TWICE:
        # Damage of a large entry is found before it takes any memory.
        with archive.open(claim.entry) as file:
            while file.read(_AT_ONCE):
                pass
    with archive.open(claim.entry) as file:
        return np.asarray(npy_format.read_array(file, allow_pickle=False))
