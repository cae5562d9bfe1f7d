"""The loop: targets, steps that are left out, records, continuing, and what it refuses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.toolchain.pruning.pools import random_pool, world
from toolchain.errors import CorruptArtifactError, PruningError
from toolchain.files.npz import read_sealed_arrays, write_sealed_arrays
from toolchain.models.topology import spectral_radius
from toolchain.pruning.lnp import (
    CentralityRule,
    Diagonal,
    ExponentSource,
    Importance,
    KeepRule,
    LnpOptions,
    NeuronCriterion,
    NoiseDrive,
    Preference,
    PruningStep,
    RecurrentPool,
    TimeScaleOptions,
    prune_pool,
)
from toolchain.pruning.lnp.checkpoint import identity_of
from toolchain.pruning.lnp.noise import drive_with_noise

QUICK = NoiseDrive(steps=40, trials=8)


def _options(neurons: int, fraction: float, iterations: int = 8, **more: Any) -> LnpOptions:
    return LnpOptions(neurons, fraction, iterations, drive=QUICK, attribution_steps=20, **more)


@pytest.mark.parametrize(("neurons", "fraction"), [(50, 0.1), (100, 0.5), (13, 0.01), (43, 0.19)])
@pytest.mark.parametrize("iterations", [1, 7])
def test_targets_are_met_net_of_all_steps(
    neurons: int, fraction: float, iterations: int, rng: np.random.Generator
) -> None:
    pool = random_pool(rng, 100, 0.3)
    result = prune_pool(pool, _options(neurons, fraction, iterations), rng)
    assert result.pool.size == neurons == len(result.indices)
    assert result.pool.synapses == round(fraction * pool.synapses)
    assert (np.diff(result.indices) > 0).all()


def test_the_records_tell_every_iteration(rng: np.random.Generator) -> None:
    pool = world(rng, 80, 0.2, 2.0)
    records = prune_pool(pool, _options(40, 0.2, 6, measure_every=3, leading=10), rng).records
    assert [record.iteration for record in records] == list(range(7))
    assert (records[0].neurons, records[0].synapses) == (80, pool.synapses)
    for record in records:
        measured = record.iteration % 3 == 0
        assert (record.largest_exponent is not None) == measured
        assert len(record.spectrum) == (10 if measured else 0)
        assert (record.spectral_radius is not None) == (record.localisation is not None) == measured
        assert record.rate > 0
        assert record.operations > 0
    assert records[-1].synapses == round(0.2 * pool.synapses)


@pytest.mark.parametrize("iterations", [1, 6])
@pytest.mark.parametrize("neurons", [120, 60])
def test_the_share_of_the_signs_stays(neurons: int, iterations: int, rng: np.random.Generator) -> None:
    pool = world(rng, 120, 0.3, 2.0)
    ours, published = (
        prune_pool(pool, _options(neurons, 0.08, iterations, keep=keep), np.random.default_rng(4))
        for keep in (KeepRule(), KeepRule(by_sign=False, connected=False))
    )
    possible = pool.keep(ours.indices).weights.data < 0
    inhibitory = ours.pool.weights.data < 0
    assert abs(inhibitory.sum() - possible.mean() * len(inhibitory)) <= 1
    assert (published.pool.weights.data < 0).mean() > 1.5 * (pool.weights.data < 0).mean()


@pytest.mark.parametrize(("neurons", "fraction"), [(120, 0.05), (120, 0.0285), (60, 0.03)])
@pytest.mark.parametrize("iterations", [1, 6])
def test_every_neuron_that_stays_keeps_an_input(
    neurons: int, fraction: float, iterations: int, rng: np.random.Generator
) -> None:
    pool = world(rng, 120, 0.3, 2.0)
    result = prune_pool(pool, _options(neurons, fraction, iterations), rng)
    assert result.pool.synapses == round(fraction * pool.synapses)
    assert (np.diff(result.pool.weights.indptr) > 0).all()


def test_fewer_synapses_than_neurons_give_as_many_neurons_an_input_as_there_are(
    rng: np.random.Generator,
) -> None:
    pool = world(rng, 120, 0.3, 2.0)
    result = prune_pool(pool, _options(120, 0.01), rng)
    assert result.pool.synapses == round(0.01 * pool.synapses)
    assert (np.diff(result.pool.weights.indptr) > 0).sum() == result.pool.synapses


def test_exponents_are_those_of_the_present_pool_by_default(rng: np.random.Generator) -> None:
    pool = world(rng, 80, 0.3, 2.0)
    steps, keep = frozenset({PruningStep.NOISE}), KeepRule(Importance.LYAPUNOV)
    fresh, stale = (
        prune_pool(pool, _options(80, 0.2, 5, steps=steps, keep=keep, **more), rng).records[:-1]
        for more in ({}, {"attribution": ExponentSource.AUTO})
    )
    assert len({record.mean_exponent for record in fresh}) == len(fresh)
    assert len({record.mean_exponent for record in stale}) == 1


def test_survivors_keep_the_sign_and_place_of_their_weights(rng: np.random.Generator) -> None:
    pool = world(rng, 60, 0.3, 2.0)
    result = prune_pool(pool, _options(30, 0.1), rng)
    before = pool.keep(result.indices).weights.toarray()
    after = result.pool.weights.toarray()
    assert (before[after != 0] != 0).all()
    assert (np.sign(before[after != 0]) == np.sign(after[after != 0])).all()
    assert np.array_equal(result.pool.beta, pool.beta[result.indices])


def test_a_step_left_out_does_nothing(rng: np.random.Generator) -> None:
    pool = world(rng, 60, 0.3, 2.0)
    only = {
        step: prune_pool(pool, _options(30, 0.2, steps=frozenset({step})), rng)
        for step in list(PruningStep)[:3]
    }
    assert only[PruningStep.NOISE].pool.size == 60
    assert only[PruningStep.NOISE].pool.synapses == round(0.2 * pool.synapses)
    assert only[PruningStep.CENTRALITY].pool.size == 30
    induced = pool.keep(only[PruningStep.CENTRALITY].indices)
    assert only[PruningStep.CENTRALITY].pool.synapses == induced.synapses
    assert only[PruningStep.DELOCALIZATION].pool.synapses == pool.synapses
    without = prune_pool(
        pool, _options(30, 0.1, steps=frozenset({PruningStep.NOISE, PruningStep.CENTRALITY})), rng
    )
    assert all(record.added == 0 for record in without.records[:-1])


def test_the_quiet_neurons_can_go_instead_of_the_peripheral(rng: np.random.Generator) -> None:
    pool = world(rng, 80, 0.2, 2.0)
    drive = NoiseDrive(steps=400, trials=8)
    rule = CentralityRule(NeuronCriterion.ACTIVITY)
    options = LnpOptions(
        40, 0.2, 1, frozenset({PruningStep.CENTRALITY}), drive, centrality=rule, attribution_steps=20
    )
    indices = prune_pool(pool, options, rng).indices
    rates = drive_with_noise(pool, NoiseDrive(steps=2000), rng).rates
    gone = np.setdiff1d(np.arange(80), indices)
    assert rates[indices].mean() > 2 * rates[gone].mean()


def test_the_last_step_changes_time_constants_only(rng: np.random.Generator) -> None:
    pool = world(rng, 60, 0.3, 2.0)
    search = TimeScaleOptions(evaluations=3, initial=2, target=-0.2, means_ms=(4, 6), steps=30, candidates=20)
    three = {PruningStep.NOISE, PruningStep.CENTRALITY, PruningStep.DELOCALIZATION}
    plain, optimised = (
        prune_pool(
            pool, _options(30, 0.2, steps=frozenset(steps), time_scales=search), np.random.default_rng(3)
        )
        for steps in (three, three | {PruningStep.TIME_SCALES})
    )
    assert np.array_equal(plain.pool.weights.toarray(), optimised.pool.weights.toarray())
    assert not np.array_equal(plain.pool.beta, optimised.pool.beta)
    assert optimised.records[:-1] == plain.records
    assert optimised.records[-1].iteration == plain.records[-1].iteration + 1
    assert len(optimised.records[-1].spectrum) == 30


def test_an_observer_sees_every_iteration_and_changes_nothing(rng: np.random.Generator) -> None:
    pool = world(rng, 60, 0.3, 2.0)
    observed: list[tuple[int, int]] = []
    plain = prune_pool(pool, _options(30, 0.2, 4), np.random.default_rng(2))
    watched = prune_pool(
        pool,
        _options(30, 0.2, 4),
        np.random.default_rng(2),
        observe=lambda record, left: observed.append((record.neurons, left.pool.synapses)),
    )
    assert observed == [(record.neurons, record.synapses) for record in plain.records[1:]]
    assert np.array_equal(plain.pool.weights.toarray(), watched.pool.weights.toarray())


def test_the_diagonal_can_follow_the_synapses(rng: np.random.Generator) -> None:
    pool = world(rng, 60, 0.3, 2.0)
    rule = KeepRule(diagonal=Diagonal.COMPENSATE)
    result = prune_pool(pool, _options(30, 0.2, keep=rule), rng)
    assert not np.array_equal(result.pool.beta, pool.beta[result.indices])
    assert ((result.pool.beta > 0) & (result.pool.beta < 1)).all()


@pytest.mark.parametrize("attribution", list(ExponentSource))
def test_pruning_is_decided_by_its_generator(attribution: ExponentSource, rng: np.random.Generator) -> None:
    pool = random_pool(rng, 40, 0.3)
    options = _options(20, 0.2, 3, attribution=attribution, keep=KeepRule(Importance.LYAPUNOV))
    first, second = (prune_pool(pool, options, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.pool.weights.toarray(), second.pool.weights.toarray())
    assert np.array_equal(first.indices, second.indices)


def test_an_interrupted_pruning_ends_as_one_that_was_not(tmp_path: Path, rng: np.random.Generator) -> None:
    pool = world(rng, 60, 0.3, 2.0)
    options = _options(30, 0.15, 9, measure_every=2)

    class StopHereError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise StopHereError

    whole = prune_pool(pool, options, np.random.default_rng(1))
    with pytest.raises(StopHereError):
        prune_pool(pool, options, np.random.default_rng(1), checkpoint=tmp_path, progress=stop)
    iterations: list[int] = []
    again = prune_pool(
        pool,
        options,
        np.random.default_rng(1),
        checkpoint=tmp_path,
        progress=lambda done, _: iterations.append(done),
    )
    assert iterations[0] == 5  # the state after iteration 4 was the last one stored
    assert np.array_equal(whole.pool.weights.toarray(), again.pool.weights.toarray())
    assert whole.records == again.records
    with pytest.raises(PruningError, match="state of another pruning"):
        prune_pool(pool, options, np.random.default_rng(2), checkpoint=tmp_path)
    path = tmp_path / "pruning.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptArtifactError):
        prune_pool(pool, options, np.random.default_rng(1), checkpoint=tmp_path)


def test_the_gain_is_restored_unless_told_otherwise(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 60, 0.4)
    before = spectral_radius(pool.weights)
    result = prune_pool(pool, _options(30, 0.2, 4), rng)
    assert spectral_radius(result.pool.weights) == pytest.approx(before, rel=1e-6)
    free = prune_pool(pool, _options(30, 0.2, 4, restore_gain=False), rng)
    assert spectral_radius(free.pool.weights) != pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LnpOptions(0, 0.5), "1 to 10 remaining neurons, got 0"),
        (LnpOptions(11, 0.5), "1 to 10 remaining neurons, got 11"),
        (LnpOptions(5, 0.0), "synapse fraction"),
        (LnpOptions(5, 0.5, 0), "at least one iteration"),
        (LnpOptions(5, 0.5, steps=frozenset()), "at least one step"),
    ],
)
def test_impossible_targets_are_refused(options: LnpOptions, message: str, rng: np.random.Generator) -> None:
    with pytest.raises(PruningError, match=message):
        prune_pool(random_pool(rng, 10, 0.5), options, rng)


def test_more_synapses_than_can_remain_are_refused_as_soon_as_it_shows(rng: np.random.Generator) -> None:
    with pytest.raises(PruningError, match=r"only \d+ of the original synapses join the \d+ neurons left"):
        prune_pool(random_pool(rng, 60, 0.2), _options(6, 0.5, 5), rng)


def test_a_pool_that_loses_its_last_synapse_on_the_way_is_refused(rng: np.random.Generator) -> None:
    weights = np.zeros((12, 12))
    weights[1, 0] = weights[3, 2] = 1.0
    pool = RecurrentPool.of(weights, np.full(12, 0.9), np.full(12, 10.0))
    with pytest.raises(PruningError, match=r"no synapses are left after round \d+ of 30.*synapse_fraction"):
        prune_pool(pool, _options(2, 0.01, 30), rng)


def test_an_empty_pool_is_refused(rng: np.random.Generator) -> None:
    empty = RecurrentPool.of(np.zeros((4, 4)), np.full(4, 0.9), np.ones(4))
    with pytest.raises(PruningError, match="no recurrent synapses"):
        prune_pool(empty, LnpOptions(2, 0.5), rng)


@pytest.mark.parametrize("drive", [NoiseDrive(mean=0.0, sigma=0.0), NoiseDrive(mean=1e4, sigma=0.0)])
def test_a_silent_or_saturated_pool_is_refused(drive: NoiseDrive, rng: np.random.Generator) -> None:
    pool = random_pool(rng, 20, 0.3)
    with pytest.raises(PruningError, match="silent|saturated"):
        prune_pool(pool, LnpOptions(10, 0.2, drive=drive), rng)


def test_all_inhibitory_and_disconnected_pools_are_pruned_without_nan(rng: np.random.Generator) -> None:
    one = world(rng, 40, 0.3, 5.0, inhibitory=1.0).weights.toarray()
    pool = RecurrentPool.of(
        np.block([[one, np.zeros((40, 40))], [np.zeros((40, 40)), one]]), np.full(80, 0.9), np.full(80, 10.0)
    )
    result = prune_pool(pool, _options(40, 0.1), rng)
    assert np.isfinite(result.pool.weights.data).all()
    numbers = [
        value for record in result.records for value in vars(record).values() if isinstance(value, float)
    ]
    assert np.isfinite(numbers).all()


def test_a_stored_state_is_known_again_by_another_process(rng: np.random.Generator) -> None:
    pool = world(rng, 30, 0.3, 2.0)
    options = _options(
        15, 0.2, steps=frozenset({PruningStep.NOISE, PruningStep.DELOCALIZATION, PruningStep.CENTRALITY})
    )
    identity = identity_of(pool, options, 5, 1.0)
    assert " centrality, delocalization, noise " in identity
    assert "frozenset()" in identity
    assert identity_of(pool.scaled(1.001), options, 5, 1.0) != identity
    assert identity_of(pool, options, 6, 1.0) != identity
    assert identity_of(pool, replace(options, iterations=9), 5, 1.0) != identity


def test_the_published_choices_are_one_word_away(rng: np.random.Generator) -> None:
    options = LnpOptions.published(15, 0.2)
    assert (options.iterations, options.keep.importance) == (100, Importance.LYAPUNOV)
    assert options.delocalization.prefer is Preference.HUBS
    assert options.attribution is ExponentSource.AUTO
    assert options.keep == KeepRule.published()
    quick = replace(options, iterations=2, drive=QUICK, attribution_steps=20)
    result = prune_pool(world(rng, 30, 0.3, 2.0), quick, rng)
    assert result.pool.size == 15


@pytest.mark.parametrize("damage", ["missing", "shape", "records"])
def test_a_state_with_parts_missing_or_misshapen_is_named(
    damage: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    pool, options = world(rng, 30, 0.3, 2.0), _options(15, 0.2, 2)
    prune_pool(pool, options, np.random.default_rng(1), checkpoint=tmp_path)
    arrays = read_sealed_arrays(tmp_path / "pruning.npz")
    match damage:
        case "missing":
            del arrays["scalars"]
        case "shape":
            arrays["neurons"] = arrays["neurons"][:-1]
        case _:
            del arrays["spectrum.0"]
    write_sealed_arrays(tmp_path / "pruning.npz", arrays)
    with pytest.raises(CorruptArtifactError, match="not the state of a pruning"):
        prune_pool(pool, options, np.random.default_rng(1), checkpoint=tmp_path)
