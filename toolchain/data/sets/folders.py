"""Folders of files with labels: one folder per class, or the class in the file's name."""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from numpy.typing import NDArray

from toolchain.data.sets.options import Broken, Naming
from toolchain.errors import ArtifactError, CorruptArtifactError, MissingFileError, UsageError

_PARTS: Final = {"train": ("train", "training"), "test": ("test", "testing")}
_AT_ONCE: Final = 2**20
_LISTED: Final = 3
"""Broken files that a message names."""


@final
@dataclass(frozen=True)
class LabelledFile:
    """A file, and the word that names its class."""

    path: Path
    word: str


def find_files(folder: Path, suffixes: Sequence[str], naming: Naming, layout: str) -> list[LabelledFile]:
    """Return the files of a folder with the names of their classes, in the order of their paths.

    Args:
        folder: Folder that is searched to any depth.
        suffixes: Endings of the names, in small letters.
        naming: What names the class.
        layout: What the folder should hold, for the message.

    Raises:
        MissingFileError: There is no such folder.
        UsageError: It is a file, or holds no such file.
        CorruptArtifactError: A file lies outside of all folders of classes.
    """
    paths = files_below(folder, suffixes, f"`path` must be {layout}")
    if naming is Naming.FILE:
        return [LabelledFile(path, path.stem.partition("_")[0]) for path in paths]
    for path in paths:
        if path.parent == folder:
            raise CorruptArtifactError(path, f"lies in no folder of a class: `path` must be {layout}")
    return [LabelledFile(path, path.relative_to(folder).parts[0]) for path in paths]


def files_below(folder: Path, suffixes: Sequence[str], remedy: str) -> list[Path]:
    """Return the files of a folder, searched to any depth, in the order of their paths.

    Args:
        folder: The folder.
        suffixes: Endings of the names, in small letters.
        remedy: What to do where there are none.

    Raises:
        MissingFileError: There is no such folder.
        UsageError: It is a file, or holds no such file.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and path.is_file() and not _is_hidden(path.relative_to(folder))
    )
    if not paths:
        endings = ", ".join(suffixes)
        if not folder.exists():
            raise MissingFileError(f"folder of files ({endings})", folder, remedy)
        is_what = "holds no file whose name ends so" if folder.is_dir() else "is a file, expected a folder"
        raise UsageError(f"folder of files ({endings}) '{folder}' {is_what}", remedy)
    return paths


def _is_hidden(path: Path) -> bool:
    """Return whether a file was put there by a system or an editor, such as `._a.png` and `__MACOSX`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def official_parts(path: Path, test_path: str) -> tuple[Path, Path | None]:
    """Return folders for training and test: as named, or `train` and `test` below the path if it has both.

    Raises:
        UsageError: There is one of them without the other, and it has folders itself: it is no class.
    """
    if test_path:
        return path, Path(test_path)
    below = {
        part: next((each for each in _folders(path) if each.name.lower() in names), None)
        for part, names in _PARTS.items()
    }
    train, test = below["train"], below["test"]
    if train is not None and test is not None:
        return train, test
    one = train or test
    if one is not None and _folders(one):
        raise UsageError(
            f"'{one}' has folders of classes, but '{path}' has no other part beside it: name the folder to "
            "train on as `path`, and the one to test on, if there is one, as `test_path`"
        )
    return path, None


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir()) if path.is_dir() else []


def usable(
    items: Sequence[LabelledFile], read: Callable[[Path], NDArray[Any]], broken: Broken
) -> tuple[list[LabelledFile], tuple[str, ...]]:
    """Return the files that can be read, and the paths of those that cannot, if these are to be skipped.

    Raises:
        CorruptArtifactError: None can be read.
    """
    if broken is Broken.REFUSE:
        return list(items), ()
    good, bad = list[LabelledFile](), list[str]()
    reason = ""
    for item in items:
        try:
            read(item.path)
        except ArtifactError as error:
            bad.append(str(item.path))
            reason = str(error)
        else:
            good.append(item)
    if not good:
        raise CorruptArtifactError(items[0].path.parent, f"holds no file that can be read: {reason}")
    if bad:
        listed = ", ".join(bad[:_LISTED]) + (" ..." if len(bad) > _LISTED else "")
        warnings.warn(f"{len(bad)} of {len(items)} files are broken and left out: {listed}", stacklevel=2)
    return good, tuple(bad)


def check_apart(train: Iterable[Path], test: Iterable[Path]) -> None:
    """Raise if a file is read for the training and for the test, under whatever name.

    Raises:
        UsageError: Names the file.
    """
    known = {_identity(path): path for path in train}
    for path in test:
        same = known.get(_identity(path))
        if same is not None:
            also = "" if same == path else f", as '{same}'"
            raise UsageError(
                f"'{path}' is read for the test and for the training{also}: a network cannot be judged by "
                "what it was trained on",
                "name a `test_path` with other samples, or leave it out to hold out a share",
            )


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def advised(read: Callable[[Path], NDArray[Any]]) -> Callable[[Path], NDArray[Any]]:
    """Return a reader whose errors say how to go on without a broken file."""

    def reading(path: Path) -> NDArray[Any]:
        try:
            return read(path)
        except CorruptArtifactError as error:
            reason = str(error).removeprefix(f"'{path}' ")
            raise CorruptArtifactError(path, f'{reason}; `broken = "skip"` leaves such files out') from None

    return reading


def digest_of(paths: Iterable[Path], folder: Path) -> str:
    """Return the SHA-256 of a file, or of the names and digests of several."""
    listed = list(paths)
    if listed == [folder]:
        return _digest(folder)
    whole = hashlib.sha256()
    for path in listed:
        name = path.relative_to(folder) if path.is_relative_to(folder) else path
        whole.update(f"{name.as_posix()}\0{_digest(path)}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()
