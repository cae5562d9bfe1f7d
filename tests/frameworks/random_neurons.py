"""Neurons of the frameworks, drawn by chance, for random modules."""

# `make peers` installs the frameworks.
# pyright: reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

import random
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
from tests.frameworks.random_modules import Neurons, RandomNet

FRAMEWORKS = ("snntorch", "spikingjelly", "sinabs", "norse")


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

    def begin(self) -> None:
        """Forget the state."""
        self.state = None

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


def case(seed: int, *, readout: bool = False) -> Case:
    """Return a random module, which may return anything that can be drawn of its last neurons."""
    framework = FRAMEWORKS[seed % len(FRAMEWORKS)]
    return Case(
        framework,
        f"random module {seed}",
        lambda: RandomNet(MAKE[framework], seed, readout=readout),
        (2, 10, 6),
        double=framework == "spikingjelly",
        graded=seed % 3 == 0,
        quiet=True,
        strength=1.5,
    )
