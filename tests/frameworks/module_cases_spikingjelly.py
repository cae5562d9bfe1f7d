"""Modules of SpikingJelly's neurons and layers."""

# `make peers` installs it.
# pyright: reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

from collections.abc import Callable
from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from tests.frameworks.module_cases import Case, Loop

NAME = "spikingjelly"
IMAGE = (3, 8, 2, 8, 8)


def _lif(**options: Any) -> nn.Module:
    return neuron.LIFNode(**{"tau": 2.0, "v_threshold": 0.6, **options})


def _dense(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(layer.Linear(6, 8), make(), layer.Linear(8, 4), make())


def _many(net: nn.Module) -> nn.Module:
    """Take all steps in one call."""
    functional.set_step_mode(net, "m")
    return net


class Rates(nn.Module):
    """What its tutorials write: all steps at once, and the mean over them."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*parts)
        functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).mean(0)


class Repeated(nn.Module):
    """A picture that is shown at every step, as in its own models."""

    def __init__(self, steps: int, *parts: nn.Module) -> None:
        super().__init__()
        self.layers, self.steps = nn.Sequential(*parts), steps
        functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.unsqueeze(0).repeat(self.steps, 1, 1, 1, 1)).mean(0)


class Block(nn.Module):
    """A residual block that adds spikes, or currents."""

    def __init__(self, *, spikes: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.sn = layer.Conv2d(4, 4, 3, padding=1), layer.BatchNorm2d(4), _lif()
        self.spikes = spikes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.spikes:
            return self.sn(self.norm(self.conv(x))) + x
        return self.sn(self.norm(self.conv(x)) + x)


def _resnet(*, spikes: bool) -> nn.Module:
    return Rates(
        layer.Conv2d(2, 4, 3, padding=1),
        _lif(),
        Block(spikes=spikes),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(64, 5),
        _lif(),
    )


def _convolved(*parts: nn.Module, size: int) -> nn.Module:
    return Rates(*parts, layer.Flatten(), layer.Linear(size, 5), _lif(v_threshold=0.3))


NEURONS: list[tuple[str, Callable[..., nn.Module]]] = [
    ("IFNode", lambda **o: neuron.IFNode(**{"v_threshold": 0.7, **o})),
    ("LIFNode", _lif),
    ("LIFNode, decay_input=False", lambda **o: _lif(decay_input=False, tau=3.0, **o)),
    ("ParametricLIFNode", lambda **o: neuron.ParametricLIFNode(**{"init_tau": 1.7, "v_threshold": 0.5, **o})),
    (
        "ParametricLIFNode, decay_input=False",
        lambda **o: neuron.ParametricLIFNode(init_tau=3.0, decay_input=False, **o),
    ),
]
CASES: list[Case] = [
    *(
        Case(
            NAME,
            f"{name}, v_reset={v_reset}, step mode {mode}",
            lambda make=make, v_reset=v_reset, mode=mode: (_many if mode == "m" else nn.Sequential)(
                _dense(lambda: make(v_reset=v_reset))()
            ),
            double=True,
            lies="tb" if mode == "m" else "bt",
            strength=6,
        )
        for name, make in NEURONS
        for v_reset in (0.0, None, -0.3)
        for mode in ("s", "m")
    ),
    Case(
        NAME,
        "loop in forward",
        lambda: Loop(lambda s, x, _: s.l(x), l=nn.Sequential(nn.Linear(6, 8), _lif())),
        double=True,
    ),
    Case(
        NAME,
        "Dropout, mean over steps",
        lambda: Rates(layer.Linear(6, 8), _lif(), layer.Dropout(), layer.Linear(8, 4), _lif()),
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "Linear last, mean over steps",
        lambda: Rates(layer.Linear(6, 8), _lif(), layer.Linear(8, 4)),
        lies="tb",
        double=True,
    ),
    Case(NAME, "residual of spikes", lambda: _resnet(spikes=True), IMAGE, lies="tb", double=True, strength=5),
    Case(
        NAME, "residual of currents", lambda: _resnet(spikes=False), IMAGE, lies="tb", double=True, strength=5
    ),
    Case(
        NAME,
        "Conv2d, BatchNorm2d, MaxPool2d",
        lambda: _convolved(
            layer.Conv2d(2, 4, 3, padding=1), layer.BatchNorm2d(4), _lif(), layer.MaxPool2d(2), size=64
        ),
        IMAGE,
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "Conv2d without padding, AvgPool2d",
        lambda: _convolved(layer.Conv2d(2, 4, 3), _lif(), layer.AvgPool2d(2), size=36),
        IMAGE,
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "AdaptiveAvgPool2d",
        lambda: _convolved(layer.Conv2d(2, 4, 3), _lif(), layer.AdaptiveAvgPool2d(2), size=16),
        IMAGE,
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "ConvTranspose2d, Upsample",
        lambda: _convolved(
            layer.Conv2d(2, 4, 3, stride=2),
            _lif(),
            layer.ConvTranspose2d(4, 2, 2, stride=2),
            _lif(),
            layer.Upsample(scale_factor=2),
            size=288,
        ),
        IMAGE,
        lies="tb",
        double=True,
        strength=5,
    ),
    Case(
        NAME,
        "SeqToANNContainer",
        lambda: Rates(
            layer.SeqToANNContainer(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)),
            _lif(),
            layer.SeqToANNContainer(nn.Flatten(), nn.Linear(256, 5)),
            _lif(),
        ),
        IMAGE,
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "MultiStepContainer",
        lambda: Rates(layer.MultiStepContainer(nn.Linear(6, 8), neuron.IFNode()), layer.Linear(8, 4), _lif()),
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "a picture repeated",
        lambda: Repeated(
            6,
            layer.Conv2d(2, 4, 3),
            layer.BatchNorm2d(4),
            _lif(),
            layer.Flatten(),
            layer.Linear(144, 5),
            _lif(),
        ),
        (3, 2, 8, 8),
        graded=True,
        lies="b",
        double=True,
    ),
    Case(
        NAME,
        "LinearRecurrentContainer",
        lambda: nn.Sequential(layer.Linear(6, 8), layer.LinearRecurrentContainer(neuron.IFNode(), 8, 8)),
        double=True,
    ),
    Case(
        NAME,
        "LinearRecurrentContainer, step mode m",
        lambda: _many(
            nn.Sequential(layer.Linear(6, 8), layer.LinearRecurrentContainer(neuron.IFNode(), 8, 8))
        ),
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "ElementWiseRecurrentContainer",
        lambda: nn.Sequential(
            layer.Linear(6, 8), layer.ElementWiseRecurrentContainer(neuron.IFNode(), torch.add)
        ),
        double=True,
    ),
    Case(
        NAME,
        "VotingLayer",
        lambda: Rates(layer.Linear(6, 8), _lif(), layer.Linear(8, 20), _lif(), layer.VotingLayer(10)),
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "store_v_seq",
        lambda: _many(nn.Sequential(layer.Linear(6, 8), _lif(store_v_seq=True))),
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "MaxPool2d before neurons",
        lambda: _convolved(layer.Conv2d(2, 4, 3), layer.MaxPool2d(2), _lif(), size=36),
        IMAGE,
        lies="tb",
        refused="takes the largest of what is not spikes",
    ),
    Case(
        NAME,
        "QIFNode",
        lambda: nn.Sequential(nn.Linear(6, 8), neuron.QIFNode()),
        refused="only IFNode, LIFNode and ParametricLIFNode",
    ),
    Case(
        NAME,
        "PSN",
        lambda: _many(nn.Sequential(layer.Linear(6, 8), neuron.PSN(12))),
        refused="only IFNode",
        lies="tb",
    ),
    Case(
        NAME,
        "BatchNorm of all steps together (ThresholdDependentBatchNorm)",
        lambda: _convolved(
            layer.Conv2d(2, 4, 3), layer.ThresholdDependentBatchNorm2d(1.0, 1.0, 4), _lif(), size=144
        ),
        IMAGE,
        lies="tb",
        double=True,
    ),
]
