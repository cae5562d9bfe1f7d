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
        neurons: Number of neurons that remain.
        synapses: Number of synapses that remain.
        rng: Source of the draws.

    Raises:
        PruningError: The targets are impossible.
    """
    pool.check_targets(neurons, synapses)
    indices = np.sort(rng.choice(pool.size, neurons, replace=False))
    small = pool.keep(indices)
    small.check_enough(synapses)
    drawn = np.sort(rng.choice(small.synapses, synapses, replace=False))
    return Selection(small.with_synapses(drawn), indices)


def erdos_renyi(
    pool: RecurrentPool,
    indices: NDArray[np.int64],
    synapses: int,
    rng: np.random.Generator,
) -> Selection:
    """Join neurons of a pool by a new random graph.

    Every pair of two neurons is equally likely. A new synapse gets the magnitude of a random synapse of the
    pool and the sign that prevails among the synapses of its source neuron.

    Args:
        pool: The network whose neurons and distribution of weights are used.
        indices: Ascending indices of the neurons.
        synapses: Number of synapses.
        rng: Source of the draws.

    Raises:
        PruningError: There are fewer pairs than that.
    """
    size = len(indices)
    if not 0 <= synapses <= size * (size - 1):
        raise PruningError(
            f"expected at most {size * (size - 1)} synapses among {size} neurons, got {synapses}"
        )
    pairs = rng.choice(size * (size - 1), synapses, replace=False)
    sources, others = np.divmod(pairs, max(1, size - 1))
    targets = others + (others >= sources)
    data = np.abs(rng.choice(pool.weights.data, synapses)) if pool.synapses else np.zeros(synapses)
    balance = np.bincount(pool.ends[1], np.sign(pool.weights.data), minlength=pool.size)[indices]
    sign = np.where(balance == 0, rng.choice([-1.0, 1.0], size), np.sign(balance))
    weights = csr_array((data * sign[sources], (targets, sources)), shape=(size, size))
    weights.sort_indices()
    return Selection(pool.keep(indices).with_weights(weights), indices)


def without_recurrence(pool: RecurrentPool, indices: NDArray[np.int64]) -> Selection:
    """Return neurons of a pool without any synapse among them."""
    small = pool.keep(indices)
    return Selection(small.with_synapses(np.zeros(0, dtype=np.int64)), indices)
