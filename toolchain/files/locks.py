"""Locks between processes, also of several machines: the system opens that of a process that ends."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from toolchain.errors import StorageError
from toolchain.files.atomic import making_parents
from toolchain.files.disk import writing
from toolchain.interrupts import Held

_AGAIN_S: Final = 0.2
"""Time between two looks at a lock that somebody else has, so that waiting can be interrupted."""


@contextmanager
def locked(path: Path) -> Generator[None, None, None]:
    """Hold the lock that a file stands for; wait while another process has it.

    The lock is that of `flock`. On a local disk it is seen by all processes of a machine, on NFS by all that
    mount it: since Linux 2.6.12 the server is asked (version 4, or 3 with `lockd`), unless it was mounted
    with `local_lock`. It vanishes with the process, whatever ended it; an NFS server frees those of a machine
    that is not heard of any more. The file stays, since removing it would part those that wait for it.

    Args:
        path: The file; it is made if there is none.

    Raises:
        StorageError: The disk knows no locks, or refuses.
    """
    with Held(lambda: _open(path), os.close) as file:
        while not _take(file, path):
            time.sleep(_AGAIN_S)
        yield


def _open(path: Path) -> int:
    with writing(path), making_parents(path):
        # An NFS server locks for writing only what is open for writing.
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _take(file: int, path: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StorageError(
            path,
            f"cannot be locked: {error.strerror}",
            "choose a folder on a disk with locks, such as NFS version 4 without 'nolock'",
        ) from None
    return True
