"""scikit-learn's handwritten digits: 1,797 real images of 8 x 8 pixels, 17 grey levels."""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits as _load
from sklearn.model_selection import train_test_split


@final
@dataclass(frozen=True)
class Images:
    """A split data set: intensities 0 .. 1 and class labels.

    Attributes:
        train: `[samples, channels]`, or `[samples, frames, channels]` for sequences.
        train_labels: `[samples]`.
        test: Held out: never trained, pruned or calibrated on. Like `train`.
        test_labels: `[samples]`.
        classes: Names of the classes.
    """

    train: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    test: NDArray[np.float64]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]


def load_digits(test_fraction: float, seed: int) -> Images:
    """Return the digits with a stratified held-out test split.

    Args:
        test_fraction: Share of the images that is held out, 0 .. 1.
        seed: Of the split.
    """
    bunch: Any = _load()
    parts: list[Any] = train_test_split(
        bunch.data / 16.0, bunch.target, test_size=test_fraction, random_state=seed, stratify=bunch.target
    )
    train, test, train_labels, test_labels = parts
    return Images(train, train_labels, test, test_labels, tuple(map(str, bunch.target_names)))


def in_rows(images: Images) -> Images:
    """Return square images as sequences of their rows, top to bottom: `[samples, rows, columns]`.

    What was in the rows above is gone when a row is seen, so that a network has to remember it.
    """
    side = math.isqrt(images.train.shape[1])

    def rows(flat: NDArray[np.float64]) -> NDArray[np.float64]:
        return flat.reshape(len(flat), side, side)

    return Images(
        rows(images.train), images.train_labels, rows(images.test), images.test_labels, images.classes
    )
