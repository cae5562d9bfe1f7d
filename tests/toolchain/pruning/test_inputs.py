"""Synapses from the input leave: as many as asked for, of every neuron alike."""

import numpy as np
import pytest
import torch

from toolchain.errors import PruningError
from toolchain.models import HrsnnShape, Network, build_hrsnn
from toolchain.models.neurons import MaskedSynapses
from toolchain.pruning import thin_inputs


def _network(rng: np.random.Generator, channels: int = 16) -> Network:
    shape = HrsnnShape(channels=channels, classes=3, neurons=30, density=0.2, input_density=0.5)
    return build_hrsnn(shape, rng)


def _synapses(network: Network, name: str) -> MaskedSynapses:
    synapses = network.synapses[name]
    assert isinstance(synapses, MaskedSynapses)
    return synapses


def _weights(network: Network, name: str) -> np.ndarray:
    return _synapses(network, name).effective.detach().double().numpy()


@pytest.mark.parametrize("strongest", [False, True])
def test_every_neuron_keeps_the_same_share_of_its_inputs(strongest: bool, rng: np.random.Generator) -> None:
    network = _network(rng)
    thin = thin_inputs(network, "hidden", 0.25, rng, strongest=strongest)
    before, after = _weights(network, "encode"), _weights(thin, "encode")
    counts = (before != 0).sum(axis=1)
    assert np.array_equal((after != 0).sum(axis=1), np.maximum(np.round(0.25 * counts), counts > 0))
    assert (before[after != 0] != 0).all()
    assert np.square(after).sum() == pytest.approx(np.square(before).sum(), rel=1e-5)
    for name in ("recur", "decode"):
        assert np.array_equal(_weights(network, name), _weights(thin, name))


def test_the_strongest_stay_if_wanted(rng: np.random.Generator) -> None:
    network = _network(rng)
    thin = thin_inputs(network, "hidden", 0.5, rng, strongest=True)
    before, after = np.abs(_weights(network, "encode")), _weights(thin, "encode") != 0
    gone = ~after & (before > 0)
    for row, stays, went in zip(before, after, gone, strict=True):
        if went.any():
            assert row[stays].min() >= row[went].max()


def test_the_network_given_stays_and_absent_synapses_learn_nothing(rng: np.random.Generator) -> None:
    network = _network(rng)
    before = _weights(network, "encode").copy()
    thin = thin_inputs(network, "hidden", 0.25, rng)
    assert np.array_equal(_weights(network, "encode"), before)
    thin(torch.ones(2, 5, 16)).scores.sum().backward()
    synapses = _synapses(thin, "encode")
    gradient = synapses.weight.grad
    assert gradient is not None
    assert synapses.mask is not None
    assert not gradient[~synapses.mask].any()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float, rng: np.random.Generator) -> None:
    with pytest.raises(PruningError, match="above 0 and at most 1"):
        thin_inputs(_network(rng), "hidden", share, rng)


def test_a_layer_without_input_is_named(rng: np.random.Generator) -> None:
    with pytest.raises(PruningError, match="layer 'nobody' has no input"):
        thin_inputs(_network(rng), "nobody", 0.5, rng)
