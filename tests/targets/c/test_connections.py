"""Spikes of a pixel are added up in 16 bits only where these hold them, and the integers stay the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from targets.c.source import NetworkCode
from tests.graphs import fixed_lif, union
from tests.targets.c.strict import SANITIZED, STRICT, check_equal
from toolchain import ir
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph


def _images(
    channels: int, weight: int, mode: SignMode, *, groups: int = 1, outputs: int = 8, **geometry: Any
) -> Graph:
    """Inputs that make every channel of an image spike, and a convolution of it with one weight."""
    shape = (channels, 3, 4)
    one = np.ones((channels, 1, 1, 1), np.int32)
    weights = np.full((outputs, channels // groups, 2, 3), weight, np.int32)
    weights[1::2] = weights[1::2] // 2 // 2 * 2
    window: dict[str, Any] = {"stride": (1, 1), "padding": (1, 0), "dilation": (1, 1)} | geometry

    def convolution(name: str, source: str, values: Any, form: dict[str, Any]) -> ir.FixedConv2d:
        return ir.FixedConv2d(name=name, inputs=(source,), weights=values, exponent=0, **form)

    plain = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    nodes: list[Any] = [ir.Input(name="x", shape=shape)]
    through = {"groups": channels, "sign_mode": SignMode.EXCITATORY, **plain}
    nodes += [convolution("in", "x", one, through), _neurons("p", "in", shape, 0)]
    node = convolution("w", "p", weights, {"groups": groups, "sign_mode": mode, **window})
    nodes += [node, _neurons("q", "w", (outputs, *node.window.positions((3, 4))), 100)]
    return Graph((*nodes, ir.Output(name="o", inputs=("q",), decode=Decode.NONE)))


def _neurons(name: str, source: str, shape: tuple[int, ...], vth: int) -> ir.FixedLif:
    size = int(np.prod(shape))
    flat = fixed_lif(name, (source,), size, vth=vth)
    return replace(flat, **{field: getattr(flat, field).reshape(shape) for field in flat.required})


_EDGES = (
    (255, -256, SignMode.MIXED, True),
    (256, -256, SignMode.MIXED, False),
    (257, 255, SignMode.EXCITATORY, True),
    (258, 255, SignMode.EXCITATORY, False),
    (257, -255, SignMode.INHIBITORY, True),
    (6, 254, SignMode.MIXED, True),
)
"""Channels, a weight and its signs, and whether 16 bits hold the sums of a pixel."""


def test_sums_of_16_bits_hold_what_they_are_given() -> None:
    """All networks as one: the compiler that looks for undefined behaviour runs once."""
    graphs = [_images(channels, weight, mode) for channels, weight, mode, _ in _EDGES]
    whole, stimuli = union(graphs), {}
    code = NetworkCode(whole)
    for i, (graph, (channels, _, _, pixels)) in enumerate(zip(graphs, _EDGES, strict=True)):
        assert NetworkCode(graph).connections["w"].by_pixel is pixels
        assert code.connections[f"g{i}-w"].by_pixel is pixels
        x = np.random.default_rng(channels).random((1, 4, channels, 3, 4)) < 0.5
        x[:, 0] = True
        stimuli[f"g{i}-x"] = x
    check_equal(whole, stimuli, SANITIZED)


@pytest.mark.parametrize("command", [STRICT, (*STRICT, "-DNETWORK_SCALARS")])
@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"stride": (2, 1), "padding": (0, 2)},
        {"dilation": (1, 2), "padding": (2, 1)},
        {"groups": 2},
    ],
)
def test_both_ways_of_a_convolution_are_equal(command: tuple[str, ...], geometry: dict[str, Any]) -> None:
    graph = _images(10, 34, SignMode.MIXED, outputs=16, **geometry)
    code = NetworkCode(graph)
    assert code.connections["w"].by_pixel is ("groups" not in geometry)
    assert code.prefix == "network"
    check_equal(graph, np.random.default_rng(2).random((2, 6, 10, 3, 4)) < 0.3, command)


def test_a_current_that_cannot_wrap_is_not_asked_whether_it_does() -> None:
    graph = _images(6, 254, SignMode.MIXED)
    assert NetworkCode(graph).populations["q"].within
    assert "wrapped(" not in NetworkCode(graph).source()
    # 131,072 times 64 is 2^23; with 6 places of 256, that is more than 85 channels.
    large = NetworkCode(_images(86, -256, SignMode.MIXED))
    assert large.populations["q"].reach == 86 * 6 * 256
    assert not large.populations["q"].within
    assert NetworkCode(_images(85, -256, SignMode.MIXED)).populations["q"].within
