"""Images with labels, split into what is learnt from and what is held out."""

import math
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from toolchain.errors import UsageError


@final
@dataclass(frozen=True)
class Images:
    """A split data set: intensities 0 .. 1 and class labels.

    Attributes:
        train: `[samples, channels]`; `[samples, C, H, W]` for networks that convolve, or
            `[samples, frames, channels]` for sequences.
        train_labels: `[samples]`.
        test: Held out: never trained, pruned or calibrated on. Like `train`.
        test_labels: `[samples]`.
        classes: Names of the classes.
    """

    train: NDArray[np.floating[Any]]
    train_labels: NDArray[np.int64]
    test: NDArray[np.floating[Any]]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]


def in_rows(images: Images) -> Images:
    """Return square images as sequences of their rows, top to bottom: `[samples, rows, columns]`.

    What was in the rows above is gone when a row is seen, so that a network has to remember it.
    """
    side = math.isqrt(images.train.shape[1])

    def rows(flat: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        return flat.reshape(len(flat), side, side)

    return replace(images, train=rows(images.train), test=rows(images.test))


def as_pictures(images: Images, size: int | None = None) -> Images:
    """Return flat square images as pictures `[samples, 1, H, W]`, up-scaled if asked for.

    Args:
        images: Flat, `[samples, side * side]`.
        size: Wanted height and width; bilinear interpolation, in 0 .. 1. By default as they are.

    Raises:
        UsageError: The images are not square, or `size` is smaller than they are.
    """
    side = math.isqrt(images.train.shape[1])
    if images.train.ndim != 2 or side * side != images.train.shape[1]:
        raise UsageError(
            f"expected flat square images [samples, side * side], got {list(images.train.shape)}"
        )
    if size is not None and size < side:
        raise UsageError(f"images of {side}x{side} can only be made larger, got size {size}")

    def pictures(flat: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        square = flat.reshape(-1, 1, side, side).astype(np.float32)
        if size is None or size == side:
            return square
        factors = (1, 1, size / side, size / side)
        larger: Any = zoom(square, factors, order=1, grid_mode=True, mode="nearest")
        return np.asarray(larger, np.float32).clip(0, 1)

    return replace(images, train=pictures(images.train), test=pictures(images.test))


def normalised(images: Images, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Images:
    """Return pictures whose channels are shifted and scaled: `(x - mean) / deviation`.

    Args:
        images: `[samples, C, H, W]`.
        mean: Per channel.
        deviation: Per channel.
    """
    shift, scale = (np.asarray(values, np.float32)[:, None, None] for values in (mean, deviation))
    return replace(images, train=(images.train - shift) / scale, test=(images.test - shift) / scale)
