"""Parts of a data set: every class keeps its share, and a seed decides which samples.

Where real values are learnt there are no classes, and all samples count as one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.data.sets.data_set import Part


def chosen(labels: NDArray[Any], count: int, seed: list[int]) -> NDArray[np.int64]:
    """Return the ascending places of `count` samples, of every class its share.

    Args:
        labels: Class of every sample, or the real values that it is to give, `[samples, outputs]`.
        count: Number of samples to choose; all of them if there are no more.
        seed: Seed of the choice.

    >>> chosen(np.array([0, 0, 0, 0, 1, 1]), 3, [7]).size
    3
    """
    if count >= len(labels):
        return np.arange(len(labels))
    if labels.ndim > 1:
        labels = np.zeros(len(labels), np.int64)
    names, numbers = np.unique(labels, return_counts=True)
    exact = numbers * (count / max(len(labels), 1))
    shares = np.floor(exact).astype(np.int64)
    # What is missing to the count goes to the classes that lost most by rounding.
    largest = np.argsort(shares - exact, kind="stable")[: count - int(shares.sum())]
    shares[largest] += 1
    rng = np.random.default_rng(seed)
    parts = [
        rng.permutation(np.flatnonzero(labels == name))[:share]
        for name, share in zip(names, shares, strict=True)
    ]
    return np.sort(np.concatenate(parts))


def split_off(part: Part, share: float, seed: list[int]) -> tuple[Part, Part]:
    """Return what remains of a part, and the share that was taken, of every class alike."""
    count = round(share * len(part))
    places = chosen(part.labels, count, seed)
    others = np.setdiff1d(np.arange(len(part)), places)
    return part.take(others), part.take(places)


def thinned(part: Part, count: int | None, seed: list[int]) -> Part:
    """Return at most `count` samples of a part, of every class its share; all of them for None."""
    return part if count is None else part.take(chosen(part.labels, count, seed))
