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
from typing import ClassVar, TypeVar, final

from toolchain.errors import CorruptArtifactError, MissingFileError, ToolchainError
from toolchain.files.atomic import sha256
from toolchain.files.documents import Digest, FileDocument, parse_document
from toolchain.files.hashed import HashedFile
from toolchain.files.opened import OpenedFolder, buffered


class SealedDocument(FileDocument):
    """The file that lists the others of a folder; it is written last and read first.

    Attributes:
        FILE: Name of this file in the folder.
        FOLDER: The folder in words, such as `build`.
        LOADED: Files that are loaded.
        OPTIONAL: Files that are loaded if they are listed.
        STREAMED: Those of all that may be larger than the memory.
        files: Hashes of the files by name, relative to the folder.
    """

    FILE: ClassVar[str]
    FOLDER: ClassVar[str]
    LOADED: ClassVar[tuple[str, ...]]
    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    STREAMED: ClassVar[tuple[str, ...]] = ()

    files: dict[str, Digest]


Listing = TypeVar("Listing", bound=SealedDocument)


def seal(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the list of files for a `SealedDocument`: their hashes by name, relative to the folder."""
    return {name: sha256(folder / name) for name in sorted(names)}


@final
class SealedFiles:
    """The files of a folder that may be loaded: opened, and the same as when they were listed."""

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


def open_sealed(folder: OpenedFolder, kind: type[Listing]) -> tuple[Listing, SealedFiles]:
    """Return the list of a folder, and those of its files that are loaded, every one listed and unchanged.

    A listed file that nobody loads, such as a report, may be gone; if it is there, it must be unchanged.

    Args:
        folder: The folder, held open.
        kind: The class of its list, which says what is loaded.

    Raises:
        MissingFileError: The list or a file that is loaded does not exist.
        StorageError: This user may not read one.
        FormatVersionError: The list was written by another version of the format.
        CorruptArtifactError: A file is not listed, was changed, or is a link; or the list is damaged.
    """
    content = folder.read(
        kind.FILE, f"'{folder.path}' is no {kind.FOLDER} folder, as '{kind.WRITTEN_BY}' writes: file"
    )
    listing = parse_document(content, folder.path / kind.FILE, kind, named=f"{kind.FOLDER} '{folder.path}'")
    listed, required, optional = listing.files, set(kind.LOADED), set(kind.OPTIONAL)
    for name in sorted(required | {name for name in optional if folder.holds(name)}):
        if name not in listed:
            raise CorruptArtifactError(
                folder.path / name,
                f"is not listed by its {kind.FOLDER}; remove it, or write all with '{kind.WRITTEN_BY}'",
            )
    needed = sorted(required | optional & set(listed))
    files = {name: _open_listed(folder, kind, name) for name in needed}
    for name, recorded in listed.items():
        digest = files[name].sha256 if name in files else _hash_if_plain(folder, name)
        if digest not in (None, recorded):
            raise CorruptArtifactError(
                folder.path / name,
                f"was changed after the {kind.FOLDER} was written (its hash differs); write it again with "
                f"'{kind.WRITTEN_BY}'",
            )
    return listing, SealedFiles(files)


def _open_listed(folder: OpenedFolder, kind: type[SealedDocument], name: str) -> HashedFile:
    """Return a file that the list of a folder names."""
    what = f"file of the {kind.FOLDER}"
    try:
        return folder.open(name, what, streamed=name in kind.STREAMED)
    except MissingFileError as error:
        raise MissingFileError(what, error.path, f"write all again with '{kind.WRITTEN_BY}'") from None


def _hash_if_plain(folder: OpenedFolder, name: str) -> str | None:
    """Return the hash of a listed file, if it is one inside of the folder that can be read."""
    try:
        with folder.open(name) as file:
            return file.sha256
    except ToolchainError:
        return None
