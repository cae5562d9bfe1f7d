"""Baseline: activity pruning with retraining (the paper's algorithm 4).

This is the only baseline that uses data. The training between its rounds comes on top of the training that
follows; a comparison at equal training has to take that into account.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from toolchain.models.network import Network
from toolchain.options import hold, optional, whole
from toolchain.progress import Progress, no_progress
from toolchain.pruning.magnitude import strongest_synapses
from toolchain.pruning.recurrent import pool_of, with_pool

Activity = Callable[[Network], NDArray[np.float64]]
"""Mean spikes per neuron of the pruned layer on training data, `[N]`."""

Retrain = Callable[[Network], None]
"""A few epochs of training, in place."""


@final
@dataclass(frozen=True)
class ActivityOptions:
    """How far to prune, and in how many rounds.

    Attributes:
        neurons: Number of neurons that remain.
        synapses: Number of synapses that remain, the strongest ones; None removes only those of the removed
            neurons.
        iterations: Number of rounds. The paper removes a fixed share per round and stops when the
            performance falls; ours aims at a size, so that methods are compared at equal size.
    """

    neurons: int
    synapses: int | None = None
    iterations: int = 20

    def __post_init__(self) -> None:
        hold(self, neurons=whole(1), synapses=optional(whole()), iterations=whole(1))


def prune_by_activity(
    network: Network,
    layer: str,
    options: ActivityOptions,
    activity: Activity,
    retrain: Retrain,
    *,
    progress: Progress = no_progress,
) -> tuple[Network, NDArray[np.int64]]:
    """Remove the least active neurons, retrain, and so on.

    Args:
        network: The network, not modified.
        layer: Name of the recurrent layer.
        options: How far to prune.
        activity: Function that measures a network on training data.
        retrain: Function that trains the network in place after every round.
        progress: Callback after every round.

    Returns:
        The smaller, trained network and the indices of its neurons in the original layer.

    Raises:
        PruningError: The targets are impossible.
    """
    pool = pool_of(network, layer)
    pool.check_targets(options.neurons, options.synapses or 0)
    start, synapses = pool.size, pool.synapses
    indices = np.arange(start)
    for iteration in range(1, options.iterations + 1):
        progressed = iteration / options.iterations
        count = round(start * (options.neurons / start) ** progressed)
        pool = pool_of(network, layer)
        stays = np.sort(np.argsort(-activity(network), kind="stable")[:count])
        small = pool.keep(stays)
        if options.synapses is not None:
            small.check_enough(options.synapses)
            share = max(options.synapses, 1) / synapses if synapses else 1.0
            goal = round(synapses * share**progressed)
            small = strongest_synapses(small, goal)
        network = with_pool(network, layer, stays, small)
        indices = indices[stays]
        retrain(network)
        progress(iteration, options.iterations)
    return network, indices
