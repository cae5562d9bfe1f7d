"""scikit-learn's handwritten digits: 1,797 real images of 8 x 8 pixels, 17 grey levels."""

import math
from typing import Any, Final

from toolchain.data.pictures.images import Images
from toolchain.errors import ArgumentError
from toolchain.intake import MAX_SEED, count_of, real_of

DIGITS: Final = 1797
CLASSES: Final = 10
"""Images, and classes of them."""


def load_digits(test_fraction: float, seed: int) -> Images:
    """Return the digits with a stratified held-out test split.

    Args:
        test_fraction: Share of the images that is held out, 0 .. 1.
        seed: Seed of the split.

    Raises:
        ArgumentError: The share leaves fewer images than classes on one side.
    """
    from sklearn import datasets, model_selection  # noqa: PLC0415 - takes long to load

    share, seed = real_of(test_fraction, "test_fraction"), count_of(seed, "seed", most=MAX_SEED)
    bunch: Any = datasets.load_digits()
    classes, images = len(bunch.target_names), len(bunch.target)
    held_out = math.ceil(share * images)
    if not 0 < share < 1 or not classes <= held_out <= images - classes:
        raise ArgumentError(
            "test_fraction",
            f"a share that leaves {classes} of the {images} images on either side, one of each class",
            f"{share:g}",
            f"take {classes / images:.3f} .. {1 - (classes + 1) / images:.3f}, such as 0.3",
        )
    parts: list[Any] = model_selection.train_test_split(
        bunch.data / 16.0, bunch.target, test_size=share, random_state=seed, stratify=bunch.target
    )
    train, test, train_labels, test_labels = parts
    return Images(train, train_labels, test, test_labels, tuple(map(str, bunch.target_names)))
