"""Convolutions, poolings and paddings of ONNX are what onnxruntime computes, however uneven."""

from typing import Any

import numpy as np
import pytest

from tests.toolchain.interchange.onnx_models import layers_of, model_of, node
from tests.toolchain.interchange.onnx_parity import difference
from toolchain.errors import FrontendError


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "dilation"),
    [("SAME_UPPER", 1), ("SAME_LOWER", 1), ([0, 0, 1, 1], 1), ([0, 0, 1, 1], 2), ([2, 0, 1, 3], 2)],
)
def test_uneven_padding_is_a_kernel_with_zeros(
    size: int, stride: int, dilation: int, kind: Any, rng: np.random.Generator
) -> None:
    pads = {"auto_pad": kind} if isinstance(kind, str) else {"pads": kind}
    nodes = [
        node("Conv", ["x", "w"], ["c"], strides=[stride] * 2, dilations=[dilation] * 2, **pads),
        node("Relu", ["c"], ["y"]),
    ]
    assert difference(model_of(nodes, [2, size, size], w=rng.normal(size=(3, 2, 2, 3))), rng) is None


@pytest.mark.parametrize("level", [0.0, 0.7])
def test_a_pad_is_part_of_what_reads_it(level: float, rng: np.random.Generator) -> None:
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("Pad", ["r", "p", "v"], ["q"]),
        node("Conv", ["q", "w"], ["y"], strides=[2, 2]),
    ]
    made = model_of(
        nodes,
        [2, 5, 6],
        p=np.array([0, 0, 1, 2, 0, 0, 0, 1]),
        v=np.array(level),
        w=rng.normal(size=(3, 2, 3, 3)),
    )
    assert difference(made, rng) is None
    assert len(layers_of(made).steps) == 1


@pytest.mark.parametrize("order", [("MaxPool", "Relu"), ("Relu", "MaxPool")])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]])
def test_max_pooling_before_or_after_a_relu_is_layers_of_differences(
    order: tuple[str, str], pads: list[int], rng: np.random.Generator
) -> None:
    window: dict[str, Any] = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": pads}
    nodes = [node("Conv", ["x", "w"], ["t0"])]
    for i, kind in enumerate(order):
        nodes.append(node(kind, [f"t{i}"], [f"t{i + 1}"], **(window if kind == "MaxPool" else {})))
    nodes.append(node("Flatten", ["t2"], ["y"]))
    assert difference(model_of(nodes, [2, 9, 9], w=rng.normal(size=(3, 2, 3, 3))), rng) is None


def test_max_pooling_that_pads_what_may_be_negative_is_refused() -> None:
    nodes = [
        node("MaxPool", ["x"], ["m"], kernel_shape=[2, 2], pads=[1] * 4, name="pool"),
        node("Neg", ["m"], ["y"]),
    ]
    with pytest.raises(FrontendError, match="'pool' is a MaxPool: it pads what may be negative"):
        layers_of(model_of(nodes, [1, 4, 4]))


def test_a_norm_before_a_padded_convolution_keeps_its_edges(rng: np.random.Generator) -> None:
    parts: dict[str, Any] = {
        "g": rng.uniform(0.5, 2, 2),
        "b": rng.normal(size=2),
        "m": rng.normal(size=2),
        "v": rng.uniform(1, 2, 2),
    }
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("BatchNormalization", ["r", "g", "b", "m", "v"], ["n"]),
        node("Conv", ["n", "w"], ["c"], pads=[1] * 4),
        node("Relu", ["c"], ["y"]),
    ]
    made = model_of(nodes, [2, 5, 5], w=rng.normal(size=(3, 2, 3, 3)), **parts)
    assert difference(made, rng) is None
    assert layers_of(made).layers[1].current.bias.shape == (3, 5, 5)


def test_a_padded_convolution_of_a_convolution_reads_two_halves(rng: np.random.Generator) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        node("Conv", ["c", "v"], ["y"], pads=[1] * 4, name="two"),
    ]
    made = model_of(nodes, [2, 4, 4], w=rng.normal(size=(3, 2, 3, 3)), v=rng.normal(size=(2, 3, 3, 3)))
    assert difference(made, rng) is None
    assert any("'two' pads what may be negative" in note for note in layers_of(made).notes)


def test_an_export_of_tensorflow_comes_in_with_its_columns_permuted(rng: np.random.Generator) -> None:
    """Channels last outside, first inside; the batch of the flattening is computed from the shape."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "w"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Relu", ["c"], ["r"]),
        node("Transpose", ["r"], ["u"], perm=[0, 2, 3, 1]),
        node("Shape", ["u"], ["s"]),
        node("Slice", ["s", "zero", "one", "zero"], ["b"]),
        node("Concat", ["b", "rest"], ["f"], axis=0),
        node("Reshape", ["u", "f"], ["flat"]),
        node("MatMul", ["flat", "d"], ["y"]),
    ]
    made = model_of(
        nodes, [6, 5, 2], w=rng.normal(size=(3, 2, 3, 3)), d=rng.normal(size=(27, 4)),
        zero=np.array([0]), one=np.array([1]), rest=np.array([-1]),
    )  # fmt: skip
    assert difference(made, rng) is None
    network = layers_of(made)
    assert network.shape == (2, 6, 5)
    assert "samples enter as [2, 6, 5], where the file has [6, 5, 2] for 'x'" in network.notes


def test_rows_are_images_of_one_row(rng: np.random.Generator) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 2]),
        node("Relu", ["c"], ["r"]),
        node("GlobalAveragePool", ["r"], ["y"]),
    ]
    made = model_of(nodes, [2, 9], w=rng.normal(size=(3, 2, 4)))
    assert difference(made, rng) is None
    assert layers_of(made).shape == (2, 1, 9)
