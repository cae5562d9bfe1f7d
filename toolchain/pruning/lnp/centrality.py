"""Step II: remove the neurons that the fewest shortest paths run through."""

from dataclasses import dataclass
from enum import Enum
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from toolchain.arrays import Floats
from toolchain.options import choice, hold, share, whole
from toolchain.pruning.lnp.shortest_paths import Neighbours, path_dependencies
from toolchain.threads import in_threads, parts


class NeuronCriterion(Enum):
    """Which neurons are removed."""

    BETWEENNESS = "betweenness"
    """Neurons that the fewest shortest paths run through (the paper)."""
    ACTIVITY = "activity"
    """Neurons that fire least under noise. Ours; like activity pruning, but without data."""


@final
@dataclass(frozen=True)
class CentralityRule:
    """Rule by which neurons are ranked.

    Attributes:
        criterion: Quantity to rank by; the other options concern betweenness only.
        exact_up_to: Size of the largest pool in which every neuron is a pivot.
        pivots: Number of pivots per iteration in larger pools, drawn without replacement.
        memory: Weight of the past in the running mean over iterations, once there are enough of them.
            Values sampled in one iteration are mostly noise; their mean over many is not.
    """

    criterion: NeuronCriterion = NeuronCriterion.BETWEENNESS
    exact_up_to: int = 1000
    pivots: int = 512
    memory: float = 0.9

    def __post_init__(self) -> None:
        hold(
            self,
            criterion=choice(NeuronCriterion),
            exact_up_to=whole(),
            pivots=whole(1),
            memory=share,
        )


def betweenness(weights: csr_array, pivots: NDArray[np.int64] | None = None) -> Floats:
    r"""Return the betweenness centrality of every neuron.

    .. math:: BC(v) = \sum_{s \ne v \ne t} \sigma_{st}(v) / \sigma_{st}

    on the directed graph of synapses, each of length one, not normalised (the paper's
    algorithm 3), by Brandes' accumulation.

    Args:
        weights: Weights `[target, source]`.
        pivots: Sources `s` to sum over; the sum is scaled up to all neurons. By default all: exact.
    """
    size = len(weights.indptr) - 1
    starts = np.arange(size) if pivots is None else pivots
    by_source, by_target = csc_array(weights), csr_array(weights)
    outgoing = Neighbours(by_source.indptr, by_source.indices)
    incoming = Neighbours(by_target.indptr, by_target.indices)

    def dependencies(span: tuple[int, int]) -> Floats:
        total = np.zeros(size)
        path_dependencies(outgoing, incoming, starts[slice(*span)], total)
        return total

    # Parts are summed in their order, so that the result does not depend on the threads.
    summed = np.sum(in_threads(dependencies, parts(len(starts))), axis=0)
    return summed * (size / max(1, len(starts)))


def updated_centrality(
    weights: csr_array,
    past: Floats | None,
    rounds: int,
    rule: CentralityRule,
    rng: np.random.Generator,
) -> Floats:
    """Return the centrality to prune by: exact for small pools, otherwise sampled and averaged.

    Args:
        weights: Weights `[target, source]`.
        past: Result of the previous iteration for the same neurons; None if there is none.
        rounds: Number of iterations that `past` averages over.
        rule: How neurons are ranked.
        rng: Source of the pivots.
    """
    size = len(weights.indptr) - 1
    if size <= rule.exact_up_to:
        return betweenness(weights)
    fresh = betweenness(weights, rng.choice(size, min(rule.pivots, size), replace=False))
    if past is None:
        return fresh
    share = max(1 - rule.memory, 1 / (rounds + 1))
    return (1 - share) * past + share * fresh


def most_central(centrality: Floats, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the sorted indices of the `count` most central neurons; ties are broken at random."""
    order = np.lexsort((rng.permutation(len(centrality)), centrality))
    return np.sort(order[len(centrality) - count :])
