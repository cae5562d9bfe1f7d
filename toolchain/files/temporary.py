"""Folders for the files of one process: gone at its end, or at the next start if it was killed.

Such a folder is called `pumice-WORD-TOKEN`, belongs to this user alone and is locked by all who work in it.
The system opens the lock of a process that ends in whatever way, so that numbers of processes, which are used
again, play no part. Shared memory whose name begins with the token goes with the folder.
"""

import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from toolchain.errors import StorageError
from toolchain.files.disk import OTHER_TEMPORARY, writing
from toolchain.interrupts import Held, uninterrupted

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lives on Linux
_NAME: Final = re.compile(r"pumice-[a-z0-9]+-(?P<token>[0-9a-f]{8})")
_SWEPT: Final[set[Path]] = set()
"""Places that were looked through by this process."""


@contextmanager
def temporary_folder(word: str) -> Generator[Path, None, None]:
    """Yield a folder for files of this process only; it is removed whatever happens.

    Args:
        word: What it is for; it stands in its name.

    Raises:
        StorageError: There is no room for them, or no folder at all.
    """
    place = _place()
    with writing(place, remedy=OTHER_TEMPORARY):
        _sweep(place)
        with Held(lambda: _make(place, word), _remove) as (folder, _):
            try:
                yield folder
            except StorageError as error:
                if not error.path.is_relative_to(folder):
                    raise
                raise StorageError(place, error.problem, OTHER_TEMPORARY) from error


def work_in(folder: Path) -> None:
    """Lock a folder for the rest of this process, which is a child of the one that made it."""
    _lock(folder, fcntl.LOCK_SH)


def shared_memory_prefix(folder: Path) -> str:
    """Return how the names of shared memory begin that goes with a folder.

    Python appends at least four digits, and takes names of at most fourteen characters.
    """
    return f"/p{folder.name[-8:]}"


def remove_folder(folder: Path) -> None:
    """Remove a folder of this sort and its shared memory, which goes first: by the folder it is found."""
    if _NAME.fullmatch(folder.name) and SHARED_MEMORY.is_dir():
        prefix = shared_memory_prefix(folder).removeprefix("/")
        for name in os.listdir(SHARED_MEMORY):  # noqa: PTH208 - only the names
            if name.startswith((prefix, f"sem.{prefix}")):
                with suppress(OSError):
                    (SHARED_MEMORY / name).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        place = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - only named, not used
        raise StorageError(
            place, "cannot be written, nor any other temporary folder", OTHER_TEMPORARY
        ) from error


def _make(place: Path, word: str) -> tuple[Path, int]:
    """Make a folder and lock it; return both."""
    while True:
        folder = place / f"pumice-{word}-{secrets.token_hex(4)}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        try:
            lock = _lock(folder, fcntl.LOCK_SH)
        except OSError:
            folder.rmdir()
            raise
        # Without a lock, another process that starts has taken it for one that was left.
        if lock is not None:
            return folder, lock


def _remove(made: tuple[Path, int]) -> None:
    folder, lock = made
    remove_folder(folder)
    os.close(lock)


def _lock(folder: Path, kind: int) -> int | None:
    """Open a folder and lock it; return None where others hold its lock, or it is gone."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    locked = False
    try:
        locked = _flock(opened, kind) and os.path.samestat(os.fstat(opened), folder.lstat())
    except FileNotFoundError:
        pass
    finally:
        if not locked:
            os.close(opened)
    return opened if locked else None


def _flock(opened: int, kind: int) -> bool:
    try:
        fcntl.flock(opened, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # On a disk without locks everybody may work, and nobody may remove what others left.
        return kind == fcntl.LOCK_SH
    return True


@uninterrupted
def _sweep(place: Path) -> None:
    """Remove what killed processes of this user left; once in every process."""
    if place in _SWEPT:
        return
    _SWEPT.add(place)
    with suppress(OSError), os.scandir(place) as items:
        for folder in [Path(item.path) for item in items if _is_ours(item)]:
            with suppress(OSError):
                lock = _lock(folder, fcntl.LOCK_EX)
                if lock is not None:
                    _remove((folder, lock))


def _is_ours(item: os.DirEntry[str]) -> bool:
    if not _NAME.fullmatch(item.name):
        return False
    with suppress(OSError):
        return item.stat(follow_symlinks=False).st_uid == os.geteuid()
    return False
