"""Files that are written whole or not at all."""

import hashlib
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolchain.files.disk import check_replaceable_file, place_of, writing
from toolchain.files.durable import sync
from toolchain.files.hidden import hidden_file, keep_permissions
from toolchain.interrupts import Held


@contextmanager
def replacing_file(path: Path, needed: int | None = None) -> Generator[Path, None, None]:
    """Yield a temporary path beside `path`; move it into place if the block succeeds.

    Where `path` is a link, the file that it leads to is replaced and the link stays. A file that is replaced
    keeps its permissions, a new one gets those of any new file (see `umask`). When the block has ended, the
    file is on the disk, so that a power cut loses neither the old file nor, then, the new one. Of several
    writers at a time the last one wins.

    Args:
        path: The file to write. Its parent folders are created.
        needed: Bytes that it may take, if that is known.

    Yields:
        The path to write to. On any error it is removed, with the folders made for it, and `path` stays as it
        was.

    Raises:
        UsageError: A folder, a pipe or a device stands there.
        StorageError: The disk is full or refuses; names the file.
    """
    check_replaceable_file(path)
    place = place_of(path)
    with writing(path, needed), making_parents(place), hidden_file(place, place.parent) as temporary:
        mode = temporary.stat().st_mode
        yield temporary
        # A library may have put a file of its own there, which nobody else may read.
        temporary.chmod(stat.S_IMODE(mode))
        sync(temporary)
        keep_permissions(place, temporary)
        temporary.replace(place)
        sync(place.parent)


@contextmanager
def making_parents(path: Path) -> Generator[None, None, None]:
    """Make the folders above a path; at the end, remove those that were made and hold nothing."""
    missing = [folder for folder in path.parents if not folder.exists()]
    with Held(lambda: _make(missing), _remove_empty):
        yield
        for folder in missing:
            sync(folder.parent)


def _make(folders: list[Path]) -> list[Path]:
    try:
        for folder in reversed(folders):
            folder.mkdir(exist_ok=True)
    except BaseException:
        _remove_empty(folders)
        raise
    return folders


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write the content of a file."""
    with replacing_file(path, len(content)) as temporary:
        temporary.write_bytes(content)
