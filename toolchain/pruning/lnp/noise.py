"""A recurrent pool driven by noise: firing rates, how they vary together, local Lyapunov exponents.

No data enters here: pruning is task-agnostic.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_continuous_lyapunov
from scipy.sparse import csc_array

from toolchain.arrays import Floats
from toolchain.errors import PruningError
from toolchain.options import hold, milliseconds, real, whole
from toolchain.pruning.lnp.spikes import SynapsesBySource, edge_products, filter_spikes, run_spikes
from toolchain.pruning.pool import RecurrentPool
from toolchain.threads import in_threads, parts

LOG_FLOOR: Final = 1e-6
COVARIANCE_FLOOR: Final = 1e-6


@final
@dataclass(frozen=True)
class NoiseDrive:
    """Noise `b + sigma * xi` at every neuron, and for how long the answer is recorded.

    Attributes:
        steps: Number of steps per trial, after the warm-up.
        warm_up: Number of steps at the start that do not count.
        trials: Number of independent trials.
        mean: Mean `b` of the noise, in thresholds of input per step at rest gain; 1 holds a neuron at its
            threshold.
        sigma: Standard deviation of the noise, in the same unit.
        window_ms: Time constant of the exponential filter that turns spikes into rates.
        every: Steps between two samples of the rates; samples that are closer are nearly equal.
    """

    steps: int = 150
    warm_up: int = 20
    trials: int = 16
    mean: float = 0.5
    sigma: float = 1.5
    window_ms: float = 20.0
    every: int = 5

    def __post_init__(self) -> None:
        hold(
            self,
            steps=whole(1),
            warm_up=whole(),
            trials=whole(1),
            mean=real(),
            sigma=real(0),
            window_ms=milliseconds,
            every=whole(1),
        )

    def sample(self, pool: RecurrentPool, steps: int, rng: np.random.Generator) -> Floats:
        """Return input `[steps, N]` for one trial."""
        noise = rng.standard_normal((steps, pool.size), dtype=np.float32)
        return (self.mean + self.sigma * noise) * (pool.threshold * (1 - pool.beta))


@final
@dataclass(frozen=True)
class NoiseResponse:
    """The answer of a pool to noise.

    Attributes:
        samples: Filtered rates, centred per neuron, `[N, samples]`.
        exponents: Diagonal local Lyapunov exponent per neuron, `[N]`; see `local_exponents`.
        rates: Mean spikes per step, per neuron, `[N]`.
        operations: Mean synaptic operations of the pool per step: spikes times fan-out.
    """

    samples: NDArray[np.float32]
    exponents: Floats
    rates: Floats
    operations: float

    @property
    def rate(self) -> float:
        """Mean spikes per step and neuron."""
        return float(self.rates.mean())

    @cached_property
    def variance(self) -> Floats:
        """Variance of the rates plus a floor, `[N]`."""
        return np.square(self.samples, dtype=np.float64).sum(axis=1) / self._freedom + COVARIANCE_FLOOR

    def covariance(self, targets: NDArray[np.int64], sources: NDArray[np.int64]) -> Floats:
        """Return the covariance of the rates at both ends of every edge."""
        out = np.empty(len(targets), dtype=np.float32)

        def multiply(span: tuple[int, int]) -> None:
            edges = slice(*span)
            edge_products(targets[edges], sources[edges], self.samples, out[edges])

        in_threads(multiply, parts(len(targets)))
        same = targets == sources
        return np.where(same, self.variance[targets], out.astype(np.float64) / self._freedom)

    @property
    def _freedom(self) -> int:
        return max(1, self.samples.shape[1] - 1)


def drive_with_noise(
    pool: RecurrentPool, drive: NoiseDrive, rng: np.random.Generator, *, dt_ms: float = 1.0
) -> NoiseResponse:
    """Simulate the pool under noise.

    The neuron is `v <- beta v + W s + (b + sigma xi)`, spike and reset above threshold.
    An input of 1 holds a neuron at its threshold if that is `1 / (1 - beta)`; for any other threshold the
    noise is scaled with it.

    Args:
        pool: The network.
        drive: The noise.
        rng: Source of the noise.
        dt_ms: Length of a step.

    Raises:
        PruningError: A potential became infinite.
    """
    by_source = csc_array(pool.weights)
    fan_out = np.diff(by_source.indptr)
    forget = float(np.exp(-dt_ms / drive.window_ms))
    samples_each = drive.steps // drive.every
    rates = np.empty((drive.trials, pool.size, samples_each), dtype=np.float32)

    def trial(item: tuple[int, np.random.Generator]) -> NDArray[np.int64]:
        index, generator = item
        _, spikes = _trial(pool, by_source, drive.sample(pool, drive.warm_up + drive.steps, generator))
        filter_spikes(spikes, forget, drive.warm_up, drive.every, rates[index])
        return spikes[drive.warm_up :].sum(axis=0, dtype=np.int64)

    counts = sum(in_threads(trial, list(enumerate(rng.spawn(drive.trials)))), np.zeros(pool.size, np.int64))
    samples = rates.transpose(1, 0, 2).reshape(pool.size, -1)
    samples -= samples.mean(axis=1, keepdims=True)
    total = drive.steps * drive.trials
    share = counts / total
    return NoiseResponse(
        np.ascontiguousarray(samples),
        local_exponents(pool, share),
        share,
        float(share @ fan_out),
    )


def local_exponents(pool: RecurrentPool, share: Floats) -> Floats:
    """Return `<log(d + 1e-6)>` per neuron from the share of steps in which it fires.

    `d` is how much of a small difference of its potential stays at a step: `beta (1 - s)` where a spike sets
    the potential, to zero or to a value; `beta` where it takes an amount away, or leaves the potential.
    """
    stays = np.log(pool.beta + LOG_FLOOR)
    return (1 - share) * stays + share * (stays if pool.kept else np.log(LOG_FLOOR))


def simulate(pool: RecurrentPool, drive: Floats) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Run a pool on an input `[steps, N]` from rest.

    Returns:
        Potentials before the reset and spikes, `[steps, N]` each.

    Raises:
        PruningError: A potential became infinite.
    """
    return _trial(pool, csc_array(pool.weights), drive)


def _trial(
    pool: RecurrentPool, by_source: csc_array, drive: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    v, spikes = np.empty(drive.shape), np.empty(drive.shape, dtype=np.bool_)
    synapses = SynapsesBySource(by_source.indptr, by_source.indices, by_source.data)
    after = (pool.kept, pool.added)
    if not run_spikes(synapses, pool.beta, pool.threshold, after, drive, v, spikes):
        raise PruningError("the pool diverges under noise; expected finite weights of moderate gain")
    return v, spikes


def linear_covariance(coupling: Floats, leak: Floats, sigma: float = 1.0) -> Floats:
    r"""Return the stationary covariance of `dx/dt = (L - D) x + sigma xi`.

    .. math:: A \Sigma + \Sigma A^T = -\sigma^2 I, \quad A = L - D

    Args:
        coupling: `L`, `[target, source]`.
        leak: Diagonal of `D`, `[N]`.
        sigma: Strength of the noise.

    Raises:
        PruningError: `A` is not stable, so that no stationary covariance exists.
    """
    matrix = coupling - np.diag(leak)
    slowest = float(np.linalg.eigvals(matrix).real.max())
    if slowest >= 0:
        raise PruningError(
            f"the linear rate model is not stable (an eigenvalue has real part {slowest:.3g}); "
            "lower the coupling, or use the simulated covariance"
        )
    solution: Any = solve_continuous_lyapunov(matrix, -(sigma**2) * np.eye(len(leak)))
    return solution
