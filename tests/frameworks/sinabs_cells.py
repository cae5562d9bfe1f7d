"""sinabs: layers over whole samples, exported with its own exporter."""

# `make peers` installs it, and what it accepts is more than its types say.
# pyright: reportMissingImports=false, reportArgumentType=false

from functools import partial
from typing import Any

import nir
import sinabs.layers as sl
import torch
from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike
from sinabs.from_torch import from_model
from sinabs.nir import from_nir, to_nir
from torch import nn

from tests.frameworks import networks
from tests.frameworks.cells import SAMPLES, Export, Import, Theirs
from toolchain.arrays import Array

HARD: dict[str, Any] = {"spike_fn": SingleSpike, "reset_fn": MembraneReset(), "batch_size": SAMPLES}
THRESHOLD = torch.tensor(0.5)


def _whole(net: nn.Sequential, x: Array) -> Theirs:
    values = torch.tensor(x, dtype=torch.float32).flatten(0, 1)
    result = net(values).detach().numpy().reshape(*x.shape[:2], -1)
    layers: Any = net
    kept = [
        layer.recordings["v_mem"].detach().numpy()
        for layer in layers
        if getattr(layer, "record_states", False)
    ]
    return Theirs(to_nir(net, values), result, kept)


def _lif(x: Array) -> Theirs:
    torch.manual_seed(1)
    lif = sl.LIFSqueeze(tau_mem=10.0, spike_threshold=THRESHOLD, norm_input=False, record_states=True, **HARD)
    leak = sl.ExpLeakSqueeze(tau_mem=20.0, norm_input=False, batch_size=SAMPLES)
    return _whole(nn.Sequential(nn.Linear(6, 8), lif, nn.Linear(8, 3), leak), x)


def _normalised(x: Array) -> Theirs:
    torch.manual_seed(2)
    lif = sl.LIFSqueeze(tau_mem=4.0, spike_threshold=torch.tensor(0.1), record_states=True, **HARD)
    return _whole(nn.Sequential(nn.Linear(6, 8), lif), x)


def _integrating(x: Array) -> Theirs:
    torch.manual_seed(6)
    iaf = sl.IAFSqueeze(spike_threshold=THRESHOLD, record_states=True, **HARD)
    return _whole(nn.Sequential(nn.Linear(6, 8), iaf), x)


def _synaptic(x: Array) -> Theirs:
    torch.manual_seed(5)
    lif = sl.LIFSqueeze(tau_mem=4.0, tau_syn=3.0, spike_threshold=THRESHOLD, norm_input=False, **HARD)
    return _whole(nn.Sequential(nn.Linear(6, 8), lif), x)


def _images(x: Array) -> Theirs:
    torch.manual_seed(3)

    def fire() -> sl.IAFSqueeze:
        return sl.IAFSqueeze(spike_threshold=THRESHOLD, record_states=True, **HARD)

    return _whole(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False),
            fire(),
            sl.SumPool2d(2),
            nn.Conv2d(4, 4, 3),
            fire(),
            nn.Flatten(),
            nn.Linear(16, 5),
            fire(),
        ),
        x,
    )


def _defaults(x: Array) -> Theirs:
    torch.manual_seed(4)
    lif = sl.IAFSqueeze(spike_threshold=THRESHOLD, batch_size=SAMPLES)
    return _whole(nn.Sequential(nn.Linear(6, 8), lif), x)


def _single(x: Array) -> Theirs:
    torch.manual_seed(4)
    options: dict[str, Any] = {"spike_fn": SingleSpike, "reset_fn": MembraneSubtract()}
    iaf = sl.IAFSqueeze(spike_threshold=THRESHOLD, batch_size=SAMPLES, record_states=True, **options)
    return _whole(nn.Sequential(nn.Linear(6, 8), iaf), x)


def _several_images(x: Array) -> Theirs:
    torch.manual_seed(3)
    return _whole(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False),
            sl.IAFSqueeze(spike_threshold=torch.tensor(0.3), batch_size=SAMPLES, record_states=True),
            sl.SumPool2d(2),
            nn.Conv2d(4, 4, 3),
            sl.IAFSqueeze(spike_threshold=THRESHOLD, batch_size=SAMPLES),
            nn.Flatten(),
            nn.Linear(16, 5),
            sl.IAFSqueeze(spike_threshold=THRESHOLD, batch_size=SAMPLES),
        ),
        x,
    )


def _default_lif(x: Array) -> Theirs:
    torch.manual_seed(7)
    lif = sl.LIFSqueeze(tau_mem=10.0, spike_threshold=torch.tensor(0.1), batch_size=SAMPLES)
    return _whole(nn.Sequential(nn.Linear(6, 8), lif), x)


def _default_leak(x: Array) -> Theirs:
    torch.manual_seed(8)
    return _whole(nn.Sequential(nn.Linear(6, 8), sl.ExpLeakSqueeze(tau_mem=10.0, batch_size=SAMPLES)), x)


def _recurrent(x: Array) -> Theirs:
    torch.manual_seed(9)
    net = nn.Sequential(nn.Linear(6, 8), sl.LIFRecurrent(rec_connect=nn.Linear(8, 8), tau_mem=10.0))
    values = torch.tensor(x, dtype=torch.float32)
    return Theirs(to_nir(net, values), net(values).detach().numpy())


def _converted(x: Array, **options: Any) -> Theirs:
    """What `from_model` makes of a network with ReLU."""
    torch.manual_seed(11)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return _whole(from_model(model, batch_size=SAMPLES, **options).spiking_model, x)


def _floored(x: Array) -> Theirs:
    return _converted(x, spike_fn=SingleSpike, reset_fn=MembraneReset())


def _read(graph: nir.NIRGraph, x: Array) -> Array:
    net = from_nir(graph, batch_size=len(x))
    result = net(torch.tensor(x, dtype=torch.float32).flatten(0, 1))
    result = result[0] if isinstance(result, tuple) else result
    return result.detach().numpy().reshape(*x.shape[:2], -1)


SUBTRACTS = "its importer passes Linear over, and makes neurons that fire several times a step and subtract"
NAME = "sinabs"
CELLS: list[Import | Export] = [
    Import(NAME, "LIF: SingleSpike, MembraneReset", (6,), _lif, reset="zero"),
    Import(NAME, "LI: ExpLeak", (6,), _lif, reset="zero"),
    Import(NAME, "IF: IAF, SingleSpike, MembraneReset", (6,), _integrating, reset="zero"),
    Import(NAME, "LIF: norm_input=True", (6,), _normalised, convention="sinabs-normalised", reset="zero"),
    Import(NAME, "IF: IAF, SingleSpike, MembraneSubtract", (6,), _single, reset="subtract"),
    Import(NAME, "Conv2d, pooling, Flatten: IAF, SumPool2d", (2, 8, 8), _images, reset="zero"),
    Import(
        NAME,
        "several spikes through pooling: IAF with the defaults, SumPool2d",
        (2, 8, 8),
        _several_images,
        reset="subtract-several",
    ),
    Import(
        NAME,
        "CubaLIF: LIF with tau_syn",
        (6,),
        _synaptic,
        "its exporter drops tau_syn in silence",
        apart=42,
        noted="tau_syn",
        reset="zero",
    ),
    Import(NAME, "LI: ExpLeak with the defaults", (6,), _default_leak),
    Import(NAME, "defaults of IAF", (6,), _defaults, reset="subtract-several"),
    Import(
        NAME,
        "defaults of LIF",
        (6,),
        _default_lif,
        convention="sinabs-normalised",
        reset="subtract-several",
    ),
    Import(
        NAME,
        "defaults of from_model",
        (6,),
        _converted,
        "min_v_mem=-1, its default, is not in the file: nothing falls below it there",
        apart=51,
        noted="min_v_mem",
        reset="subtract-several",
    ),
    Import(
        NAME,
        "defaults of from_model: but min_v_mem=None",
        (6,),
        partial(_converted, min_v_mem=None),
        reset="subtract-several",
    ),
    Import(
        NAME,
        "min_v_mem: from_model with SingleSpike, MembraneReset",
        (6,),
        _floored,
        "min_v_mem=-1, the default of from_model, is not in the file: nothing falls below it there",
        apart=54,
        noted="min_v_mem",
        reset="zero",
    ),
    Import(
        NAME,
        "recurrent LIF: LIFRecurrent",
        (6,),
        _recurrent,
        "its exporter knows no LIFRecurrent",
        refused=True,
        reset="subtract-several",
    ),
    Export(NAME, "LIF", networks.leaky, _read, SUBTRACTS, refused=True),
    Export(NAME, "IF", lambda: networks.leaky(dv=0.0), _read, SUBTRACTS, refused=True),
    Export(
        NAME,
        "Conv2d, pooling, Flatten: SumPool2d",
        lambda: networks.images(pooled=True, dv=0.0),
        _read,
        SUBTRACTS,
    ),
    Export(
        NAME,
        "CubaLIF",
        lambda: networks.leaky(du=0.4),
        _read,
        "its importer knows no CubaLIF",
        refused=True,
    ),
]
