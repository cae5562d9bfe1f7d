"""scikit-learn's handwritten digits: 1,797 real images of 8 x 8 pixels, 17 grey levels."""

from typing import Any

from sklearn.datasets import load_digits as _load
from sklearn.model_selection import train_test_split

from toolchain.data.images import Images


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
