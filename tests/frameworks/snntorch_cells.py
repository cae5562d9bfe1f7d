"""snnTorch: modules stepped by hand, exported with its own exporter."""

# `make peers` installs it, and what it accepts is more than its types say.
# pyright: reportMissingImports=false, reportArgumentType=false

from collections.abc import Callable
from functools import partial
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


def _behind(
    make: Callable[[], nn.Module], x: Array, *, potentials: bool = False, factor: float = 3.0
) -> Theirs:
    """A layer behind weights large enough that its neurons fire again and again."""
    torch.manual_seed(3)
    linear = nn.Linear(6, 8)
    with torch.no_grad():
        linear.weight *= factor
    return _stepped(nn.Sequential(linear, make()), x, potentials=potentials)


def _each(low: float, high: float) -> torch.Tensor:
    """One value per neuron, none like another."""
    return torch.linspace(low, high, 8)


def _leaky_of(**options: Any) -> snn.Leaky:
    return snn.Leaky(beta=_each(0.1, 0.95), threshold=_each(0.5, 1.2), init_hidden=True, **options)


def _synaptic_of(**options: Any) -> snn.Synaptic:
    return snn.Synaptic(
        alpha=_each(0.8, 0.2), beta=_each(0.1, 0.95), threshold=_each(0.5, 1.2), init_hidden=True, **options
    )


def _rleaky_of(**options: Any) -> snn.RLeaky:
    return snn.RLeaky(beta=0.8, threshold=0.7, linear_features=8, init_hidden=True, **options)


def _rsynaptic_of(**options: Any) -> snn.RSynaptic:
    return snn.RSynaptic(
        alpha=0.5, beta=_each(0.3, 0.95), threshold=0.7, linear_features=8, init_hidden=True, **options
    )


LAYERS: list[tuple[str, Callable[..., Any]]] = [
    ("Leaky", _leaky_of),
    ("Synaptic", _synaptic_of),
    ("RLeaky", _rleaky_of),
    ("RSynaptic", _rsynaptic_of),
]


def _moderate(x: Array) -> Theirs:
    """Inputs so small that one threshold less always leaves a potential below it."""
    torch.manual_seed(3)
    linear = nn.Linear(6, 8)
    with torch.no_grad():
        linear.weight.abs_()
    leaky = snn.Leaky(beta=_each(0.5, 0.95), threshold=_each(1.5, 2.0), init_hidden=True, reset_delay=False)
    return _stepped(nn.Sequential(linear, leaky), x)


def _learnt(x: Array) -> Theirs:
    """A layer whose betas and thresholds training has moved."""
    torch.manual_seed(5)
    leaky = _leaky_of(learn_beta=True, learn_threshold=True)
    linear = nn.Linear(6, 8)
    net = nn.Sequential(linear, leaky)
    with torch.no_grad():
        linear.weight *= 3
    before = [parameter.detach().clone() for parameter in (leaky.beta, leaky.threshold)]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(4):
        utils.reset(net)
        steps = torch.tensor(x, dtype=torch.float32).unbind(1)
        loss = (torch.stack([net(step) for step in steps]).mean() - 0.2) ** 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moved = zip(before, (leaky.beta, leaky.threshold), strict=True)
    assert all((old != new).all() for old, new in moved)
    return _stepped(net, x, potentials=False)


def _membrane(x: Array) -> Theirs:
    """A read-out whose potential is what counts."""
    torch.manual_seed(6)
    net = nn.Sequential(
        nn.Linear(6, 8),
        _leaky((8,), 0.8, 0.3),
        nn.Linear(8, 4),
        _leaky((4,), 0.9, 1.0, reset_mechanism="none"),
    )
    theirs = _stepped(net, x)
    return Theirs(theirs.graph, theirs.potentials[-1])


def _one_beta(x: Array) -> Theirs:
    torch.manual_seed(8)
    return _stepped(nn.Sequential(nn.Linear(6, 8), snn.Leaky(beta=0.9, init_hidden=True)), x)


def _zero_rleaky(x: Array) -> Theirs:
    torch.manual_seed(3)
    layer = snn.RLeaky(beta=0.8, threshold=0.3, linear_features=8, **ZERO)
    return _stepped(nn.Sequential(nn.Linear(6, 8), layer), x)


def _zero_synaptic(x: Array) -> Theirs:
    torch.manual_seed(2)
    layer = snn.Synaptic(
        alpha=torch.full((8,), 0.6), beta=torch.full((8,), 0.8), threshold=torch.full((8,), 0.6), **ZERO
    )
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
NAME = "snntorch"
CELLS: list[Import | Export] = [
    Import(NAME, "LIF: Leaky, reset_mechanism='zero', reset_delay=False", (6,), _two_leaky, reset="zero"),
    Import(NAME, "CubaLIF: Synaptic behind a bias, the same", (6,), _zero_synaptic, reset="zero"),
    Import(NAME, "recurrent LIF: RLeaky with a bias, the same", (6,), _zero_rleaky, reset="zero"),
    Import(
        NAME,
        "recurrent CubaLIF: RSynaptic with a bias, reset to zero by hand",
        (6,),
        _rsynaptic_by_hand,
        reset="zero",
    ),
    *(
        Import(NAME, f"defaults of {layer}", (6,), partial(_behind, make), reset="subtract-delayed")
        for layer, make in LAYERS
    ),
    Import(NAME, "defaults of Leaky: beta and threshold learnt", (6,), _learnt, reset="subtract-delayed"),
    Import(
        NAME,
        "defaults of Leaky: one beta for all",
        (6,),
        _one_beta,
        "its exporter (1.0.0) and nir 1.0.8 disagree on parameters without a shape; give beta and threshold "
        "one value per neuron",
        refused=True,
        reset="subtract-delayed",
    ),
    *(
        Import(
            NAME,
            f"reset by subtraction at once, {layer}: reset_delay=False",
            (6,),
            partial(_behind, partial(make, reset_delay=False)),
            reset="subtract-snntorch",
        )
        for layer, make in LAYERS[:3]
    ),
    Import(
        NAME,
        "reset by subtraction at once, RSynaptic: reset_delay=False",
        (6,),
        partial(_behind, partial(_rsynaptic_of, reset_delay=False)),
        "its own step (1.0.0) fails there",
        refused=True,
        reset="subtract-snntorch",
    ),
    Import(
        NAME,
        "reset by subtraction at once, Leaky: reset_delay=False, thresholds above what a step can leave",
        (6,),
        _moderate,
        reset="subtract",
    ),
    Import(
        NAME,
        "reset by subtraction at once, Leaky: reset_delay=False, read as subtract",
        (6,),
        partial(_behind, partial(_leaky_of, reset_delay=False)),
        "a potential that is still above its threshold loses it once before it is compared again; "
        "subtract-snntorch has that, with a second population",
        apart=16,
        noted="takes the threshold from the potential at once",
        reset="subtract",
    ),
    *(
        Import(
            NAME,
            f"reset to zero one step later, {layer}: reset_mechanism='zero'",
            (6,),
            partial(_behind, partial(make, reset_mechanism="zero")),
            reset="zero-delayed",
        )
        for layer, make in LAYERS
    ),
    *(
        Import(
            NAME,
            f"no reset, {layer}: reset_mechanism='none'",
            (6,),
            partial(_behind, partial(make, reset_mechanism="none"), factor=1.0, potentials=True),
            reset="none",
        )
        for layer, make in LAYERS
    ),
    Import(
        NAME,
        "membrane: Leaky, reset_mechanism='none', read out",
        (6,),
        _membrane,
        reset="zero",
        membrane=True,
    ),
    Import(
        NAME,
        "Conv2d, pooling, Flatten: grouped, AvgPool2d, Leaky",
        (2, 8, 8),
        _images,
        reset="zero",
    ),
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
