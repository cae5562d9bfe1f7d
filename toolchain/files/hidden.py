"""Hidden folders beside an output, in which it is made until it is whole.

Whoever makes one holds a lock on it as long as it lives. A system that kills a process drops its locks, so
that what a killed writer left is known by having none, and the next writer of the same output removes it.
"""

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from toolchain.interrupts import Held

_LONGEST: Final = 120
"""Bytes of an output's name that a hidden name repeats: file systems hold 255, some 143."""
_LONGEST_ENDING: Final = 16
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_MARK: Final = re.compile(r"\.pumice-[0-9a-f]{8}(\.[^.]*)?")


@contextmanager
def hidden_file(place: Path, beside: Path) -> Generator[Path, None, None]:
    """Yield an empty file in a hidden folder for what will be `place`; both are removed at the end.

    The lock is that of the folder: some writers put another file in the place of the one that they are given,
    or make further ones beside it. The file may be read by those who may read `place`, or else by whoever may
    read any new file, once it is there. It ends as `place` does, since some writers choose their format by
    that.

    Args:
        place: The file that is made, its links resolved.
        beside: The folder to make the hidden one in.
    """
    ending = place.suffix if len(os.fsencode(place.suffix)) <= _LONGEST_ENDING else ""
    mode = 0o666 if _permissions(place) is None else 0o600
    _sweep(place, beside)
    with Held(lambda: _new(place, beside, 0o700), _end) as (folder, _):
        path = folder / f"{folder.name}{ending}"
        os.close(os.open(path, _NEW, mode))
        yield path


@contextmanager
def hidden_folder(place: Path, beside: Path) -> Generator[Path, None, None]:
    """Yield an empty hidden folder for what will be `place`; see `hidden_file`."""
    mode = 0o777 if _permissions(place) is None else 0o700
    _sweep(place, beside)
    with Held(lambda: _new(place, beside, mode), _end) as (path, _):
        yield path


def _new(place: Path, beside: Path, mode: int) -> tuple[Path, int]:
    """Make a folder under a new hidden name; return its path and the handle that holds the lock on it."""
    while True:
        path = beside / f"{_stem(place)}{secrets.token_hex(4)}"
        with suppress(FileExistsError):
            path.mkdir(mode)
            lock = _locked(path)
            if lock is not None:
                return path, lock


def _end(made: tuple[Path, int]) -> None:
    path, lock = made
    os.close(lock)
    remove(path)


def _locked(path: Path) -> int | None:
    """Return the handle that holds a lock on a path; None if it was swept away before it was locked."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError:
        # No more files may be opened, for one.
        remove(path)
        raise
    # Where a disk knows no locks, nothing is ever swept away.
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_SH)
    if os.path.lexists(path):
        return handle
    os.close(handle)
    return None


def keep_permissions(place: Path, path: Path) -> None:
    """Give a path, which will take the place of a file or folder, the permissions of the old one."""
    mode = _permissions(place)
    if mode is not None:
        path.chmod(mode)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that lies in it, as far as that can be."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def is_hidden(place: Path, name: str) -> bool:
    """Return whether a name is one of those that `place` is made under."""
    stem = _stem(place)
    return name.startswith(stem) and _MARK.fullmatch(name[len(stem) - len(".pumice-") :]) is not None


def _stem(place: Path) -> str:
    # Never half a letter: some file systems take whole ones only.
    name = os.fsencode(place.name)[:_LONGEST].decode("utf-8", "ignore")
    return f".{name}.pumice-"


def _permissions(place: Path) -> int | None:
    try:
        mode = place.stat().st_mode
    except OSError:
        return None
    # A file that is written anew must not run with somebody's rights because the old one did.
    return stat.S_IMODE(mode) & (0o3777 if stat.S_ISDIR(mode) else 0o777)


def _sweep(place: Path, beside: Path) -> None:
    """Remove what killed writers of `place` left: what nobody holds a lock on."""
    with suppress(OSError), os.scandir(beside) as entries:
        for path in [Path(entry.path) for entry in entries if is_hidden(place, entry.name)]:
            with suppress(OSError):
                _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Still locked: a writer who just made it waits, and then makes another.
        remove(path)
    finally:
        os.close(handle)
