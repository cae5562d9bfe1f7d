"""SpikingJelly: networks stepped by hand, exported with its own exporter."""

# `make peers` installs it.
# pyright: reportMissingImports=false

from typing import Any

import nir
import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import nn

from tests.frameworks import networks
from tests.frameworks.cells import Export, Import, Theirs
from toolchain.arrays import Array


def stepped(net: nn.Sequential, x: Array) -> tuple[Array, list[Array]]:
    """Run a network in double precision, step by step; return spikes and potentials."""
    net = net.double()
    functional.reset_net(net)
    layers: list[Any] = [item for item in net if isinstance(item, neuron.BaseNode)]
    spikes: list[Array] = []
    kept: list[list[Array]] = [[] for _ in layers]
    with torch.no_grad():
        for t in range(x.shape[1]):
            spikes.append(net(torch.tensor(x[:, t], dtype=torch.float64)).numpy())
            for item, rows in zip(layers, kept, strict=True):
                rows.append(item.v.numpy().copy())
    functional.reset_net(net)
    return np.stack(spikes, 1), [np.stack(rows, 1) for rows in kept]


def _stepped(net: nn.Sequential, x: Array, *, potentials: bool = True) -> Theirs:
    spikes, kept = stepped(net, x)
    graph = export_to_nir(net, torch.tensor(x[:, 0], dtype=torch.float64))
    functional.reset_net(net)
    return Theirs(graph, spikes, kept if potentials else ())


def _lif(x: Array) -> Theirs:
    torch.manual_seed(1)
    return _stepped(
        nn.Sequential(
            layer.Linear(6, 8),
            neuron.LIFNode(tau=3.0, v_threshold=0.1),
            layer.Linear(8, 5),
            neuron.LIFNode(tau=3.0, decay_input=False, v_threshold=0.5),
            layer.Linear(5, 5),
            neuron.IFNode(v_threshold=0.3),
        ),
        x,
    )


def _resting(x: Array) -> Theirs:
    torch.manual_seed(2)
    lif = neuron.LIFNode(tau=3.0, v_threshold=0.2, v_reset=-0.2)
    return _stepped(nn.Sequential(layer.Linear(6, 8), lif), x, potentials=False)


def _parametric(x: Array) -> Theirs:
    torch.manual_seed(3)
    lif = neuron.ParametricLIFNode(init_tau=2.5, v_threshold=0.1)
    return _stepped(nn.Sequential(layer.Linear(6, 8, bias=False), lif), x)


def _cuba(x: Array) -> Theirs:
    torch.manual_seed(4)
    return _stepped(nn.Sequential(layer.Linear(6, 8), neuron.CUBALIFNode(v_threshold=0.7)), x)


def _images(x: Array) -> Theirs:
    torch.manual_seed(5)
    return _stepped(
        nn.Sequential(
            layer.Conv2d(2, 4, 3),
            neuron.IFNode(v_threshold=0.3),
            layer.AvgPool2d(2),
            layer.Flatten(),
            layer.Linear(36, 5),
            neuron.LIFNode(v_threshold=0.1),
        ),
        x,
    )


def _filtered(x: Array) -> Theirs:
    torch.manual_seed(8)
    return _stepped(nn.Sequential(layer.Conv2d(2, 3, 3), neuron.CUBALIFNode(v_threshold=0.7)), x)


def _line(x: Array) -> Theirs:
    torch.manual_seed(6)
    return _stepped(
        nn.Sequential(
            layer.Conv1d(2, 4, 3, padding=1),
            neuron.IFNode(v_threshold=0.3),
            layer.Flatten(),
            layer.Linear(32, 5),
            neuron.IFNode(v_threshold=0.3),
        ),
        x,
    )


def _defaults(x: Array) -> Theirs:
    torch.manual_seed(9)
    first = layer.Linear(6, 8)
    with torch.no_grad():
        first.weight *= 4
    return _stepped(nn.Sequential(first, neuron.LIFNode(), layer.Linear(8, 5), neuron.IFNode()), x)


def _normalised(x: Array) -> Theirs:
    torch.manual_seed(10)
    net = nn.Sequential(layer.Conv2d(2, 4, 3), layer.BatchNorm2d(4), neuron.IFNode(v_threshold=0.3))
    return _stepped(net.eval(), x)


def _soft(x: Array) -> Theirs:
    torch.manual_seed(7)
    return _stepped(nn.Sequential(layer.Linear(6, 8), neuron.IFNode(v_threshold=0.3, v_reset=None)), x)


def _as_before(x: Array) -> Theirs:
    """What versions before 2.0 wrote of `v_reset=None`: what 2.0 writes of 0."""
    torch.manual_seed(7)
    net = nn.Sequential(
        layer.Linear(6, 8),
        neuron.IFNode(v_threshold=0.3, v_reset=None),
        layer.Linear(8, 5),
        neuron.LIFNode(tau=3.0, v_threshold=0.1, v_reset=None),
    )
    spikes, kept = stepped(net, x)
    for item in net:
        if isinstance(item, neuron.BaseNode):
            setattr(item, "v_reset", 0.0)  # noqa: B010 - PyTorch types what is set as a tensor
    graph = export_to_nir(net, torch.tensor(x[:, 0], dtype=torch.float64))
    return Theirs(graph, spikes, kept)


def _read(graph: nir.NIRGraph, x: Array) -> Array:
    net, state, rows = import_from_nir(graph, dtype=torch.float64), None, []
    for t in range(x.shape[1]):
        out, state = net(torch.tensor(x[:, t], dtype=torch.float64), state)
        rows.append(out.detach().numpy())
    return np.stack(rows, 1)


NAME = "spikingjelly"
CELLS: list[Import | Export] = [
    Import(NAME, "LIF: LIFNode, both ways of decay_input", (6,), _lif, reset="zero"),
    Import(NAME, "IF: IFNode", (6,), _lif, reset="zero"),
    Import(NAME, "v_reset: LIFNode", (6,), _resting),
    Import(NAME, "LIF: ParametricLIFNode", (6,), _parametric, reset="zero"),
    Import(NAME, "CubaLIF: CUBALIFNode behind a bias", (6,), _cuba, reset="zero"),
    Import(NAME, "Conv2d, pooling, Flatten: AvgPool2d", (2, 8, 8), _images, reset="zero"),
    Import(NAME, "Conv2d, CubaLIF: with a bias", (2, 8, 8), _filtered, reset="zero"),
    Import(NAME, "Conv1d: IFNode, Flatten", (2, 8), _line, ours=(2, 1, 8), reset="zero"),
    Import(NAME, "defaults of LIFNode and IFNode", (6,), _defaults, reset="zero"),
    Import(
        NAME,
        "BatchNorm2d: behind a Conv2d",
        (2, 8, 8),
        _normalised,
        "its exporter knows no BatchNorm2d; fold it into the convolution",
        refused=True,
    ),
    Import(
        NAME,
        "reset by subtraction: v_reset=None",
        (6,),
        _soft,
        "its exporter (2.0) refuses it",
        refused=True,
        reset="subtract",
    ),
    Import(
        NAME,
        "reset by subtraction: v_reset=None, as versions before 2.0 wrote it",
        (6,),
        _as_before,
        reset="subtract",
    ),
    Export(NAME, "LIF", networks.leaky, _read),
    Export(NAME, "CubaLIF", lambda: networks.leaky(du=0.4), _read),
    Export(
        NAME,
        "v_leak: CubaLIF",
        lambda: networks.leaky(du=0.4, bias=0.1),
        _read,
        "its importer refuses v_leak",
        refused=True,
    ),
    Export(NAME, "IF", lambda: networks.leaky(dv=0.0), _read),
    Export(NAME, "recurrent LIF: with a bias", lambda: networks.recurrent(bias=0.1), _read),
    Export(NAME, "recurrent CubaLIF", lambda: networks.recurrent(du=0.5), _read),
    Export(NAME, "feedback from a later layer: CubaLIF", lambda: networks.feedback(du=0.5), _read),
    Export(NAME, "Conv2d, pooling, Flatten: SumPool2d", lambda: networks.images(pooled=True), _read),
    Export(NAME, "LI", networks.readout, _read, "its importer knows no LI", refused=True),
]
