"""What the entries of a `.npz` claim to hold, checked before any of them is unpacked.

A small archive can claim anything: entries that share their bytes, a directory or a header of gigabytes, a
method of packing that asks for a dictionary of gigabytes, numbers that are not stored. Everything here looks
at a few bytes of each entry only.
"""

import math
import struct
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final, final

import numpy as np
from numpy.lib import format as npy_format

from toolchain.errors import CorruptArtifactError
from toolchain.memory import budget

# What zipfile, zlib and numpy raise on damaged files: found by flipping bytes.
_UNREADABLE: Final = (
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
_PACKED: Final = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
"""How an entry may be packed, and how many bytes each of its bytes can hold at most."""
_UNSTORED: Final = 4096
"""Bytes that an entry may claim beyond that."""
_ENTRY_BYTES: Final = 30
"""Of the shortest header of an entry."""
_SKIPPED_AT_ONCE: Final = 2**19
_DIRECTORY_GROWTH: Final = 128
"""Bytes of objects, entries and small arrays, for every byte of the list of entries."""
_LARGEST_ELEMENT: Final = 2**20
"""Bytes of a text, the only elements that are not numbers."""
_LONGEST_HEADER: Final = 10_000
"""Characters in which a shape and a type are written at most; NumPy has the same limit, but reads first."""
_LENGTHS: Final = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}
"""How long a header is, by its version."""
_KINDS: Final = "biufcSU"
"""Numbers and text."""


@final
@dataclass(frozen=True)
class Claim:
    """An array of an archive, not read yet.

    Attributes:
        name: Name of the array.
        entry: Place of the array in the archive.
        shape: Shape of the array.
        scattered: Whether a row of it does not lie in one piece, as in Fortran's order.
        dtype: Type of its elements.
    """

    name: str
    entry: zipfile.ZipInfo
    shape: tuple[int, ...]
    scattered: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes of its elements."""
        return self.dtype.itemsize * math.prod(self.shape)


@contextmanager
def reading_npz(path: Path) -> Generator[None, None, None]:
    """Tell whatever the libraries raise within the block as damage of a file."""
    try:
        yield
    except _UNREADABLE as error:
        raise CorruptArtifactError(path, f"is not a readable .npz: {error}") from None


def opened(path: Path, source: IO[bytes]) -> zipfile.ZipFile:
    """Return the archive that an open file holds.

    Raises:
        CorruptArtifactError: Its list of entries is too long.
    """
    listed: Any = _Listed(path, source)
    return zipfile.ZipFile(listed)


def claims_of(path: Path, archive: zipfile.ZipFile) -> list[Claim]:
    """Return what an archive claims to hold, each array once.

    Raises:
        CorruptArtifactError: An entry is no plain array, is not packed as NumPy packs, claims more than it
            stores, or shares its name or bytes with another one.
    """
    entries = archive.infolist()
    (name, count), *_ = Counter(entry.filename for entry in entries).most_common(1) or [("", 0)]
    if count > 1:
        raise CorruptArtifactError(path, f"holds '{name}' more than once")
    places = sorted((entry.header_offset, entry.compress_size) for entry in entries)
    if any(start + _ENTRY_BYTES + size > after for (start, size), (after, _) in pairwise(places)):
        raise CorruptArtifactError(path, "has entries that share bytes")
    return [_claim(path, archive, entry) for entry in entries]


def check_room(path: Path, claims: Iterable[Claim]) -> None:
    """Raise if some arrays take more memory together than a file may; see `Budget.check_file`."""
    budget().check_file(path, sum(claim.size for claim in claims))


def _claim(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Claim:
    if not entry.filename.endswith(".npy"):
        raise CorruptArtifactError(path, f"holds '{entry.filename}', which is not an array")
    if entry.compress_type not in _PACKED:
        raise CorruptArtifactError(
            path, f"packs '{entry.filename}' in a way that is not read; write it with numpy.savez_compressed"
        )
    if entry.file_size > entry.compress_size * _PACKED[entry.compress_type] + _UNSTORED:
        raise CorruptArtifactError(
            path, f"claims {entry.file_size} bytes of '{entry.filename}', but stores {entry.compress_size}"
        )
    with archive.open(entry) as file:
        version = npy_format.read_magic(file)
        length = _LENGTHS.get(version)
        if length is None:
            raise CorruptArtifactError(path, f"holds '{entry.filename}' in version {version} of its format")
        (characters,) = struct.unpack(length, file.read(struct.calcsize(length)))
        if characters > _LONGEST_HEADER:
            raise CorruptArtifactError(path, f"has a header of {characters} bytes at '{entry.filename}'")
    claim, file = read_header(path, archive, entry)
    file.close()
    return claim


def read_header(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[Claim, IO[bytes]]:
    """Return what an entry claims, and its file, open at the first element.

    Raises:
        CorruptArtifactError: It holds objects, or claims a size that differs from its content.
    """
    file = archive.open(entry)
    # To skip rows, zipfile reads so much at once; more than the longest list of entries would be refused.
    vars(file)["MAX_SEEK_READ"] = _SKIPPED_AT_ONCE
    if npy_format.read_magic(file) == (1, 0):
        shape, fortran, dtype = npy_format.read_array_header_1_0(file)
    else:
        shape, fortran, dtype = npy_format.read_array_header_2_0(file)
    content = entry.file_size - file.tell()
    claim = Claim(entry.filename.removesuffix(".npy"), entry, shape, fortran or not shape, dtype)
    plain = dtype.kind in _KINDS and 0 < dtype.itemsize <= _LARGEST_ELEMENT
    if not plain or claim.size != content or not all(0 <= extent < 2**48 for extent in shape):
        raise CorruptArtifactError(
            path, f"entry '{entry.filename}' claims {claim.size} bytes of {dtype} but holds {content}"
        )
    return claim, file


@final
class _Listed:
    """A file whose list of entries is not too long.

    zipfile reads that list in one piece, and everything else in parts. The file is closed once nothing
    reads it any more.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > budget().documents // _DIRECTORY_GROWTH:
            raise CorruptArtifactError(self._path, f"has a list of entries of {size} bytes")
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()

    def __del__(self) -> None:
        self._file.close()
