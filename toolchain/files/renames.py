"""Two names of a disk exchange what they stand for, in one step that nobody sees half done."""

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_HERE: Final = -100
"""`AT_FDCWD` of Linux: relative paths begin in the current folder."""
_EXCHANGE: Final = 2
"""`RENAME_EXCHANGE` of Linux and `RENAME_SWAP` of macOS, which happen to be one number."""
_UNKNOWN: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What a system says that does not know how, or whose file system does not, such as NFS."""


def exchange(one: Path, other: Path) -> bool:
    """Exchange two paths of one file system; a link is exchanged itself, not what it leads to.

    Args:
        one: Anything that exists.
        other: Likewise.

    Returns:
        Whether it was done; False where the system or the file system does not know how.

    Raises:
        OSError: It knows how, but one of them does not exist, may not be moved or lies elsewhere.
    """
    call = _system_call()
    if call is None:
        return False
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _system_call() -> Callable[[bytes, bytes], int] | None:
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        swap: Any = getattr(library, "renamex_np", None)
        return None if swap is None else lambda one, other: swap(one, other, ctypes.c_uint(_EXCHANGE))
    rename: Any = getattr(library, "renameat2", None)
    return (
        None
        if rename is None
        else lambda one, other: rename(_HERE, one, _HERE, other, ctypes.c_uint(_EXCHANGE))
    )
