"""Rates measured on samples, and the thresholds and units that make up for what the reset loses."""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import AnyNode, Decode, Graph
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target

MOST_FRAMES: Final = 128
"""Most samples that are shown."""
_LOWEST: Final = 0.25
"""Share of a threshold that is always left."""


@final
@dataclass(frozen=True)
class StillFrames:
    """Still frames on which rates are measured.

    Attributes:
        frames: Samples `[batch, *features]`.
        steps: Steps for which each sample is shown.
    """

    frames: NDArray[Any]
    steps: int

    def rates(self, nodes: tuple[AnyNode, ...]) -> Floats:
        """Return the spikes per step of the last node, `[batch, *shape]`.

        Args:
            nodes: A graph without its output, up to a population.
        """
        name = nodes[-1].name
        graph = Graph((*nodes, ir.Output(name="output", inputs=(name,), decode=Decode.SPIKE_COUNT)))
        still = np.broadcast_to(self.frames[:, None], (len(self.frames), self.steps, *self.frames.shape[1:]))
        program = load_target(DEFAULT_EXECUTOR).build(graph)
        parts = in_parts(Stimulus.of(still), recorded_bytes(graph, self.steps, ("spikes",)), program)
        return np.concatenate([program.run(part).spikes[name].mean(axis=1) for _, part in parts])


def lowered_share(rates: Floats, wanted: Floats) -> float:
    """Return the factor of a threshold with which the mean rate of its layer is the one asked for."""
    asked = float(wanted.mean())
    return min(max(float(rates.mean()) / asked, _LOWEST), 1.0) if asked > 0 else 1.0


def fitted_units(activations: Floats, rates: Floats, otherwise: float, *, shared: bool = False) -> Floats:
    r"""Return what one spike per step stands for, `[C, 1, ...]`: one number per neuron or feature map.

    The straight line through zero that is nearest to the activations, drawn to that of the whole layer as if
    an average channel had been seen besides:

    .. math:: g_c = \frac{\sum a r + \lambda g}{\sum r^2 + \lambda}, \qquad
        g = \frac{\sum_c \sum a r}{\sum_c \sum r^2}, \qquad \lambda = \operatorname{mean}_c \sum r^2

    Args:
        activations: Activations `[batch, C, ...]`.
        rates: Rates of the same shape, in spikes per step.
        otherwise: Result where nothing fires.
        shared: Whether the whole layer has one number, `g`.
    """
    axes = (0, *range(2, rates.ndim))
    energy, product = (
        (rates**2).sum(axis=axes, keepdims=True)[0],
        (activations * rates).sum(axis=axes, keepdims=True)[0],
    )
    if not energy.any():
        return np.full(energy.shape, otherwise)
    whole = product.sum() / energy.sum()
    if shared:
        return np.full(energy.shape, whole)
    prior = energy.mean()
    return (product + prior * whole) / (energy + prior)
