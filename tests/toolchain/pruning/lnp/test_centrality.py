"""Betweenness against networkx, and sampled against exact."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import spearmanr

from tests.toolchain.pruning.pools import random_pool
from toolchain.models.topology import small_world
from toolchain.pruning.lnp.centrality import CentralityRule, betweenness, most_central, updated_centrality


def _oracle(adjacency: np.ndarray) -> list[float]:
    graph = nx.from_numpy_array(adjacency.T, create_using=nx.DiGraph)
    expected = nx.betweenness_centrality(graph, normalized=False)
    return [expected[i] for i in range(len(adjacency))]


@settings(max_examples=30, deadline=None)
@given(
    neurons=st.integers(2, 40),
    density=st.sampled_from([0.0, 0.03, 0.1, 0.4, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_betweenness_equals_networkx(neurons: int, density: float, seed: int) -> None:
    pool = random_pool(np.random.default_rng(seed), neurons, density)
    assert betweenness(pool.weights) == pytest.approx(_oracle(pool.weights.toarray() != 0), abs=1e-9)


def test_a_long_chain_is_walked_to_its_end() -> None:
    chain = np.eye(30, k=-1)
    assert betweenness(csr_array(chain)) == pytest.approx(_oracle(chain != 0))


def test_a_graph_in_pieces_is_handled(rng: np.random.Generator) -> None:
    one = random_pool(rng, 15, 0.3).weights.toarray()
    weights = np.block([[one, np.zeros((15, 15))], [np.zeros((15, 15)), one]])
    assert betweenness(csr_array(weights)) == pytest.approx(_oracle(weights != 0))


def test_all_pivots_are_the_exact_value(rng: np.random.Generator) -> None:
    weights = random_pool(rng, 50, 0.1).weights
    assert betweenness(weights, rng.permutation(50)) == pytest.approx(betweenness(weights))


def test_sampled_betweenness_gathers_rank_over_the_iterations() -> None:
    rng = np.random.default_rng(0)
    # Every synapse is there with probability 0.6: degrees differ as in a pool that is being pruned.
    weights = small_world(1100, 0.1, 0.1, rng) * (rng.random((1100, 1100)) < 0.6)
    graph, rule = csr_array(weights.astype(float)), CentralityRule(pivots=128)
    exact, past = betweenness(graph), None
    alike: list[Any] = []
    for rounds in range(10):
        past = updated_centrality(graph, past, rounds, rule, rng)
        alike.append(spearmanr(past, exact))
    assert alike[0].statistic < 0.6
    assert alike[-1].statistic >= 0.8


def test_small_pools_are_exact_every_time(rng: np.random.Generator) -> None:
    weights = random_pool(rng, 60, 0.1).weights
    wrong = np.full(60, 1e9)
    assert updated_centrality(weights, wrong, 5, CentralityRule(), rng) == pytest.approx(betweenness(weights))


def test_the_most_central_neurons_stay(rng: np.random.Generator) -> None:
    assert most_central(betweenness(csr_array(np.eye(5, k=-1))), 3, rng).tolist() == [1, 2, 3]
