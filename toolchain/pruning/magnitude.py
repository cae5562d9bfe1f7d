"""Baseline: the strongest neurons and synapses stay."""

import numpy as np

from toolchain.pruning.pool import RecurrentPool, Selection


def prune_by_magnitude(pool: RecurrentPool, neurons: int, synapses: int) -> Selection:
    """Keep the neurons of largest summed |weight|, in plus out, and the strongest synapses among them.

    Args:
        pool: The network.
        neurons: Number of neurons that remain.
        synapses: Number of synapses that remain, at most as many as join those neurons.

    Raises:
        PruningError: The targets are impossible.
    """
    pool.check_targets(neurons, synapses)
    size = abs(pool.weights)
    strength = np.asarray(size.sum(axis=0)).ravel() + np.asarray(size.sum(axis=1)).ravel()
    indices = np.sort(np.argsort(-strength, kind="stable")[:neurons])
    small = pool.keep(indices)
    small.check_enough(synapses)
    return Selection(strongest_synapses(small, synapses), indices)


def strongest_synapses(pool: RecurrentPool, count: int) -> RecurrentPool:
    """Return the pool with its `count` synapses of largest magnitude, or all if there are fewer."""
    strongest = np.argsort(-np.abs(pool.weights.data), kind="stable")[:count]
    return pool.with_synapses(np.sort(strongest))
