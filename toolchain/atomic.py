"""Files and folders that are written whole or not at all, and read as data only."""

import hashlib
import io
import json
import os
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from toolchain.errors import CorruptArtifactError, MissingFileError, UsageError

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
def replacing_file(path: Path) -> Generator[Path, None, None]:
    """Yield a temporary path beside `path`; move it into place if the block succeeds.

    Args:
        path: The file to write. Its parent folders are created.

    Yields:
        The path to write to. On any error it is removed and `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
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
def replacing_folder(path: Path, *, marker: str) -> Generator[Path, None, None]:
    """Yield an empty temporary folder beside `path`; swap it into place if the block succeeds.

    Args:
        path: The folder to write. An existing one is replaced only if it is empty or holds
            `marker`, so that a mistyped path never deletes somebody's files.
        marker: Name of a file that every folder of this sort holds.

    Yields:
        The folder to write into. On any error it is removed and `path` stays as it was.

    Raises:
        UsageError: `path` exists and is not a folder of this sort.
    """
    if path.exists() and not _replaceable(path, marker):
        raise UsageError(
            f"'{path}' exists and is not a folder with '{marker}' that could be replaced; choose another -o"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    old = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            path.replace(old)
        temporary.replace(path)
    finally:
        if old.exists() and not path.exists():
            old.replace(path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _replaceable(path: Path, marker: str) -> bool:
    return path.is_dir() and ((path / marker).is_file() or not any(path.iterdir()))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON; NaN and infinity are refused, since JSON has no word for them."""
    text = json.dumps(value, indent=2, allow_nan=False)
    with replacing_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON is whatever the file says; callers check it
    """Read a JSON file.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is too large or not JSON.
    """
    if not path.is_file():
        raise MissingFileError("file", path)
    if path.stat().st_size > MAX_JSON_BYTES:
        raise CorruptArtifactError(path, f"is larger than {MAX_JSON_BYTES} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CorruptArtifactError(path, f"is not JSON: {error}") from None


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as a compressed `.npz`. The bytes depend only on the content."""
    with replacing_file(path) as temporary, temporary.open("wb") as file:
        _write_archive(file, arrays)


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
    if not path.is_file():
        raise MissingFileError("file", path)
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
