"""A folder that is held open while its files are read, so that all of them are of one writing.

A writer puts another folder in the place of the one that is read (see `files.swapping`). Whoever holds
the old one open goes on reading its files until the writer removes them, and never meets a file of the new
one. A file that is gone, or another, because the folder was replaced is no damage: the new one is read then.
"""

import errno
import io
import os
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar, final

from toolchain.errors import CorruptArtifactError, MissingFileError, StorageError
from toolchain.files.disk import check_file, check_folder
from toolchain.files.hashed import HashedFile
from toolchain.memory import budget

_TIMES: Final = 50
"""How often a folder is read again that is replaced while it is read: for ever would be a trap."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK

Result = TypeVar("Result")


@final
class OpenedFolder:
    """A folder that is held open; made by `read_folder`.

    Args:
        path: Its path as its user knows it; where it is a link, that is followed.
        handle: The opened folder.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._state = _state_of(os.fstat(handle))

    def open(self, name: str, what: str = "file", *, streamed: bool = False) -> HashedFile:
        """Open and hash a file.

        Args:
            name: Its path from the folder, with `/` between names.
            what: Such a file in words.
            streamed: Whether it may be larger than the memory, since it is read in parts.

        Raises:
            MissingFileError: There is none.
            UsageError: It is a folder, a pipe or a device.
            StorageError: This user may not read it, or no more files may be open.
            CorruptArtifactError: It is a link, or lies behind one, or is larger than what may be read.
        """
        path = self.path / name
        try:
            handle = self._open(name)
        except (OSError, ValueError) as error:
            for place in (*reversed(PurePosixPath(name).parents[:-1]), PurePosixPath(name)):
                # Path.is_symlink raises where a folder may not be looked into; that is told below.
                if os.path.islink(self.path / place):  # noqa: PTH114
                    problem = "is a link, whose file can change at any time; copy the file here"
                    raise CorruptArtifactError(self.path / place, problem) from None
            if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
                problem = "cannot be opened: too many files are open (see 'ulimit -n')"
                raise StorageError(path, problem, "raise that limit") from None
            check_file(what, path)
            raise MissingFileError(what, path) from None
        if not streamed:
            _check_size(handle, path)
        return HashedFile(handle, path)

    def read(self, name: str, what: str = "file") -> bytes:
        """Return what a file holds; see `open`."""
        return self.open(name, what).whole()

    def holds(self, name: str) -> bool:
        """Return whether there is such a file, a link included."""
        return os.path.lexists(self.path / name)

    def is_replaced(self) -> bool:
        """Return whether another folder, or other files, took the place of those that are read."""
        try:
            return _state_of(self.path.stat()) != self._state
        except OSError:
            return True

    def _open(self, name: str) -> int:
        """Open a file step by step, so that no link is followed, whoever makes one meanwhile."""
        *folders, last = PurePosixPath(name).parts or ("",)
        if last in {"", os.sep} or os.pardir in (*folders, last) or os.sep in folders:
            raise ValueError(name)
        place = self._handle
        try:
            for folder in folders:
                inside = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
                _close_unless(place, self._handle)
                place = inside
            handle = os.open(last, _FILE, dir_fd=place)
        finally:
            _close_unless(place, self._handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise ValueError(name)
        return handle


def read_folder(what: str, path: Path, read: Callable[[OpenedFolder], Result]) -> Result:
    """Return what is read of a folder, all of one writing.

    Args:
        what: The folder in words, such as `build folder`.
        path: Where it lies.
        read: Reads it; called again if the folder was replaced under its hands.

    Raises:
        MissingFileError: There is no folder, or `read` missed a file.
        UsageError: It is a file.
        StorageError: This user may not look into it.
        CorruptArtifactError: `read` found damage.
    """
    for _ in range(_TIMES):
        with _opened(what, path) as folder:
            try:
                return read(folder)
            except (MissingFileError, CorruptArtifactError):
                if not folder.is_replaced():
                    raise
    with _opened(what, path) as folder:
        return read(folder)


@contextmanager
def _opened(what: str, path: Path) -> Generator[OpenedFolder, None, None]:
    check_folder(what, path)
    try:
        handle = os.open(path, _FOLDER)
    except FileNotFoundError:
        raise MissingFileError(what, path) from None
    try:
        yield OpenedFolder(path, handle)
    finally:
        os.close(handle)


def _check_size(handle: int, path: Path) -> None:
    """Raise for a file larger than what may be read, before it is hashed, which can take long."""
    size = os.fstat(handle).st_size
    try:
        if path.suffix == ".json":
            budget().check_document(path, size)
        budget().check_file(path, size)
    except BaseException:
        os.close(handle)
        raise


def _state_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _close_unless(handle: int, folder: int) -> None:
    if handle != folder:
        os.close(handle)


def buffered(file: HashedFile) -> io.BufferedReader:
    """Return a file that gives as many bytes as are asked for, not only those up to the end of a block."""
    return io.BufferedReader(file)
