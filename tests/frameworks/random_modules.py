"""Random modules of the frameworks: depth, branches, loops, layers and neurons drawn by chance."""

# `make peers` installs the frameworks.
# pyright: reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

import random
from collections.abc import Callable
from typing import Any

import norse.torch as norse
import sinabs.activation as act
import sinabs.layers as sl
import snntorch as snn
import torch
from norse.torch.functional.lif import LIFParameters
from spikingjelly.activation_based import neuron
from torch import nn

from tests.frameworks.module_cases import Case

FRAMEWORKS = ("snntorch", "spikingjelly", "sinabs", "norse")
Neurons = Callable[[random.Random, int], nn.Module]


def _snntorch(draw: random.Random, size: int) -> nn.Module:
    options = {
        "beta": torch.rand(size) if draw.random() < 0.3 else draw.uniform(0, 1),
        "threshold": draw.uniform(0.2, 1.0),
        "reset_mechanism": draw.choice(["subtract", "zero", "none"]),
        "reset_delay": draw.random() < 0.6,
        "init_hidden": True,
    }
    match draw.randrange(4):
        case 0:
            return snn.Synaptic(alpha=draw.uniform(0, 0.9), **options)
        case 1:
            return snn.RLeaky(linear_features=size, **options)
        case _:
            return snn.Leaky(**options)


def _spikingjelly(draw: random.Random, _: int) -> nn.Module:
    v_reset = draw.choice([0.0, None, draw.uniform(-0.5, 0.1)])
    options = {"v_threshold": draw.uniform(0.2, 0.8), "v_reset": v_reset}
    match draw.randrange(3):
        case 0:
            return neuron.IFNode(**options)
        case 1:
            return neuron.LIFNode(tau=draw.uniform(1.1, 4.0), decay_input=draw.random() < 0.5, **options)
        case _:
            return neuron.ParametricLIFNode(
                init_tau=draw.uniform(1.1, 4.0), decay_input=draw.random() < 0.5, **options
            )


class OneStep(nn.Module):
    """A layer of sinabs for one step: it keeps its state from call to call."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.unsqueeze(1)).squeeze(1)


def _sinabs(draw: random.Random, size: int) -> nn.Module:
    spikes = draw.choice([act.MultiSpike, act.SingleSpike, act.MaxSpike(3)])
    options: dict[str, Any] = {"spike_fn": spikes, "spike_threshold": torch.tensor(draw.uniform(0.2, 1.0))}
    if spikes is act.SingleSpike and draw.random() < 0.5:
        options["reset_fn"] = act.MembraneReset()
    if draw.random() < 0.3:
        return OneStep(sl.IAF(**options))
    tau = draw.uniform(1.5, 10)
    syn = draw.uniform(1, 5) if draw.random() < 0.4 else None
    if draw.random() < 0.3:
        return OneStep(
            sl.LIFRecurrent(
                tau_mem=tau,
                tau_syn=syn,
                rec_connect=nn.Linear(size, size, bias=False),
                norm_input=False,
                **options,
            )
        )
    return OneStep(sl.LIF(tau_mem=tau, tau_syn=syn, norm_input=draw.random() < 0.3, **options))


class Stateful(nn.Module):
    """A cell of Norse that keeps its state itself, from the first step of a run on."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        self.state: Any = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, self.state = self.cell(x, self.state)
        return out


def _norse(draw: random.Random, _: int) -> nn.Module:
    p = LIFParameters(
        v_th=torch.as_tensor(draw.uniform(0.1, 0.4)),
        tau_mem_inv=torch.as_tensor(draw.uniform(50.0, 600.0)),
        tau_syn_inv=torch.as_tensor(draw.uniform(100.0, 900.0)),
        v_reset=torch.as_tensor(draw.uniform(-0.2, 0.0)),
        v_leak=torch.as_tensor(draw.choice([0.0, draw.uniform(-0.2, 0.05)])),
    )
    return Stateful(norse.LIFCell(p) if draw.random() < 0.8 else norse.IAFCell())


MAKE: dict[str, Neurons] = {
    "snntorch": _snntorch,
    "spikingjelly": _spikingjelly,
    "sinabs": _sinabs,
    "norse": _norse,
}


class RandomNet(nn.Module):
    """Layers that read any earlier ones of the step, and later ones of the step before."""

    def __init__(self, framework: str, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        torch.manual_seed(seed)
        self.images = draw.random() < 0.3 and framework != "snntorch"
        sizes: list[int] = [6]
        self.layers, self.neurons = nn.ModuleList(), nn.ModuleList()
        self.reads: list[list[int]] = []
        self.late: list[int | None] = []
        self.ways: list[str] = []
        depth = draw.randint(1, 4)
        widths = [draw.randint(3, 9) for _ in range(depth)]
        self.widths = widths
        self.back = nn.ModuleList()
        for place in range(depth):
            count = draw.randint(1, min(2, place + 1))
            reads = draw.sample(range(place + 1), count)
            if place not in reads and draw.random() < 0.7:
                reads[0] = place
            reads = list(dict.fromkeys(reads))
            way = draw.choice(["cat", "sum", "residual"])
            if len({sizes[i] for i in reads}) > 1 or len(reads) == 1:
                way = "cat"
            width = sum(sizes[i] for i in reads) if way == "cat" else sizes[reads[0]]
            parts: list[nn.Module] = [nn.Linear(width, widths[place], bias=draw.random() < 0.7)]
            if draw.random() < 0.25:
                parts.append(nn.BatchNorm1d(widths[place]))
            if draw.random() < 0.3:
                parts.append(nn.Dropout(0.4))
            if draw.random() < 0.15:
                parts.append(nn.Linear(widths[place], widths[place]))
            self.layers.append(nn.Sequential(*parts))
            self.neurons.append(MAKE[framework](draw, widths[place]))
            self.reads.append(reads)
            self.ways.append(way)
            late = draw.randrange(depth) if draw.random() < 0.35 else None
            self.late.append(late)
            self.back.append(
                nn.Identity()
                if late is None
                else nn.Linear(widths[late], widths[place], bias=draw.random() < 0.5)
            )
            sizes.append(widths[place])
        self.result = draw.choice(["stack", "sum", "mean", "all", "add"])
        self.factor = draw.choice([1.0, 1.0, 0.5])

    def forward(self, x: torch.Tensor) -> Any:
        for each in self.neurons:
            if isinstance(each, Stateful):
                each.state = None
        before = [torch.zeros(len(x), width, dtype=x.dtype) for width in self.widths]
        rows: list[list[torch.Tensor]] = []
        for frame in x.unbind(1):
            sent = [frame]
            for place, (layer, neurons) in enumerate(zip(self.layers, self.neurons, strict=True)):
                parts = [sent[i] for i in self.reads[place]]
                joined = torch.cat(parts, 1) if self.ways[place] == "cat" else sum(parts[1:], parts[0])
                current = layer(joined * self.factor)
                late = self.late[place]
                if late is not None:
                    current = current + self.back[place](before[late])
                sent.append(neurons(current))
            before = sent[1:]
            rows.append(before)
        last = torch.stack([row[-1] for row in rows])
        match self.result:
            case "sum":
                return last.sum(0)
            case "mean":
                return last.mean(0)
            case "add":
                total = rows[0][-1]
                for row in rows[1:]:
                    total = total + row[-1]
                return total
            case "all":
                return tuple(torch.stack([row[i] for row in rows], 1) for i in range(len(self.widths)))
            case _:
                return last


def case(seed: int) -> Case:
    """Return a random module."""
    framework = FRAMEWORKS[seed % len(FRAMEWORKS)]
    return Case(
        framework,
        f"random module {seed}",
        lambda: RandomNet(framework, seed),
        (2, 10, 6),
        double=framework == "spikingjelly",
        graded=seed % 3 == 0,
        quiet=True,
        strength=1.5,
    )
