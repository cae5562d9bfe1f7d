"""What a network costs: neurons, synapses, parameters, spikes and synaptic operations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.arrays import Array
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.ir import Graph, Synapses, Window
from toolchain.ir.matrix import columns_of, values_of
from toolchain.ir.types import size_of

_STATE_BYTES = 6


@final
@dataclass(frozen=True)
class Cost:
    """Size and activity of a network on a stimulus.

    Attributes:
        neurons: Number of neurons per population.
        synapses: Number of synapses per connection: pairs of neurons that are connected; a synapse that
            weighs 0 does not count. The positions of a convolution count one by one.
        parameters: Number of stored weights per connection; a convolution stores its kernel once.
        spikes: Mean number of spikes per sample, per population.
        synaptic_operations: Mean number per sample, per connection: messages times actual fan-out. Several
            spikes that a neuron sends in one step are one message, and one operation per synapse, which
            multiplies.
    """

    neurons: dict[str, int]
    synapses: dict[str, int]
    parameters: dict[str, int]
    spikes: dict[str, float]
    synaptic_operations: dict[str, float]

    @property
    def total_operations(self) -> float:
        """Synaptic operations per sample over all connections."""
        return sum(self.synaptic_operations.values())

    @property
    def memory(self) -> int:
        """Bytes of 8-bit weights and of two 24-bit states per neuron, without any overhead of a chip."""
        return sum(self.parameters.values()) + _STATE_BYTES * sum(self.neurons.values())


def measure_cost(graph: Graph, stimulus: Stimulus, trace: Trace) -> Cost:
    """Return size and activity.

    A graded message that is not zero counts as one event per step, one of several spikes, too. Events that
    would arrive after the last step are counted, since the chip sends them. Pooling costs nothing here.

    Args:
        graph: Float or fixed graph.
        stimulus: Stimulus that was run.
        trace: Trace of that run, with spikes.
    """
    return cost_of(graph, count_events(graph, stimulus, trace))


def cost_of(graph: Graph, activity: Activity) -> Cost:
    """Return the size of a graph, and the activity of a run whose events were counted; see `measure_cost`."""
    counts, reached = activity.events, fan_outs(graph)
    return Cost(
        {node.name: int(node.vth.size) for node in graph.populations},
        {name: int(fan_out.sum()) for name, fan_out in reached.items()},
        {node.name: int(np.count_nonzero(values_of(node.weights))) for node in graph.synapses},
        {node.name: activity.spikes[node.name] / activity.samples for node in graph.populations},
        {
            node.name: float(counts[graph.source(node.inputs[0])[0].name] @ reached[node.name])
            / activity.samples
            for node in graph.synapses
        },
    )


def recurrent_synapses(graph: Graph, cost: Cost) -> int:
    """Return the synapses of connections from a population to itself."""
    return sum(
        cost.synapses[node.name]
        for node in graph.synapses
        if graph.source(node.inputs[0])[0] in graph.readers(node.name)
    )


def fan_outs(graph: Graph) -> dict[str, NDArray[np.int64]]:
    """Return, per connection, the number of synapses that leave each element of its source."""
    return {node.name: _fan_out(graph, node) for node in graph.synapses}


def _fan_out(graph: Graph, node: Synapses) -> NDArray[np.int64]:
    """Return the number of synapses that leave each element of the source."""
    source, _ = graph.source(node.inputs[0])
    shape = graph.types[source.name].shape
    if not isinstance(node, ir.Conv2d | ir.FixedConv2d):
        columns = columns_of(node.weights)[values_of(node.weights) != 0]
        return np.bincount(columns, minlength=size_of(shape))
    targets = (node.weights != 0).reshape(node.groups, -1, *node.weights.shape[1:]).sum(axis=1)
    return _reached(targets.reshape(shape[0], *node.weights.shape[2:]), shape, node.window)


def _reached(targets: Array, shape: tuple[int, ...], window: Window) -> NDArray[np.int64]:
    """Return the fan-out of every input element from the number of targets per kernel element.

    A convolution run backwards: every position of the kernel counts what it covers; what falls on the
    padding is nobody's.
    """
    (top, left), (down, right) = window.padding, window.stride
    rows, columns = window.positions((shape[1], shape[2]))
    total = np.zeros((shape[0], shape[1] + 2 * top, shape[2] + 2 * left), np.int64)
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            first, other = i * window.dilation[0], j * window.dilation[1]
            covered = total[:, first : first + down * rows : down, other : other + right * columns : right]
            covered[:, :rows, :columns] += targets[:, i, j, None, None]
    return total[:, top : top + shape[1], left : left + shape[2]].ravel()


def of_layers(cost: Cost, graph: Graph) -> Mapping[str, dict[str, float]]:
    """Return per population: neurons, parameters, spikes and synaptic operations of what arrives there."""
    return {
        node.name: {
            "neurons": cost.neurons[node.name],
            "parameters": sum(cost.parameters[name] for name in node.inputs),
            "spikes": cost.spikes[node.name],
            "synaptic_operations": sum(cost.synaptic_operations[name] for name in node.inputs),
        }
        for node in graph.populations
    }
