"""Convolutions and poolings in the graph: types, rules, text, files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.image_graphs import ImageRecipe, image_recipes, random_images
from toolchain import ir
from toolchain.errors import VerifyError
from toolchain.fixedpoint import SignMode
from toolchain.ir import (
    EdgeKind,
    Graph,
    ValueType,
    load_graph,
    print_graph,
    same_structure,
    save_graph,
    verify,
)

SPIKES = ValueType((4, 6, 7), EdgeKind.SPIKE)
CURRENT = ValueType((4, 6, 7), EdgeKind.CURRENT)


def _conv(**changes: Any) -> ir.Conv2d:
    options: dict[str, Any] = {"name": "c", "inputs": ("x",), "weights": np.zeros((8, 4, 3, 3))} | changes
    return ir.Conv2d(**options)


def test_a_convolution_has_the_size_that_its_window_allows() -> None:
    assert _conv().result_type(SPIKES) == ValueType((8, 4, 5), EdgeKind.CURRENT)
    wide = _conv(stride=(2, 3), padding=(1, 2), dilation=(2, 1))
    assert wide.result_type(SPIKES) == ValueType((8, 2, 3), EdgeKind.CURRENT)
    assert _conv(weights=np.zeros((8, 1, 3, 3)), groups=4).result_type(SPIKES).shape == (8, 4, 5)


@pytest.mark.parametrize(
    ("node", "operand", "message"),
    [
        (_conv(), CURRENT, "got a current"),
        (_conv(weights=np.zeros((8, 4))), SPIKES, "got 2 dimensions"),
        (_conv(weights=np.zeros((8, 3, 3, 3))), SPIKES, "do not fit 4 input channels"),
        (_conv(weights=np.zeros((9, 1, 3, 3)), groups=4), SPIKES, "in 4 groups"),
        (_conv(stride=(0, 1)), SPIKES, "stride as two whole numbers of 1 or more"),
        (_conv(padding=(-1, 0)), SPIKES, "padding as two whole numbers of 0 or more"),
        (_conv(dilation=(3, 1)), SPIKES, "smaller than its window"),
        (_conv(), ValueType((4,), EdgeKind.SPIKE), "expected an image"),
        (ir.MaxPool2d(name="m", inputs=("x",), kernel=(2, 2), stride=(2, 2)), CURRENT, "maximum of spikes"),
        (ir.SumPool2d(name="m", inputs=("x",), kernel=(2, 2), stride=(2, 2)), CURRENT, "not currents"),
        (
            ir.SumPool2d(name="m", inputs=("x",), kernel=(9, 2), stride=(2, 2)),
            SPIKES,
            "smaller than its window",
        ),
    ],
)
def test_what_does_not_fit_is_named(node: ir.Conv2d, operand: ValueType, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        node.result_type(operand)


def _fixed(**changes: Any) -> ir.FixedConv2d:
    options: dict[str, Any] = {
        "name": "c",
        "inputs": ("x",),
        "weights": np.full((1, 4, 2, 2), 2),
        "exponent": 0,
        "sign_mode": SignMode.MIXED,
    }
    return ir.FixedConv2d(**(options | changes))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (_fixed(exponent=-1), r"exponent 0 \.\. 7"),
        (_fixed(weight_bits=9), r"1 \.\. 8 bits"),
        (_fixed(weights=np.full((1, 4, 2, 2), 3)), "weight 3 would become 2 on the chip"),
    ],
)
def test_integer_convolutions_keep_the_rules_of_the_chip(node: ir.FixedConv2d, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        node.result_type(SPIKES)


def test_sums_that_leave_32_bits_are_refused() -> None:
    graph = random_images(ImageRecipe(graded=True))
    nodes = [
        replace(node, bits=24)
        if isinstance(node, ir.Input)
        else replace(node, exponent=7)
        if isinstance(node, ir.FixedConv2d)
        else node
        for node in graph
    ]
    with pytest.raises(VerifyError, match="less than 2\\^31"):
        verify(graph.with_nodes(nodes))


@given(recipe=image_recipes)
def test_a_graph_survives_its_files(recipe: ImageRecipe, tmp_path_factory: pytest.TempPathFactory) -> None:
    graph = random_images(recipe)
    folder: Path = tmp_path_factory.mktemp("graph")
    save_graph(graph, folder)
    assert same_structure(load_graph(folder), graph)


def test_a_graph_of_images_can_be_read() -> None:
    text = print_graph(random_images(ImageRecipe(seed=1, pooled=True)))
    assert "conv2d(x) weights=" in text
    assert "max_pool2d(p0) kernel=2x3 stride=2x1" in text


def test_messages_grow_with_the_window_of_a_sum() -> None:
    pool = ir.SumPool2d(name="pool", inputs=("x",), kernel=(2, 3), stride=(2, 3))
    reader = _conv(inputs=("pool",))
    graded = ir.Input(name="x", shape=(4, 6, 6), edge=EdgeKind.GRADED, scale=10.0, bits=3)
    spiking = Graph((ir.Input(name="x", shape=(4, 6, 6)), pool, reader))
    assert spiking.largest_message(reader) == 6
    assert spiking.message_scale(reader) == 1.0
    assert Graph((graded, pool, reader)).largest_message(reader) == 6 * 7
    assert Graph((graded, pool, reader)).message_scale(reader) == 10.0
