"""Random recurrent networks with their inputs and a loss: wider than what users build.

Weights and inputs are multiples of powers of two, so that sums are exact in any order: a spike cannot depend
on who sums, and spikes are compared by equality in float32, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from toolchain.models import Connection, CubaLif, MaskedSynapses, Network, Readout
from toolchain.models.learnt import LEARNABLE
from toolchain.models.surrogates import Surrogate
from toolchain.reset import Reset

SIZES = (1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200)
"""Sizes of layers: around a row of weights, which is 64 numbers of float32 or 32 of float64."""
BATCHES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 40)
"""Around a line of samples, which is 16 of float32 or 8 of float64."""
LENGTHS = (1, 2, 3, 8, 9, 20, 30)
"""Steps of a run."""


@dataclass(frozen=True)
class Case:
    """A network and what is asked of it.

    Attributes:
        network: The network.
        x: What enters, by name.
        onto: What scores and spikes are multiplied with for the loss, by name of layer; scores under "".
    """

    network: Network
    x: dict[str, Tensor]
    onto: dict[str, Tensor]

    def __repr__(self) -> str:
        return f"a case of {list(self.network.layers)}"

    def on(self, device: str) -> "Case":
        """Return the case with everything on a device; the network itself moves there."""
        return Case(
            self.network.to(device),
            {
                name: each.detach().to(device).requires_grad_(each.requires_grad)
                for name, each in self.x.items()
            },
            {name: each.to(device) for name, each in self.onto.items()},
        )

    def results(self, *, compiled: bool) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
        """Scores and spikes, and the gradients of all parameters and inputs."""
        self.network.compiled = compiled
        self.network.zero_grad()
        x = {name: each.detach().clone().requires_grad_(each.requires_grad) for name, each in self.x.items()}
        record = self.network(x)
        loss = sum(
            ((record.spikes[name] if name else record.scores) * onto).sum()
            for name, onto in self.onto.items()
        )
        if isinstance(loss, Tensor) and loss.requires_grad:
            loss.backward()
        gradients = {f"input {name}": each.grad for name, each in x.items()}
        gradients |= {name: each.grad for name, each in self.network.named_parameters()}
        return {**record.spikes, "": record.scores}, gradients


@st.composite
def cases(
    draw: Callable[[Any], Any],
    dtype: torch.dtype = torch.float64,
    *,
    largest: int = 200,
    batches: Sequence[int] = BATCHES,
    lengths: Sequence[int] = LENGTHS,
) -> Case:
    """Networks of one to four layers, batches of them, and losses.

    Args:
        draw: Of Hypothesis.
        dtype: Type of all numbers.
        largest: Size of a layer, at most.
        batches: Numbers of samples.
        lengths: Numbers of steps.
    """
    sizes = draw(st.lists(st.sampled_from([n for n in SIZES if n <= largest]), min_size=1, max_size=4))
    channels = draw(st.lists(st.sampled_from((1, 2, 5, 40)), min_size=1, max_size=3))
    batch, steps = draw(st.sampled_from(batches)), draw(st.sampled_from(lengths))
    longest = draw(st.sampled_from((0, 1, 3, 12, 50)))
    readout = draw(st.sampled_from(list(Readout)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    network = Network(
        inputs={f"x{i}": size for i, size in enumerate(channels)},
        layers={f"l{i}": random_neurons(rng, size) for i, size in enumerate(sizes)},
        connections=_connections(rng, channels, sizes, longest),
        output=f"l{rng.choice([len(sizes) - 1, int(rng.integers(len(sizes)))])}",
        readout=readout,
    ).to(dtype)
    for parameter in network.parameters():
        if parameter.requires_grad and rng.random() < 0.1:
            parameter.requires_grad_(False)
    if draw(st.booleans()):
        network.eval()
    else:
        _end_of_training(network)
    return Case(network, _inputs(rng, network, batch, steps, dtype), _loss(rng, network, batch, steps, dtype))


def dyadic(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    """Weights among the multiples of a sixteenth, at most 1 in magnitude, small in wide layers."""
    most = max(2, int(16 / shape[-1] ** 0.5))
    return torch.tensor(rng.integers(-most, most + 1, shape) / 16, dtype=torch.float32)


def _per_neuron(rng: np.random.Generator, size: int, low: float, high: float) -> Tensor:
    return torch.tensor(rng.uniform(low, high, size))


def _what_a_spike_does(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """Resets, amounts, refractory periods and adaptation; for many populations a reset to zero alone."""
    plain = rng.random() < 0.4
    reset = Reset.ZERO if plain else list(Reset)[rng.integers(len(Reset))]
    fields: dict[str, Any] = {"reset": reset}
    if reset is Reset.VALUE:
        fields["reset_amount"] = _per_neuron(rng, size, -1.0, 0.4)
    if reset is Reset.SUBTRACT:
        if rng.random() < 0.6:
            fields["reset_amount"] = _per_neuron(rng, size, 0.05, 2.0)
        if rng.random() < 0.5:
            fields["max_spikes"] = int(rng.choice([2, 3, 15, 255]))
    if not plain and rng.random() < 0.5:
        fields["refractory"] = torch.tensor(rng.integers(0, rng.choice([2, 5, 12]), size))
    if not plain and rng.random() < 0.5:
        fields["adaptation"] = _per_neuron(rng, size, 0.0, 1.0)
        fields["adaptation_decay"] = _per_neuron(rng, size, 0.02, 0.9)
    return fields


def _thresholds(rng: np.random.Generator, size: int, fields: dict[str, Any]) -> Tensor:
    """Thresholds, some of them or all infinite where they may be."""
    vth = _per_neuron(rng, size, 0.3, 1.5)
    finite = "vth" in fields["train"] or fields["hold_rheobase"] or "reset_amount" in fields["train"]
    if not finite and ("max_spikes" not in fields or "reset_amount" in fields):
        silent = rng.random(size) < rng.choice([0.0, 0.3, 1.0], p=[0.6, 0.3, 0.1])
        vth[torch.tensor(silent)] = torch.inf
    return vth


def random_neurons(rng: np.random.Generator, size: int) -> CubaLif:
    """A population with every mixture of what a spike does and of what is learnt."""
    fields = _what_a_spike_does(rng, size)
    often = 0.4 if rng.random() < 0.6 else 0.0
    fields["train"] = tuple(name for name in LEARNABLE if rng.random() < often and _can_learn(name, fields))
    fields["hold_rheobase"] = "dv" in fields["train"] and bool(rng.integers(2))
    filters = "du" in fields["train"] or rng.random() < 0.7
    layer = CubaLif(
        size,
        du=_per_neuron(rng, size, 0.2, 0.95) if filters else 1.0,
        dv=0.0 if rng.random() < 0.1 and "dv" not in fields["train"] else _per_neuron(rng, size, 0.02, 0.6),
        vth=_thresholds(rng, size, fields),
        bias=_per_neuron(rng, size, -0.1, 0.2),
        train_bias=bool(rng.integers(2)),
        surrogate=list(Surrogate)[rng.integers(len(Surrogate))],
        slope=float(rng.choice([0.5, 3.0, 10.0, 25.0])),
        **fields,
    )
    with torch.no_grad():
        for name, values in layer.named_parameters():
            if name.startswith("parametrizations"):
                values.add_(torch.tensor(rng.normal(size=values.shape) * 0.3))
    return layer


def _can_learn(name: str, fields: dict[str, Any]) -> bool:
    return name in {"du", "dv", "vth"} or name in fields


def _synapses(rng: np.random.Generator, targets: int, sources: int, longest: int) -> MaskedSynapses:
    shape = (targets, sources)
    density = rng.choice([0.0, 0.05, 0.5, 1.0])
    mask = torch.tensor(rng.random(shape) < density) if rng.random() < 0.7 else None
    learnt = max(longest, 1)
    delays, most = [
        (None, None),
        (None, None),
        (int(rng.integers(0, longest + 1)), None),
        (rng.integers(0, longest + 1, shape), None),
        (rng.uniform(0, learnt, shape), learnt),
    ][rng.integers(5)]
    return MaskedSynapses(dyadic(rng, shape), mask, delays=delays, longest_delay=most)


def _linear(rng: np.random.Generator, targets: int, sources: int, *, bias: bool) -> nn.Linear:
    module = nn.Linear(sources, targets, bias=bias)
    with torch.no_grad():
        module.weight.copy_(dyadic(rng, (targets, sources)))
        if bias:
            module.bias.copy_(dyadic(rng, (targets,)))
    return module


def _connections(
    rng: np.random.Generator, channels: list[int], sizes: list[int], longest: int
) -> dict[Connection, nn.Module]:
    """Inputs to some layers, and layers to themselves and to others, forth and back."""
    arrows: dict[Connection, nn.Module] = {}

    def connect(source: str, n: int, target: int, least: int, *, bias: bool) -> None:
        delay = least + int(rng.choice([0, int(rng.integers(0, longest + 1))]))
        arrow = Connection(f"c{len(arrows)}", source, f"l{target}", delay)
        if rng.random() < 0.2:
            arrows[arrow] = _linear(rng, sizes[target], n, bias=bias)
        else:
            arrows[arrow] = _synapses(rng, sizes[target], n, longest)

    for i, n in enumerate(channels):
        for target in rng.permutation(len(sizes))[: rng.integers(1, 3)]:
            connect(f"x{i}", n, int(target), 0, bias=bool(rng.integers(2)))
    for source, n in enumerate(sizes):
        for target in range(len(sizes)):
            often = 0.8 if target in {source, source + 1} else 0.25
            while rng.random() < often:
                connect(f"l{source}", n, target, int(source >= target), bias=bool(rng.integers(2)))
                often = 0.15
    return arrows


def _end_of_training(network: Network) -> None:
    """Learnt delays as in the last fifth of a training: whole steps, while weights still learn."""
    for module in network.modules():
        if isinstance(module, MaskedSynapses) and module.delays is not None:
            module.delays.narrow(1.0)


def _inputs(
    rng: np.random.Generator, network: Network, batch: int, steps: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Spikes from never to always, or graded values of both signs; some want a gradient."""
    streams = {}
    for name, size in network.inputs.items():
        present = rng.random((batch, steps, size)) < rng.choice([0.0, 0.03, 0.2, 0.7, 1.0])
        values = rng.integers(-8, 9, present.shape) / 4 if rng.random() < 0.4 else 1.0
        stream = torch.tensor(present * values, dtype=dtype)
        streams[name] = stream.requires_grad_(bool(rng.random() < 0.2))
    return streams


def _loss(
    rng: np.random.Generator, network: Network, batch: int, steps: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    """On scores, on the spikes of some layers, or on both."""
    sizes = {name: network.layer(name).size for name in network.layers}
    chosen = [name for name in sizes if rng.random() < 0.4]
    onto = {name: torch.tensor(rng.normal(size=(batch, steps, sizes[name])), dtype=dtype) for name in chosen}
    if not chosen or rng.random() < 0.8:
        onto[""] = torch.tensor(rng.normal(size=(batch, sizes[network.output])), dtype=dtype)
    return onto
