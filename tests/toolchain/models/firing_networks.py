"""Random networks whose populations differ in what a spike does, in what is learnt and in their delays."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolchain.models import Connection, CubaLif, MaskedSynapses, Network, Readout
from toolchain.models.learnt import LEARNABLE
from toolchain.reset import Reset


def random_neurons(rng: np.random.Generator, size: int) -> CubaLif:
    """A population of float64 with every mixture of resets, refractory periods, adaptation and counts."""

    def per_neuron(low: float, high: float) -> Tensor:
        return torch.tensor(rng.uniform(low, high, size))

    reset = list(Reset)[rng.integers(len(Reset))]
    fields: dict[str, Any] = {"reset": reset}
    if reset is Reset.VALUE:
        fields["reset_amount"] = per_neuron(-1.0, 0.4)
    if reset is Reset.SUBTRACT:
        if rng.random() < 0.6:
            fields["reset_amount"] = per_neuron(0.05, 2.0)
        if rng.random() < 0.5:
            fields["max_spikes"] = int(rng.choice([2, 3, 15, 255]))
    if rng.random() < 0.5:
        fields["refractory"] = torch.tensor(rng.integers(0, rng.choice([2, 5, 12]), size))
    if rng.random() < 0.5:
        fields["adaptation"] = per_neuron(0.0, 1.0)
        fields["adaptation_decay"] = per_neuron(0.02, 0.9)
    fields["train"] = tuple(name for name in LEARNABLE if rng.random() < 0.4 and _can_learn(name, fields))
    fields["hold_rheobase"] = "dv" in fields["train"] and bool(rng.integers(2))
    layer = CubaLif(
        size,
        du=per_neuron(0.2, 0.95),
        dv=per_neuron(0.02, 0.6),
        vth=per_neuron(0.3, 1.5),
        bias=per_neuron(-0.1, 0.1),
        slope=3.0,
        **fields,
    )
    return moved(layer.double(), rng)


def _can_learn(name: str, fields: dict[str, Any]) -> bool:
    return name in {"du", "dv", "vth"} or name in fields or fields["reset"].value == "subtract" == name[6:]


def moved(layer: CubaLif, rng: np.random.Generator) -> CubaLif:
    """The population as if it had been trained: its offsets are not 0."""
    with torch.no_grad():
        for name, values in layer.named_parameters():
            if name.startswith("parametrizations"):
                values.add_(torch.tensor(rng.normal(size=values.shape) * 0.3))
    return layer


def random_synapses(rng: np.random.Generator, targets: int, sources: int) -> MaskedSynapses:
    """Synapses with a mask or none, and delays of one of all kinds or none."""
    mask = torch.tensor(rng.random((targets, sources)) < rng.choice([0.3, 0.7])) if rng.integers(2) else None
    longest = int(rng.integers(1, 6))
    shape = (targets, sources)
    delays, learnt = [
        (None, None),
        (int(rng.integers(0, 4)), None),
        (rng.integers(0, longest + 1, shape), None),
        (float(rng.uniform(0, longest)), longest),
        (rng.uniform(0, longest, shape), longest),
    ][rng.integers(5)]
    weight = torch.tensor(rng.normal(size=shape) * 0.8)
    return MaskedSynapses(weight, mask, delays=delays, longest_delay=learnt)


def random_network(rng: np.random.Generator, readout: Readout = Readout.MEAN_V) -> Network:
    """Two populations with loops, a feedback, a skip, and a read-out; every part is random."""
    a, b = int(rng.integers(1, 8)), int(rng.integers(1, 8))
    arrows = {
        Connection("in", "input", "a"): random_synapses(rng, a, 4),
        Connection("aa", "a", "a", delay=int(rng.integers(1, 3))): random_synapses(rng, a, a),
        Connection("ab", "a", "b", delay=int(rng.integers(0, 2))): random_synapses(rng, b, a),
        Connection("ba", "b", "a", delay=2): random_synapses(rng, a, b),
        Connection("skip", "input", "b", delay=1): random_synapses(rng, b, 4),
        Connection("bo", "b", "out"): MaskedSynapses(torch.tensor(rng.normal(size=(3, b)))),
    }
    out = CubaLif(3, dv=0.1, vth=float("inf"))
    layers = {"a": random_neurons(rng, a), "b": random_neurons(rng, b), "out": out}
    return Network(
        inputs={"input": 4}, layers=layers, connections=arrows, output="out", readout=readout
    ).double()
