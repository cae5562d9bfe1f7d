"""snnTorch: modules stepped by hand, exported with its own exporter."""

# `make peers` installs it, and what it accepts is more than its types say.
# pyright: reportMissingImports=false, reportArgumentType=false

from typing import Any

import nir
import numpy as np
import snntorch as snn
import torch
from snntorch import utils
from snntorch.export_nir import _extract_snntorch_module, export_to_nir
from snntorch.import_nir import import_from_nir
from torch import nn

from tests.frameworks import networks
from tests.frameworks.cells import Export, Import, Theirs
from toolchain.arrays import Array

ZERO: dict[str, Any] = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}


def _leaky(shape: tuple[int, ...], beta: float, threshold: float, **options: Any) -> snn.Leaky:
    return snn.Leaky(
        beta=torch.full(shape, beta), threshold=torch.full(shape, threshold), **({**ZERO, **options})
    )


def extracted(module: nn.Module) -> nir.NIRNode:
    """Return what its exporter makes of one module, before anything is checked."""
    node = _extract_snntorch_module(module)
    assert node is not None
    return node


def stepped(net: nn.Sequential, x: Array) -> tuple[Array, list[Array]]:
    """Run a Sequential whose neurons keep their own state; return spikes and potentials."""
    utils.reset(net)
    layers: list[Any] = [layer for layer in net if isinstance(layer, snn.SpikingNeuron)]
    spikes: list[Array] = []
    kept: list[list[Array]] = [[] for _ in layers]
    for t in range(x.shape[1]):
        out = net(torch.tensor(x[:, t], dtype=torch.float32))
        spikes.append(out.detach().numpy())
        for layer, rows in zip(layers, kept, strict=True):
            rows.append(layer.mem.detach().numpy().copy())
    utils.reset(net)
    return np.stack(spikes, 1), [np.stack(rows, 1) for rows in kept]


def _stepped(net: nn.Sequential, x: Array, *, potentials: bool = True) -> Theirs:
    spikes, kept = stepped(net, x)
    graph = export_to_nir(net, torch.zeros(1, *x.shape[2:]), ignore_dims=[0])
    return Theirs(graph, spikes, kept if potentials else ())


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


def _late_zero(x: Array) -> Theirs:
    """A reset to zero as late as the default has it: potentials are read before it."""
    torch.manual_seed(7)
    return _stepped(
        nn.Sequential(nn.Linear(6, 8), _leaky((8,), 0.8, 0.3, reset_delay=True)), x, potentials=False
    )


def _late_synaptic(x: Array) -> Theirs:
    torch.manual_seed(2)
    full = torch.full((8,), 1.0)
    layer = snn.Synaptic(
        alpha=0.6 * full, beta=0.8 * full, threshold=0.6 * full, init_hidden=True, reset_mechanism="zero"
    )
    return _stepped(nn.Sequential(nn.Linear(6, 8), layer), x)


def _one_beta(x: Array) -> Theirs:
    torch.manual_seed(8)
    return _stepped(nn.Sequential(nn.Linear(6, 8), snn.Leaky(beta=0.9, init_hidden=True)), x)


def _default_leaky(x: Array) -> Theirs:
    torch.manual_seed(8)
    layer = snn.Leaky(beta=torch.full((8,), 0.9), threshold=torch.full((8,), 1.0), init_hidden=True)
    return _stepped(nn.Sequential(nn.Linear(6, 8), layer), x)


def _default_synaptic(x: Array) -> Theirs:
    torch.manual_seed(9)
    full = torch.full((8,), 1.0)
    layer = snn.Synaptic(alpha=0.5 * full, beta=0.9 * full, threshold=full, init_hidden=True)
    return _stepped(nn.Sequential(nn.Linear(6, 8), layer), x)


def _default_rleaky(x: Array) -> Theirs:
    torch.manual_seed(12)
    layer = snn.RLeaky(beta=0.9, linear_features=8, init_hidden=True)
    return _stepped(nn.Sequential(nn.Linear(6, 8), layer), x)


def _default_rsynaptic(x: Array) -> Theirs:
    torch.manual_seed(12)
    layer = snn.RSynaptic(alpha=0.5, beta=0.9, linear_features=8, init_hidden=True)
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


def read(graph: nir.NIRGraph, x: Array) -> Array:
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
SUBTRACTS = "a spike subtracts the threshold one step late; the file says v_reset = 0 all the same"
NAME = "snntorch"
CELLS: list[Import | Export] = [
    Import(NAME, "LIF: Leaky", (6,), _two_leaky),
    Import(NAME, "CubaLIF: Synaptic behind a bias", (6,), _synaptic),
    Import(NAME, "recurrent LIF: RLeaky with a bias", (6,), _rleaky),
    Import(NAME, "recurrent CubaLIF: RSynaptic with a bias, reset to zero by hand", (6,), _rsynaptic_by_hand),
    Import(
        NAME,
        "reset one step late, recurrent: RSynaptic, reset_mechanism='zero'",
        (6,),
        _rsynaptic,
        "it resets one step late and loses what comes in that step; the file says v_reset = 0 all the same",
        apart=142,
        noted="reset_delay",
    ),
    Import(
        NAME,
        "reset by subtraction: Leaky, reset_delay=False",
        (6,),
        _subtracting,
        "the file says v_reset = 0 all the same",
        apart=21,
        noted="'subtract'",
    ),
    Import(NAME, "reset one step late, LIF: Leaky, reset_mechanism='zero'", (6,), _late_zero),
    Import(
        NAME,
        "reset one step late, CubaLIF: Synaptic, reset_mechanism='zero'",
        (6,),
        _late_synaptic,
        "it loses what comes in that step; the file says v_reset = 0 all the same",
        apart=89,
        noted="reset_delay",
    ),
    Import(
        NAME,
        "defaults of Leaky: one beta for all",
        (6,),
        _one_beta,
        "its exporter (1.0.0) and nir 1.0.8 disagree on parameters without a shape; give beta and threshold "
        "one value per neuron",
        refused=True,
    ),
    *(
        Import(NAME, f"defaults of {layer}", (6,), run, SUBTRACTS, apart=apart, noted="'subtract'")
        for layer, run, apart in (
            ("Leaky", _default_leaky, 41),
            ("Synaptic", _default_synaptic, 31),
            ("RLeaky", _default_rleaky, 83),
            ("RSynaptic", _default_rsynaptic, 48),
        )
    ),
    Import(NAME, "Conv2d, pooling, Flatten: grouped, AvgPool2d, Leaky", (2, 8, 8), _images),
    Export(NAME, "LIF", networks.leaky, read),
    Export(NAME, "CubaLIF", lambda: networks.leaky(du=0.4), read),
    Export(
        NAME,
        "v_leak: CubaLIF",
        lambda: networks.leaky(du=0.4, bias=0.1),
        read,
        "its importer refuses v_leak",
        refused=True,
    ),
    Export(
        NAME,
        "IF",
        lambda: networks.leaky(dv=0.0),
        read,
        "its importer makes IF a Leaky with beta = 0.9, which hands on its potential as a second value",
        refused=True,
    ),
    Export(NAME, "recurrent LIF", networks.recurrent, read, NESTED, refused=True),
    Export(
        NAME,
        "recurrent CubaLIF",
        lambda: networks.recurrent(du=0.5),
        read,
        NESTED,
        refused=True,
    ),
    Export(NAME, "LI", networks.readout, read, "its importer knows no LI", refused=True),
    Export(NAME, "Conv2d, pooling, Flatten: SumPool2d", lambda: networks.images(pooled=True), read),
]
