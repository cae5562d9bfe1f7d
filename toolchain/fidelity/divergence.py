"""Where two executions first differ, and whether the neuron or something it read is to blame."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain.fidelity.metrics import flattened
from toolchain.ir import Conv2d, FixedConv2d, Graph, Input, Pooling, Synapses, Window
from toolchain.ir.matrix import columns_of, rows_of, values_of
from toolchain.trace import Trace


@final
@dataclass(frozen=True)
class DifferentInput:
    """A spike that reached a neuron in one execution only.

    Attributes:
        connection: Through which it came.
        source: Population that sent it.
        neuron: Index in that population.
        step: When it was sent.
    """

    connection: str
    source: str
    neuron: int
    step: int


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
        inputs: The first different spike on every connection it reads; empty if all it read was equal, so
            that its own numbers made the difference.
    """

    sample: int
    step: int
    neuron: int
    element: int
    expected: float | None
    got: float | None
    threshold: float
    inputs: tuple[DifferentInput, ...] = ()

    @property
    def blame(self) -> str:
        """Which input differed first, or that none did."""
        if not self.inputs:
            return "all it had read was equal: its own rounded numbers made the difference"
        item = min(self.inputs, key=lambda each: each.step)
        who = f"neuron {item.neuron} of '{item.source}'"
        return f"{who} had differed at step {item.step}, through '{item.connection}'"


def different_inputs(
    graph: Graph, traces: tuple[Trace, Trace], name: str, where: tuple[int, int, int]
) -> tuple[DifferentInput, ...]:
    """Return the first different spike that a neuron had read on each of its connections.

    Args:
        graph: Of either execution; both have the same connections.
        traces: With spikes.
        name: Population of the neuron.
        where: Sample, step and neuron of its own first difference.
    """
    sample, step, neuron = where
    found: list[DifferentInput] = []
    for connection in graph[name].inputs:
        node = graph[connection]
        if not isinstance(node, Synapses):
            continue
        source, delay, reads = _reads(graph, node, neuron)
        last = step - delay + 1
        if source is None or last <= 0:
            continue
        pair = (flattened(trace.spikes[source])[sample, :last] for trace in traces)
        different = np.not_equal(*pair) & reads
        if different.any():
            when, which = np.argwhere(different)[0]
            found.append(DifferentInput(connection, source, int(which), int(when)))
    return tuple(found)


def _reads(graph: Graph, node: Synapses, neuron: int) -> tuple[str | None, int, NDArray[np.bool_]]:
    """Return the population that a neuron reads through a connection, the least delay, and which neurons."""
    operand, delay = graph.source(node.inputs[0])
    chain: list[Any] = []
    while isinstance(operand, Pooling):
        chain.append(operand)
        operand, more = graph.source(operand.inputs[0])
        delay += more
    if isinstance(operand, Input):
        return None, delay, np.zeros(0, bool)
    size = graph[operand.name].vth.shape  # pyright: ignore[reportAttributeAccessIssue] - a population
    shapes = [size]
    for pool in reversed(chain):
        shapes.append((size[0], *pool.window.positions(shapes[-1][1:])))
    if isinstance(node, Conv2d | FixedConv2d):
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
    return operand.name, delay, seen.ravel()


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
