"""CIFAR-10 and CIFAR-100 from their binary files.

A record is the label (CIFAR-100: coarse, then fine) in one byte each and 3072 bytes of an image of
3 x 32 x 32, plane by plane, row by row (https://www.cs.toronto.edu/~kriz/cifar.html).
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

CIFAR10_MEAN: Final = (0.4914, 0.4822, 0.4465)
CIFAR10_DEVIATION: Final = (0.247, 0.243, 0.261)
CIFAR100_MEAN: Final = (0.5071, 0.4865, 0.4409)
CIFAR100_DEVIATION: Final = (0.2673, 0.2564, 0.2762)

_SHAPE: Final = (3, 32, 32)
_PIXELS: Final = 3072
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
    classes = _names(folder / "batches.meta.txt", 10)
    parts = [
        _read(folder / f"data_batch_{i}.bin", records, labels=1, classes=10, growth=_JOINED)
        for i in range(1, _BATCHES + 1)
    ]
    test, test_labels = _read(folder / "test_batch.bin", records, labels=1, classes=10)
    train = np.concatenate([pictures for pictures, _ in parts])
    return Images(train, np.concatenate([labels for _, labels in parts]), test, test_labels, classes)


def load_cifar100(folder: PathText, *, records: tuple[int, int] = (50_000, 10_000)) -> Images:
    """Read CIFAR-100 with its fine labels: `train.bin`, `test.bin`, `fine_label_names.txt`.

    Args:
        folder: Folder of the files, usually `cifar-100-binary`.
        records: Number of images in each of the two files.

    Returns:
        Pictures `[samples, 3, 32, 32]`, float32 in 0 .. 1, not normalised.

    Raises:
        MissingFileError: Names the file that is missing.
        CorruptArtifactError: A file has another size than its records need, or an impossible label.
    """
    folder = path_of(folder, "folder")
    train_records, test_records = (count_of(number, "records", least=1) for number in records)
    classes = _names(folder / "fine_label_names.txt", 100)
    train, train_labels = _read(folder / "train.bin", train_records, labels=2, classes=100)
    test, test_labels = _read(folder / "test.bin", test_records, labels=2, classes=100)
    return Images(train, train_labels, test, test_labels, classes)


def _read(
    path: Path, records: int, *, labels: int, classes: int, growth: int = 5
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    check_file("CIFAR file", path)
    size, expected = path.stat().st_size, records * (labels + _PIXELS)
    if size != expected:
        raise CorruptArtifactError(
            path,
            f"has {size} bytes, expected {expected} ({records} records of {labels + _PIXELS}); "
            "it is truncated or another file: download it again",
        )
    budget().check_file(path, growth * size)
    rows = np.fromfile(path, np.uint8).reshape(records, labels + _PIXELS)
    # The last label is the one that is learnt: CIFAR-100 writes the coarse one before it.
    learnt = rows[:, labels - 1].astype(np.int64)
    if records and learnt.max() >= classes:
        raise CorruptArtifactError(path, f"holds label {learnt.max()}, expected 0 .. {classes - 1}")
    return rows[:, labels:].reshape(records, *_SHAPE).astype(np.float32) / np.float32(255), learnt


def _names(path: Path, expected: int) -> tuple[str, ...]:
    check_file("CIFAR class names", path)
    if path.stat().st_size > _NAMES_BYTES:
        raise CorruptArtifactError(path, f"is larger than {_NAMES_BYTES} bytes: it is no list of class names")
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except UnicodeDecodeError as error:
        raise CorruptArtifactError(path, f"is not text: {error}") from None
    if len(names) != expected:
        raise CorruptArtifactError(path, f"holds {len(names)} class names, expected {expected}")
    return names
