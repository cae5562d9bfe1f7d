"""Folders that are written whole or not at all: made beside their place, then swapped into it in one step.

Linux and macOS exchange two names in one step, so that whoever looks sees the old folder or the new one, and
of several writers the last one wins. Three cases have no such step:

- A file system that cannot exchange names, such as NFS: the old folder is moved away and the new one moved
  in. For a moment there is none; nothing is lost or mixed.
- A mount point, the current folder, a folder in one that this user may not write: the new files are moved in
  one by one, that which makes the folder whole (`marker`) last, as it was removed first.
- A folder that turns out to be a mount point only when it is to be moved: its files are copied into it first.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from toolchain.errors import StorageError
from toolchain.files.atomic import making_parents
from toolchain.files.disk import check_replaceable, place_of, writing
from toolchain.files.durable import sync, sync_tree
from toolchain.files.hidden import hidden_folder, is_hidden, keep_permissions, remove
from toolchain.files.renames import exchange
from toolchain.interrupts import uninterrupted

_PINNED: Final = frozenset({errno.EXDEV, errno.EBUSY})
"""What a system says of a folder that cannot be moved since a disk, or another folder, is mounted there."""
_MOVED_MEANWHILE: Final = frozenset({errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST})
"""What a system says if another writer took a folder away, or put one there, since it was looked at."""


@contextmanager
def replacing_folder(path: Path, *, marker: str = "") -> Generator[Path, None, None]:
    """Yield an empty temporary folder; swap it into the place of `path` if the block succeeds.

    Where `path` is a link, the folder that it leads to is replaced and the link stays. A folder that is
    replaced keeps its permissions, a new one gets those of any new folder (see `umask`). When the block has
    ended, all of it is on the disk, so that a power cut loses neither the old folder nor, then, the new one.

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
    place = place_of(path)
    beside = place if place.is_dir() and not _movable(place) else place.parent
    with writing(path), making_parents(place), hidden_folder(place, beside) as temporary:
        with _told_as(path, temporary):
            yield temporary
            sync_tree(temporary)
        if beside == place:
            _move_in(temporary, place, marker)
        else:
            _swap(temporary, place, marker)


def _movable(folder: Path) -> bool:
    try:
        here = folder.is_mount() or folder.samefile(os.curdir)
    except FileNotFoundError:
        # Another writer is between its two steps: what it puts there was made beside the place.
        here = False
    return not here and os.access(folder.parent, os.W_OK | os.X_OK)


@uninterrupted
def _swap(temporary: Path, place: Path, marker: str) -> None:
    """Put a folder in the place of another, if there is one; that is then where the first one was."""
    keep_permissions(place, temporary)
    try:
        while not _try_swap(temporary, place, marker):
            pass
    except OSError as error:
        if error.errno not in _PINNED:
            raise
        with hidden_folder(place, place) as inside:
            shutil.copytree(temporary, inside, dirs_exist_ok=True)
            sync_tree(inside)
            _move_in(inside, place, marker)
    sync(place.parent)


def _try_swap(temporary: Path, place: Path, marker: str) -> bool:
    """Swap; return False if another writer came between, so that it is to be tried again."""
    try:
        if not place.exists():
            temporary.rename(place)
        elif exchange(temporary, place):
            _check_taken(temporary, place, marker)
        else:
            _swap_in_two_steps(temporary, place)
    except OSError as error:
        if error.errno not in _MOVED_MEANWHILE or not temporary.exists():
            raise
        return False
    return True


def _swap_in_two_steps(temporary: Path, place: Path) -> None:
    with hidden_folder(place, place.parent) as away:
        place.rename(away)
        try:
            temporary.rename(place)
        except BaseException:
            _give_back(away, place)
            raise


def _give_back(away: Path, place: Path) -> None:
    """Put a folder back into its place, unless another writer has put one there meanwhile."""
    try:
        if not place.exists():
            away.rename(place)
    except OSError as error:
        if error.errno not in _MOVED_MEANWHILE:
            raise


def _check_taken(taken: Path, place: Path, marker: str) -> None:
    """Give back what was taken out of its place if it became somebody's since it was looked at."""
    try:
        check_replaceable(taken, marker)
    except BaseException:
        exchange(taken, place)
        check_replaceable(place, marker)
        raise


@uninterrupted
def _move_in(temporary: Path, place: Path, marker: str) -> None:
    """Put the files of a folder in the place of those around it; the marker, which makes it whole, last."""
    with _alone_in(place):
        if marker:
            (place / marker).unlink(missing_ok=True)
            sync(place)
        for item in place.iterdir():
            if not is_hidden(place, item.name):
                remove(item)
        for item in sorted(temporary.iterdir(), key=lambda each: each.name == marker):
            if item.name == marker:
                sync(place)
            item.replace(place / item.name)
        sync(place)


@contextmanager
def _alone_in(folder: Path) -> Generator[None, None, None]:
    """Wait until no other writer moves files into a folder."""
    with ExitStack() as stack:
        handle = os.open(folder, os.O_RDONLY)
        stack.callback(os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            # Some network disks know no locks.
            if error.errno not in {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}:
                raise
        yield


@contextmanager
def _told_as(path: Path, temporary: Path) -> Generator[None, None, None]:
    """Name files of a temporary folder, in what a disk refuses, as they would have been named."""
    try:
        yield
    except StorageError as error:
        if not error.path.is_relative_to(temporary):
            raise
        known = path / error.path.relative_to(temporary)
        raise StorageError(known, error.problem, error.remedy) from error
