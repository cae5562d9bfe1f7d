"""Neurons of ours run in an `nn.Sequential` of PyTorch, as the network that is made of it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pumice
from toolchain.errors import ArgumentError
from toolchain.frontends import as_model
from toolchain.models import CubaLif, FeedForward, Network, Spiking, begin


def test_dense_layers_run_as_the_network_that_is_made_of_them() -> None:
    torch.manual_seed(1)
    hidden, last = CubaLif(8, du=0.5, dv=0.25, vth=0.5), CubaLif(4, vth=float("inf"))
    layers = nn.Sequential(nn.Linear(6, 8, bias=False), hidden, nn.Linear(8, 4), last).double()
    x = (np.random.default_rng(1).random((3, 11, 6)) < 0.6).astype(np.float64)
    network = as_model(layers, x)
    assert isinstance(network, Network)
    potentials = layers(torch.from_numpy(x))
    assert potentials.shape == (3, 11, 4)
    record = network(torch.from_numpy(x))
    assert torch.allclose(potentials.mean(1), record.scores)
    assert torch.equal(layers[:2](torch.from_numpy(x)), record.spikes["neurons1"])
    assert bool(record.spikes["neurons1"].any())


def test_input_of_another_shape_is_refused_by_name() -> None:
    with pytest.raises(ArgumentError, match=r"x: expected synaptic input \[batch, time, 8\], got \[3, 8\]"):
        CubaLif(8)(torch.zeros(3, 8))


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_layers_of_maps_run_step_by_step_as_the_network_that_is_made_of_them(reset: str) -> None:
    torch.manual_seed(2)
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        Spiking(vth=0.3, dv=0.25, reset=reset),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 3),
    ).double()
    x = torch.rand(2, 5, 1, 8, 8, dtype=torch.float64)
    network = as_model(layers, x)
    assert isinstance(network, FeedForward)
    with torch.no_grad():
        expected = network(x).scores
        for _ in range(2):
            begin(layers)
            steps = [layers(frame) for frame in x.unbind(1)]
            assert torch.allclose(torch.stack(steps).mean(0), expected)


def test_the_layers_of_the_readme_run_in_pytorch_and_learn(repository: Path) -> None:
    code = (repository / "README.md").read_text()
    (line,) = re.findall(r"^layers = (\[.*\])$", code, re.MULTILINE)
    torch.manual_seed(3)
    layers = nn.Sequential(*eval(line, {"nn": nn, "pumice": pumice}))  # noqa: S307 - our own page
    x = (torch.rand(4, 16, 64) < 0.5).float()
    potentials = layers(x)
    assert potentials.shape == (4, 16, 10)
    network = as_model(layers, x.numpy())
    assert isinstance(network, Network)
    assert torch.allclose(network(x).scores, potentials.mean(1), atol=1e-6)
    potentials.square().mean().backward()
    first = layers[0]
    assert isinstance(first, nn.Linear)
    assert first.weight.grad is not None
    assert bool(first.weight.grad.any())


def test_the_gradient_of_a_step_reaches_the_steps_before() -> None:
    neurons = Spiking(vth=1.0, dv=0.5)
    first = torch.tensor([[0.5]], requires_grad=True)
    neurons(first)
    neurons(torch.tensor([[0.25]])).sum().backward()
    assert first.grad is not None
    assert float(first.grad) > 0
