"""Folders whose files are listed with their hashes: what is loaded must be there, listed and unchanged.

Files that are not listed are nobody's business: what a file browser leaves, what `lava/network.py` writes.
They are neither hashed nor read.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from toolchain.atomic import sha256
from toolchain.disk import check_file
from toolchain.errors import CorruptArtifactError, ToolchainError


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the list of files to be stored: their hashes by name, relative to the folder."""
    return {name: sha256(folder / name) for name in sorted(names)}


def check_seal(
    folder: Path,
    listed: Mapping[str, Any],
    loaded: Iterable[str],
    *,
    optional: Iterable[str] = (),
    what: str,
    written_by: str,
) -> None:
    """Raise unless every file that will be loaded is listed and unchanged.

    A listed file that nobody loads, such as a report, may be gone; if it is there, it must be unchanged.

    Args:
        folder: Where the files lie.
        listed: Their recorded hashes by name, from a file that may be damaged.
        loaded: Files that will be loaded.
        optional: Files that will be loaded if they are listed.
        what: The folder in words, such as `build`.
        written_by: What writes such a folder, such as `compile`.

    Raises:
        MissingFileError: A file that is loaded does not exist.
        StorageError: This user may not read one.
        CorruptArtifactError: One is not listed, was changed, or is a link.
    """
    needed = set(loaded)
    for name in sorted(needed | {name for name in optional if (folder / name).exists()}):
        if name not in listed:
            raise CorruptArtifactError(
                folder / name, f"is not listed by its {what}; remove it, or {written_by} again"
            )
    needed |= set(optional) & set(listed)
    for name, recorded in listed.items():
        if name in needed:
            _check_loaded(folder, name, f"file of the {what}")
        elif not _is_plain(folder, name):
            continue
        if sha256(folder / name) != recorded:
            raise CorruptArtifactError(
                folder / name, f"was changed after the {what} (its hash differs); {written_by} again"
            )


def _check_loaded(folder: Path, name: str, what: str) -> None:
    check_file(what, folder / name)
    for place in (folder / name, *(folder / parent for parent in PurePosixPath(name).parents[:-1])):
        if place.is_symlink():
            raise CorruptArtifactError(
                place, "is a link, whose file can change at any time; copy the file here"
            )


def _is_plain(folder: Path, name: str) -> bool:
    """Return whether a name that a list holds is a file inside of its folder that can be read."""
    path = folder / name
    try:
        check_file("file", path)
        return path.resolve().is_relative_to(folder.resolve())
    except ToolchainError:
        return False
