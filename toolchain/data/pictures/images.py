"""Images with labels, split into a training part and a held-out part."""

import math
from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from toolchain.errors import ArgumentError, UsageError
from toolchain.intake import array_of, check_finite, count_of, labels_of, names_of
from toolchain.memory import budget

_ZOOMED: Final = 16
"""Bytes of a pixel while pictures are made larger."""


@final
@dataclass(frozen=True)
class Images:
    """A split data set: intensities 0 .. 1 and class labels.

    Attributes:
        train: Training samples `[samples, channels]`; `[samples, C, H, W]` for networks that convolve, or
            `[samples, frames, channels]` for sequences.
        train_labels: Classes of the training samples, `[samples]`.
        test: Held-out samples, shaped like `train`; never trained, pruned or calibrated on.
        test_labels: Classes of the held-out samples, `[samples]`.
        classes: Names of the classes.
    """

    train: NDArray[np.floating[Any]]
    train_labels: NDArray[np.int64]
    test: NDArray[np.floating[Any]]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        classes = names_of(self.classes, "classes")
        for part in ("train", "test"):
            images = array_of(getattr(self, part), part)
            check_finite(images, part)
            labels = labels_of(
                getattr(self, f"{part}_labels"), f"{part}_labels", samples=len(images), classes=len(classes)
            )
            object.__setattr__(self, part, images)
            object.__setattr__(self, f"{part}_labels", labels)
        object.__setattr__(self, "classes", classes)


def _side(images: Images) -> int:
    """Return height and width of flat square images."""
    shape = images.train.shape
    side = math.isqrt(shape[1]) if len(shape) == 2 else 0
    if side == 0 or side * side != shape[1]:
        raise UsageError(f"expected flat square images [samples, side * side], got {list(shape)}")
    return side


def in_rows(images: Images) -> Images:
    """Return square images as sequences of their rows, top to bottom: `[samples, rows, columns]`.

    What was in the rows above is gone when a row is seen, so that a network has to remember it.

    Raises:
        UsageError: The images are not square.
    """
    side = _side(images)

    def rows(flat: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        return flat.reshape(len(flat), side, side)

    return replace(images, train=rows(images.train), test=rows(images.test))


def as_pictures(images: Images, size: int | None = None) -> Images:
    """Return flat square images as pictures `[samples, 1, H, W]`, up-scaled if asked for.

    Args:
        images: Flat images `[samples, side * side]`.
        size: Height and width to which images are interpolated; by default they stay as they are.

    Raises:
        UsageError: The images are not square, or `size` is smaller than they are.
    """
    side = _side(images)
    size = None if size is None else count_of(size, "size", least=1)
    if size is not None and size < side:
        raise UsageError(f"images of {side}x{side} can only be made larger, got size {size}")

    most = max(len(images.train), len(images.test))
    excess = "" if size is None else budget().excess(_ZOOMED * most * size * size)
    if excess:
        raise ArgumentError("size", "pictures that fit into the memory", f"{size}", f"the set {excess}")

    def pictures(flat: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        square = flat.reshape(-1, 1, side, side).astype(np.float32)
        if size is None or size == side:
            return square
        factors = (1, 1, size / side, size / side)
        larger: Any = zoom(square, factors, order=1, grid_mode=True, mode="nearest")
        return np.asarray(larger, np.float32).clip(0, 1)

    return replace(images, train=pictures(images.train), test=pictures(images.test))
