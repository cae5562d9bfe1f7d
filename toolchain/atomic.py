"""Files and folders that are written whole or not at all, and read as data only."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolchain.disk import check_replaceable, check_replaceable_file, writing
from toolchain.errors import StorageError


@contextmanager
def replacing_file(path: Path, needed: int | None = None) -> Generator[Path, None, None]:
    """Yield a temporary path beside `path`; move it into place if the block succeeds.

    Args:
        path: The file to write. Its parent folders are created.
        needed: How many bytes it may take, if that is known.

    Yields:
        The path to write to. On any error it is removed, with the folders made for it, and `path` stays as it
        was.

    Raises:
        UsageError: A folder, a pipe or a device stands there.
        StorageError: The disk is full or refuses; names the file.
    """
    check_replaceable_file(path)
    with writing(path, needed), _parents_of(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, *, marker: str = "") -> Generator[Path, None, None]:
    """Yield an empty temporary folder; swap it into the place of `path` if the block succeeds.

    The temporary folder lies beside `path`. Where `path` cannot be exchanged as a whole, since it is a mount
    point, the current folder, or in a folder that this user may not write, it lies inside, and its files are
    moved out of it at the end.

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
    place = path.resolve()
    inside = place.is_dir() and not _exchangeable(place)
    with writing(path), _parents_of(place):
        beside = place if inside else place.parent
        temporary = Path(tempfile.mkdtemp(dir=beside, prefix=f".{place.name}."))
        try:
            with _told_as(path, temporary):
                yield temporary
            if inside:
                _move_out(temporary, place, marker)
            else:
                _exchange(temporary, place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _exchangeable(folder: Path) -> bool:
    here = folder.is_mount() or folder.samefile(Path.cwd())
    return not here and os.access(folder.parent, os.W_OK | os.X_OK)


def _exchange(temporary: Path, path: Path) -> None:
    """Put a folder in the place of another, which goes; or leave both as they are."""
    old = temporary.with_name(temporary.name + ".old")
    temporary.chmod(0o755)
    try:
        if path.exists():
            path.replace(old)
        temporary.replace(path)
    finally:
        if old.exists() and not path.exists():
            old.replace(path)
        shutil.rmtree(old, ignore_errors=True)


def _move_out(temporary: Path, path: Path, marker: str) -> None:
    """Put the files of a folder in the place of those around it; the marker, which makes it whole, last."""
    (path / marker if marker else temporary / "none").unlink(missing_ok=True)
    for item in path.iterdir():
        if item != temporary:
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()
    for item in sorted(temporary.iterdir(), key=lambda each: each.name == marker):
        item.replace(path / item.name)


@contextmanager
def _parents_of(path: Path) -> Generator[None, None, None]:
    """Make the folders above a path; on any error, remove those that were made."""
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _told_as(path: Path, temporary: Path) -> Generator[None, None, None]:
    """Name files of a temporary folder, in what a disk refuses, as they would have been named."""
    try:
        yield
    except StorageError as error:
        if not error.path.is_relative_to(temporary):
            raise
        known = path / error.path.relative_to(temporary)
        raise StorageError(known, error.problem, error.mend) from error


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
