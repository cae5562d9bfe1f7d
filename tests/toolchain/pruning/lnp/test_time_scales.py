"""Step IV: distance, acquisition, and that it finds a better distribution."""

import numpy as np
import pytest
from scipy.stats import gamma, norm, wasserstein_distance

from tests.toolchain.pruning.pools import world
from toolchain.arrays import Floats
from toolchain.pruning.lnp import NoiseDrive, RecurrentPool, TimeScaleOptions, optimise_time_scales
from toolchain.pruning.lnp.time_scales import expected_improvement, quantile_embedding


def wasserstein(one: Floats, other: Floats) -> float:
    return float(np.linalg.norm(quantile_embedding(one) - quantile_embedding(other)))


def test_the_distance_of_shifted_scales_is_known() -> None:
    # Scaling a distribution by c moves every quantile by (c - 1): W2^2 = (c - 1)^2 E[x^2].
    one, other = np.array([[3.0, 20.0]]), np.array([[3.0, 40.0]])
    second_moment = gamma(3.0, scale=20 / 3).moment(2)
    assert wasserstein(one, other) == pytest.approx(np.sqrt(second_moment), rel=0.03)
    assert wasserstein(one, one) == 0


def test_the_distance_of_clusters_adds_in_squares() -> None:
    a, b, c, d = [[3.0, 20.0]], [[5.0, 30.0]], [[1.0, 10.0]], [[2.0, 60.0]]
    both = wasserstein(np.array(a + c), np.array(b + d))
    parts = wasserstein(np.array(a), np.array(b)), wasserstein(np.array(c), np.array(d))
    assert both == pytest.approx(np.hypot(*parts))
    # Never below the first Wasserstein distance, which SciPy knows.
    draws = [gamma.ppf((np.arange(4000) + 0.5) / 4000, k, scale=m / k) for k, m in (a[0], b[0])]
    assert parts[0] >= 0.98 * wasserstein_distance(*draws)


def test_expected_improvement_against_monte_carlo(rng: np.random.Generator) -> None:
    draws = rng.normal(1.0, 0.5, 400_000)
    expected = np.maximum(0.8 - draws, 0).mean()
    assert expected_improvement(np.array([1.0]), np.array([0.5]), 0.8)[0] == pytest.approx(expected, rel=0.02)
    assert expected_improvement(np.array([1.0]), np.array([0.0]), 1.5)[0] == pytest.approx(0.5)
    assert norm.cdf(0) == 0.5


def test_the_search_moves_the_largest_exponent_to_its_target(rng: np.random.Generator) -> None:
    pool = world(rng, 80, 0.1, 1.0)
    options = TimeScaleOptions(evaluations=12, initial=5, target=-0.05, steps=60, candidates=200)
    result = optimise_time_scales(pool, options, NoiseDrive(), rng)
    assert len(result.trials) == 13
    first, best = result.trials[0], min(result.trials, key=lambda trial: trial.criterion)
    assert best.criterion < 0.5 * first.criterion
    assert not np.array_equal(result.pool.beta, pool.beta)
    assert result.pool.weights is pool.weights
    # An input of 1 at rest gain still holds every neuron at its threshold.
    rest = [each.threshold * (1 - each.beta) for each in (pool, result.pool)]
    assert rest[0] == pytest.approx(rest[1])


def test_every_cluster_gets_a_distribution_of_its_own(rng: np.random.Generator) -> None:
    flat = world(rng, 60, 0.1, 1.0)
    pool = RecurrentPool.of(flat.weights, flat.beta, flat.threshold, np.arange(60) // 20)
    options = TimeScaleOptions(evaluations=4, initial=3, steps=30, candidates=50)
    trials = optimise_time_scales(pool, options, NoiseDrive(), rng).trials
    assert all(len(trial.means_ms) == len(trial.shapes) == 3 for trial in trials[1:])


def test_a_pool_that_cannot_be_improved_stays(rng: np.random.Generator) -> None:
    pool = world(rng, 40, 0.1, 1.0)
    options = TimeScaleOptions(evaluations=0)
    assert optimise_time_scales(pool, options, NoiseDrive(), rng).pool is pool
