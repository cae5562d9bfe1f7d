"""What was written survives a power cut: files and folders go to the disk itself, not only to a cache."""

import errno
import fcntl
import os
import sys
from pathlib import Path
from typing import Final

_UNKNOWN: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF})
"""What file systems say that cannot be asked to, some of them for folders only."""


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk.

    Raises:
        OSError: The disk is full or broken; some tell so only here.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if sys.platform == "darwin":
            # There, fsync leaves the content in the cache of the drive.
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        else:
            os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Wait until a folder is on the disk with all that lies in it."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                sync(path)
        sync(Path(place))
