"""Small pools for the tests of pruning."""

import numpy as np

from toolchain.models.topology import dale_weights, small_world, spectral_radius
from toolchain.pruning import RecurrentPool


def random_pool(rng: np.random.Generator, neurons: int, density: float) -> RecurrentPool:
    """Independent synapses of both signs."""
    mask = rng.random((neurons, neurons)) < density
    np.fill_diagonal(mask, val=False)
    beta = rng.uniform(0.75, 0.97, neurons)
    return RecurrentPool.of(mask * rng.normal(size=mask.shape), beta, 1 / (1 - beta))


def world(
    rng: np.random.Generator, neurons: int, density: float, gain: float, inhibitory: float = 0.2
) -> RecurrentPool:
    """A small world of excitatory and inhibitory neurons with gamma-distributed time constants."""
    weights = dale_weights(small_world(neurons, density, 0.1, rng), inhibitory, 4.0, rng)
    beta = np.clip(np.exp(-1 / rng.gamma(3.0, 20 / 3, neurons)), 2 / np.e, 0.995)
    return RecurrentPool.of(weights * gain / spectral_radius(weights), beta, 1 / (1 - beta))


def three() -> RecurrentPool:
    """0 excites 1, 1 inhibits 2. Neighbours of 0: {1}, of 1: {0, 2}, of 2: {1}."""
    weights = np.array([[0, 0, 0], [1.0, 0, 0], [0, -1.0, 0]])
    return RecurrentPool.of(weights, np.full(3, 0.9), np.full(3, 10.0))
