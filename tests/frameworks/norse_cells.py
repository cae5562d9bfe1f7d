"""Norse: SequentialState stepped by hand, exported with its own exporter."""

# `make peers` installs it, and what it accepts is more than its types say.
# pyright: reportMissingImports=false, reportArgumentType=false

from collections.abc import Callable
from functools import partial
from typing import Any

import nir
import norse.torch as norse
import numpy as np
import torch
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.utils.export_nir import _extract_norse_module, to_nir
from norse.torch.utils.import_nir import from_nir
from torch import nn

from tests.frameworks import networks
from tests.frameworks.cells import Export, Import, Theirs
from toolchain.arrays import Array


def _full(size: int, value: float) -> torch.Tensor:
    return torch.full((size,), value)


def extracted(module: nn.Module) -> nir.NIRNode:
    """Return what its exporter makes of one module, before anything is checked."""
    node = _extract_norse_module(module)
    assert node is not None
    return node


def stepped(net: Any, x: Array, layers: tuple[int, ...]) -> tuple[Array, list[Array]]:
    """Run a SequentialState; return what leaves and the potentials of the layers at these places."""
    state: Any = None
    spikes: list[Array] = []
    kept: list[list[Array]] = [[] for _ in layers]
    for t in range(x.shape[1]):
        out, state = net(torch.tensor(x[:, t], dtype=torch.float32), state)
        spikes.append(out.detach().numpy())
        for place, rows in zip(layers, kept, strict=True):
            rows.append(state[place].v.detach().numpy())
    return np.stack(spikes, 1), [np.stack(rows, 1) for rows in kept]


def _stepped(net: Any, x: Array, layers: tuple[int, ...]) -> Theirs:
    spikes, kept = stepped(net, x, layers)
    return Theirs(to_nir(net, torch.zeros(1, *x.shape[2:])), spikes, kept)


def _cuba(x: Array) -> Theirs:
    torch.manual_seed(1)
    parameters = norse.LIFParameters(
        v_th=_full(8, 0.05),
        tau_mem_inv=_full(8, 100.0),
        tau_syn_inv=_full(8, 200.0),
        v_leak=_full(8, 0.0),
        v_reset=_full(8, 0.0),
    )
    return _stepped(norse.SequentialState(nn.Linear(6, 8), norse.LIFCell(p=parameters)), x, (1,))


def _box(x: Array) -> Theirs:
    torch.manual_seed(2)
    parameters = LIFBoxParameters(
        v_th=_full(8, 0.05), tau_mem_inv=_full(8, 100.0), v_leak=_full(8, 0.0), v_reset=_full(8, 0.0)
    )
    return _stepped(norse.SequentialState(nn.Linear(6, 8), norse.LIFBoxCell(p=parameters)), x, (1,))


def _readout(x: Array) -> Theirs:
    torch.manual_seed(3)
    firing = norse.IAFCell(p=norse.IAFParameters(v_th=_full(8, 0.5), v_reset=_full(8, 0.0)))
    silent = norse.LIBoxCell(p=norse.LIBoxParameters(tau_mem_inv=_full(3, 100.0), v_leak=_full(3, 0.0)))
    return _stepped(norse.SequentialState(nn.Linear(6, 8), firing, nn.Linear(8, 3), silent), x, (1, 3))


def _resting(x: Array) -> Theirs:
    torch.manual_seed(4)
    parameters = LIFBoxParameters(
        v_th=_full(8, 0.05), tau_mem_inv=_full(8, 100.0), v_leak=_full(8, 0.01), v_reset=_full(8, 0.0)
    )
    return _stepped(norse.SequentialState(nn.Linear(6, 8), norse.LIFBoxCell(p=parameters)), x, (1,))


def _images(x: Array) -> Theirs:
    torch.manual_seed(6)
    shape = (3, 4, 4)
    parameters = LIFBoxParameters(
        v_th=torch.full(shape, 0.05),
        tau_mem_inv=torch.full(shape, 100.0),
        v_leak=torch.zeros(shape),
        v_reset=torch.zeros(shape),
    )
    return _stepped(norse.SequentialState(nn.Conv2d(2, 3, 3), norse.LIFBoxCell(p=parameters)), x, (1,))


def _recurrent(x: Array) -> Theirs:
    torch.manual_seed(5)
    net = norse.SequentialState(nn.Linear(6, 8), norse.LIFRecurrentCell(8, 8))
    return _stepped(net, x, ())


def _defaults(cell: Callable[[], Any], x: Array, factor: float = 8.0) -> Theirs:
    """A layer as its constructor makes it, behind weights large enough for a threshold of 1."""
    torch.manual_seed(7)
    linear = nn.Linear(6, 8)
    with torch.no_grad():
        linear.weight *= factor
    return _stepped(norse.SequentialState(linear, cell()), x, (1,))


def _reset_below(x: Array) -> Theirs:
    return _defaults(lambda: norse.LIFCell(p=norse.LIFParameters(v_reset=torch.tensor(-0.5))), x)


def _flattened(x: Array) -> Theirs:
    torch.manual_seed(8)
    net = norse.SequentialState(
        nn.Conv2d(2, 3, 3), norse.LIFCell(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 5), norse.LIFCell()
    )
    return _stepped(net, x, ())


def _read(graph: nir.NIRGraph, x: Array) -> Array:
    """Import and run sample by sample: its Flatten takes the batch along."""
    samples: list[Array] = []
    for sample in x:
        net, state, rows = from_nir(graph, ignore_warnings=True), None, []
        for frame in torch.tensor(sample, dtype=torch.float32):
            out, state = net(frame, state)
            rows.append(out.detach().numpy())
        samples.append(np.stack(rows))
    return np.stack(samples)


NAME = "norse"
CELLS: list[Import | Export] = [
    Import(NAME, "CubaLIF: LIFCell behind a bias", (6,), _cuba, reset="zero"),
    Import(NAME, "LIF: LIFBoxCell", (6,), _box, reset="zero"),
    Import(NAME, "IF: IAFCell", (6,), _readout, reset="zero"),
    Import(NAME, "LI: LIBoxCell", (6,), _readout, reset="zero"),
    Import(NAME, "Conv2d: LIFBoxCell", (2, 6, 6), _images, reset="zero"),
    Import(
        NAME,
        "recurrent CubaLIF: LIFRecurrentCell",
        (6,),
        _recurrent,
        "its exporter writes a node without content",
        refused=True,
    ),
    Import(
        NAME,
        "v_leak: LIFBoxCell, which begins there and is reset elsewhere",
        (6,),
        _resting,
        reset="zero",
    ),
    *(
        Import(
            NAME, f"defaults of {cell.__name__}", (6,), partial(_defaults, cell, factor=factor), reset="zero"
        )
        for cell, factor in ((norse.LIFCell, 8.0), (norse.LIFBoxCell, 8.0), (norse.IAFCell, 2.0))
    ),
    *(
        Import(
            NAME,
            f"defaults of {cell.__name__}",
            (6,),
            partial(_defaults, cell),
            "its exporter (1.1.0) writes a node without content",
            refused=True,
        )
        for cell in (norse.LICell, norse.LSNNCell, norse.LIFAdExCell)
    ),
    Import(
        NAME,
        "v_reset: LIFCell, v_reset=-0.5",
        (6,),
        _reset_below,
        reset="-0.5",
    ),
    Import(
        NAME,
        "pooling, Flatten: AvgPool2d",
        (2, 6, 6),
        _flattened,
        "its exporter (1.1.0) writes nodes without content",
        refused=True,
    ),
    Export(NAME, "LIF", networks.leaky, _read),
    Export(NAME, "CubaLIF", lambda: networks.leaky(du=0.4), _read),
    Export(
        NAME,
        "v_leak: CubaLIF",
        lambda: networks.leaky(du=0.4, bias=0.1),
        _read,
        "it would begin at v_leak",
        refused=True,
    ),
    Export(NAME, "IF", lambda: networks.leaky(dv=0.0), _read),
    Export(NAME, "recurrent LIF: with a bias", lambda: networks.recurrent(bias=0.1), _read),
    Export(NAME, "recurrent CubaLIF", lambda: networks.recurrent(du=0.5), _read),
    Export(NAME, "feedback from a later layer: CubaLIF", lambda: networks.feedback(du=0.5), _read),
    Export(NAME, "LI", networks.readout, _read, "its importer passes LI over in silence"),
    Export(NAME, "Conv2d, pooling, Flatten: SumPool2d", lambda: networks.images(pooled=True), _read),
]
