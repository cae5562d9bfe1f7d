"""Deep rewiring: synapses of fixed sign that leave where they reach zero (Bellec et al., ICLR 2018).

A synapse is `sign * magnitude`. After every step of the optimizer, which is that of `fit` and not the paper's
plain gradient,

    magnitude <- magnitude - rate * l1 + sqrt(2 * rate * temperature) * noise        if it is present
    magnitude <- magnitude + sqrt(2 * rate * temperature) * noise, at least -limit   if it is absent (soft)

It leaves below zero. Hard rewiring adds as many at random absent places, from zero; soft rewiring adds those
whose magnitude has come above zero by itself.
"""

import math
from typing import final

import torch
from torch import Tensor

from toolchain.pruning.sparse.connection import SparseConnection
from toolchain.pruning.sparse.rules import drawn_absent, fixed_signs


@final
class RewiredConnection:
    """A connection that is rewired.

    Args:
        connection: Its synapses, those of the start present.
        chance: Where random numbers come from.
        soft: Whether absent synapses wander.
    """

    def __init__(self, connection: SparseConnection, chance: torch.Generator, *, soft: bool) -> None:
        self.connection, self._chance = connection, chance
        weight, mask = connection.weight, connection.mask
        self.signs = fixed_signs(weight, mask, chance)
        present = weight[mask].abs()
        self._limit = float(present.mean()) if len(present) else 1.0
        self.wander: Tensor | None = None
        if soft:
            self.wander = -self._limit * torch.rand(weight.shape, generator=chance).to(weight)

    def move(self, rate: float, l1: float, temperature: float, *, rewires: bool) -> int:
        """Advance by a step, and return how many synapses left.

        Args:
            rate: Learning rate of the step.
            l1: Decay of magnitudes, in learning rates.
            temperature: Temperature of the noise.
            rewires: Whether synapses may leave and come; otherwise those below zero stay at zero.
        """
        connection = self.connection
        weight, mask = connection.weight, connection.mask
        noise = self._noise(rate * temperature)
        magnitude = self.signs * weight + (noise - rate * l1) * mask
        weight.copy_(self.signs * magnitude.clamp(min=0) * mask)
        if not rewires:
            return 0
        leaving = torch.nonzero((mask & (magnitude < 0)).reshape(-1)).reshape(-1)
        if self.wander is None:
            coming = drawn_absent(connection.absent, len(leaving), self._chance)
            # Where there is no other place, the synapse stays, at zero.
            leaving = leaving[: len(coming)]
        else:
            self.wander.add_(noise).clamp_(min=-self._limit)
            self.wander.view(-1)[leaving] = 0
            coming = torch.nonzero((connection.absent & (self.wander > 0)).reshape(-1)).reshape(-1)
        if len(leaving) or len(coming):
            connection.replace(leaving, coming)
        return len(leaving)

    def _noise(self, variance: float) -> Tensor:
        weight = self.connection.weight
        if not variance:
            return torch.zeros_like(weight)
        drawn = torch.randn(weight.shape, generator=self._chance).to(weight)
        return math.sqrt(2 * variance) * drawn
