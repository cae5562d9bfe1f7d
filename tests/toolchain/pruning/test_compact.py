"""A compact network does what the full one did with the other neurons silenced."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.networks import part
from toolchain.errors import PruningError
from toolchain.models import (
    CubaLif,
    HrsnnShape,
    LearntDelays,
    MaskedSynapses,
    Network,
    build_hrsnn,
    learnt_parameters,
)
from toolchain.pruning import LnpOptions, compact, pool_of, prune_recurrent, with_pool
from toolchain.reset import Reset


def _network(neurons: int = 60) -> Network:
    shape = HrsnnShape(channels=8, classes=3, neurons=neurons, density=0.3)
    return build_hrsnn(shape, np.random.default_rng(0)).double()


def _silenced(network: Network, indices: np.ndarray) -> Network:
    """The full network in which neurons that go have no outgoing synapses."""
    gone = np.setdiff1d(np.arange(network.layer("hidden").size), indices)
    with torch.no_grad():
        for name in ("recur", "decode"):
            part(network, f"synapses.{name}", MaskedSynapses).weight[:, gone] = 0
    return network


_EVERYTHING = HrsnnShape(
    channels=8,
    classes=3,
    neurons=60,
    density=0.3,
    reset=Reset.SUBTRACT,
    reset_amount=0.7,
    refractory_ms=2,
    adaptation=0.2,
    train=("dv", "vth", "reset_amount", "adaptation", "adaptation_decay"),
    delays=LearntDelays.SYNAPSE,
    longest_delay=4,
)


def _learnt() -> Network:
    """A network with all that neurons and synapses can have, as if it had been trained."""
    network = build_hrsnn(_EVERYTHING, np.random.default_rng(0)).double()
    rng = np.random.default_rng(1)
    neurons, delays = learnt_parameters(network)
    for offset in neurons:
        offset.data += torch.tensor(rng.normal(size=60) * 0.3)
    for delay in delays:
        delay.data += torch.tensor(rng.uniform(0, 4, delay.shape))
    return network


@pytest.mark.parametrize("make", [_network, _learnt])
def test_kept_neurons_do_what_they_did_with_the_others_silenced(make: Callable[[], Network]) -> None:
    indices = np.array([1, 5, 6, 20, 33, 34, 59])
    small = compact(make(), {"hidden": indices})
    full = _silenced(make(), indices)
    x = torch.tensor(np.random.default_rng(1).random((4, 20, 8)) < 0.5).double()
    with torch.inference_mode():
        expected, got = full(x, record=True), small(x, record=True)
    assert torch.equal(got.spikes["hidden"], expected.spikes["hidden"][:, :, indices])
    assert (got.v["readout"] - expected.v["readout"]).abs().max() <= 1e-12
    assert got.spikes["hidden"].any()


def test_a_compact_network_is_really_smaller_and_knows_where_its_neurons_come_from() -> None:
    small = compact(_network(), {"hidden": np.array([2, 3, 50])})
    assert small.synapses["recur"].weight.shape == (3, 3)
    assert small.synapses["encode"].weight.shape == (3, 8)
    assert small.synapses["decode"].weight.shape == (3, 3)
    assert small.layer("hidden").elements.tolist() == [2, 3, 50]
    again = compact(small, {"hidden": np.array([0, 2])})
    assert again.layer("hidden").elements.tolist() == [2, 50]


@pytest.mark.parametrize(
    ("indices", "message"),
    [({"hidden": np.array([], int)}, "lose all its neurons"), ({"nobody": np.array([0])}, "does not exist")],
)
def test_an_empty_or_unknown_layer_is_refused(indices: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(PruningError, match=message):
        compact(_network(), indices)


def test_pruning_hits_its_targets_and_leaves_the_original_alone() -> None:
    network = _network(120)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    small, result = prune_recurrent(network, "hidden", LnpOptions(50, 0.1, 6), np.random.default_rng(0))
    assert small.layer("hidden").size == 50
    left, whole = (part(each, "synapses.recur", MaskedSynapses).count for each in (small, network))
    assert 0.09 * whole <= left <= round(0.1 * whole)
    assert [record.iteration for record in result.records] == list(range(7))
    assert np.array_equal(small.layer("hidden").elements.numpy(), result.indices)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("reset", Reset)
def test_every_reset_can_be_pruned_and_stays(reset: Reset) -> None:
    amount = 0.3 if reset.has_amount else None
    fields: dict[str, Any] = {"reset": reset, "reset_amount": amount, "train": ("dv",)}
    shape = replace(_EVERYTHING, refractory_ms=0.0, adaptation=0.0, **fields)
    network = build_hrsnn(shape, np.random.default_rng(0))
    small, result = prune_recurrent(network, "hidden", LnpOptions(30, 0.15, 3), np.random.default_rng(0))
    hidden, before = small.layer("hidden"), network.layer("hidden")
    assert hidden.reset is reset
    assert torch.equal(hidden.dv, before.dv[torch.from_numpy(result.indices)])
    assert [len(each) for each in learnt_parameters(small)] == [1, 2]
    assert part(small, "synapses.recur", MaskedSynapses).delays is not None


def test_amounts_go_with_the_thresholds_of_other_leaks() -> None:
    network = _learnt()
    pool = pool_of(network, "hidden").with_betas(np.linspace(0.8, 0.9, 60))
    changed = with_pool(network, "hidden", np.arange(60), pool)
    again = pool_of(changed, "hidden")
    assert again.beta == pytest.approx(pool.beta)
    assert again.threshold == pytest.approx(pool.threshold)
    assert again.amount == pytest.approx(pool.amount)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"refractory_ms": 2.0}, "a refractory period"),
        ({"adaptation": 0.1}, "an adaptive threshold"),
    ],
)
def test_neurons_whose_answer_to_noise_is_not_known_are_refused(fields: dict[str, Any], message: str) -> None:
    shape = HrsnnShape(channels=8, classes=3, neurons=60, density=0.3, **fields)
    network = build_hrsnn(shape, np.random.default_rng(0))
    with pytest.raises(PruningError, match=message):
        prune_recurrent(network, "hidden", LnpOptions(30, 0.3), np.random.default_rng(0))


def test_counts_and_delays_of_synapses_are_refused_by_lnp() -> None:
    shape = replace(_EVERYTHING, refractory_ms=0.0, adaptation=0.0, train=())
    network = build_hrsnn(shape, np.random.default_rng(0))
    delays = part(network, "synapses.recur", MaskedSynapses).delays
    assert delays is not None
    delays.position.data += 1.0
    with pytest.raises(PruningError, match="delays of its synapses"):
        prune_recurrent(network, "hidden", LnpOptions(30, 0.3), np.random.default_rng(0))
    delays.position.data -= 1.0
    network.layer("hidden").max_spikes = 3
    with pytest.raises(PruningError, match="several spikes a step"):
        prune_recurrent(network, "hidden", LnpOptions(30, 0.3), np.random.default_rng(0))


def test_a_layer_without_recurrence_is_refused() -> None:
    network = _network()
    with pytest.raises(PruningError, match="0 connections to itself"):
        prune_recurrent(network, "readout", LnpOptions(2, 0.5), np.random.default_rng(0))


def test_a_population_of_another_sort_of_connection_is_refused() -> None:
    network = _network()
    network.synapses["recur"] = torch.nn.Linear(60, 60)
    with pytest.raises(PruningError, match="expected Synapses"):
        compact(network, {"hidden": np.arange(5)})
    assert isinstance(network.layer("hidden"), CubaLif)
