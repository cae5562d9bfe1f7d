"""Folders whose files are listed with their hashes: what is loaded must be there, listed and unchanged.

What is loaded are the very bytes that were hashed: each file is opened once, hashed and read through that
one handle, and what is read late is hashed again. So it does not matter whether a file has a second name
elsewhere (a hard link), under which somebody may write. Links are refused: a folder with links is not whole.

Files that are not listed are nobody's business: what a file browser leaves, what `lava/network.py` writes.
They are neither hashed nor read.
"""

from collections.abc import Iterable, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, final

from toolchain.errors import CorruptArtifactError, ToolchainError
from toolchain.files.atomic import sha256
from toolchain.files.hashed import HashedFile
from toolchain.files.opened import OpenedFolder, buffered


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the list of files to be stored: their hashes by name, relative to the folder."""
    return {name: sha256(folder / name) for name in sorted(names)}


@final
class SealedFiles:
    """The files of a folder that may be loaded, opened and found to be as they were listed."""

    def __init__(self, files: Mapping[str, HashedFile]) -> None:
        self._files = dict(files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def read(self, name: str) -> bytes:
        """Return what a file holds. Each file is read once."""
        return self._files.pop(name).whole()

    def open(self, name: str) -> BufferedReader:
        """Return a file to be read in parts, and closed by whoever reads it. Each file is read once."""
        return buffered(self._files.pop(name))


def check_seal(
    folder: OpenedFolder,
    listed: Mapping[str, Any],
    loaded: Iterable[str],
    *,
    optional: Iterable[str] = (),
    streamed: Iterable[str] = (),
    what: str,
    written_by: str,
) -> SealedFiles:
    """Return the files that will be loaded; raise unless every one is listed and unchanged.

    A listed file that nobody loads, such as a report, may be gone; if it is there, it must be unchanged.

    Args:
        folder: Where the files lie.
        listed: Their recorded hashes by name, from a file that may be damaged.
        loaded: Files that will be loaded.
        optional: Files that will be loaded if they are listed.
        streamed: Those of all that may be larger than the memory.
        what: The folder in words, such as `build`.
        written_by: What writes such a folder, such as `compile`.

    Raises:
        MissingFileError: A file that is loaded does not exist.
        StorageError: This user may not read one.
        CorruptArtifactError: One is not listed, was changed, or is a link.
    """
    required, possible = set(loaded), set(optional)
    for name in sorted(required | {name for name in possible if folder.holds(name)}):
        if name not in listed:
            raise CorruptArtifactError(
                folder.path / name, f"is not listed by its {what}; remove it, or {written_by} again"
            )
    needed = sorted(required | possible & set(listed))
    large = set(streamed)
    files = {name: folder.open(name, f"file of the {what}", streamed=name in large) for name in needed}
    for name, recorded in listed.items():
        found = files[name].sha256 if name in files else _hash_if_plain(folder, name)
        if found not in (None, recorded):
            raise CorruptArtifactError(
                folder.path / name, f"was changed after the {what} (its hash differs); {written_by} again"
            )
    return SealedFiles(files)


def _hash_if_plain(folder: OpenedFolder, name: str) -> str | None:
    """Return the hash of a file that a list holds, if it is one inside of the folder that can be read."""
    try:
        with folder.open(name) as file:
            return file.sha256
    except ToolchainError:
        return None
