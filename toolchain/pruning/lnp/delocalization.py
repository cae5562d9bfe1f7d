"""Step III: give edges back, which the paper does so that the eigenvectors of the pruned graph spread out."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never, final

import numpy as np
from numpy.typing import NDArray

from toolchain.options import choice, hold, real

_ROUNDS: Final = 4


class Preference(Enum):
    """Which candidates come first."""

    HUBS = "hubs"
    """Edges between neurons of high degree: maximises the variance of degrees (the paper)."""
    LEAVES = "leaves"
    """Edges between neurons of low degree, which evens out the degrees. Ours; whether it spreads the
    eigenvectors has not been measured."""
    RANDOM = "random"
    """Any. Ours, for comparison."""


@final
@dataclass(frozen=True)
class DelocalizationRule:
    """How many edges come back, and which.

    Attributes:
        fraction: Edges added per iteration as a share of the present ones (the paper's `m`, whose
            value it does not give).
        prefer: Which. In our study leaves needed fewer synaptic operations than the paper's hubs, 7 to 23 %
            in the recurrent connection and 4 to 9 % in all, and no loss of accuracy was shown.
    """

    fraction: float = 0.01
    prefer: Preference = Preference.LEAVES

    def __post_init__(self) -> None:
        hold(
            self,
            fraction=real(0),
            prefer=choice(Preference),
        )


def added_edges(
    targets: NDArray[np.int64],
    sources: NDArray[np.int64],
    degree: NDArray[np.int64],
    count: int,
    prefer: Preference,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    r"""Return which candidate edges to add.

    The paper maximises the variance of the degrees, `H = (1/|V|) \sum_v (d(v) - \bar d)^2`. An edge
    between `u` and `v` adds `2 (d_u + d_v) + 2` to the sum of squares, so the greedy choice is
    the largest degree sum; degrees are brought up to date four times on the way.

    Args:
        targets: Target of each candidate: formerly a synapse, pruned since, both ends alive.
        sources: Source of each candidate.
        degree: Degree (in plus out) of every neuron in the pruned graph, `[N]`.
        count: Edges wanted; all candidates if there are fewer.
        prefer: Which candidates come first.
        rng: Breaks ties.

    Returns:
        Positions of the chosen candidates, ascending.
    """
    order = rng.permutation(len(targets))
    count = min(count, len(targets))
    if prefer is Preference.RANDOM or count == len(targets):
        return np.sort(order[:count])
    degree = degree.copy()
    chosen: list[NDArray[np.int64]] = []
    for part in np.array_split(np.arange(count), min(_ROUNDS, max(count, 1))):
        sums = degree[targets[order]] + degree[sources[order]]
        match prefer:
            case Preference.HUBS:
                keys = -sums
            case Preference.LEAVES:
                keys = sums
            case _:
                assert_never(prefer)
        best = np.zeros(len(order), dtype=np.bool_)
        best[np.argpartition(keys, len(part) - 1)[: len(part)] if len(part) else []] = True
        chosen.append(order[best])
        for ends in (targets, sources):
            degree += np.bincount(ends[order[best]], minlength=len(degree))
        order = order[~best]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.int64)
