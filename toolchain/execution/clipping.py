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
    """Integers were given less than the real numbers would have been."""


@final
@dataclass(frozen=True)
class ClippedInput:
    r"""What was clipped of one graded input: values with `|round(x * scale)| > 2^bits - 1`.

    Attributes:
        input: Name of the input.
        clipped: How many values.
        values: How many entered, over all samples, steps and elements.
        limit: Largest magnitude that an integer holds, model units: :math:`(2^{bits} - 1) / scale`.
        peak: Largest magnitude that came, model units.
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
    """Counts what is clipped, part by part.

    Args:
        inputs: Of a fixed graph; see `of`.
    """

    def __init__(self, inputs: Iterable[ir.Input]) -> None:
        self._inputs = [node for node in inputs if node.edge is EdgeKind.GRADED]
        self.reset()

    @classmethod
    def of(cls, graph: Graph) -> "ClippingTally":
        """Return the tally of a graph; in real numbers nothing is clipped."""
        return cls(graph.inputs if graph.stage is Stage.FIXED else ())

    def reset(self) -> None:
        """Forget what was counted."""
        self._counts = {node.name: (0, 0, 0.0) for node in self._inputs}

    def add(self, values: Mapping[str, Array]) -> None:
        """Take in what enters, per input in the model's units."""
        for node in self._inputs:
            given = np.asarray(values[node.name])
            clipped, entered, peak = self._counts[node.name]
            clipped += int(np.count_nonzero(clips(node, given)))
            # The least of whole numbers has no absolute value among them.
            peak = max(peak, float(given.max(initial=0)), -float(given.min(initial=0)))
            self._counts[node.name] = (clipped, entered + given.size, peak)

    @property
    def found(self) -> tuple[ClippedInput, ...]:
        """The inputs of which something was clipped, in the order of the graph."""
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
    """Return which values an input would clip in integers; none of a spike input."""
    if node.edge is not EdgeKind.GRADED:
        return np.zeros(values.shape, bool)
    return fixedpoint.is_clipped(values, node.scale, node.bits)


def clipped_inputs(graph: Graph, stimulus: Stimulus) -> tuple[ClippedInput, ...]:
    """Return what a whole stimulus loses on its way into a graph.

    Args:
        graph: Fixed; of a float graph nothing is clipped.
        stimulus: What is given; a sample of it is looked at at a time.

    Raises:
        StimulusError: It does not fit the inputs.
    """
    tally, given = ClippingTally.of(graph), check_stimulus(graph, stimulus)
    for sample in range(given.samples):
        tally.add(given.take(slice(sample, sample + 1)).values)
    return tally.found


def warn_clipped(found: Iterable[ClippedInput]) -> None:
    """Warn a Python caller with `ClippedInputWarning`, once per input."""
    for item in found:
        warnings.warn(visible(str(item)), ClippedInputWarning, stacklevel=3)
