"""Graded values beyond the range that an input was calibrated for: no integer holds them, so they are cut."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.arrays import Array
from toolchain.execution.stimulus import Stimulus, check_stimulus
from toolchain.ir import EdgeKind, Graph, Stage
from toolchain.visible import visible

_REMEDY = "compile with samples as `calibration` that cover the range"


class ClippedInputWarning(UserWarning):
    """Values of a graded input were cut to the range that its integers hold."""


@final
@dataclass(frozen=True)
class ClippedInput:
    r"""What was clipped of one graded input: values with `|round(x * scale)| > 2^bits - 1`.

    Attributes:
        input: Name of the input.
        clipped: Number of clipped values.
        values: Number of all values, over samples, steps and elements.
        limit: Largest magnitude that an integer holds, in model units: :math:`(2^{bits} - 1) / scale`.
        peak: Largest magnitude that occurred, in model units.
    """

    input: str
    clipped: int
    values: int
    limit: float
    peak: float

    def __str__(self) -> str:
        return (
            f"{self.clipped:,} of {self.values:,} values of input '{self.input}' lie beyond the range "
            f"{-self.limit:.4g} .. {self.limit:.4g} that it was calibrated for, the farthest at "
            f"{self.peak / self.limit:.3g} times its end; the integers were given the end instead: {_REMEDY}"
        )


@final
class ClippingTally:
    """Counts the values that are clipped, one part of the samples after the other.

    Args:
        inputs: Inputs of a fixed graph; see `of`.
    """

    def __init__(self, inputs: Iterable[ir.Input]) -> None:
        self._inputs = [node for node in inputs if node.edge is EdgeKind.GRADED]
        self.reset()

    @classmethod
    def of(cls, graph: Graph) -> "ClippingTally":
        """Return the tally of a graph; in real numbers nothing is clipped."""
        return cls(graph.inputs if graph.stage is Stage.FIXED else ())

    def reset(self) -> None:
        """Start counting anew."""
        self._counts = {node.name: (0, 0, 0.0) for node in self._inputs}

    def add(self, values: Mapping[str, Array]) -> None:
        """Count the values that enter, of every input in the model's units."""
        for node in self._inputs:
            given = np.asarray(values[node.name])
            clipped, entered, peak = self._counts[node.name]
            clipped += int(np.count_nonzero(clips(node, given)))
            # The least of whole numbers has no absolute value among them.
            peak = max(peak, float(given.max(initial=0)), -float(given.min(initial=0)))
            self._counts[node.name] = (clipped, entered + given.size, peak)

    def include(self, other: "ClippingTally") -> None:
        """Add what was counted of other samples of the same graph."""
        for name, (clipped, entered, peak) in other._counts.items():
            own = self._counts[name]
            self._counts[name] = own[0] + clipped, own[1] + entered, max(own[2], peak)

    @property
    def clipped(self) -> tuple[ClippedInput, ...]:
        """The inputs with clipped values, in the order of the graph."""
        rows = ((node, *self._counts[node.name]) for node in self._inputs)
        return tuple(
            ClippedInput(node.name, clipped, entered, graded_range(node), peak)
            for node, clipped, entered, peak in rows
            if clipped
        )


def graded_range(node: ir.Input) -> float:
    """Return the largest magnitude that a graded input holds as an integer, in the model's units."""
    return (2**node.bits - 1) / node.scale


def clips(node: ir.Input, values: Array) -> NDArray[np.bool_]:
    """Return which values an input clips in integers; a spike input clips none."""
    if node.edge is not EdgeKind.GRADED:
        return np.zeros(values.shape, bool)
    return fixedpoint.is_clipped(values, node.scale, node.bits)


def clipped_inputs(graph: Graph, stimulus: Stimulus) -> tuple[ClippedInput, ...]:
    """Return what a graph clips of a whole stimulus.

    Args:
        graph: A fixed graph; a float graph clips nothing.
        stimulus: The samples; they are looked at one at a time.

    Raises:
        StimulusError: It does not fit the inputs.
    """
    tally, given = ClippingTally.of(graph), check_stimulus(graph, stimulus)
    for sample in range(given.samples):
        tally.add(given.take(slice(sample, sample + 1)).values)
    return tally.clipped


def warn_clipped(inputs: Iterable[ClippedInput]) -> None:
    """Warn a Python caller with `ClippedInputWarning`, once per input."""
    for item in inputs:
        warnings.warn(visible(str(item)), ClippedInputWarning, stacklevel=3)
