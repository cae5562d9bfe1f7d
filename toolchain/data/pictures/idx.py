"""IDX, the format of MNIST and of what was made to replace it: bytes of pictures and of labels.

A file begins with two zeros, the type of its numbers (8: bytes) and the number of its axes, then the extent
of every axis in four bytes, the highest first.
"""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import CorruptArtifactError, MissingFileError
from toolchain.files.disk import check_file
from toolchain.memory import budget

IMAGES: Final = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
LABELS: Final = {"train": "train-labels-idx1-ubyte", "test": "t10k-labels-idx1-ubyte"}
"""Names of the four files; each may end in `.gz`."""
LAYOUT: Final = (
    "a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and both of t10k, or them as .gz"
)
_BYTES: Final = 8
_AXIS: Final = 4


def idx_file(folder: Path, name: str, remedy: str) -> Path:
    """Return the path of a file, packed or not.

    Raises:
        MissingFileError: There is neither.
    """
    path = next((folder / each for each in _names(name) if (folder / each).is_file()), None)
    if path is None:
        raise MissingFileError("IDX file", folder / name, remedy)
    return path


def has_test(folder: Path) -> bool:
    """Return whether a folder has pictures or labels of an official test part, packed or not."""
    return any((folder / each).is_file() for kind in (IMAGES, LABELS) for each in _names(kind["test"]))


def _names(name: str) -> tuple[str, ...]:
    """Return the names that a file may have."""
    return name, f"{name}.gz", name.replace("-idx", ".idx")


def load_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """Return the bytes of an IDX file, `[samples, ...]`.

    Args:
        path: The file; packed if its name ends in `.gz`.
        axes: How many axes it must have: 1 for labels, 3 for pictures.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is damaged, of another format, or larger than the memory allows.
    """
    check_file("IDX file", path)
    limit = budget().limit
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if head != bytes((0, 0, _BYTES, axes)):
                raise CorruptArtifactError(
                    path,
                    f"is no IDX file of bytes in {axes} axes: it begins '{head.hex(' ')}'",
                )
            sizes = file.read(_AXIS * axes)
            shape = tuple(int(n) for n in np.frombuffer(sizes[: len(sizes) // _AXIS * _AXIS], ">u4"))
            budget().check_file(path, 2 * prod(shape))
            # One more than claimed shows a file that holds more.
            content = file.read(min(prod(shape) + 1, limit))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CorruptArtifactError(path, f"cannot be unpacked ({error}): get it again") from None
    if len(shape) != axes or len(content) != prod(shape) or 0 in shape:
        said = " x ".join(map(str, shape))
        raise CorruptArtifactError(path, f"holds another number of bytes than it says ({said}): get it again")
    return np.frombuffer(content, np.uint8).reshape(shape)


def load_idx_pair(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return pictures `[samples, 1, H, W]` and their labels.

    Raises:
        CorruptArtifactError: There are not as many labels as pictures, or a file is damaged.
    """
    pictures, classes = load_idx(images, 3), load_idx(labels, 1)
    if len(pictures) != len(classes):
        raise CorruptArtifactError(labels, f"holds {len(classes)} labels, not {len(pictures)} as '{images}'")
    return pictures[:, None], classes.astype(np.int64)
