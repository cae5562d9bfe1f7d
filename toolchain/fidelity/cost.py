"""What a network costs: neurons, synapses, spikes and synaptic operations."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain.ir import Graph, Input, Synapses
from toolchain.ir.matrix import columns_of, values_of
from toolchain.stimulus import Stimulus, fit_stimulus
from toolchain.trace import Trace


@final
@dataclass(frozen=True)
class Cost:
    """Size and activity of a network on a stimulus.

    Attributes:
        neurons: Per population.
        synapses: Per connection; a synapse that weighs 0 does not count.
        spikes: Per population, mean per sample.
        synaptic_operations: Per connection, mean per sample: spikes times actual fan-out.
    """

    neurons: dict[str, int]
    synapses: dict[str, int]
    spikes: dict[str, float]
    synaptic_operations: dict[str, float]

    @property
    def total_operations(self) -> float:
        """Synaptic operations per sample over all connections."""
        return sum(self.synaptic_operations.values())


def measure_cost(graph: Graph, stimulus: Stimulus, trace: Trace) -> Cost:
    """Return size and activity.

    A graded message that is not zero counts as one event per step. Events that would arrive
    after the last step are counted, since the chip sends them.

    Args:
        graph: Float or fixed.
        stimulus: What was given.
        trace: What the populations did, with spikes.
    """
    fitted = fit_stimulus(graph, stimulus)
    events: dict[str, NDArray[Any]] = {
        node.name: (fitted.values[node.name] if isinstance(node, Input) else trace.spikes[node.name])
        for node in (*graph.inputs, *graph.populations)
    }
    operations = {node.name: _operations(graph, node, events) for node in graph.synapses}
    return Cost(
        {node.name: int(node.vth.size) for node in graph.populations},
        {node.name: int(np.count_nonzero(values_of(node.weights))) for node in graph.synapses},
        {node.name: float(trace.spikes[node.name].sum() / fitted.samples) for node in graph.populations},
        operations,
    )


def recurrent_synapses(graph: Graph, cost: Cost) -> int:
    """Return the synapses of connections from a population to itself."""
    return sum(
        cost.synapses[node.name]
        for node in graph.synapses
        if graph.source(node.inputs[0])[0] in graph.readers(node.name)
    )


def _operations(graph: Graph, node: Synapses, events: dict[str, NDArray[Any]]) -> float:
    source, _ = graph.source(node.inputs[0])
    active = events[source.name] != 0
    per_channel = active.reshape(*active.shape[:2], -1).sum(axis=(0, 1))
    columns = columns_of(node.weights)[values_of(node.weights) != 0]
    fan_out = np.bincount(columns, minlength=per_channel.size)
    return float(per_channel @ fan_out / len(active))
