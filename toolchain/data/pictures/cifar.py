"""CIFAR-10 from its binary files.

A record is the label in one byte and 3072 bytes of an image of 3 x 32 x 32, plane by plane, row by row
(https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from toolchain.data.pictures.images import Images
from toolchain.errors import CorruptArtifactError
from toolchain.files.disk import check_file
from toolchain.intake import PathText, count_of, path_of
from toolchain.memory import budget

_SHAPE: Final = (3, 32, 32)
_RECORD: Final = 3073
"""Bytes of a label and its image."""
_CLASSES: Final = 10
_BATCHES: Final = 5
_JOINED: Final = 5 * 2 * _BATCHES
"""Bytes that all batches take, as real numbers and once more when they are joined, for every byte of one."""
_NAMES_BYTES: Final = 2**16
"""More than any list of names has."""


def load_cifar10(folder: PathText, *, records: int = 10_000) -> Images:
    """Read CIFAR-10: `data_batch_1.bin` .. `data_batch_5.bin`, `test_batch.bin`, `batches.meta.txt`.

    Args:
        folder: Folder of the files, usually `cifar-10-batches-bin`.
        records: Number of images per file; the published files have 10,000.

    Returns:
        Pictures `[samples, 3, 32, 32]`, float32 in 0 .. 1, not normalised.

    Raises:
        MissingFileError: Names the file that is missing.
        CorruptArtifactError: A file has another size than its records need, or an impossible label.
    """
    folder, records = path_of(folder, "folder"), count_of(records, "records", least=1)
    classes = _names(folder / "batches.meta.txt")
    parts = [_read(folder / f"data_batch_{i}.bin", records, growth=_JOINED) for i in range(1, _BATCHES + 1)]
    test, test_labels = _read(folder / "test_batch.bin", records)
    train = np.concatenate([pictures for pictures, _ in parts])
    return Images(train, np.concatenate([labels for _, labels in parts]), test, test_labels, classes)


def _read(path: Path, records: int, *, growth: int = 5) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    check_file("CIFAR file", path)
    size, expected = path.stat().st_size, records * _RECORD
    if size != expected:
        raise CorruptArtifactError(
            path,
            f"has {size} bytes, expected {expected} ({records} records of {_RECORD}); "
            "it is truncated or another file: download it again",
        )
    budget().check_file(path, growth * size)
    rows = np.fromfile(path, np.uint8).reshape(records, _RECORD)
    labels = rows[:, 0].astype(np.int64)
    if records and labels.max() >= _CLASSES:
        raise CorruptArtifactError(path, f"holds label {labels.max()}, expected 0 .. {_CLASSES - 1}")
    return rows[:, 1:].reshape(records, *_SHAPE).astype(np.float32) / np.float32(255), labels


def _names(path: Path) -> tuple[str, ...]:
    check_file("CIFAR class names", path)
    if path.stat().st_size > _NAMES_BYTES:
        raise CorruptArtifactError(path, f"is larger than {_NAMES_BYTES} bytes: it is no list of class names")
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except UnicodeDecodeError as error:
        raise CorruptArtifactError(path, f"is not text: {error}") from None
    if len(names) != _CLASSES:
        raise CorruptArtifactError(path, f"holds {len(names)} class names, expected {_CLASSES}")
    return names
