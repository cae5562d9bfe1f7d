"""A compact network does what the full one did with the other neurons silenced."""

import numpy as np
import pytest
import torch

from tests.networks import part
from toolchain.errors import PruningError
from toolchain.models import CubaLif, HrsnnShape, MaskedSynapses, Network, build_hrsnn
from toolchain.pruning import LnpOptions, compact, prune_recurrent


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


def test_kept_neurons_do_what_they_did_with_the_others_silenced() -> None:
    indices = np.array([1, 5, 6, 20, 33, 34, 59])
    small = compact(_network(), {"hidden": indices})
    full = _silenced(_network(), indices)
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
