"""A recurrent pool driven by noise: firing rates, their covariance, local Lyapunov exponents.

No data enters here: pruning is task-agnostic.
"""

from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain.errors import PruningError

_LOG_FLOOR: Final = 1e-6
_COVARIANCE_FLOOR: Final = 1e-6


@final
@dataclass(frozen=True)
class RecurrentPool:
    """What noise pruning needs to know of a network.

    Attributes:
        weights: `[target, source]`; 0 where there is no synapse.
        beta: `1 - dv` per neuron, `[N]`.
        threshold: Per neuron, `[N]`.
    """

    weights: NDArray[np.float64]
    beta: NDArray[np.float64]
    threshold: NDArray[np.float64]

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.weights.shape[0]

    @property
    def synapses(self) -> int:
        """Number of recurrent synapses."""
        return int(np.count_nonzero(self.weights))

    def keep(self, kept: NDArray[np.int64]) -> "RecurrentPool":
        """Return the pool of the neurons with the given indices."""
        return RecurrentPool(self.weights[np.ix_(kept, kept)], self.beta[kept], self.threshold[kept])

    def with_weights(self, weights: NDArray[np.float64]) -> "RecurrentPool":
        """Return the same neurons with other synapses."""
        return replace(self, weights=weights)


@final
@dataclass(frozen=True)
class NoiseDrive:
    """Noise `b + sigma * xi` at every neuron, and how long it is watched.

    Attributes:
        steps: Steps per trial, after the warm-up.
        warm_up: Steps thrown away at the start.
        trials: Independent trials.
        mean: `b`, in thresholds of input per step at rest gain.
        sigma: Standard deviation of the noise, in the same unit.
        window_ms: Time constant of the exponential filter that turns spikes into rates.
    """

    steps: int = 150
    warm_up: int = 20
    trials: int = 16
    mean: float = 0.5
    sigma: float = 1.5
    window_ms: float = 20.0


@final
@dataclass(frozen=True)
class NoiseResponse:
    """How a pool answers to noise.

    Attributes:
        covariance: Of the filtered rates plus a floor on the diagonal, `[N, N]`.
        exponents: Diagonal local Lyapunov exponent `<log(beta (1 - s) + 1e-6)>` per neuron, `[N]`.
        rate: Mean spikes per step and neuron.
    """

    covariance: NDArray[np.float64]
    exponents: NDArray[np.float64]
    rate: float


def drive_with_noise(
    pool: RecurrentPool, drive: NoiseDrive, rng: np.random.Generator, *, dt_ms: float = 1.0
) -> NoiseResponse:
    """Simulate the pool under noise.

    The neuron is `v <- beta v + W s + (b + sigma xi)`, spike and reset to zero above threshold.
    An input of 1 holds a neuron at its threshold when that is `1 / (1 - beta)`; other thresholds
    scale the noise along.

    Args:
        pool: The network.
        drive: The noise.
        rng: Source of the noise.
        dt_ms: Length of a step.

    Raises:
        PruningError: The simulation left the finite numbers.
    """
    recurrent = csr_array(pool.weights)
    unit = (pool.threshold * (1 - pool.beta))[:, None]
    beta, threshold = pool.beta[:, None], pool.threshold[:, None]
    shape = (pool.size, drive.trials)
    v, spikes = np.zeros(shape), np.zeros(shape)
    rate = np.zeros(shape)
    forget = np.exp(-dt_ms / drive.window_ms)
    log_sum = np.zeros(pool.size)
    samples = np.empty((pool.size, drive.steps, drive.trials))
    fired = 0.0
    for t in range(-drive.warm_up, drive.steps):
        noise = drive.mean + drive.sigma * rng.normal(size=shape)
        v = beta * v + recurrent @ spikes + unit * noise
        spikes = (v > threshold).astype(np.float64)
        v[spikes > 0] = 0.0
        rate = forget * rate + (1 - forget) * spikes
        if t >= 0:
            samples[:, t] = rate
            fired += spikes.mean()
            log_sum += np.log(beta * (1 - spikes) + _LOG_FLOOR).mean(axis=1)
    if not np.isfinite(v).all():
        raise PruningError("the pool diverges under noise; expected finite weights of moderate gain")
    flat = samples.reshape(pool.size, -1)
    covariance = np.atleast_2d(np.cov(flat)) + _COVARIANCE_FLOOR * np.eye(pool.size)
    return NoiseResponse(covariance, log_sum / drive.steps, float(fired / drive.steps))
