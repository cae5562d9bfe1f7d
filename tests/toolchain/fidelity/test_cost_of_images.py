"""Synaptic operations of convolutions: counted position by position."""

import numpy as np
from hypothesis import given, settings

from tests.image_graphs import ImageRecipe, plain_image_recipes, random_images, random_pictures
from tests.networks import images, small_preresnet
from toolchain import ir
from toolchain.execution import reference
from toolchain.execution.reference import _convolve
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.fidelity.cost import measure_cost, of_layers
from toolchain.frontends import from_torch
from toolchain.ir import Graph


def _unrolled(graph: Graph, node: ir.FixedConv2d) -> np.ndarray:
    """Return which source element drives which target element, by sending one spike at a time."""
    source, _ = graph.source(node.inputs[0])
    shape = graph.types[source.name].shape
    present = (node.weights != 0).astype(np.int64)
    rows = []
    for index in range(int(np.prod(shape))):
        x = np.zeros(shape, np.int64)
        x.flat[index] = 1
        rows.append(_convolve(x, present, node.window, node.groups).ravel())
    return np.array(rows)


@given(recipe=plain_image_recipes)
@settings(max_examples=15)
def test_fan_out_is_counted_at_every_position(recipe: ImageRecipe) -> None:
    graph = random_images(recipe)
    pictures = random_pictures(recipe, 2, 3)
    trace = reference.run(graph, pictures)
    cost = measure_cost(graph, Stimulus.of(pictures), trace)
    values = dict(fit_stimulus(graph, pictures).values) | dict(trace.spikes)
    for node in graph.poolings:
        # What waits in front of a pooling is counted as sent, as everything is that is on its way at the end.
        source = values[graph.source(node.inputs[0])[0].name]
        sums = [[np.sum(node.window.patches(x.astype(int)), axis=0) for x in sample] for sample in source]
        values[node.name] = np.array(sums)
        if node.kind == "max_pool2d":
            values[node.name] = values[node.name] > 0
    for node in graph.synapses:
        if isinstance(node, ir.FixedConv2d):
            fan_out = _unrolled(graph, node).sum(axis=1)
            events = (values[graph.source(node.inputs[0])[0].name] != 0).reshape(2, 3, -1)
            assert cost.synapses[node.name] == fan_out.sum()
            assert cost.synaptic_operations[node.name] == (events @ fan_out).sum() / 2
            assert cost.parameters[node.name] == np.count_nonzero(node.weights)


def test_layers_add_up_to_the_network() -> None:
    network = small_preresnet()
    graph = from_torch(network)
    frames = np.repeat(images(network).numpy()[:, None], 4, axis=1)
    cost = measure_cost(graph, Stimulus.of(frames), reference.run(graph, frames))
    layers = of_layers(cost, graph)
    assert sum(layer["synaptic_operations"] for layer in layers.values()) == cost.total_operations
    assert cost.memory == sum(cost.parameters.values()) + 6 * sum(cost.neurons.values())
    assert (
        layers["s1b2_spikes1"]["parameters"]
        == cost.parameters["stem.s1b2_spikes1"] + cost.parameters["s1b1_conv2"]
    )
