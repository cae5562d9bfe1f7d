"""A folder of this user alone for compiled code, which nobody else can have put there or replace."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def own_folder() -> Path | None:
    """Return `pumice` in the user's cache, or else `pumice-UID` in the temporary folder.

    It belongs to this user and is closed to all others; None if there is no such folder.
    """
    folders = (folder for folder in _private_folders() if _is_private(folder) and is_writable(folder))
    return next(folders, None)


def _private_folders() -> list[Path]:
    folders: list[Path] = []
    with suppress(RuntimeError):
        home = os.environ.get("XDG_CACHE_HOME")
        folders.append((Path(home) if home else Path.home() / ".cache") / "pumice")
    # There may not even be a temporary folder.
    with suppress(OSError):
        folders.append(Path(tempfile.gettempdir()) / f"pumice-{os.geteuid()}")
    return folders


def _is_private(folder: Path) -> bool:
    """Return whether a folder, created if needed, is this user's alone and cannot be replaced by others."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        itself, parent = folder.lstat(), folder.parent.stat()
    except OSError:
        return False
    closed = stat.S_ISDIR(itself.st_mode) and not stat.S_IMODE(itself.st_mode) & 0o077
    protected = not parent.st_mode & _OTHERS_WRITE or bool(parent.st_mode & stat.S_ISVTX)
    return closed and itself.st_uid == os.geteuid() and protected and parent.st_uid in {0, os.geteuid()}


def is_writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, which is made if needed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
