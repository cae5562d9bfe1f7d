"""Baselines by chance: synapses and neurons drawn at random, and new random graphs of equal size."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain.errors import PruningError
from toolchain.pruning.pool import RecurrentPool, Selection


def prune_at_random(pool: RecurrentPool, neurons: int, synapses: int, rng: np.random.Generator) -> Selection:
    """Keep neurons and synapses drawn at random.

    Args:
        pool: The network.
        neurons: Neurons that remain.
        synapses: Synapses that remain.
        rng: Source of the draws.

    Raises:
        PruningError: The targets are impossible.
    """
    pool.check_targets(neurons, synapses)
    kept = np.sort(rng.choice(pool.size, neurons, replace=False))
    small = pool.keep(kept)
    small.check_enough(synapses)
    chosen = np.sort(rng.choice(small.synapses, synapses, replace=False))
    return Selection(small.with_synapses(chosen), kept)


def erdos_renyi(
    pool: RecurrentPool,
    kept: NDArray[np.int64],
    synapses: int,
    rng: np.random.Generator,
) -> Selection:
    """Join given neurons of a pool by a new random graph.

    Every pair without self-loops is equally likely; a new synapse gets the magnitude of a random
    synapse of the pool and, where the source neuron had one sign, that sign.

    Args:
        pool: The network; lends neurons and the distribution of weights.
        kept: Ascending indices of the neurons.
        synapses: Number of synapses.
        rng: Source of the draws.

    Raises:
        PruningError: There are not so many pairs.
    """
    size = len(kept)
    if not 0 <= synapses <= size * (size - 1):
        raise PruningError(
            f"expected at most {size * (size - 1)} synapses among {size} neurons, got {synapses}"
        )
    chosen = rng.choice(size * (size - 1), synapses, replace=False)
    sources, others = np.divmod(chosen, max(1, size - 1))
    targets = others + (others >= sources)
    data = np.abs(rng.choice(pool.weights.data, synapses)) if pool.synapses else np.zeros(synapses)
    balance = np.bincount(pool.ends[1], np.sign(pool.weights.data), minlength=pool.size)[kept]
    sign = np.where(balance == 0, rng.choice([-1.0, 1.0], size), np.sign(balance))
    weights = csr_array((data * sign[sources], (targets, sources)), shape=(size, size))
    weights.sort_indices()
    return Selection(pool.keep(kept).with_weights(weights), kept)


def without_recurrence(pool: RecurrentPool, kept: NDArray[np.int64]) -> Selection:
    """Return given neurons of a pool without any synapse among them."""
    small = pool.keep(kept)
    return Selection(small.with_synapses(np.zeros(0, dtype=np.int64)), kept)
