"""A pool under noise against theory, the covariance against SciPy and against long simulation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov, solve_discrete_lyapunov

from tests.toolchain.pruning.pools import random_pool, world
from toolchain.errors import PruningError
from toolchain.pruning.lnp import NoiseDrive, RecurrentPool
from toolchain.pruning.lnp.noise import drive_with_noise, linear_covariance, simulate
from toolchain.reset import Reset


def _uncoupled(beta: np.ndarray, threshold: np.ndarray) -> RecurrentPool:
    return RecurrentPool.of(np.zeros((len(beta), len(beta))), beta, threshold)


@pytest.mark.parametrize("reset", Reset)
def test_events_compute_what_matrices_compute(rng: np.random.Generator, reset: Reset) -> None:
    pool = world(rng, 60, 0.2, 20.0)
    amount = rng.uniform(0.1, 1.0, 60) * pool.threshold if reset.has_amount else None
    pool = replace(pool, reset=reset, amount=amount)
    drive = NoiseDrive(mean=1.0).sample(pool, 80, rng)
    weights, v, s = pool.weights.toarray(), np.zeros(60), np.zeros(60)
    potentials, spikes = simulate(pool, drive)
    for t in range(80):
        p = pool.beta * v + weights @ s + drive[t]
        s = (p > pool.threshold).astype(float)
        after = {
            Reset.ZERO: 0.0,
            Reset.VALUE: amount,
            Reset.SUBTRACT: p - (0.0 if amount is None else amount),
            Reset.NONE: p,
        }[reset]
        v = np.where(s > 0, after, p)
        assert potentials[t] == pytest.approx(p, abs=1e-9)
        assert np.array_equal(spikes[t], s > 0)
    assert spikes.mean() > 0.01


def test_the_covariance_of_every_edge_is_that_of_the_samples(rng: np.random.Generator) -> None:
    pool = world(rng, 50, 0.3, 10.0)
    response = drive_with_noise(pool, NoiseDrive(mean=1.0), rng)
    expected = np.cov(response.samples.astype(np.float64))
    targets, sources = pool.ends
    assert response.covariance(targets, sources) == pytest.approx(expected[targets, sources], abs=1e-7)
    assert response.variance == pytest.approx(np.diag(expected) + 1e-6, rel=1e-4)


def test_the_covariance_of_an_uncoupled_linear_filter_matches_theory(rng: np.random.Generator) -> None:
    """Independent neurons: filtered rates are uncorrelated, and their variance follows from the filter."""
    pool = _uncoupled(np.full(40, 0.8), np.full(40, 5.0))
    drive = NoiseDrive(steps=3000, warm_up=200, trials=4, window_ms=5.0)
    response = drive_with_noise(pool, drive, rng)
    one, other = np.triu_indices(40, 1)
    assert np.abs(response.covariance(one, other)).max() < 0.25 * response.variance.min()
    # White spikes of this rate, filtered, would have this variance; refractoriness lowers it.
    forget = np.exp(-1 / 5)
    white = solve_discrete_lyapunov(np.array([[forget]]), np.array([[(1 - forget) ** 2]])).item()
    bernoulli = response.rate * (1 - response.rate) * white
    assert 0.3 * bernoulli < response.variance.mean() < 1.2 * bernoulli


def test_operations_are_spikes_times_fan_out(rng: np.random.Generator) -> None:
    weights = np.zeros((3, 3))
    weights[1, 0] = weights[2, 0] = 1e-9
    pool = RecurrentPool.of(weights, np.full(3, 0.9), np.full(3, 10.0))
    # Driven far above threshold, every neuron fires every step; only neuron 0 has a fan-out, of 2.
    response = drive_with_noise(pool, NoiseDrive(mean=100.0, sigma=0.0), rng)
    assert response.rate == 1.0
    assert response.operations == pytest.approx(2.0)


def test_a_neuron_that_never_fires_has_the_exponent_of_its_leak(rng: np.random.Generator) -> None:
    beta = np.array([0.9, 0.8])
    pool = _uncoupled(beta, np.full(2, 1e9))
    response = drive_with_noise(pool, NoiseDrive(mean=0.0, sigma=1e-9), rng)
    assert response.exponents == pytest.approx(np.log(beta + 1e-6), rel=1e-9)
    assert response.rate == 0


@pytest.mark.parametrize(("reset", "share"), [(Reset.ZERO, 0.0), (Reset.VALUE, 0.0), (Reset.NONE, 1.0)])
def test_a_neuron_that_always_fires_forgets_what_its_reset_forgets(
    reset: Reset, share: float, rng: np.random.Generator
) -> None:
    pool = _uncoupled(np.array([0.9, 0.8]), np.full(2, 10.0))
    pool = replace(pool, reset=reset, amount=np.ones(2) if reset.has_amount else None)
    response = drive_with_noise(pool, NoiseDrive(mean=100.0, sigma=0.0), rng)
    assert response.rate == 1.0
    assert response.exponents == pytest.approx(np.log(share * pool.beta + 1e-6), rel=1e-9)


def test_a_pool_that_explodes_under_noise_is_refused(rng: np.random.Generator) -> None:
    pool = RecurrentPool.of(np.full((3, 3), -1e308), np.full(3, 0.9), np.ones(3))
    with np.errstate(all="ignore"), pytest.raises(PruningError, match="diverges"):
        drive_with_noise(pool, NoiseDrive(mean=2.0), rng)


def test_the_linear_covariance_solves_the_lyapunov_equation(rng: np.random.Generator) -> None:
    coupling = rng.normal(size=(12, 12)) * 0.02
    leak = rng.uniform(0.3, 0.6, 12)
    a = coupling - np.diag(leak)
    sigma = linear_covariance(coupling, leak, 0.7)
    assert a @ sigma + sigma @ a.T == pytest.approx(-0.49 * np.eye(12), abs=1e-12)
    assert sigma == pytest.approx(solve_continuous_lyapunov(a, -0.49 * np.eye(12)), abs=1e-12)


def test_the_linear_covariance_is_that_of_a_long_simulation(rng: np.random.Generator) -> None:
    coupling = np.array([[0.0, 0.3, 0.0], [-0.2, 0.0, 0.25], [0.1, 0.0, 0.0]])
    leak, dt, steps, paths = np.array([0.6, 0.5, 0.7]), 0.02, 4000, 400
    step = np.eye(3) + dt * (coupling - np.diag(leak))
    x, total = np.zeros((paths, 3)), np.zeros((3, 3))
    for t in range(steps):
        x = x @ step.T + np.sqrt(dt) * rng.normal(size=x.shape)
        if t >= 1000:
            total += x.T @ x / paths
    assert total / (steps - 1000) == pytest.approx(linear_covariance(coupling, leak), abs=0.05)


def test_an_unstable_linear_model_has_no_covariance() -> None:
    with pytest.raises(PruningError, match="not stable"):
        linear_covariance(np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([0.5, 0.5]))


@pytest.mark.parametrize(
    ("beta", "threshold", "message"),
    [
        (np.array([0.9, 1.0]), np.ones(2), "leaky neurons"),
        (np.array([0.9, np.nan]), np.ones(2), "not finite"),
        (np.array([0.9, 0.9]), np.array([1.0, np.inf]), "not finite"),
        (np.array([0.9, 0.9]), np.array([1.0, 0.0]), "threshold above 0"),
        (np.array([0.9]), np.ones(2), "expected weights"),
    ],
)
def test_a_pool_of_other_neurons_is_refused(beta: np.ndarray, threshold: np.ndarray, message: str) -> None:
    with pytest.raises(PruningError, match=message):
        RecurrentPool.of(np.zeros((2, 2)), beta, threshold)


def test_broken_weights_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(PruningError, match="not finite"):
        RecurrentPool.of(np.full((4, 4), np.nan), np.full(4, 0.9), np.ones(4))
    assert random_pool(rng, 5, 0.5).size == 5
