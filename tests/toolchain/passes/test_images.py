"""Passes on networks of images."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.image_graphs import ImageRecipe, random_images, random_pictures
from tests.networks import images, small_preresnet, small_vgg
from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.frontends import from_torch
from toolchain.ir import Decode, Graph, Origin
from toolchain.models import FeedForward, GatedNorm, Spiking
from toolchain.passes import (
    Calibration,
    FoldDelays,
    QuantizeGraph,
    RemoveDeadNeurons,
    RetimeDelays,
    explain_quantization,
    find_schedule,
)

STEPS = 4


def _frames(network: FeedForward, samples: int = 3) -> np.ndarray:
    return np.repeat(images(network, samples).numpy()[:, None], STEPS, axis=1)


def _silenced(network: FeedForward, every: int) -> FeedForward:
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, GatedNorm):
                module.weight[::every] = 0
                module.bias[::every] = 0
    return network


@pytest.mark.parametrize("build", [small_vgg, small_preresnet], ids=["vgg", "preresnet"])
def test_dead_channels_go_and_the_others_do_what_they_did(build: Callable[[int], FeedForward]) -> None:
    network = _silenced(build(4), 3)
    graph = from_torch(network)
    small = RemoveDeadNeurons()(graph)
    frames = _frames(network)
    before, after = reference.run(graph, frames), reference.run(small, frames)
    shrunk = 0
    for node in small.populations:
        size = int(np.prod(before.spikes[node.name].shape[2:]))
        flat = before.spikes[node.name].reshape(*frames.shape[:2], size)
        kept = flat[:, :, node.origin.elements]
        np.testing.assert_array_equal(kept, after.spikes[node.name].reshape(*frames.shape[:2], -1))
        assert not np.delete(flat, node.origin.elements, axis=2).any()
        shrunk += node.vth.size < size
    assert shrunk >= 3
    assert all(node.weights.size for node in small.synapses)


def test_channels_of_a_grouped_convolution_stay() -> None:
    graph = from_torch(
        torch.nn.Sequential(torch.nn.Conv2d(2, 2, 3, groups=2), *_rest(2)),
        torch.rand(1, 2, 5, 5),
    )
    with_dead = graph.map(
        lambda node: replace(node, bias=node.bias * 0 - 1) if isinstance(node, ir.Lif) else node
    )
    assert RemoveDeadNeurons()(with_dead).populations[0].vth.shape == (2, 3, 3)


def _rest(channels: int) -> list[torch.nn.Module]:
    return [Spiking(), torch.nn.Flatten(), torch.nn.Linear(channels * 9, 2)]


@pytest.mark.parametrize("build", [small_vgg, small_preresnet], ids=["vgg", "preresnet"])
@pytest.mark.parametrize("bits", [8, 4])
def test_a_feature_map_has_one_scale_and_its_weights_fit(
    build: Callable[[int], FeedForward], bits: int
) -> None:
    network = build(2)
    graph = from_torch(network)
    frames = _frames(network)
    seen = Calibration.observe(graph, Stimulus.of(frames), reference.run(graph, frames))
    fixed = QuantizeGraph(weight_bits=bits, steps=STEPS, calibration=seen)(graph)
    for node in fixed.populations:
        assert isinstance(node, ir.FixedLif)
        if node.vth.ndim == 3:
            assert all(len(np.unique(channel)) == 1 for channel in node.scale)
    for node in fixed.synapses:
        if isinstance(node, ir.FixedConv2d):
            float_node = graph[node.name]
            assert isinstance(float_node, ir.Conv2d)
            target = fixed.readers(node.name)[0]
            assert isinstance(target, ir.FixedLif)
            scale = target.scale[:, 0, 0][:, None, None, None] / graph.message_scale(float_node)
            error = node.weights * 2.0**node.exponent - float_node.weights * scale
            step = 2 ** (8 - bits) * (2 if node.sign_mode.value == "mixed" else 1)
            assert np.abs(error).max() < step * 2.0**node.exponent + 1e-9, "not a neighbour"


def test_eight_bits_hardly_change_the_spikes() -> None:
    network = small_vgg(1)
    graph = from_torch(network)
    frames = _frames(network, 8)
    fixed = QuantizeGraph(steps=STEPS)(graph)
    before, after = reference.run(graph, frames), reference.run(fixed, frames)
    for name in network.layers:
        assert np.mean(before.spikes[name] == after.spikes[name]) > 0.97


def test_quantization_of_images_explains_itself() -> None:
    network = small_preresnet(0)
    graph = from_torch(network)
    fixed = QuantizeGraph(steps=STEPS)(graph)
    document = explain_quantization(graph, fixed, steps=STEPS)
    assert set(document.connections) == {node.name for node in graph.synapses}
    assert all(item.clipped == 0 for item in document.connections.values())
    assert 0 < document.connections["s1b1_conv1"].relative_rms_error < 0.01
    assert document.populations["final_spikes"].neurons == 8 * 4 * 5


@given(seed=st.integers(0, 500))
@settings(max_examples=20)
def test_retiming_gives_every_connection_and_pooling_its_step(seed: int) -> None:
    recipe = ImageRecipe(seed, 2, 2, pooled=True, summed=seed % 2 == 0, skip=True)
    graph = random_images(recipe)
    offsets = find_schedule(graph).offsets
    retimed = RetimeDelays()(graph)
    assert all(
        isinstance(wait := retimed[node.inputs[0]], ir.Delay) and wait.min_steps >= 1
        for node in (*retimed.synapses, *retimed.poolings)
    )
    latest = max(offsets.values())
    pictures = random_pictures(recipe, 2, 6)
    silence = np.zeros((2, latest, *pictures.shape[2:]), pictures.dtype)
    late = reference.run(retimed, np.concatenate([pictures, silence], axis=1))
    early = reference.run(graph, pictures)
    for node in graph.populations:
        offset = offsets[node.name]
        np.testing.assert_array_equal(late.spikes[node.name][:, offset : offset + 6], early.spikes[node.name])


def _delayed(steps: int | np.ndarray) -> Graph:
    size, shape = 2 * 4 * 4, (2, 4, 4)
    ones = np.ones(shape)
    return Graph(
        (
            ir.Input(name="x", shape=shape),
            ir.Delay(name="wait", inputs=("x",), shape=shape, steps=steps),
            ir.Conv2d(name="conv", inputs=("wait",), weights=np.ones((2, 2, 3, 3)), padding=(1, 1)),
            ir.Lif(
                name="p",
                inputs=("conv",),
                du=ones,
                dv=ones * 0,
                vth=ones * 5,
                bias=ones * 0,
                origin=Origin.whole("p", size),
            ),
            ir.Output(name="output", inputs=("p",), decode=Decode.SPIKE_COUNT),
        )
    )


def test_equal_delays_in_front_of_a_convolution_are_kept() -> None:
    folded = FoldDelays()(_delayed(np.full((2, 4, 4), 2)))
    assert [node.steps for node in folded if isinstance(node, ir.Delay)] == [2]
    spikes = np.random.default_rng(0).random((2, 8, 2, 4, 4)) < 0.5
    np.testing.assert_array_equal(
        reference.run(folded, spikes).v["p"], reference.run(_delayed(2), spikes).v["p"]
    )


def test_a_convolution_cannot_hold_delays_that_differ() -> None:
    with pytest.raises(PreconditionError, match="'conv' reads delays that differ per neuron"):
        FoldDelays()(_delayed(np.arange(32).reshape(2, 4, 4)))
