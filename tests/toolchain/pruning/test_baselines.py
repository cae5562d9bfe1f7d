"""The baselines: sizes, what they keep, and what they refuse."""

import numpy as np
import pytest
import torch

from tests.toolchain.pruning.pools import random_pool, world
from toolchain.errors import ArgumentError, PruningError
from toolchain.models import HrsnnShape, MaskedSynapses, Network, build_hrsnn
from toolchain.models.topology import spectral_radius
from toolchain.pruning import (
    ActivityOptions,
    erdos_renyi,
    pool_of,
    prune_at_random,
    prune_by_activity,
    with_pool,
    without_recurrence,
)
from toolchain.pruning.magnitude import prune_by_magnitude


def _network(neurons: int = 60) -> Network:
    shape = HrsnnShape(channels=8, classes=3, neurons=neurons, density=0.3, gain=5.0)
    return build_hrsnn(shape, np.random.default_rng(0))


def test_magnitude_keeps_the_strongest(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 50, 0.3)
    selection = prune_by_magnitude(pool, 20, 60)
    assert (selection.pool.size, selection.pool.synapses) == (20, 60)
    induced = np.sort(np.abs(pool.keep(selection.indices).weights.data))
    assert np.sort(np.abs(selection.pool.weights.data)) == pytest.approx(induced[-60:])


def test_random_keeps_what_was_there(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 50, 0.3)
    selection = prune_at_random(pool, 20, 60, rng)
    assert (selection.pool.size, selection.pool.synapses) == (20, 60)
    original = pool.weights.toarray()[np.ix_(selection.indices, selection.indices)]
    dense = selection.pool.weights.toarray()
    assert np.array_equal(dense[dense != 0], original[dense != 0])


def test_erdos_renyi_has_its_size_no_loops_and_one_sign_per_source(rng: np.random.Generator) -> None:
    pool = world(rng, 60, 0.2, 1.0)
    indices = np.arange(0, 60, 2)
    dense = erdos_renyi(pool, indices, 200, rng).pool.weights.toarray()
    assert np.count_nonzero(dense) == 200
    assert not dense.diagonal().any()
    for source, column in zip(indices, dense.T, strict=True):
        wanted = np.sign(pool.weights.toarray()[:, source].sum())
        assert set(np.sign(column[column != 0])) <= {wanted}
    assert np.isin(np.abs(dense[dense != 0]), np.abs(pool.weights.data)).all()
    full = erdos_renyi(pool, indices, 30 * 29, rng).pool
    assert full.synapses == 870
    with pytest.raises(PruningError, match="at most 870 synapses among 30 neurons, got 871"):
        erdos_renyi(pool, indices, 871, rng)


def test_without_recurrence_only_neurons_are_left(rng: np.random.Generator) -> None:
    pool = world(rng, 60, 0.2, 1.0)
    selection = without_recurrence(pool, np.array([3, 7]))
    assert (selection.pool.size, selection.pool.synapses) == (2, 0)
    assert selection.pool.beta.tolist() == pool.beta[[3, 7]].tolist()


@pytest.mark.parametrize(("neurons", "synapses"), [(0, 1), (51, 1), (5, 10**6)])
def test_impossible_sizes_are_refused(neurons: int, synapses: int, rng: np.random.Generator) -> None:
    pool = random_pool(rng, 50, 0.3)
    for prune in (
        prune_by_magnitude,
        lambda pool, neurons, synapses: prune_at_random(pool, neurons, synapses, rng),
    ):
        with pytest.raises(PruningError, match="remaining"):
            prune(pool, neurons, synapses)


def test_a_size_that_the_neurons_left_cannot_have_is_refused(rng: np.random.Generator) -> None:
    pool = random_pool(rng, 50, 0.3)
    for prune in (
        prune_by_magnitude,
        lambda pool, neurons, synapses: prune_at_random(pool, neurons, synapses, rng),
    ):
        with pytest.raises(
            PruningError, match=r"only \d+ synapses join the 5 neurons left, the target is 100"
        ):
            prune(pool, 5, 100)
    with pytest.raises(PruningError, match="the target is 500"):
        prune_by_activity(
            _network(),
            "hidden",
            ActivityOptions(10, 500, 1),
            lambda _: np.arange(60, dtype=np.float64),
            lambda _: None,
        )


def test_activity_removes_the_quiet_and_retrains_every_round() -> None:
    network = _network()
    order = np.random.default_rng(1).permutation(60)
    rounds: list[int] = []

    def activity(each: Network) -> np.ndarray:
        return order[each.layer("hidden").elements.numpy()].astype(float)

    small, indices = prune_by_activity(
        network,
        "hidden",
        ActivityOptions(20, 50, 4),
        activity,
        lambda each: rounds.append(each.layer("hidden").size),
    )
    assert np.array_equal(indices, np.sort(np.argsort(-order)[:20]))
    assert np.array_equal(small.layer("hidden").elements.numpy(), indices)
    assert pool_of(small, "hidden").synapses == 50
    assert rounds == [46, 35, 26, 20]
    assert network.layer("hidden").size == 60
    with pytest.raises(ArgumentError, match="iterations: expected a whole number, 1"):
        ActivityOptions(20, 50, 0)


def test_activity_prunes_neurons_that_have_no_synapses_among_them() -> None:
    network = _network()
    loop = next(arrow.name for arrow in network.connections if arrow.source == arrow.target)
    weight = torch.zeros(60, 60)
    network.synapses[loop] = MaskedSynapses(weight, weight != 0)
    small, indices = prune_by_activity(
        network,
        "hidden",
        ActivityOptions(20, 0, 2),
        lambda each: np.arange(60, dtype=np.float64)[-each.layer("hidden").size :],
        lambda _: None,
    )
    assert len(indices) == small.layer("hidden").size == 20
    assert pool_of(small, "hidden").synapses == 0


def test_a_pool_goes_back_into_its_network_with_gain_and_leak() -> None:
    network = _network()
    pool = pool_of(network, "hidden").with_gain(2.0)
    betas = np.linspace(0.8, 0.9, 60)
    changed = with_pool(network, "hidden", np.arange(60), pool.with_betas(betas))
    again = pool_of(changed, "hidden")
    assert spectral_radius(again.weights) == pytest.approx(2.0, rel=1e-5)
    assert again.beta == pytest.approx(betas, abs=1e-6)
    assert again.threshold * (1 - again.beta) == pytest.approx(pool.threshold * (1 - pool.beta), rel=1e-5)
