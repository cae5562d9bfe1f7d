"""The two steps of LNP against hand calculation, oracles and their own promises."""

import networkx as nx
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from toolchain.errors import PruningError
from toolchain.pruning.lnp import KeepRule, LnpOptions, NoiseDrive, RecurrentPool, prune_pool
from toolchain.pruning.lnp.centrality import betweenness, most_central
from toolchain.pruning.lnp.dynamics import NoiseResponse, drive_with_noise
from toolchain.pruning.lnp.noise_pruning import keep_probabilities, lyapunov_matrix, prune_synapses


def _pool(rng: np.random.Generator, neurons: int, density: float) -> RecurrentPool:
    mask = rng.random((neurons, neurons)) < density
    np.fill_diagonal(mask, val=False)
    beta = rng.uniform(0.75, 0.97, neurons)
    return RecurrentPool(mask * rng.normal(size=mask.shape), beta, 1 / (1 - beta))


def test_the_lyapunov_matrix_of_three_neurons_by_hand() -> None:
    # 0 -> 1 -> 2: neighbours of 0: {1}, of 1: {0, 2}, of 2: {1}.
    weights = np.array([[0, 0, 0], [1.0, 0, 0], [0, -1.0, 0]])
    exponents = np.array([-0.5, -0.25, -1.0])
    a, b, c = np.abs(exponents) + 1e-3
    matrix = lyapunov_matrix(weights, exponents)
    harmonic = 3 / (1 / a + 1 / b + 1 / c)
    assert matrix[1, 0] == pytest.approx(harmonic, rel=1e-6)
    assert matrix[2, 1] == pytest.approx(harmonic, rel=1e-6)
    assert np.count_nonzero(matrix) == 2


def test_shared_neighbours_count_once(rng: np.random.Generator) -> None:
    pool = _pool(rng, 30, 0.2)
    exponents = -rng.uniform(0.05, 1, 30)
    matrix = lyapunov_matrix(pool.weights, exponents)
    linked = (pool.weights != 0) | (pool.weights != 0).T
    for i, j in zip(*np.nonzero(pool.weights), strict=True):
        union = np.flatnonzero(linked[i] | linked[j])
        assert matrix[i, j] == pytest.approx(
            union.size / np.sum(1 / (np.abs(exponents[union]) + 1e-3)), rel=1e-5
        )


def test_keep_probabilities_of_three_neurons_by_hand() -> None:
    weights = np.array([[0, 0, 0], [1.0, 0, 0], [0, -1.0, 0]])
    covariance = np.array([[2.0, 0.5, 0], [0.5, 1.0, 0.25], [0, 0.25, 3.0]])
    response = NoiseResponse(covariance, np.array([-1.0, -1.0, -1.0]), 0.1)
    p = keep_probabilities(RecurrentPool(weights, np.ones(3), np.ones(3)), response, 0.5, KeepRule(least=0.0))
    # Equal exponents: L is constant, so p is proportional to S_ii + S_jj -+ 2 S_ij.
    excitatory, inhibitory = 2 + 1 - 2 * 0.5, 1 + 3 + 2 * 0.25
    assert p[1, 0] / p[2, 1] == pytest.approx(excitatory / inhibitory, rel=1e-6)
    assert (p[1, 0] + p[2, 1]) / 2 == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.97])
def test_the_mean_keep_probability_is_the_wanted_one(fraction: float, rng: np.random.Generator) -> None:
    pool = _pool(rng, 80, 0.3)
    response = drive_with_noise(pool, NoiseDrive(steps=40, trials=8), rng)
    p = keep_probabilities(pool, response, fraction, KeepRule())
    synapses = p[pool.weights != 0]
    assert synapses.mean() == pytest.approx(fraction, abs=1e-6)
    assert synapses.min() >= 0.05
    assert synapses.max() <= 1


def test_the_expectation_over_many_draws_is_the_original_matrix(rng: np.random.Generator) -> None:
    pool = _pool(rng, 12, 0.5)
    probabilities = np.where(pool.weights != 0, rng.uniform(0.3, 1, pool.weights.shape), 0.0)
    rule, total, draws = KeepRule(rescale_cap=np.inf), np.zeros_like(pool.weights), 20_000
    for _ in range(draws):
        total += prune_synapses(pool, probabilities, np.ones_like(pool.weights), rng, rule)[0].weights
    where = pool.weights != 0
    spread = np.abs(pool.weights) * np.sqrt((1 / np.maximum(probabilities, 1e-9) - 1) / draws)
    error = np.abs(total / draws - pool.weights)[where]
    assert (error <= 5 * spread[where] + 1e-9).all()


def test_the_rescaling_is_capped_over_the_rounds(rng: np.random.Generator) -> None:
    pool = _pool(rng, 30, 0.5)
    original, rescaled = pool.weights.copy(), np.ones_like(pool.weights)
    probabilities = np.where(pool.weights != 0, 0.6, 0.0)
    for _ in range(6):
        pool, rescaled = prune_synapses(pool, probabilities * (pool.weights != 0), rescaled, rng, KeepRule())
    kept = pool.weights != 0
    assert np.allclose(np.abs(pool.weights[kept] / original[kept]), 5.0)


def test_the_covariance_of_an_uncoupled_linear_filter_matches_theory(rng: np.random.Generator) -> None:
    """Independent neurons: filtered rates are uncorrelated, and their variance follows from the filter."""
    size = 40
    pool = RecurrentPool(np.zeros((size, size)), np.full(size, 0.8), np.full(size, 5.0))
    drive = NoiseDrive(steps=3000, warm_up=200, trials=4, window_ms=5.0)
    response = drive_with_noise(pool, drive, rng)
    off = response.covariance[~np.eye(size, dtype=bool)]
    assert np.abs(off).max() < 0.2 * response.covariance.diagonal().min()
    # White spikes of this rate, filtered, would have this variance; refractoriness lowers it.
    forget = np.exp(-1 / 5)
    white = solve_discrete_lyapunov(np.array([[forget]]), np.array([[(1 - forget) ** 2]])).item()
    bernoulli = response.rate * (1 - response.rate) * white
    assert 0.3 * bernoulli < response.covariance.diagonal().mean() < 1.2 * bernoulli


def test_a_neuron_that_never_fires_has_the_exponent_of_its_leak(rng: np.random.Generator) -> None:
    beta = np.array([0.9, 0.8])
    pool = RecurrentPool(np.zeros((2, 2)), beta, np.full(2, 1e9))
    response = drive_with_noise(pool, NoiseDrive(mean=0.0, sigma=1e-9), rng)
    assert response.exponents == pytest.approx(np.log(beta + 1e-6), rel=1e-9)
    assert response.rate == 0


def test_betweenness_equals_networkx(rng: np.random.Generator) -> None:
    pool = _pool(rng, 40, 0.1)
    graph = nx.from_numpy_array((pool.weights != 0).T, create_using=nx.DiGraph)
    expected = nx.betweenness_centrality(graph, normalized=False)
    assert betweenness(pool.weights) == pytest.approx([expected[i] for i in range(40)])


def test_the_most_central_neurons_stay(rng: np.random.Generator) -> None:
    chain = np.zeros((5, 5))
    chain[1, 0] = chain[2, 1] = chain[3, 2] = chain[4, 3] = 1.0
    assert most_central(chain, 3, rng).tolist() == [1, 2, 3]


@pytest.mark.parametrize(("neurons", "fraction"), [(50, 0.1), (100, 0.5), (13, 0.02)])
def test_targets_are_met_net_of_both_steps(neurons: int, fraction: float, rng: np.random.Generator) -> None:
    pool = _pool(rng, 100, 0.3)
    result = prune_pool(pool, LnpOptions(neurons, fraction, 8, NoiseDrive(steps=40, trials=8)), rng)
    assert result.pool.size == neurons
    assert result.pool.synapses <= round(fraction * pool.synapses)
    assert (np.diff(result.kept) > 0).all()
    assert [record.synapses for record in result.records] == sorted(
        (record.synapses for record in result.records), reverse=True
    )


def test_pruning_is_decided_by_its_generator(rng: np.random.Generator) -> None:
    pool = _pool(rng, 40, 0.3)
    options = LnpOptions(20, 0.2, 3)
    first, second = (prune_pool(pool, options, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.pool.weights, second.pool.weights)
    assert np.array_equal(first.kept, second.kept)


def test_the_gain_is_restored(rng: np.random.Generator) -> None:
    pool = _pool(rng, 60, 0.4)
    result = prune_pool(pool, LnpOptions(30, 0.2, 4), rng)
    radius = [np.abs(np.linalg.eigvals(each.weights)).max() for each in (pool, result.pool)]
    assert radius[0] == pytest.approx(radius[1], rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LnpOptions(0, 0.5), "1 to 10 remaining neurons, got 0"),
        (LnpOptions(11, 0.5), "1 to 10 remaining neurons, got 11"),
        (LnpOptions(5, 0.0), "synapse fraction"),
        (LnpOptions(5, 0.5, 0), "at least one iteration"),
    ],
)
def test_impossible_targets_are_refused(options: LnpOptions, message: str, rng: np.random.Generator) -> None:
    with pytest.raises(PruningError, match=message):
        prune_pool(_pool(rng, 10, 0.5), options, rng)


def test_a_pool_that_loses_its_last_synapse_on_the_way_is_refused(rng: np.random.Generator) -> None:
    weights = np.zeros((12, 12))
    weights[1, 0] = weights[3, 2] = 1.0
    pool = RecurrentPool(weights, np.full(12, 0.9), np.full(12, 10.0))
    with pytest.raises(PruningError, match=r"no synapses are left after round \d+ of 30.*synapse_fraction"):
        prune_pool(pool, LnpOptions(2, 0.01, 30), rng)


def test_an_empty_and_a_broken_pool_are_refused(rng: np.random.Generator) -> None:
    empty = RecurrentPool(np.zeros((4, 4)), np.full(4, 0.9), np.ones(4))
    with pytest.raises(PruningError, match="no recurrent synapses"):
        prune_pool(empty, LnpOptions(2, 0.5), rng)
    broken = RecurrentPool(np.full((4, 4), np.nan), np.full(4, 0.9), np.ones(4))
    with pytest.raises(PruningError, match="not finite"):
        prune_pool(broken, LnpOptions(2, 0.5), rng)


def test_a_pool_that_explodes_under_noise_is_refused(rng: np.random.Generator) -> None:
    pool = RecurrentPool(np.full((3, 3), -1e308), np.full(3, 0.9), np.ones(3))
    with np.errstate(all="ignore"), pytest.raises(PruningError, match="diverges"):
        drive_with_noise(pool, NoiseDrive(mean=2.0), rng)
