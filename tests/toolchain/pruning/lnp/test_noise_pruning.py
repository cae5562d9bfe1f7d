"""Step I by hand on three neurons, by brute force on many, and its promise about the expectation."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tests.toolchain.pruning.pools import random_pool, three, world
from toolchain.errors import PruningError
from toolchain.pruning.lnp import Covariance, Importance, KeepRule, NoiseDrive, SpectrumOptions
from toolchain.pruning.lnp.noise import NoiseResponse, drive_with_noise
from toolchain.pruning.lnp.noise_pruning import (
    compensated_betas,
    draw_synapses,
    keep_probabilities,
    lyapunov_values,
)
from toolchain.pruning.lnp.spectrum import lyapunov_spectrum


def _response(samples: np.ndarray) -> NoiseResponse:
    centred = (samples - samples.mean(axis=1, keepdims=True)).astype(np.float32)
    return NoiseResponse(
        np.ascontiguousarray(centred), np.full(len(samples), -1.0), np.full(len(samples), 0.1), 1.0
    )


def test_the_lyapunov_matrix_of_three_neurons_by_hand() -> None:
    exponents = np.array([-0.5, -0.25, -1.0])
    a, b, c = np.abs(exponents) + 1e-3
    harmonic = 3 / (1 / a + 1 / b + 1 / c)
    assert lyapunov_values(three(), exponents) == pytest.approx([harmonic, harmonic], rel=1e-9)


def test_shared_neighbours_count_once(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 40, 0.2)
    exponents = -rng.uniform(0.05, 1, 40)
    linked = pool.weights.toarray() != 0
    linked |= linked.T
    values = lyapunov_values(pool, exponents)
    for value, i, j in zip(values, *pool.ends, strict=True):
        union = np.flatnonzero(linked[i] | linked[j])
        assert value == pytest.approx(union.size / np.sum(1 / (np.abs(exponents[union]) + 1e-3)), rel=1e-9)


def test_keep_probabilities_of_three_neurons_by_hand(rng: np.random.Generator) -> None:
    response = _response(rng.normal(size=(3, 500)) + rng.normal(size=500))
    covariance = np.cov(response.samples) + 1e-6 * np.eye(3)
    p = keep_probabilities(three(), response, np.full(3, -1.0), 0.5, replace(KeepRule.published(), least=0.0))
    # Equal exponents: L is constant, so p is proportional to S_ii + S_jj -+ 2 S_ij.
    excitatory = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    inhibitory = covariance[1, 1] + covariance[2, 2] + 2 * covariance[1, 2]
    assert p[0] / p[1] == pytest.approx(excitatory / inhibitory, rel=1e-4)
    assert p.mean() == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("covariance", list(Covariance))
@pytest.mark.parametrize("importance", list(Importance))
def test_the_mean_keep_probability_is_the_wanted_one(
    fraction: float, covariance: Covariance, importance: Importance, rng: np.random.Generator
) -> None:
    pool = random_pool(rng, 80, 0.3)
    response = drive_with_noise(pool, NoiseDrive(steps=40, trials=8), rng)
    rule = KeepRule(importance, covariance)
    p = keep_probabilities(pool, response, response.exponents, fraction, rule)
    assert p.mean() == pytest.approx(fraction, abs=1e-6)
    assert p.min() >= 0.05
    assert p.max() <= 1


def test_sharpness_zero_keeps_all_alike_and_minus_one_turns_the_order(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 80, 0.3)
    response = drive_with_noise(pool, NoiseDrive(mean=1.0), rng)
    paper, alike, turned = (
        keep_probabilities(
            pool, response, response.exponents, 0.5, replace(KeepRule.published(), sharpness=s, least=0.0)
        )
        for s in (1.0, 0.0, -1.0)
    )
    assert alike == pytest.approx(0.5, rel=1e-6)
    order: Any = spearmanr(paper, turned)
    assert order.statistic < -0.99


@pytest.mark.parametrize("connected", [False, True])
def test_the_expectation_over_many_draws_is_the_original_matrix(
    connected: bool, rng: np.random.Generator
) -> None:
    pool = random_pool(rng, 12, 0.5)
    weights, targets = pool.weights.data, pool.ends[0]
    # Few inputs and small probabilities, so that many a neuron would lose all.
    probabilities = rng.uniform(0.02, 0.6, len(weights))
    rule, draws = KeepRule(rescale_cap=np.inf, connected=connected), 20_000
    total, present = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(draws):
        draw = draw_synapses(probabilities, np.ones(len(weights)), targets, rng, rule)
        total += np.where(draw.stays, weights * draw.rescaled, 0.0)
        present += draw.stays
    probabilities = draw.probabilities
    assert np.abs(present / draws - probabilities).max() <= 5 * 0.5 / np.sqrt(draws)
    spread = np.abs(weights) * np.sqrt((1 / probabilities - 1) / draws)
    assert (np.abs(total / draws - weights) <= 5 * spread + 1e-9).all()


def test_both_signs_are_kept_alike_unless_all_are_scored_together(rng: np.random.Generator) -> None:
    pool = world(rng, 100, 0.3, 2.0)
    response = drive_with_noise(pool, NoiseDrive(steps=40, trials=8), rng)
    inhibitory = pool.weights.data < 0
    apart, together = (
        keep_probabilities(pool, response, response.exponents, 0.2, KeepRule(by_sign=by_sign))
        for by_sign in (True, False)
    )
    assert apart[inhibitory].mean() == pytest.approx(0.2, abs=1e-6)
    assert apart[~inhibitory].mean() == pytest.approx(0.2, abs=1e-6)
    # Inhibitory weights are four times as large here.
    assert together[inhibitory].mean() > 2 * together[~inhibitory].mean()


@given(seed=st.integers(0, 10_000), least=st.sampled_from([0.0, 1e-9, 0.05]), neurons=st.integers(1, 30))
def test_a_connected_neuron_never_loses_its_last_input(seed: int, least: float, neurons: int) -> None:
    rng = np.random.default_rng(seed)
    targets = np.sort(rng.integers(0, neurons, 3 * neurons))
    probabilities = np.clip(rng.uniform(-1, 0.4, len(targets)), least, 1)
    draw = draw_synapses(probabilities, np.ones(len(targets)), targets, rng, KeepRule(rescale_cap=np.inf))
    assert set(targets[draw.stays]) == set(targets)
    assert (draw.probabilities[draw.stays] > 0).all() or least == 0
    assert (draw.probabilities >= probabilities).all()
    assert (draw.probabilities <= 1).all()


def test_the_rescaling_is_capped_over_the_rounds(rng: np.random.Generator) -> None:
    rescaled, alive = np.ones(400), np.ones(400, dtype=bool)
    for _ in range(6):
        draw = draw_synapses(np.full(400, 0.6), rescaled, np.arange(400), rng, KeepRule.published())
        rescaled, alive = draw.rescaled, alive & draw.stays
    assert alive.any()
    assert rescaled[alive] == pytest.approx(5.0)
    plain = draw_synapses(np.full(9, 0.5), np.ones(9), np.arange(9), rng, KeepRule(rescale=False))
    assert (plain.rescaled == 1).all()


def test_rates_that_do_not_vary_are_a_named_error_only_where_no_score_is_left() -> None:
    still = _response(np.zeros((3, 50)))
    # The floor under the variance keeps all synapses alike.
    for rule in (KeepRule(), KeepRule.published()):
        p = keep_probabilities(three(), still, np.full(3, -1.0), 0.5, rule)
        assert p == pytest.approx([0.5, 0.5], rel=1e-6)
    broken = _response(np.full((3, 50), np.nan))
    with pytest.raises(PruningError, match="no synapse has a positive finite score"):
        keep_probabilities(three(), broken, np.full(3, -1.0), 0.5, KeepRule())


def test_the_linear_covariance_is_refused_for_large_pools(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 2001, 0.001)
    response = _response(rng.normal(size=(2001, 4)))
    with pytest.raises(PruningError, match="expected at most 2000, got 2001"):
        keep_probabilities(pool, response, response.exponents, 0.5, KeepRule(covariance=Covariance.LINEAR))


def test_the_compensated_leak_grows_where_coupling_grew(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 30, 0.4)
    coupling = lyapunov_values(pool, np.full(30, -0.1))
    p = np.full(pool.synapses, 0.5)
    targets = pool.ends[0]
    draw = draw_synapses(p, np.ones(pool.synapses), targets, rng, KeepRule.published())
    growth = np.bincount(targets, np.where(draw.stays, coupling / p, 0.0) - coupling, minlength=30)
    change = -np.log(compensated_betas(pool, coupling, draw, dt_ms=1.0)) + np.log(pool.beta)
    assert (np.sign(change[np.abs(growth) > 1e-9]) == np.sign(growth[np.abs(growth) > 1e-9])).all()
    assert np.abs(change).max() <= 4 * np.abs(np.log(pool.beta)).max()


@pytest.mark.parametrize(
    ("density", "gain", "seed"), [(0.05, 0.5, 1), (0.1, 4.0, 2), (0.1, 20.0, 3), (0.3, 2.0, 4)]
)
def test_the_diagonal_exponents_rank_the_lyapunov_matrix_as_the_full_spectrum_does(
    density: float, gain: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pool = world(rng, 120, density, gain)
    drive = NoiseDrive(steps=400, trials=32)
    full = lyapunov_spectrum(pool, SpectrumOptions(steps=4000, interval=2), drive, rng).attribution
    fast = drive_with_noise(pool, drive, rng).exponents
    alike: Any = spearmanr(lyapunov_values(pool, full), lyapunov_values(pool, fast))
    assert alike.statistic >= 0.9
