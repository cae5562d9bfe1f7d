"""Where two executions first differ, and whether the neuron or something it read is to blame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.errors import VerifyError
from toolchain.execution.clipping import clips, graded_range
from toolchain.execution.trace import Trace
from toolchain.fidelity.metrics import flattened
from toolchain.fidelity.neuron_names import neuron_name
from toolchain.files.documents import OMITTED
from toolchain.ir import Graph, Pooling, Population, Synapses, Window
from toolchain.ir.matrix import columns_of, rows_of, values_of


@final
@dataclass(frozen=True)
class DifferentInput:
    """A spike that reached a neuron in one execution only, or a graded value that the integers clipped.

    Attributes:
        connection: Connection through which it came.
        source: Population that sent it, or the graded input.
        neuron: Index in that population or input.
        place: The same in words; see `neuron_name`.
        step: Time step at which it was sent.
        clipped: Number of clipped values of a graded input that the neuron had read; 0 for a population.
        excess: Distance of the farthest of these, as a multiple of the end of the range.
    """

    connection: str
    source: str
    neuron: int
    place: str
    step: int
    clipped: int = 0
    excess: float = 0.0

    @property
    def sentence(self) -> str:
        """What differed, and when."""
        if not self.clipped:
            return (
                f"{self.place} of '{self.source}' had differed at step {self.step}, "
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
        place: The same in words; see `neuron_name`.
        element: Index of that neuron in the user's module.
        expected: Potential in the first execution, in model units, before the reset if a spike subtracts;
            None if not recorded.
        got: Potential in the second execution.
        threshold: Threshold of the neuron, in model units.
        fired: Whether it fired in the first execution, and so not in the second; None if that is not known.
        inputs: The first different spike, or clipped value, on every connection it reads; empty if all it
            read was equal, so that its own numbers made the difference.
        rise: What adaptation had added to the threshold, the same in both; None if the threshold stays.
        counts: Spikes in the first and in the second execution, of a neuron that may send several in a step;
            None for one that does not.
    """

    sample: int
    step: int
    neuron: int
    place: str
    element: int
    expected: float | None
    got: float | None
    threshold: float
    inputs: tuple[DifferentInput, ...] = ()
    fired: bool | None = None
    rise: Annotated[float | None, OMITTED] = None
    counts: Annotated[tuple[int, int] | None, OMITTED] = None

    @property
    def raised(self) -> str:
        """What adaptation had added to the threshold, to be read after it; empty if the threshold stays."""
        return "" if self.rise is None else f" + {self.rise:.5g} by adaptation"

    @property
    def outcome(self) -> str:
        """In which execution it fired, and where its potential stood in the other; empty if not known.

        The potential of the one that fired says nothing: it was reset. Of a neuron that may send several
        spikes, it says how many it sent in both, and from which potentials.
        """
        if self.counts is not None:
            known = self.expected is not None and self.got is not None
            where = f", from potentials of {self.expected:.5g} and {self.got:.5g}" if known else ""
            return f"its spikes were {self.counts[0]} in float and {self.counts[1]} in integers{where}"
        if self.fired is None:
            return ""
        firing, silent = ("float", "integers") if self.fired else ("integers", "float")
        potential = self.got if self.fired else self.expected
        where = "" if potential is None else f", where its potential was {potential:.5g}"
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
        graph: Graph of either execution; both have the same connections.
        traces: Traces of both executions, with spikes.
        name: Population of the neuron.
        where: Sample, step and neuron of its own first difference.
        entered: What entered, `[batch, time, *features]` per input; then clipped values count as different.
    """
    sample, step, neuron = where
    differences: list[DifferentInput] = []
    for connection in graph[name].inputs:
        node = graph[connection]
        if not isinstance(node, Synapses):
            continue
        source, delay, reads = _reads(graph, node, neuron)
        last = step - delay + 1
        if last <= 0:
            continue
        clipped, excess = 0, 0.0
        if not isinstance(source, ir.Input):
            shape = source.vth.shape
            pair = (flattened(trace.spikes[source.name])[sample, :last] for trace in traces)
            different = np.not_equal(*pair) & reads
        elif entered is not None:
            shape = source.shape
            values = flattened(entered[source.name][sample : sample + 1])[0, :last]
            different = clips(source, values) & reads
            clipped = int(different.sum())
            excess = float(np.abs(values[different]).max(initial=0)) / graded_range(source)
        else:
            continue
        if different.any():
            when, which = (int(index) for index in np.argwhere(different)[0])
            place = neuron_name(shape, which)
            differences.append(
                DifferentInput(connection, source.name, which, place, when, clipped=clipped, excess=excess)
            )
    return tuple(differences)


def _reads(graph: Graph, node: Synapses, neuron: int) -> tuple[ir.Input | Population, int, NDArray[np.bool_]]:
    """Return what a neuron reads: the input or population, the least delay, a mask of the elements."""
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
        read = _under(shapes[-1], node.window, divmod(place, positions[1]))
        per_group = node.weights.shape[1]
        first = channel // (len(node.weights) // node.groups) * per_group
        inside = np.arange(shapes[-1][0])
        read &= ((inside >= first) & (inside < first + per_group))[:, None, None]
    else:
        read = np.zeros(int(np.prod(shapes[-1])), bool)
        stored = (rows_of(node.weights) == neuron) & (values_of(node.weights) != 0)
        read[columns_of(node.weights)[stored]] = True
        read = read.reshape(shapes[-1])
    for pool, shape in zip(chain, reversed(shapes[:-1]), strict=True):
        wider = np.zeros(shape, bool)
        for channel, row, column in np.argwhere(read):
            wider[channel] |= _under(shape, pool.window, (int(row), int(column)))[channel]
        read = wider
    return operand, delay, read.ravel()


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
