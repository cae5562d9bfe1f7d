"""What a disk allows: outputs checked before the work, failures told with file, need and remedy.

Python, NumPy, h5py and safetensors each say in their own way that a disk is full, and some leave out which
file. Everything of ours that writes or reads does so inside of `writing`, or after `check_file`.
"""

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from toolchain.errors import MissingFileError, StorageError, ToolchainError, UsageError
from toolchain.memory import readable_size

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSALS: Final = {
    errno.EFBIG: ("would be larger than a file may be here (see 'ulimit -f')", "raise that limit"),
    errno.EROFS: ("lies on a disk that is read-only", "choose another place"),
    errno.EACCES: ("cannot be written: permission denied", "choose another place"),
    errno.EPERM: ("cannot be written: operation not permitted", "choose another place"),
    errno.EIO: ("cannot be written: the disk reports an error", "choose another place"),
    errno.ENAMETOOLONG: ("has too long a name", "choose a shorter one"),
    errno.EMFILE: ("cannot be opened: too many files are open (see 'ulimit -n')", "raise that limit"),
}
# How safetensors and HDF5 tell the number of an error, and how NumPy tells a full disk.
_NUMBER: Final = re.compile(r"\(os error (\d+)\)|errno = (\d+)")
_SHORT: Final = re.compile(r"^\d+ requested and \d+ written$")
_LEFT_BY_BROWSERS: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that file browsers leave in every folder they show: nobody's work."""
OTHER_TEMPORARY: Final = "free some space there, or set TMPDIR to a folder on another disk"
ROOM: Final = "free some space, or choose a place on another disk"


@contextmanager
def writing(path: Path, needed: int | None = None, remedy: str = ROOM) -> Generator[None, None, None]:
    """Tell failures of the disk inside of the block as `StorageError`.

    Args:
        path: The file or folder that is written, as its user knows it.
        needed: Bytes that it may take, if that is known.
        remedy: Advice for a full disk.

    Raises:
        StorageError: The disk is full, read-only or not permitted.
    """
    try:
        yield
    except ToolchainError:
        raise
    except Exception as error:
        number = _number_of(error) if _concerns(error, path) else None
        if number in _FULL:
            raise StorageError(path, _too_full(path, needed), remedy) from error
        if number in _REFUSALS:
            problem, advice = _REFUSALS[number]
            raise StorageError(path, problem, advice) from error
        raise


def _concerns(error: Exception, path: Path) -> bool:
    """Return whether a failure can be that of a path: one that names a file elsewhere is not."""
    # A copy names what it reads, and then what it writes.
    named = (error.filename2 or error.filename) if isinstance(error, OSError) else None
    return not isinstance(named, str) or Path(named).resolve().is_relative_to(path.resolve().parent)


def _number_of(error: BaseException) -> int | None:
    """Return the system's number of a failure, however a library tells it."""
    text = str(error)
    if isinstance(error, OSError):
        if error.errno is not None:
            return error.errno
        if _SHORT.match(text):
            return errno.ENOSPC
    number = _NUMBER.search(text)
    if number is not None:
        return int(number.group(1) or number.group(2))
    # An archive that cannot be closed either hides why.
    return None if error.__context__ is None else _number_of(error.__context__)


def _too_full(path: Path, needed: int | None) -> str:
    free = readable_size(shutil.disk_usage(_existing(path)).free)
    need = "more is needed" if needed is None else f"up to {readable_size(needed)} are needed"
    return f"cannot be written: the disk is full, {need}, {free} are free"


def _existing(path: Path) -> Path:
    return next((place for place in (path, *path.absolute().parents) if place.exists()), Path("/"))


def check_file(what: str, path: Path) -> None:
    """Raise unless a path is a file that this user may read.

    Args:
        what: The sort of file, for the message.
        path: Where it should be.

    Raises:
        MissingFileError: There is nothing.
        UsageError: It is a folder or a device.
        StorageError: This user may not read it.
    """
    mode = _mode(what, path)
    if stat.S_ISDIR(mode):
        raise UsageError(f"{what} '{path}' is a folder, expected a file")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{what} '{path}' is a pipe or a device, expected a file: write it to one first")
    if not os.access(path, os.R_OK):
        raise _forbidden(path)


def check_folder(what: str, path: Path) -> None:
    """Raise unless a path is a folder that this user may look into.

    Raises:
        MissingFileError: There is nothing.
        UsageError: It is a file.
        StorageError: This user may not look into it.
    """
    if not stat.S_ISDIR(_mode(what, path)):
        raise UsageError(f"{what} '{path}' is a file, expected a folder")
    if not os.access(path, os.R_OK | os.X_OK):
        raise _forbidden(path)


def check_exists(what: str, path: Path) -> None:
    """Raise `MissingFileError` if there is nothing at a path, `StorageError` if that cannot be seen."""
    _mode(what, path)


def _mode(what: str, path: Path) -> int:
    try:
        return path.stat().st_mode
    except PermissionError:
        raise _forbidden(path) from None
    except (OSError, ValueError):
        # Not there, below a file, a link to nowhere, or no name a disk could hold.
        raise MissingFileError(what, path) from None


def _forbidden(path: Path) -> StorageError:
    return StorageError(path, "cannot be read: permission denied", "ask its owner, or copy it as its owner")


def check_output_file(path: Path) -> None:
    """Raise unless a file can be written; called before the work, not after it.

    Args:
        path: The file to be written; an existing one will be replaced.

    Raises:
        UsageError: A folder or a device stands there, or its folder does not exist.
        StorageError: Its folder cannot be written.
    """
    parent = _parent_of(path)
    check_replaceable_file(path)
    _probe(path, _parent_of(place_of(path)) if path.is_symlink() else parent)


def check_replaceable_file(path: Path) -> None:
    """Raise for what a file must never take the place of.

    Args:
        path: The file to be written.

    Raises:
        UsageError: A folder, a pipe or a device stands there.
    """
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder", f"name a file, such as '{path / 'NAME'}'")
    if path.exists() and not path.is_file():
        raise UsageError(f"'{path}' is a pipe or a device", "name a file")


def place_of(path: Path) -> Path:
    """Return where something is written: a link stays, what it leads to is replaced.

    Raises:
        UsageError: The links lead in a circle.
    """
    try:
        place = path.resolve()
    except (OSError, RuntimeError):
        place = None
    # From Python 3.13 on, links that lead in a circle are left in the path.
    if place is None or any(each.is_symlink() for each in (place, *place.parents)):
        raise UsageError(f"'{path}' is a link that leads to itself; remove it")
    return place


def check_output_folder(path: Path, marker: str = "", kind: str = "") -> None:
    """Raise unless a folder can be written; called before the work, not after it.

    Args:
        path: The folder to be written.
        marker: File that every folder of this sort holds: such a folder will be replaced or continued. An
            empty folder will be filled, any other is somebody's.
        kind: Such a folder in words.

    Raises:
        UsageError: A file or somebody's folder stands there, or the folder above does not exist.
        StorageError: It cannot be written.
    """
    parent = _parent_of(path)
    check_replaceable(path, marker, kind)
    _probe(path, path if path.is_dir() else parent)


def check_replaceable(path: Path, marker: str = "", kind: str = "") -> None:
    """Raise if something stands where a folder is to be written that must not be lost; see above."""
    if not os.path.lexists(path) or (marker and (path / marker).is_file()):
        return
    try:
        names = [item.name for item in path.iterdir()]
    except OSError as error:
        if os.path.lexists(path) and not path.is_dir():
            raise UsageError(f"'{path}' exists and is not a folder", "choose another place") from None
        if not isinstance(error, FileNotFoundError):
            raise
        # Another writer is between its two steps.
        return
    if marker in names and (path / marker).is_file():
        return
    if any(name not in _LEFT_BY_BROWSERS for name in names):
        usual = f"a folder with '{marker}' that could be replaced" if marker else "an empty folder"
        raise UsageError(f"'{path}' exists and is not {kind or usual}", "choose another place")


def _parent_of(path: Path) -> Path:
    """Return the folder that something is to be written into. It is never made: it may be a slip."""
    parent = path.absolute().parent
    if not parent.exists():
        raise UsageError(
            f"'{path}' cannot be written: the folder '{parent}' does not exist",
            "correct the path, or make that folder",
        )
    if not parent.is_dir():
        raise UsageError(f"'{path}' cannot be written: '{parent}' is not a folder", "correct the path")
    return parent


def _probe(path: Path, folder: Path) -> None:
    with writing(path):
        tempfile.TemporaryFile(dir=folder).close()
