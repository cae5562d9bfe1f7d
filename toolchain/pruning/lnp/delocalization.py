"""Step III: edges come back, in the paper so that the eigenvectors of the pruned graph spread out."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never, final

import numpy as np
from numpy.typing import NDArray

from toolchain.options import choice, hold, real

_ROUNDS: Final = 4


class Preference(Enum):
    """The candidates that come back first."""

    HUBS = "hubs"
    """Edges between neurons of high degree: maximises the variance of degrees (the paper)."""
    LEAVES = "leaves"
    """Edges between neurons of low degree, which evens out the degrees. Ours; in our study the eigenvectors
    were no less localised than without Step III, as with hubs."""
    RANDOM = "random"
    """Edges drawn at random. Ours, for comparison."""


@final
@dataclass(frozen=True)
class DelocalizationRule:
    """Rule by which edges come back.

    Attributes:
        fraction: Number of edges added per iteration as a share of the present ones (`m` in the paper, which
            gives no value).
        prefer: Candidates that come back first. In our study leaves needed fewer synaptic operations
            than the paper's hubs, 7 to 23 % in the recurrent connection and 4 to 9 % in all, and no loss of
            accuracy was shown.
    """

    fraction: float = 0.01
    prefer: Preference = Preference.LEAVES

    def __post_init__(self) -> None:
        hold(self, fraction=real(0), prefer=choice(Preference))


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
        targets: Target of each candidate, a pruned synapse both ends of which are alive.
        sources: Source of each candidate.
        degree: Degree (in plus out) of every neuron in the pruned graph, `[N]`.
        count: Wanted number of edges; all candidates if there are fewer.
        prefer: Candidates that come back first.
        rng: Source of random numbers that break ties.

    Returns:
        Positions of the candidates to add, ascending.
    """
    order = rng.permutation(len(targets))
    count = min(count, len(targets))
    if prefer is Preference.RANDOM or count == len(targets):
        return np.sort(order[:count])
    degree = degree.copy()
    rounds: list[NDArray[np.int64]] = []
    for batch in np.array_split(np.arange(count), min(_ROUNDS, max(count, 1))):
        sums = degree[targets[order]] + degree[sources[order]]
        match prefer:
            case Preference.HUBS:
                keys = -sums
            case Preference.LEAVES:
                keys = sums
            case _:
                assert_never(prefer)
        best = np.zeros(len(order), dtype=np.bool_)
        best[np.argpartition(keys, len(batch) - 1)[: len(batch)] if len(batch) else []] = True
        rounds.append(order[best])
        for ends in (targets, sources):
            degree += np.bincount(ends[order[best]], minlength=len(degree))
        order = order[~best]
    return np.sort(np.concatenate(rounds)) if rounds else np.zeros(0, dtype=np.int64)
