"""Feed-forward networks become graphs that do the same, in double precision, step for step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.networks import images, part, small_preresnet, small_vgg
from tests.nodes import node_of
from toolchain import ir
from toolchain.errors import FrontendError, UnsupportedModuleError, VerifyError
from toolchain.execution import reference
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.models import Add, FeedForward, GatedNorm, NetworkBlock, NeuronShape, Spiking
from toolchain.pruning import channel_layers, compact_channels
from toolchain.reset import Reset

STEPS = 4


def _check_equal(network: FeedForward, graph: Graph) -> None:
    x = images(network).to(torch.float64)
    with torch.inference_mode():
        activity = network.double().eval()(x, record=True)
    trace = reference.run(graph, np.repeat(x.numpy()[:, None], STEPS, axis=1))
    for name in network.layers:
        np.testing.assert_array_equal(activity.spikes[name].numpy(), trace.spikes[name])
        assert trace.spikes[name].any(), f"'{name}' is silent: nothing was compared"
        np.testing.assert_allclose(activity.v[name].numpy(), trace.v[name], rtol=0, atol=1e-9)
    # The classifier integrates: after T steps its potential is T times the mean.
    np.testing.assert_allclose(trace.v["readout"][:, -1], activity.scores * STEPS, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "network",
    [
        small_vgg(),
        small_vgg(neurons=NeuronShape(reset=Reset.SUBTRACT)),
        small_vgg(neurons=NeuronShape(reset=Reset.NONE, tau=2.0)),
        small_preresnet(),
        small_preresnet(spiking_shortcut=False),
    ],
    ids=["vgg", "vgg, subtract", "vgg, no reset", "preresnet", "preresnet with shortcuts of currents"],
)
def test_the_graph_is_the_network(network: FeedForward) -> None:
    _check_equal(network, from_torch(network))


def test_a_compact_residual_network_selects_from_the_stream() -> None:
    network = small_preresnet(3)
    masks = {layer.name: np.arange(layer.channels) % 2 == 0 for layer in channel_layers(network)}
    small = compact_channels(network, masks)
    _check_equal(small, from_torch(small))


def test_a_sequential_of_torch_layers_is_understood() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1), groups=2),
        nn.BatchNorm2d(4),
        nn.Dropout(),
        Spiking(vth=0.2),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, padding="same", bias=False),
        Spiking(vth=0.1, dv=0.25),
        nn.MaxPool2d(2, stride=1),
        nn.Flatten(),
        nn.Linear(6 * 2 * 1, 5),
        nn.BatchNorm1d(5, affine=False),
        Spiking(vth=0.1),
        nn.Linear(5, 3, bias=False),
    )
    module.eval()
    example = torch.rand(3, 2, 7, 7)
    graph = from_torch(module, example)
    assert [type(node) for node in graph.poolings] == [ir.SumPool2d, ir.MaxPool2d]

    values = torch.round(example.double() * 100) / 100
    trace = reference.run(graph, np.repeat(values.numpy()[:, None], STEPS, axis=1))
    module.double()
    with torch.inference_mode():
        for name, tensor in _by_hand(module, values).items():
            np.testing.assert_array_equal(tensor.numpy(), trace.spikes[name])


def _by_hand(module: nn.Sequential, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Run the layers one after the other, all steps folded into the batch."""
    spikes = {}
    value = x[:, None].expand(-1, STEPS, -1, -1, -1).transpose(0, 1)
    for i, layer in enumerate(module):
        if isinstance(layer, Spiking):
            value = layer(value, STEPS)[0]
            spikes[f"block{i}"] = value.transpose(0, 1)
        else:
            value = layer(value.flatten(0, 1)).unflatten(0, value.shape[:2])
    return spikes


def test_an_average_is_a_sum_with_its_factor_in_the_weights() -> None:
    network = small_preresnet()
    graph = from_torch(network)
    pooling = next(node for node in graph if isinstance(node, ir.SumPool2d))
    classifier = node_of(graph, "classifier", ir.Dense)
    weight = part(network.double(), "parts.classifier", nn.Linear).weight.detach().numpy()
    np.testing.assert_allclose(np.asarray(classifier.weights), weight / pooling.window.area)


def test_a_shortcut_of_currents_is_composed_with_the_branches_before_it() -> None:
    graph = from_torch(small_preresnet(spiking_shortcut=False))
    composed = graph["stem.s2b1_shortcut"]
    assert isinstance(composed, ir.Conv2d)
    assert composed.stride == (2, 2)
    assert composed.weights.shape == (8, 3, 3, 3)


def _feed(blocks: Sequence[tuple[str, tuple[str, ...], nn.Module]], **more: Any) -> FeedForward:
    options: dict[str, Any] = {"shape": (1, 6, 6)} | more
    return FeedForward({NetworkBlock(name, sources): part for name, sources, part in blocks}, **options)


def _conv(**options: Any) -> nn.Conv2d:
    return nn.Conv2d(1, 2, 3, **options)


_END = ("classifier", ("flat",), nn.Linear(32, 2))


@pytest.mark.parametrize(
    ("conv", "message"),
    [
        (_conv(padding=1, padding_mode="reflect"), "pads with 'reflect'; only zeros"),
        (nn.Conv2d(1, 2, 2, padding="same"), "padding='same' with an even kernel"),
    ],
)
def test_padding_that_no_chip_has_is_refused_by_name(conv: nn.Conv2d, message: str) -> None:
    network = _feed(
        [("conv", ("input",), conv), ("s", ("conv",), Spiking()), ("flat", ("s",), nn.Flatten()), _END]
    )
    with pytest.raises(FrontendError, match=message):
        from_torch(network)


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode"),
        (nn.MaxPool2d(2, dilation=2), "dilation"),
        (nn.AvgPool2d(2, divisor_override=3), "divides by something else"),
        (nn.AvgPool2d(2, padding=1, count_include_pad=False), "divides by something else"),
    ],
)
def test_poolings_without_meaning_are_refused(pool: nn.Module, message: str) -> None:
    network = _feed(
        [
            ("conv", ("input",), _conv()),
            ("s", ("conv",), Spiking()),
            ("pool", ("s",), pool),
            ("flat", ("pool",), nn.Flatten()),
            _END,
        ]
    )
    with pytest.raises(FrontendError, match=message):
        from_torch(network)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (
            [("flat", ("input",), nn.Flatten()), ("norm", ("flat",), GatedNorm(36))],
            "reads spikes; put",
        ),
        ([("conv", ("input",), _conv()), ("flat", ("conv",), nn.Flatten())], "reads currents; put Spiking"),
        (
            [("pool", ("input",), nn.MaxPool2d(2)), ("flat", ("pool",), nn.Flatten())],
            "reads values, not spikes",
        ),
        ([("conv", ("input",), _conv()), ("flat", ("conv",), nn.Conv2d(2, 2, 3))], "only an unpadded"),
        ([("flat", ("input",), nn.Flatten())], "reads 32 values, but"),
        ([("a", ("input",), nn.Linear(36, 2)), ("flat", ("a",), nn.Linear(2, 32))], "linear layer 'a' reads"),
        (
            [("a", ("input",), _conv()), ("b", ("input",), nn.Conv2d(1, 2, 2)), ("flat", ("a", "b"), Add())],
            "different shapes",
        ),
    ],
)
def test_blocks_where_they_have_no_meaning_are_refused(
    blocks: list[tuple[str, tuple[str, ...], nn.Module]], message: str
) -> None:
    with pytest.raises(FrontendError, match=message):
        from_torch(_feed([*blocks, _END]))


def test_a_block_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(UnsupportedModuleError, match="module 'odd' is a ReLU.*Conv2d"):
        from_torch(_feed([("odd", ("input",), nn.ReLU()), ("flat", ("odd",), nn.Flatten()), _END]))


def test_a_weight_that_is_not_finite_is_named() -> None:
    network = small_vgg(9)
    with torch.no_grad():
        part(network, "parts.conv2", nn.Conv2d).weight[3, 0, 0, 0] = torch.nan
    with pytest.raises(VerifyError, match=r"conv2.*output channel 3.*nan"):
        from_torch(network)


def test_a_sequential_needs_an_example_of_images() -> None:
    module = nn.Sequential(_conv(), Spiking(), nn.Flatten(), nn.Linear(32, 2))
    with pytest.raises(FrontendError, match="needs an example"):
        from_torch(module)
    with pytest.raises(FrontendError, match=r"images \[batch, 2, 8, 8\]"):
        from_torch(small_vgg(), torch.zeros(1, 2, 9, 9))


def test_norms_need_their_running_statistics() -> None:
    module = nn.BatchNorm2d(2, track_running_stats=False)
    blocks = [("conv", ("input",), _conv()), ("norm", ("conv",), module), ("s", ("norm",), Spiking())]
    network = _feed([*blocks, ("flat", ("s",), nn.Flatten()), _END])
    with pytest.raises(FrontendError, match="no running statistics"):
        from_torch(network)


def test_events_enter_as_spikes() -> None:
    network = small_vgg(input_code=None)
    graph = from_torch(network)
    assert graph.inputs[0].bits == 1
    frames = np.random.default_rng(0).random((2, 5, 2, 8, 8)) < 0.5
    trace = reference.run(graph, frames)
    with torch.inference_mode():
        activity = network.double()(torch.from_numpy(frames).double(), record=True)
    np.testing.assert_array_equal(activity.spikes["spikes3"].numpy(), trace.spikes["spikes3"])
