"""Lyapunov Noise Pruning, Steps I and II: the loop, its targets and its record."""

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import PruningError
from toolchain.progress import Progress, no_progress
from toolchain.pruning.lnp.centrality import most_central
from toolchain.pruning.lnp.dynamics import NoiseDrive, RecurrentPool, drive_with_noise
from toolchain.pruning.lnp.noise_pruning import KeepRule, keep_probabilities, prune_synapses


@final
@dataclass(frozen=True)
class LnpOptions:
    """How far and in how many rounds to prune.

    Attributes:
        neurons: Neurons that remain.
        synapse_fraction: Share of the recurrent synapses that remain, net of all steps.
        iterations: Rounds of Step I and Step II. The paper uses 100; at 512 neurons 20 make
            no difference.
        drive: The noise that stands in for data.
        rule: Bounds on the keep probabilities.
        restore_gain: Whether the pruned matrix gets back the spectral radius of the original
            one: rescaling by `1 / p`, its cap and the removal of neurons all move it (ours).
    """

    neurons: int
    synapse_fraction: float
    iterations: int = 20
    drive: NoiseDrive = field(default_factory=NoiseDrive)
    rule: KeepRule = field(default_factory=KeepRule)
    restore_gain: bool = True


@final
@dataclass(frozen=True)
class LnpRecord:
    """One round.

    Attributes:
        iteration: From 1.
        neurons: Left after the round.
        synapses: Recurrent synapses left.
        rate: Mean spikes per neuron and step under noise, before the round.
        mean_exponent: Mean local exponent under noise, before the round.
        spectral_radius: Of the recurrent matrix after the round.
    """

    iteration: int
    neurons: int
    synapses: int
    rate: float
    mean_exponent: float
    spectral_radius: float


@final
@dataclass(frozen=True)
class LnpResult:
    """The pruned pool.

    Attributes:
        pool: Its synapses and neurons.
        kept: Index of each remaining neuron in the original pool, ascending.
        records: One per round.
    """

    pool: RecurrentPool
    kept: NDArray[np.int64]
    records: tuple[LnpRecord, ...]


def prune_pool(
    pool: RecurrentPool,
    options: LnpOptions,
    rng: np.random.Generator,
    *,
    dt_ms: float = 1.0,
    progress: Progress = no_progress,
) -> LnpResult:
    """Prune an untrained pool without data.

    Neurons follow `round(N f^(t/T))` and synapses `E s^(t/T)`; Step I of a round aims so that
    the synapses that go with the neurons of Step II are counted in. A surplus that chance leaves
    after the last round is removed by falling keep probability.

    Args:
        pool: The network.
        options: Targets and rounds.
        rng: Source of noise and draws.
        dt_ms: Length of a step.
        progress: Told after every round.

    Raises:
        PruningError: The targets are impossible, or the pool has no synapses or loses the last one
            before the last round.
    """
    _check(pool, options)
    start_neurons, start_synapses = pool.size, pool.synapses
    radius = spectral_radius(pool.weights)
    kept = np.arange(pool.size)
    rescaled = np.ones_like(pool.weights)
    records: list[LnpRecord] = []
    goal = round(start_synapses * options.synapse_fraction)
    for iteration in range(1, options.iterations + 1):
        part = iteration / options.iterations
        neurons = round(start_neurons * (options.neurons / start_neurons) ** part)
        synapses = start_synapses * options.synapse_fraction**part
        response = drive_with_noise(pool, options.drive, rng, dt_ms=dt_ms)
        # Of the synapses kept by Step I, about this share survives the removal of neurons.
        survive = (neurons / pool.size) ** 2
        fraction = min(1.0, synapses / (pool.synapses * survive))
        probabilities = keep_probabilities(pool, response, fraction, options.rule)
        pool, rescaled = prune_synapses(pool, probabilities, rescaled, rng, options.rule)
        chosen = most_central(pool.weights, neurons, rng)
        pool, kept = pool.keep(chosen), kept[chosen]
        grid = np.ix_(chosen, chosen)
        rescaled, probabilities = rescaled[grid], probabilities[grid]
        if iteration == options.iterations:
            pool = _trim(pool, probabilities, goal)
            pool = _restore_gain(pool, radius) if options.restore_gain else pool
        records.append(
            LnpRecord(
                iteration,
                pool.size,
                pool.synapses,
                response.rate,
                float(response.exponents.mean()),
                spectral_radius(pool.weights),
            )
        )
        progress(iteration, options.iterations)
        if pool.synapses == 0 and iteration < options.iterations:
            raise PruningError(
                f"no synapses are left after round {iteration} of {options.iterations}; "
                "raise pruning.synapse_fraction or pruning.neurons"
            )
    return LnpResult(pool, kept, tuple(records))


def spectral_radius(weights: NDArray[np.float64]) -> float:
    """Return the largest magnitude of an eigenvalue; 0 for an empty matrix."""
    return float(np.abs(np.linalg.eigvals(weights)).max(initial=0.0)) if weights.size else 0.0


def _check(pool: RecurrentPool, options: LnpOptions) -> None:
    if not 1 <= options.neurons <= pool.size:
        raise PruningError(f"expected 1 to {pool.size} remaining neurons, got {options.neurons}")
    if not 0 < options.synapse_fraction <= 1:
        raise PruningError(f"expected a synapse fraction in 0 .. 1, got {options.synapse_fraction}")
    if options.iterations < 1:
        raise PruningError(f"expected at least one iteration, got {options.iterations}")
    if pool.synapses == 0:
        raise PruningError("the pool has no recurrent synapses to prune")
    if not np.isfinite(pool.weights).all():
        raise PruningError("the recurrent weights hold values that are not finite")


def _trim(pool: RecurrentPool, probabilities: NDArray[np.float64], goal: int) -> RecurrentPool:
    surplus = pool.synapses - goal
    if surplus <= 0:
        return pool
    ranked = np.where(pool.weights != 0, probabilities, np.inf)
    weights = pool.weights.copy()
    weights.ravel()[np.argsort(ranked, axis=None, kind="stable")[:surplus]] = 0.0
    return pool.with_weights(weights)


def _restore_gain(pool: RecurrentPool, radius: float) -> RecurrentPool:
    now = spectral_radius(pool.weights)
    return pool.with_weights(pool.weights * (radius / now)) if now > 0 else pool
