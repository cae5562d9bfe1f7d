"""A file whose bytes are those that were hashed, however late they are read."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any, Final, final

from toolchain.errors import CorruptArtifactError

_BLOCK: Final = 2**20
"""Bytes that are hashed and read at a time; for each, 32 bytes stay in memory."""


@final
class HashedFile(io.RawIOBase):
    """An open file that is hashed at once and may be read later, in parts and in any order.

    Whoever changes the file in between, in place, would otherwise have other bytes loaded than those that
    were hashed. So the hash of every block is kept, and a block is hashed again before it is given out.

    Args:
        handle: The opened file; closed with this one.
        path: What errors call it.

    Attributes:
        sha256: SHA-256 of the whole file as hexadecimal text.
        size: Size of the file in bytes when it was hashed.
    """

    def __init__(self, handle: int, path: Path) -> None:
        super().__init__()
        self._handle, self._path = handle, path
        self._hashes: list[bytes] = []
        self._place = 0
        self._held: tuple[int, bytes] = (-1, b"")
        self.size = 0
        whole = hashlib.sha256()
        while content := self._content(len(self._hashes)):
            whole.update(content)
            self._hashes.append(hashlib.sha256(content).digest())
            self.size += len(content)
        self.sha256 = whole.hexdigest()

    def whole(self) -> bytes:
        """Return all that the file holds, and close it.

        Raises:
            CorruptArtifactError: It was changed since it was hashed.
        """
        with self:
            self.seek(0)
            return self.readall()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next byte is read."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Read on at another place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError("negative place in a file")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever has the buffer protocol
        """Read up to the end of a block.

        Raises:
            CorruptArtifactError: The file was changed since it was hashed.
        """
        number, start = divmod(self._place, _BLOCK)
        if number >= len(self._hashes):
            return 0
        content = self._checked(number)[start:]
        room = memoryview(buffer).cast("B")
        count = min(len(room), len(content))
        room[:count] = content[:count]
        self._place += count
        return count

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._handle)
        super().close()

    def _checked(self, number: int) -> bytes:
        if self._held[0] != number:
            content = self._content(number)
            if hashlib.sha256(content).digest() != self._hashes[number]:
                raise CorruptArtifactError(self._path, "was changed while it was read; read it again")
            self._held = number, content
        return self._held[1]

    def _content(self, number: int) -> bytes:
        content = b""
        while len(content) < _BLOCK:
            part = os.pread(self._handle, _BLOCK - len(content), number * _BLOCK + len(content))
            if not part:
                break
            content += part
        return content
