"""The metrics of NeuroBench that a network has without a chip, under their names (Yik et al., 2025)."""

from typing import Final

from toolchain import ir
from toolchain.execution.activity import Activity
from toolchain.fidelity.cost import fan_outs
from toolchain.files.documents import Document
from toolchain.ir import EdgeKind, Graph, Population, Synapses
from toolchain.ir.matrix import sources_of, targets_of, values_of
from toolchain.ir.types import size_of

_FLOAT_BYTES: Final = 4
_NEURON_PARAMETERS: Final = 4
_NEURON_STATES: Final = 2


class NeuroBench(Document):
    """Static metrics of a network, and activity over a recorded run.

    Attributes:
        footprint_bytes: All parameters and buffers in 32-bit floating point, zeros included.
        parameter_count: Weights, zeros included, and four parameters of every neuron; one more for an amount
            of its reset, for its refractory period, for what raises its threshold and for the decay of that.
        connection_sparsity: Share of the weights that are zero.
        activation_sparsity: Share of neurons and steps without a spike.
        effective_acs: Additions per sample: spikes times synapses that are not zero.
        effective_macs: The same where a message carries an integer, of several spikes, too.
        dense_operations: Synapses, zeros included, times steps, per sample.
        neuron_updates: Updates of neurons per sample.
        steps: Length of a sample in steps.
    """

    footprint_bytes: int
    parameter_count: int
    connection_sparsity: float
    activation_sparsity: float
    effective_acs: float
    effective_macs: float
    dense_operations: float
    neuron_updates: int
    steps: int


def neurobench(graph: Graph, activity: Activity) -> NeuroBench:
    """Return the metrics of a graph.

    Zeros are weights that a dense matrix of that size would have; a convolution stores its kernel once.
    Pooling is not counted. Two states per neuron, `u` and `v`, are buffers; what a refractory neuron waits
    for and the rise of a threshold are further ones.
    """
    stored = sum(_stored(node) for node in graph.synapses)
    nonzero = sum(int((values_of(node.weights) != 0).sum()) for node in graph.synapses)
    neurons = sum(int(node.vth.size) for node in graph.populations)
    parameters = stored + sum(int(node.vth.size) * _parameters(node) for node in graph.populations)
    states = sum(int(node.vth.size) * _states(node) for node in graph.populations)
    messages = sum(int(activity.events[node.name].sum()) for node in graph.populations)
    additions = products = 0.0
    for name, counts in fan_outs(graph).items():
        source, _ = graph.source(graph[name].inputs[0])
        done = float(activity.events[source.name] @ counts) / activity.samples
        if graph.types[source.name].kind is EdgeKind.GRADED:
            products += done
        else:
            additions += done
    dense = sum(_dense(graph, node) for node in graph.synapses) * activity.steps
    return NeuroBench(
        footprint_bytes=_FLOAT_BYTES * (parameters + states),
        parameter_count=parameters,
        connection_sparsity=1 - nonzero / max(stored, 1),
        activation_sparsity=1 - messages / max(neurons * activity.samples * activity.steps, 1),
        effective_acs=additions,
        effective_macs=products,
        dense_operations=float(dense),
        neuron_updates=neurons * activity.steps,
        steps=activity.steps,
    )


def _parameters(node: Population) -> int:
    return _NEURON_PARAMETERS + len(node.per_neuron) - len(node.required)


def _states(node: Population) -> int:
    return _NEURON_STATES + (node.refractory is not None) + (node.adaptation is not None)


def _stored(node: Synapses) -> int:
    if isinstance(node, ir.Conv2d | ir.FixedConv2d):
        return int(node.weights.size)
    return targets_of(node.weights) * sources_of(node.weights)


def _dense(graph: Graph, node: Synapses) -> int:
    """Return the products of one step if nothing were zero."""
    if not isinstance(node, ir.Conv2d | ir.FixedConv2d):
        return _stored(node)
    return int(node.weights.size) * size_of(graph.types[node.name].shape[1:])
