"""What one update of a training is timed on: a recurrent network, spikes that enter it, and their classes."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

CHANNELS, CLASSES = 700, 20
"""Those of Heidelberg's spoken digits."""
STEPS, BATCH = 100, 64
INPUT_RATE = 0.1
"""Share of channels that spike at a step: some 7,000 spikes a sample, about what spoken digits have."""
HIDDEN_RATE = 0.03
"""Share of hidden neurons that spike at a step; the weights are scaled until it is so."""
KEEP, KEEP_READOUT = float(np.exp(-1 / 20)), float(np.exp(-1 / 20))
SLOPE = 10.0
_TRIAL = 16
_TENSORS = ("encode", "recur", "decode", "x", "labels")


@dataclass(frozen=True)
class Scale:
    """How large a problem is.

    Attributes:
        neurons: Number of hidden neurons.
        density: Share of the recurrent synapses that exist.
        input_density: Share of the input synapses that exist.
        steps: Steps of a sample.
        batch: Samples of an update.
    """

    neurons: int = 1024
    density: float = 0.05
    input_density: float = 0.2
    steps: int = STEPS
    batch: int = BATCH

    def __str__(self) -> str:
        entering = "dense input" if self.input_density == 1 else f"input {100 * self.input_density:g} %"
        return f"{self.neurons:,} neurons, {100 * self.density:g} % recurrent, {entering}"


@dataclass(frozen=True)
class Problem:
    """A network without current, `v <- beta v + a`, a spike above 1, reset to zero, and what it learns.

    Attributes:
        scale: How large it is.
        encode: Weights `[neurons, channels]`, zero where there is no synapse.
        recur: Weights `[neurons, neurons]`; spikes act one step later.
        decode: Weights `[classes, neurons]` of a read-out that leaks and never fires.
        x: Spikes that enter, `[batch, time, channels]`.
        labels: Classes `[batch]`.
    """

    scale: Scale
    encode: Tensor
    recur: Tensor
    decode: Tensor
    x: Tensor
    labels: Tensor

    @classmethod
    def of(cls, scale: Scale, seed: int = 0) -> "Problem":
        """Return a problem whose hidden neurons spike at `HIDDEN_RATE`."""
        rng = np.random.default_rng(seed)
        x = rng.random((scale.batch, scale.steps, CHANNELS), np.float32) < INPUT_RATE
        problem = cls(
            scale,
            _weights(rng, scale.neurons, CHANNELS, scale.input_density, INPUT_RATE),
            0.5 * _weights(rng, scale.neurons, scale.neurons, scale.density, HIDDEN_RATE),
            _weights(rng, CLASSES, scale.neurons, 1.0, HIDDEN_RATE),
            torch.from_numpy(x.astype(np.float32)),
            torch.from_numpy(rng.integers(0, CLASSES, scale.batch)),
        )
        return problem.fired_at(HIDDEN_RATE)

    def fired_at(self, rate: float) -> "Problem":
        """Return the problem with input and recurrence scaled so that its neurons spike at a rate."""
        low, high = 0.0, 4.0
        trial = self
        for _ in range(12):
            middle = (low + high) / 2
            trial = replace(self, encode=middle * self.encode, recur=middle * self.recur)
            low, high = (middle, high) if trial.rate < rate else (low, middle)
        return trial

    def on(self, device: str) -> "Problem":
        """Return the problem on a device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in _TENSORS})

    def part(self, samples: int, steps: int) -> "Problem":
        """Return the same network on less."""
        scale = replace(self.scale, batch=samples, steps=steps)
        return replace(self, scale=scale, x=self.x[:samples, :steps].clone(), labels=self.labels[:samples])

    @cached_property
    def rate(self) -> float:
        """Share of its hidden neurons that spike at a step, before anything is learnt."""
        x = self.x[:_TRIAL]
        ahead = functional.linear(x, self.encode).unbind(1)
        v, spikes, total = torch.zeros_like(ahead[0]), torch.zeros_like(ahead[0]), 0.0
        for a in ahead:
            v = KEEP * v * (1 - spikes) + a + functional.linear(spikes, self.recur)
            spikes = (v > 1).to(v.dtype)
            total += float(spikes.mean())
        return total / len(ahead)

    @property
    def synapses(self) -> int:
        """Number of synapses, of all three connections."""
        return sum(int((each != 0).sum()) for each in (self.encode, self.recur, self.decode))


def _weights(rng: np.random.Generator, targets: int, sources: int, density: float, rate: float) -> Tensor:
    """Return weights of which so many exist, whose sum at a step has a deviation of about 1."""
    weights = rng.normal(0, 1 / np.sqrt(sources * density * rate), (targets, sources))
    exists = rng.random((targets, sources)) < density if density < 1 else True
    return torch.from_numpy((weights * exists).astype(np.float32))
