"""snnTorch: modules stepped by hand, exported with its own exporter."""

from typing import Any

import nir
import numpy as np
import snntorch as snn
import torch
from snntorch import utils
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir
from torch import nn

from tests.frameworks import networks
from tests.frameworks.cells import Array, Export, Import, Theirs

ZERO: dict[str, Any] = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}


def _leaky(shape: tuple[int, ...], beta: float, threshold: float, **options: Any) -> snn.Leaky:
    return snn.Leaky(
        beta=torch.full(shape, beta), threshold=torch.full(shape, threshold), **({**ZERO, **options})
    )


def _stepped(net: nn.Sequential, x: Array) -> Theirs:
    """Run a Sequential whose neurons keep their own state."""
    utils.reset(net)
    layers = [layer for layer in net if isinstance(layer, snn.SpikingNeuron)]
    spikes: list[Array] = []
    kept: list[list[Array]] = [[] for _ in layers]
    for t in range(x.shape[1]):
        out = net(torch.tensor(x[:, t], dtype=torch.float32))
        spikes.append(out.detach().numpy())
        for layer, rows in zip(layers, kept, strict=True):
            rows.append(layer.mem.detach().numpy().copy())
    utils.reset(net)
    sample = torch.zeros(1, *x.shape[2:])
    graph = export_to_nir(net, sample, ignore_dims=[0])
    return Theirs(graph, np.stack(spikes, 1), [np.stack(rows, 1) for rows in kept])


def _two_leaky(x: Array) -> Theirs:
    torch.manual_seed(1)
    return _stepped(
        nn.Sequential(nn.Linear(6, 8), _leaky((8,), 0.8, 0.3), nn.Linear(8, 4), _leaky((4,), 0.9, 0.2)), x
    )


def _synaptic(x: Array) -> Theirs:
    torch.manual_seed(2)
    layer = snn.Synaptic(
        alpha=torch.full((8,), 0.6), beta=torch.full((8,), 0.8), threshold=torch.full((8,), 0.6), **ZERO
    )
    return _stepped(nn.Sequential(nn.Linear(6, 8), layer), x)


def _rleaky(x: Array) -> Theirs:
    torch.manual_seed(3)
    layer = snn.RLeaky(beta=0.8, threshold=0.3, linear_features=8, **ZERO)
    return _stepped(nn.Sequential(nn.Linear(6, 8), layer), x)


def _rsynaptic_by_hand(x: Array) -> Theirs:
    """RSynaptic without a reset of its own; the loop sets potentials to zero at a spike."""
    torch.manual_seed(4)
    linear = nn.Linear(6, 8)
    layer = snn.RSynaptic(alpha=0.5, beta=0.8, threshold=0.4, linear_features=8, reset_mechanism="none")
    spk = syn = mem = torch.zeros(len(x), 8)
    spikes, potentials = [], []
    for t in range(x.shape[1]):
        spk, syn, mem = layer(linear(torch.tensor(x[:, t], dtype=torch.float32)), spk, syn, mem)
        mem = mem * (1 - spk)
        spikes.append(spk.detach().numpy())
        potentials.append(mem.detach().numpy())
    hidden = snn.RSynaptic(alpha=0.5, beta=0.8, threshold=0.4, linear_features=8, init_hidden=True)
    hidden.recurrent = layer.recurrent
    graph = export_to_nir(nn.Sequential(linear, hidden), torch.zeros(1, 6), ignore_dims=[0])
    return Theirs(graph, np.stack(spikes, 1), [np.stack(potentials, 1)])


def _rsynaptic(x: Array) -> Theirs:
    torch.manual_seed(4)
    layer = snn.RSynaptic(
        alpha=0.5, beta=0.8, threshold=0.4, linear_features=8, init_hidden=True, reset_mechanism="zero"
    )
    return _stepped(nn.Sequential(nn.Linear(6, 8), layer), x)


def _subtracting(x: Array) -> Theirs:
    torch.manual_seed(5)
    layer = _leaky((8,), 0.8, 0.3, reset_mechanism="subtract")
    return _stepped(nn.Sequential(nn.Linear(6, 8), layer), x)


def _images(x: Array) -> Theirs:
    torch.manual_seed(6)
    return _stepped(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.AvgPool2d(2),
            _leaky((4, 4, 4), 0.8, 0.05),
            nn.Conv2d(4, 4, 3, padding=1, groups=2),
            _leaky((4, 4, 4), 0.8, 0.2),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 5),
            _leaky((5,), 0.9, 0.1),
        ),
        x,
    )


def _read(graph: nir.NIRGraph, x: Array) -> Array:
    """Import and run sample by sample: its Flatten takes the batch along."""
    samples: list[Array] = []
    for sample in x:
        net = import_from_nir(graph)
        state: Any = None
        rows: list[Array] = []
        for frame in torch.tensor(sample, dtype=torch.float32):
            out = net(frame) if state is None else net(frame, state)
            out, state = out if isinstance(out, tuple) else (out, None)
            rows.append(out.detach().numpy())
        samples.append(np.stack(rows))
    return np.stack(samples)


NESTED = "nirtorch 2.6 fails on the nested graph that its importer makes of a loop"
NAME = "snntorch"
CELLS: list[Import | Export] = [
    Import(NAME, "LIF: Leaky", (6,), _two_leaky),
    Import(NAME, "CubaLIF: Synaptic behind a bias", (6,), _synaptic),
    Import(NAME, "recurrent LIF: RLeaky with a bias", (6,), _rleaky),
    Import(NAME, "recurrent CubaLIF: RSynaptic with a bias, reset to zero by hand", (6,), _rsynaptic_by_hand),
    Import(
        NAME,
        "recurrent CubaLIF: RSynaptic, reset_mechanism='zero'",
        (6,),
        _rsynaptic,
        "it resets one step late and loses what comes in that step; the file says v_reset = 0 all the same",
    ),
    Import(NAME, "reset by subtraction: Leaky", (6,), _subtracting, "the file says v_reset = 0 all the same"),
    Import(NAME, "Conv2d, pooling, Flatten: grouped, AvgPool2d, Leaky", (2, 8, 8), _images),
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
    Export(
        NAME,
        "IF",
        lambda: networks.leaky(dv=0.0),
        _read,
        "its importer makes IF a Leaky with beta = 0.9",
        refused=True,
    ),
    Export(NAME, "recurrent LIF", networks.recurrent, _read, NESTED, refused=True),
    Export(
        NAME,
        "recurrent CubaLIF",
        lambda: networks.recurrent(du=0.5),
        _read,
        NESTED,
        refused=True,
    ),
    Export(NAME, "LI", networks.readout, _read, "its importer knows no LI", refused=True),
    Export(NAME, "Conv2d, pooling, Flatten: SumPool2d", lambda: networks.images(pooled=True), _read),
]
