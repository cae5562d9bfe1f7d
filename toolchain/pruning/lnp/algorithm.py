"""Lyapunov Noise Pruning: the loop over Steps I to III, its targets and records, and Step IV at the end."""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain.arrays import Floats
from toolchain.errors import PruningError
from toolchain.intake import PathText, path_of
from toolchain.models.topology import spectral_radius
from toolchain.progress import Progress, no_progress
from toolchain.pruning.lnp.centrality import NeuronCriterion, most_central, updated_centrality
from toolchain.pruning.lnp.checkpoint import LoopState, identity_of, load_state, save_state
from toolchain.pruning.lnp.delocalization import added_edges
from toolchain.pruning.lnp.goal import met_goal
from toolchain.pruning.lnp.noise import NoiseResponse, drive_with_noise
from toolchain.pruning.lnp.noise_pruning import (
    Diagonal,
    compensated_betas,
    draw_synapses,
    keep_probabilities,
    lyapunov_values,
)
from toolchain.pruning.lnp.options import (
    FULL_UP_TO,
    ExponentSource,
    LnpOptions,
    LnpRecord,
    LnpResult,
    PruningStep,
)
from toolchain.pruning.lnp.spectrum import Spectrum, SpectrumOptions, lyapunov_spectrum
from toolchain.pruning.lnp.time_scales import optimise_time_scales
from toolchain.pruning.pool import RecurrentPool, Selection, localisation

Observer = Callable[[LnpRecord, Selection], None]


def prune_pool(
    pool: RecurrentPool,
    options: LnpOptions,
    rng: np.random.Generator,
    *,
    dt_ms: float = 1.0,
    checkpoint: PathText | None = None,
    observe: Observer | None = None,
    progress: Progress = no_progress,
) -> LnpResult:
    """Prune an untrained pool without data.

    The number of neurons follows `round(N f^(t/T))`, that of synapses `E s^(t/T)`. Step I of an iteration
    allows for the synapses that go with the neurons of Step II and for those that Step III gives back. If
    chance leaves too many synapses after the last iteration, those of lowest keep probability are removed; if
    it leaves too few, those of highest keep probability come back.

    Args:
        pool: The network.
        options: Targets, rounds and steps.
        rng: Source of everything that is random.
        dt_ms: Length of a step.
        checkpoint: Folder for the state, which is written after every measured iteration; a state of the same
            pruning that it holds is continued.
        observe: Callback with the record and the remaining pool after every iteration, for instance to train
            and judge it; it does not influence the pruning.
        progress: Callback after every iteration.

    Raises:
        PruningError: The targets are impossible, or the pool has no synapses, loses the last one before the
            last iteration, or does not answer to noise.
    """
    options.check(pool)
    loop = _Loop(pool, options, int(rng.integers(2**62)), dt_ms)
    folder = None if checkpoint is None else path_of(checkpoint, "checkpoint")
    if folder is not None:
        loop.resume(load_state(folder, loop.identity, pool))
    while loop.state.iteration < options.iterations:
        loop.advance()
        done = loop.state.iteration
        if folder is not None and loop.measured(done):
            save_state(folder, loop.identity, loop.state)
        if observe is not None:
            observe(loop.state.records[-1], Selection(loop.pool(), np.flatnonzero(loop.state.neurons)))
        progress(done, options.iterations)
    return loop.result(progress)


@final
class _Loop:
    """A pruning in progress: the synapses and neurons of the original pool that are left.

    Every iteration draws from a random stream of its own, so that a continued pruning equals an
    uninterrupted one.
    """

    def __init__(self, pool: RecurrentPool, options: LnpOptions, seed: int, dt_ms: float) -> None:
        self._original = pool
        self._targets, self._sources = pool.ends
        self._options = options
        self._seed = seed
        self._dt_ms = dt_ms
        self._radius = spectral_radius(pool.weights)
        self._goal = round(pool.synapses * options.synapse_fraction)
        self.identity = identity_of(pool, options, seed, dt_ms)
        self.state = LoopState.start(pool)

    def resume(self, state: LoopState | None) -> None:
        """Continue from a stored state."""
        self.state = self.state if state is None else state

    def measured(self, iteration: int) -> bool:
        """Return whether spectrum and radius are measured after an iteration."""
        every = self._options.measure_every
        return iteration % every == 0 or iteration in {0, self._options.iterations}

    def pool(self) -> RecurrentPool:
        """Return the neurons and synapses that are left."""
        state, original = self.state, self._original
        alive = np.flatnonzero(state.neurons)
        place = np.cumsum(state.neurons) - 1
        edges = self._edges()
        weights = original.weights.data[edges] * state.rescaled[edges] * state.gain
        pointers = np.concatenate(
            [[0], np.cumsum(np.bincount(self._targets[edges], minlength=original.size))]
        )
        rows = np.append(pointers[:-1][alive], pointers[-1])
        matrix = csr_array((weights, place[self._sources[edges]], rows), (len(alive), len(alive)))
        pool = original.with_neurons(alive, matrix)
        changed = state.beta[alive]
        return pool if np.array_equal(changed, pool.beta) else pool.with_betas(changed)

    def _edges(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.state.synapses)

    def advance(self) -> None:
        """Take one iteration of Steps I to III."""
        options, state = self._options, self.state
        if not state.records:
            state.records.append(self._first_record())
        iteration = state.iteration + 1
        rng = np.random.default_rng([self._seed, iteration])
        pool = self.pool()
        if pool.synapses == 0:
            raise PruningError(
                f"no synapses are left after round {state.iteration} of {options.iterations}; "
                "raise pruning.synapse_fraction or pruning.neurons"
            )
        progressed = iteration / options.iterations
        neurons = round(self._original.size * (options.neurons / self._original.size) ** progressed)
        synapses = self._original.synapses * options.synapse_fraction**progressed
        neurons = neurons if PruningStep.CENTRALITY in options.steps else pool.size
        response = self._response(pool, rng)
        exponents = self._attributed(pool, response, iteration)
        if PruningStep.NOISE in options.steps:
            self._drop_synapses(pool, response, exponents, synapses, neurons, rng)
        if PruningStep.CENTRALITY in options.steps:
            self._drop_neurons(neurons, response, rng)
        added = self._give_back(rng) if PruningStep.DELOCALIZATION in options.steps else 0
        state.iteration = iteration
        if iteration == options.iterations and PruningStep.NOISE in options.steps:
            added += self._meet_goal()
        left = int(state.synapses.sum())
        record = LnpRecord(
            iteration=iteration,
            neurons=int(state.neurons.sum()),
            synapses=left,
            added=added,
            rate=response.rate,
            operations=response.operations,
            mean_exponent=float(exponents.mean()),
        )
        state.records.append(self._with_measurements(record) if self.measured(iteration) and left else record)

    def _first_record(self) -> LnpRecord:
        pool, rng = self._original, np.random.default_rng([self._seed, 0])
        response = self._response(pool, rng)
        record = _record(0, pool, response)
        # The measurement leaves a full spectrum behind, from which exponents are attributed.
        measured = self._with_measurements(record)
        return replace(measured, mean_exponent=float(self._attributed(pool, response, 0).mean()))

    def _response(self, pool: RecurrentPool, rng: np.random.Generator) -> NoiseResponse:
        """Return the answer to noise; raise if there is none, since such a pool cannot be judged."""
        response = drive_with_noise(pool, self._options.drive, rng, dt_ms=self._dt_ms)
        if response.rate in {0.0, 1.0}:
            state = (
                "saturated: every neuron fires at every step" if response.rate else "silent: no neuron fires"
            )
            raise PruningError(f"under noise the pool is {state}; change the noise, or the gain of the pool")
        return response

    def _with_measurements(self, record: LnpRecord) -> LnpRecord:
        """Restore the gain if wanted, and add to the record what is costly to measure."""
        pool = self.pool()
        radius = spectral_radius(pool.weights)
        if self._options.restore_gain and radius > 0:
            self.state.gain *= self._radius / radius
            pool, radius = pool.scaled(self._radius / radius), self._radius
        spectrum = self._spectrum(pool, record.iteration)
        return replace(
            record,
            largest_exponent=spectrum.largest,
            spectrum=tuple(spectrum.exponents[: self._options.leading].tolist()),
            spectral_radius=radius,
            localisation=localisation(pool.weights),
        )

    def _needs_full_spectrum(self, size: int) -> bool:
        source = self._options.attribution
        if not self._options.keep.needs_exponents:
            return False
        return source is ExponentSource.FULL or (source is ExponentSource.AUTO and size <= FULL_UP_TO)

    def _spectrum(self, pool: RecurrentPool, iteration: int) -> Spectrum:
        leading = None if self._needs_full_spectrum(pool.size) else self._options.leading
        steps = self._options.spectrum_steps if leading else self._options.attribution_steps
        options = SpectrumOptions(leading, steps=steps, interval=2)
        rng = np.random.default_rng([self._seed, iteration, 1])
        spectrum = lyapunov_spectrum(pool, options, self._options.drive, rng)
        if leading is None:
            self.state.attribution[self.state.neurons] = spectrum.attribution
        return spectrum

    def _attributed(self, pool: RecurrentPool, response: NoiseResponse, iteration: int) -> Floats:
        """Return the exponent attributed to each neuron of the present pool."""
        if not self._needs_full_spectrum(pool.size):
            return response.exponents
        known = self.state.attribution[self.state.neurons]
        if np.isnan(known).any():
            self._spectrum(pool, iteration)
            known = self.state.attribution[self.state.neurons]
        return known

    def _drop_synapses(
        self,
        pool: RecurrentPool,
        response: NoiseResponse,
        exponents: Floats,
        goal: float,
        neurons: int,
        rng: np.random.Generator,
    ) -> None:
        """Step I: draw synapses by their keep probability."""
        options, state = self._options, self.state
        edges = self._edges()
        # About this share of the synapses that stay now survives Step II, and Step III adds to it.
        survive = (neurons / pool.size) ** state.loss_exponent
        back = 1 + options.delocalization.fraction * (PruningStep.DELOCALIZATION in options.steps)
        fraction = min(1.0, goal / (pool.synapses * survive * back))
        probabilities = keep_probabilities(pool, response, exponents, fraction, options.keep)
        draw = draw_synapses(probabilities, state.rescaled[edges], pool.ends[0], rng, options.keep)
        if options.keep.diagonal is Diagonal.COMPENSATE:
            coupling = lyapunov_values(pool, exponents)
            state.beta[state.neurons] = compensated_betas(pool, coupling, draw, dt_ms=self._dt_ms)
        state.probability[edges] = probabilities
        state.synapses[edges] = draw.stays
        state.rescaled[edges] = draw.rescaled

    def _drop_neurons(self, count: int, response: NoiseResponse, rng: np.random.Generator) -> None:
        """Step II: remove the least central neurons."""
        state = self.state
        pool = self.pool()
        rule = self._options.centrality
        match rule.criterion:
            case NeuronCriterion.BETWEENNESS:
                known = state.centrality[state.neurons]
                past = None if np.isnan(known).any() else known
                centrality = updated_centrality(pool.weights, past, state.iteration, rule, rng)
            case NeuronCriterion.ACTIVITY:
                centrality = response.rates
            case _:
                assert_never(rule.criterion)
        state.centrality[state.neurons] = centrality
        if count == pool.size:
            return
        stays = np.zeros(pool.size, dtype=np.bool_)
        stays[most_central(centrality, count, rng)] = True
        state.neurons[np.flatnonzero(state.neurons)[~stays]] = False
        state.synapses &= state.neurons[self._targets] & state.neurons[self._sources]
        left = int(state.synapses.sum())
        within = left + len(self._candidates())
        if PruningStep.NOISE in self._options.steps and within < self._goal:
            raise PruningError(
                f"only {within} of the original synapses join the {count} neurons left, the target is "
                f"{self._goal}; lower pruning.synapse_fraction or raise pruning.neurons"
            )
        if left and pool.synapses:
            # The share of synapses that went with the neurons improves the aim of the next iteration.
            state.loss_exponent = float(np.log(left / pool.synapses) / np.log(count / pool.size))

    def _candidates(self) -> NDArray[np.int64]:
        """Return the pruned synapses both ends of which are alive."""
        state = self.state
        alive = state.neurons[self._targets] & state.neurons[self._sources]
        return np.flatnonzero(alive & ~state.synapses)

    def _give_back(self, rng: np.random.Generator) -> int:
        """Step III: synapses come back with their original weight."""
        rule = self._options.delocalization
        edges, candidates = self._edges(), self._candidates()
        ends = (self._targets, self._sources)
        both = np.concatenate([end[edges] for end in ends])
        degree = np.bincount(both, minlength=self._original.size)
        count = round(rule.fraction * len(edges))
        targets, sources = (end[candidates] for end in ends)
        positions = added_edges(targets, sources, degree, count, rule.prefer, rng)
        self._restore(candidates[positions])
        return len(positions)

    def _restore(self, edges: NDArray[np.int64]) -> None:
        self.state.synapses[edges] = True
        self.state.rescaled[edges] = 1.0

    def _meet_goal(self) -> int:
        """Meet the wanted number of synapses exactly; return how many came back."""
        state, rule = self.state, self._options.keep
        alive = state.neurons[self._targets] & state.neurons[self._sources]
        sign = np.sign(self._original.weights.data) if rule.by_sign else np.ones(len(alive))
        targets = self._targets if rule.connected else None
        stays = met_goal(state.synapses, alive, state.probability, sign, targets, self._goal)
        back = np.flatnonzero(stays & ~state.synapses)
        state.synapses = stays
        self._restore(back)
        return len(back)

    def result(self, progress: Progress) -> LnpResult:
        """Return the pruned pool, after Step IV if it is taken."""
        pool, records, options = self.pool(), list(self.state.records), self._options
        if PruningStep.TIME_SCALES in options.steps:
            number = options.iterations + 1
            rng = np.random.default_rng([self._seed, number])
            pool = optimise_time_scales(
                pool,
                options.time_scales,
                options.drive,
                rng,
                dt_ms=self._dt_ms,
                progress=lambda done, total: progress(options.iterations + done, options.iterations + total),
            ).pool
            records.append(self._record_of(pool, number, rng))
        return LnpResult(pool, np.flatnonzero(self.state.neurons), tuple(records))

    def _record_of(self, pool: RecurrentPool, number: int, rng: np.random.Generator) -> LnpRecord:
        """Return the record after Step IV; it changes neither gain nor attribution."""
        response = self._response(pool, rng)
        spectrum = lyapunov_spectrum(
            pool,
            SpectrumOptions(self._options.leading, steps=self._options.spectrum_steps),
            self._options.drive,
            rng,
        )
        return replace(
            _record(number, pool, response),
            mean_exponent=float(response.exponents.mean()),
            largest_exponent=spectrum.largest,
            spectrum=tuple(spectrum.exponents.tolist()),
            spectral_radius=spectral_radius(pool.weights),
            localisation=localisation(pool.weights),
        )


def _record(iteration: int, pool: RecurrentPool, response: NoiseResponse) -> LnpRecord:
    """Return the record of a pool from which nothing was pruned, its exponents not measured yet."""
    return LnpRecord(
        iteration=iteration,
        neurons=pool.size,
        synapses=pool.synapses,
        added=0,
        rate=response.rate,
        operations=response.operations,
        mean_exponent=0.0,
    )
