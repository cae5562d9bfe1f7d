"""Where two executions first differ, and whether the neuron or something it read is to blame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.errors import VerifyError
from toolchain.execution.clipping import clips, graded_range
from toolchain.execution.trace import Trace
from toolchain.fidelity.metrics import flattened
from toolchain.ir import Graph, Pooling, Population, Synapses, Window
from toolchain.ir.matrix import columns_of, rows_of, values_of


@final
@dataclass(frozen=True)
class DifferentInput:
    """A spike that reached a neuron in one execution only, or a graded value that the integers clipped.

    Attributes:
        connection: Through which it came.
        source: Population that sent it, or the graded input.
        neuron: Index in that population or input.
        step: When it was sent.
        clipped: How many values of a graded input the neuron had read that were clipped; 0 for a population.
        excess: How far the farthest of these lies, as a multiple of the end of the range.
    """

    connection: str
    source: str
    neuron: int
    step: int
    clipped: int = 0
    excess: float = 0.0

    @property
    def sentence(self) -> str:
        """What differed, and when."""
        if not self.clipped:
            return (
                f"neuron {self.neuron} of '{self.source}' had differed at step {self.step}, "
                f"through '{self.connection}'"
            )
        values = "1 value" if self.clipped == 1 else f"{self.clipped:,} values"
        return (
            f"the integers had read {values} of the graded input '{self.source}' that had been clipped, "
            f"the first of element {self.neuron} at step {self.step}, the farthest at {self.excess:.3g} "
            f"times the end of the calibrated range, through '{self.connection}'"
        )


@final
@dataclass(frozen=True)
class Divergence:
    """The first entry at which two executions of a population differ.

    Attributes:
        sample: Index in the stimulus.
        step: Time step, from 0.
        neuron: Index in the population.
        element: Index of that neuron in the user's module.
        expected: Its potential in the first execution, model units; None if not recorded.
        got: Its potential in the second.
        threshold: Its threshold, model units.
        fired: Whether it fired in the first execution, and so not in the second; None if that is not known.
        inputs: The first different spike, or clipped value, on every connection it reads; empty if all it
            read was equal, so that its own numbers made the difference.
    """

    sample: int
    step: int
    neuron: int
    element: int
    expected: float | None
    got: float | None
    threshold: float
    inputs: tuple[DifferentInput, ...] = ()
    fired: bool | None = None

    @property
    def outcome(self) -> str:
        """In which execution it fired, and where its potential stood in the other; empty if not known.

        The potential of the one that fired says nothing: it was reset.
        """
        if self.fired is None:
            return ""
        firing, silent = ("float", "integers") if self.fired else ("integers", "float")
        stood = self.got if self.fired else self.expected
        where = "" if stood is None else f", where its potential was {stood:.5g}"
        return f"it fired in {firing}, not in {silent}{where}"

    @property
    def blame(self) -> str:
        """Which input differed first, or that none did."""
        if not self.inputs:
            return "all it had read was equal: its own rounded numbers made the difference"
        return min(self.inputs, key=lambda each: (each.step, not each.clipped)).sentence


def different_inputs(
    graph: Graph,
    traces: tuple[Trace, Trace],
    name: str,
    where: tuple[int, int, int],
    entered: Mapping[str, NDArray[Any]] | None = None,
) -> tuple[DifferentInput, ...]:
    """Return what first differed of all that a neuron had read, on each of its connections.

    Args:
        graph: Of either execution; both have the same connections.
        traces: With spikes.
        name: Population of the neuron.
        where: Sample, step and neuron of its own first difference.
        entered: What entered, `[batch, time, *features]` per input; then clipped values count as different.
    """
    sample, step, neuron = where
    found: list[DifferentInput] = []
    for connection in graph[name].inputs:
        node = graph[connection]
        if not isinstance(node, Synapses):
            continue
        source, delay, reads = _reads(graph, node, neuron)
        last = step - delay + 1
        if last <= 0:
            continue
        if not isinstance(source, ir.Input):
            pair = (flattened(trace.spikes[source.name])[sample, :last] for trace in traces)
            different = np.not_equal(*pair) & reads
            if different.any():
                when, which = np.argwhere(different)[0]
                found.append(DifferentInput(connection, source.name, int(which), int(when)))
        elif entered is not None:
            values = flattened(entered[source.name][sample : sample + 1])[0, :last]
            beyond = clips(source, values) & reads
            if beyond.any():
                when, which = np.argwhere(beyond)[0]
                excess = float(np.abs(values[beyond]).max()) / graded_range(source)
                count = int(beyond.sum())
                found.append(DifferentInput(connection, source.name, int(which), int(when), count, excess))
    return tuple(found)


def _reads(graph: Graph, node: Synapses, neuron: int) -> tuple[ir.Input | Population, int, NDArray[np.bool_]]:
    """Return the input or population that a neuron reads, the least delay, and which elements of it."""
    operand, delay = graph.source(node.inputs[0])
    chain: list[Any] = []
    while isinstance(operand, Pooling):
        chain.append(operand)
        operand, more = graph.source(operand.inputs[0])
        delay += more
    if not isinstance(operand, ir.Input | Population):
        raise VerifyError(node.name, "reads neither an input nor a population")
    size: tuple[Any, ...] = operand.shape if isinstance(operand, ir.Input) else operand.vth.shape
    shapes = [size]
    for pool in reversed(chain):
        shapes.append((size[0], *pool.window.positions(shapes[-1][1:])))
    if isinstance(node, ir.Conv2d | ir.FixedConv2d):
        positions = node.window.positions(shapes[-1][1:])
        channel, place = divmod(neuron, positions[0] * positions[1])
        seen = _under(shapes[-1], node.window, divmod(place, positions[1]))
        per_group = node.weights.shape[1]
        first = channel // (len(node.weights) // node.groups) * per_group
        inside = np.arange(shapes[-1][0])
        seen &= ((inside >= first) & (inside < first + per_group))[:, None, None]
    else:
        seen = np.zeros(int(np.prod(shapes[-1])), bool)
        stored = (rows_of(node.weights) == neuron) & (values_of(node.weights) != 0)
        seen[columns_of(node.weights)[stored]] = True
        seen = seen.reshape(shapes[-1])
    for pool, shape in zip(chain, reversed(shapes[:-1]), strict=True):
        wider = np.zeros(shape, bool)
        for channel, row, column in np.argwhere(seen):
            wider[channel] |= _under(shape, pool.window, (int(row), int(column)))[channel]
        seen = wider
    return operand, delay, seen.ravel()


def _under(shape: tuple[int, ...], window: Window, position: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which elements of feature maps `[C, H, W]` a window covers at one position."""
    covered = np.zeros(shape, bool)
    axes: list[NDArray[np.int64]] = []
    for axis in range(2):
        start = position[axis] * window.stride[axis] - window.padding[axis]
        places = start + np.arange(window.kernel[axis]) * window.dilation[axis]
        axes.append(places[(places >= 0) & (places < shape[1 + axis])])
    covered[:, axes[0][:, None], axes[1]] = True
    return covered
