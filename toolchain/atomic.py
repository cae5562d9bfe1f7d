"""Files and folders that are written whole or not at all, and read as data only."""

import errno
import hashlib
import io
import json
import math
import os
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import DTypeLike, NDArray

from toolchain.disk import OTHER_TEMPORARY, check_file, check_replaceable, check_replaceable_file, writing
from toolchain.errors import CorruptArtifactError, StorageError

# An archive may not claim more than this many bytes in all: a few bytes could otherwise ask
# for the whole memory of the machine.
MAX_ARRAY_BYTES = 8 * 2**30
MAX_JSON_BYTES = 256 * 2**20

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


@contextmanager
def replacing_file(path: Path, needed: int | None = None) -> Generator[Path, None, None]:
    """Yield a temporary path beside `path`; move it into place if the block succeeds.

    Args:
        path: The file to write. Its parent folders are created.
        needed: How many bytes it may take, if that is known.

    Yields:
        The path to write to. On any error it is removed, with the folders made for it, and `path` stays as it
        was.

    Raises:
        UsageError: A folder, a pipe or a device stands there.
        StorageError: The disk is full or refuses; names the file.
    """
    check_replaceable_file(path)
    with writing(path, needed), _parents_of(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, *, marker: str = "") -> Generator[Path, None, None]:
    """Yield an empty temporary folder; swap it into the place of `path` if the block succeeds.

    The temporary folder lies beside `path`. Where `path` cannot be exchanged as a whole, since it is a mount
    point, the current folder, or in a folder that this user may not write, it lies inside, and its files are
    moved out of it at the end.

    Args:
        path: The folder to write. Its parent folders are created. An existing one is replaced only if it is
            empty or holds `marker`, so that a mistyped path never deletes somebody's files.
        marker: Name of a file that every folder of this sort holds; empty if none may be replaced.

    Yields:
        The folder to write into. On any error it is removed and `path` stays as it was.

    Raises:
        UsageError: `path` exists and is not a folder of this sort.
        StorageError: The disk is full or refuses; names the file.
    """
    check_replaceable(path, marker)
    place = path.resolve()
    inside = place.is_dir() and not _exchangeable(place)
    with writing(path), _parents_of(place):
        beside = place if inside else place.parent
        temporary = Path(tempfile.mkdtemp(dir=beside, prefix=f".{place.name}."))
        try:
            with _told_as(path, temporary):
                yield temporary
            if inside:
                _move_out(temporary, place, marker)
            else:
                _exchange(temporary, place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _exchangeable(folder: Path) -> bool:
    here = folder.is_mount() or folder.samefile(Path.cwd())
    return not here and os.access(folder.parent, os.W_OK | os.X_OK)


def _exchange(temporary: Path, path: Path) -> None:
    """Put a folder in the place of another, which goes; or leave both as they are."""
    old = temporary.with_name(temporary.name + ".old")
    temporary.chmod(0o755)
    try:
        if path.exists():
            path.replace(old)
        temporary.replace(path)
    finally:
        if old.exists() and not path.exists():
            old.replace(path)
        shutil.rmtree(old, ignore_errors=True)


def _move_out(temporary: Path, path: Path, marker: str) -> None:
    """Put the files of a folder in the place of those around it; the marker, which makes it whole, last."""
    (path / marker if marker else temporary / "none").unlink(missing_ok=True)
    for item in path.iterdir():
        if item != temporary:
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()
    for item in sorted(temporary.iterdir(), key=lambda each: each.name == marker):
        item.replace(path / item.name)


@contextmanager
def _parents_of(path: Path) -> Generator[None, None, None]:
    """Make the folders above a path; on any error, remove those that were made."""
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _told_as(path: Path, temporary: Path) -> Generator[None, None, None]:
    """Name files of a temporary folder, in what a disk refuses, as they would have been named."""
    try:
        yield
    except StorageError as error:
        if not error.path.is_relative_to(temporary):
            raise
        known = path / error.path.relative_to(temporary)
        raise StorageError(known, error.problem, error.mend) from error


@contextmanager
def temporary_folder(prefix: str) -> Generator[Path, None, None]:
    """Yield a folder for files of this process only; it is removed whatever happens.

    Raises:
        StorageError: There is no room for them, or no folder at all.
    """
    try:
        place = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        place = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - only named, not used
        raise StorageError(
            place, "cannot be written, nor any other temporary folder", OTHER_TEMPORARY
        ) from error
    with writing(place, mend=OTHER_TEMPORARY):
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        try:
            yield folder
        except StorageError as error:
            if not error.path.is_relative_to(folder):
                raise
            raise StorageError(place, error.problem, OTHER_TEMPORARY) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON; NaN and infinity are refused, since JSON has no word for them."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write the content of a file."""
    with replacing_file(path, len(content)) as temporary:
        temporary.write_bytes(content)


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON is whatever the file says; callers check it
    """Read a JSON file.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is too large or not JSON.
    """
    check_file("file", path)
    if path.stat().st_size > MAX_JSON_BYTES:
        raise CorruptArtifactError(path, f"is larger than {MAX_JSON_BYTES} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CorruptArtifactError(path, f"is not JSON: {error}") from None


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
    """Return the entry of an array in a `.npz`: without a date, so that equal arrays are equal bytes."""
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
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
