"""The layers of a network as kernels of Triton take them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from toolchain.models.dynamics import NeuronDynamics
from toolchain.models.loops.neurons import NUMBERS, REFRACTORY, VTH
from toolchain.models.loops.plan import GIVEN, Places, given
from toolchain.models.surrogates import Surrogate
from toolchain.reset import Reset

START, STOP, KEEPS, MOST, SURROGATE = range(5)
"""Columns of the table of layers: its neurons, whether a reset keeps the potential, most spikes a step, and
the number of the shape of the spike derivative."""
COLUMNS: Final = 5
SHAPES: Final = {
    Surrogate.FAST_SIGMOID: (0, 1.0),
    Surrogate.ARCTAN: (1, math.pi / 2),
    Surrogate.SIGMOID: (2, 1.0),
}
"""Number of each shape, and the factor of its slope."""


@final
@dataclass(frozen=True)
class TritonLayers:
    """All layers, on a device.

    Attributes:
        numbers: Numbers of the neurons, `[8, N]`; see `neurons`.
        table: A row for each layer, `[layers, COLUMNS]`.
        slopes: Sharpness of the surrogate derivative of each.
        largest: Neurons of the largest layer.
        waits: Whether any neuron has a refractory period.
        rises: Whether any adapts.
        learnt: A bit for each row of numbers whose gradients are wanted.
    """

    numbers: Tensor
    table: Tensor
    slopes: Tensor
    largest: int
    waits: bool
    rises: bool
    learnt: int

    @classmethod
    def of(
        cls, dynamics: Mapping[str, NeuronDynamics], places: Places, like: Tensor, *, backward: bool
    ) -> "TritonLayers":
        """Return layers.

        Args:
            dynamics: The populations.
            places: Place of each among all neurons.
            like: A tensor of the type of all numbers, on their device.
            backward: Whether gradients will be asked for.
        """
        bounds = [start for start, _ in places.layers.values()] + [places.neurons]
        slopes = [each.slope * SHAPES[each.surrogate][1] for each in dynamics.values()]
        table: list[list[int]] = []
        for k, each in enumerate(dynamics.values()):
            keeps = each.reset in {Reset.SUBTRACT, Reset.NONE}
            table.append([bounds[k], bounds[k + 1], keeps, each.max_spikes, SHAPES[each.surrogate][0]])
        learnt = {
            row
            for each in dynamics.values()
            for row, values in zip(GIVEN, given(each), strict=True)
            if backward and values is not None and values.requires_grad
        }
        return cls(
            _numbers_of(dynamics, places, like),
            _on(torch.tensor(table), like),
            _on(torch.tensor(slopes, dtype=like.dtype), like),
            largest=max(size for _, size in places.layers.values()),
            waits=any(each.refractory is not None for each in dynamics.values()),
            rises=any(each.adaptation is not None for each in dynamics.values()),
            learnt=sum(1 << row for row in learnt),
        )

    def learns(self, row: int) -> bool:
        """Return whether gradients of a row of numbers are wanted."""
        return bool(self.learnt >> row & 1)


def _on(values: Tensor, like: Tensor) -> Tensor:
    """Return values on the device of a tensor; nothing waits for what that still has to do."""
    return values.to(like.device, non_blocking=True)


def _numbers_of(dynamics: Mapping[str, NeuronDynamics], places: Places, like: Tensor) -> Tensor:
    """Return the numbers of all neurons, `[8, N]`; what is no neuron never fires."""
    numbers = like.new_zeros(NUMBERS, places.neurons)
    numbers[VTH] = torch.inf
    for name, each in dynamics.items():
        at = places.slice(name)
        for row, values in [*zip(GIVEN, given(each), strict=True), (REFRACTORY, each.refractory)]:
            if values is not None:
                numbers[row, at] = values.detach().to(like.dtype)
    return numbers
