"""The rule by which SCA chooses channels, on numbers alone: which live and which come back."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolchain.pruning.channels import Mask


def live_channels(total: int, sparsity: float, regrowth: float) -> tuple[int, int]:
    """Return how many channels live by their score, and how many come back.

    As in the released code: `floor((1 - p - q) N)` and `floor(q N)`.
    """
    # A share such as 1 - 0.7 - 0.2 is slightly below 0.1; a billionth of a channel does not count.
    tolerance = 1e-9 * max(total, 1)
    return (
        math.floor((1 - sparsity - regrowth) * total + tolerance),
        math.floor(regrowth * total + tolerance),
    )


def choose_channels(
    scores: Sequence[NDArray[np.float64]],
    gradients: Sequence[NDArray[np.float64]],
    *,
    sparsity: float,
    regrowth: float,
    least: int = 1,
) -> tuple[list[Mask], int]:
    """Return the channels that live, chosen over all layers together.

    First come the `floor((1 - p - q) N)` channels of highest score, then, among the others, the
    `floor(q N)` of largest gradient, as far as it is not zero. Of equal values the earlier one is taken.

    Args:
        scores: Score of every channel, `[C]` per layer.
        gradients: Gradient of every channel, `[C]` per layer, not negative.
        sparsity: Share `p` of all channels that is pruned.
        regrowth: Share `q` of all channels that comes back.
        least: Number of best channels that every layer keeps; the worst of the other layers go instead, so
            that the total stays the same.

    Returns:
        One mask per layer, and the number of channels that came back.
    """
    sizes = [len(score) for score in scores]
    score, gradient = np.concatenate(scores), np.concatenate(gradients)
    layer = np.repeat(np.arange(len(sizes)), sizes)
    first, second = live_channels(len(score), sparsity, regrowth)
    alive = np.zeros(len(score), bool)
    alive[np.argsort(-score, kind="stable")[:first]] = True
    waiting = np.where(alive, 0.0, gradient)
    order = np.argsort(-waiting, kind="stable")[:second]
    returned = order[waiting[order] > 0]
    alive[returned] = True
    _keep_least(alive, score, layer, least)
    return list(np.split(alive, np.cumsum(sizes)[:-1])), len(returned)


def _keep_least(alive: Mask, score: NDArray[np.float64], layer: NDArray[np.int64], least: int) -> None:
    """Bring every layer to its least number of channels, at the cost of the worst ones of other layers."""
    borrowed = 0
    for i in np.unique(layer):
        missing = min(least, int((layer == i).sum())) - int(alive[layer == i].sum())
        if missing > 0:
            candidates = np.flatnonzero((layer == i) & ~alive)
            alive[candidates[np.argsort(-score[candidates], kind="stable")[:missing]]] = True
            borrowed += missing
    for j in np.flatnonzero(alive)[np.argsort(score[alive], kind="stable")]:
        if borrowed == 0:
            return
        if alive[layer == layer[j]].sum() > least:
            alive[j] = False
            borrowed -= 1
