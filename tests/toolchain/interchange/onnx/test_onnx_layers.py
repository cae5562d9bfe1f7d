"""What an ONNX classifier means: its layers give what onnxruntime gives, or it is refused by an operator."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.toolchain.interchange.onnx_builder import run_onnx
from tests.toolchain.interchange.onnx_models import Node, layers_of, model_of, node
from tests.toolchain.interchange.onnx_parity import difference, verdict
from toolchain.arrays import Array
from toolchain.errors import FrontendError
from toolchain.interchange.onnx.classifier import activation_network
from toolchain.rate_coding.activation_network import activations_of, evaluate


def test_random_models_are_equal_or_refused_by_the_name_of_an_operator() -> None:
    """The quick part; `python -m tests.parity.onnx_sweep` runs thousands."""
    found = Counter[str]()
    for seed in range(100):
        what, why = verdict(seed)
        found[what] += 1
        assert what == "equal" or (what == "refused" and "'" in why), why
    assert found["equal"] > 50


@pytest.mark.parametrize(
    ("kind", "reverse"),
    [
        ("Add", False),
        ("Add", True),
        ("Sub", False),
        ("Sub", True),
        ("Mul", False),
        ("Mul", True),
        ("Div", False),
    ],
)
@pytest.mark.parametrize(
    "shape", [(), (1,), (4, 1), (1, 4, 1), (5,), (4, 5), (3, 1, 1), (3, 4, 5), (1, 3, 1, 1)]
)
def test_constants_broadcast_by_the_rules_of_numpy(
    kind: str, shape: tuple[int, ...], reverse: bool, rng: np.random.Generator
) -> None:
    inputs = ["c", "k"][:: -1 if reverse else 1]
    made = model_of(
        [
            node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
            node(kind, inputs, ["s"]),
            node("Flatten", ["s"], ["y"]),
        ],
        [2, 4, 5],
        w=rng.normal(size=(3, 2, 3, 3)),
        k=rng.uniform(0.5, 2, shape),
    )
    assert difference(made, rng) is None


@pytest.mark.parametrize(
    "shapes", [((3, 4, 5), (3, 1, 1)), ((3, 4, 5), (1, 4, 5)), ((3, 4, 5), (1, 4, 1)), ((6,), (1,))]
)
def test_two_activations_broadcast_by_the_rules_of_numpy(
    shapes: tuple[tuple[int, ...], ...], rng: np.random.Generator
) -> None:
    first, second = shapes
    made = model_of(
        [
            node("Relu", ["x"], ["r"]),
            node("Slice", ["x", "b", "e", "a"], ["p"]),
            node("Sub", ["r", "p"], ["y"]),
        ],
        list(first),
        b=np.zeros(len(second), np.int64),
        e=np.array(second),
        a=np.arange(1, len(second) + 1),
    )
    assert difference(made, rng) is None


def test_a_constant_that_makes_a_batch_of_one_sample_is_refused(rng: np.random.Generator) -> None:
    made = model_of([node("Add", ["x", "k"], ["y"], name="sum")], [4], k=rng.normal(size=(4, 1)))
    with pytest.raises(FrontendError, match="'sum' makes a batch of 4"):
        layers_of(made)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Sigmoid", "Tanh"])
def test_what_keeps_the_order_of_the_classes_is_left_out_only_where_it_is_last(
    kind: str, rng: np.random.Generator
) -> None:
    weights: dict[str, Any] = {"w": rng.normal(size=(4, 4))}
    first, second = node("MatMul", ["x", "w"], ["a"]), node(kind, ["a"], ["s"], name="squash")
    last = model_of([first, second, node("Identity", ["s"], ["y"])], [4], **weights)
    assert any("'squash'" in note and "is left out" in note for note in layers_of(last).notes)
    for reader in (node("MatMul", ["s", "w"], ["y"], name="next"), node("Relu", ["s"], ["y"], name="next")):
        with pytest.raises(
            FrontendError, match=f"'squash' is a {kind}: it may stand last only.*'next' reads"
        ):
            layers_of(model_of([first, second, reader], [4], **weights))


def test_a_softmax_along_another_axis_than_the_classes_is_refused() -> None:
    with pytest.raises(FrontendError, match="3 of the 12 values"):
        layers_of(model_of([node("Softmax", ["x"], ["y"], axis=1)], [3, 4]))
    with pytest.raises(FrontendError, match="1 of the 4 values"):
        layers_of(model_of([node("Softmax", ["x"], ["y"], axis=0)], [4]))
    assert layers_of(model_of([node("Softmax", ["x"], ["y"], axis=1)], [3, 4], opset=11)).notes


def test_the_choice_of_a_class_is_left_out_with_what_follows_it(rng: np.random.Generator) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("ArgMax", ["a"], ["m"], axis=1),
        node("Cast", ["m"], ["y"], to=TensorProto.INT32),
    ]
    made = model_of(nodes, [4], w=rng.normal(size=(4, 3)))
    assert layers_of(made).scores.features == (3,)
    with pytest.raises(FrontendError, match="it makes INT32 of activations"):
        layers_of(model_of([node("Cast", ["x"], ["y"], to=TensorProto.INT32)], [4]))


def test_dropout_is_nothing_but_in_training(rng: np.random.Generator) -> None:
    inference = model_of([node("Dropout", ["x"], ["y"], name="drop")], [4])
    assert difference(inference, rng) is None
    training = model_of(
        [node("Dropout", ["x", "r", "t"], ["y"], name="drop")], [4], r=np.array(0.5), t=np.array(True)
    )
    with pytest.raises(FrontendError, match="'drop' is a Dropout: it is in training mode"):
        layers_of(training)


def test_straight_lines_are_layers(rng: np.random.Generator) -> None:
    bounds = {
        "low": np.array(0.0),
        "high": np.array(6.0),
        "slope": rng.normal(size=(2, 1, 1)),
        "floor": np.array(0.2),
    }
    for item in (
        node("Clip", ["c", "low", "high"], ["s"]),
        node("LeakyRelu", ["c"], ["s"], alpha=0.1),
        node("PRelu", ["c", "slope"], ["s"]),
        node("Abs", ["c"], ["s"]),
        node("Max", ["c", "floor"], ["s"]),
        node("Min", ["c", "x"], ["s"]),
    ):
        used = {name: bounds[name] for name in item.input if name in bounds}
        nodes = [
            node("Mul", ["x", "k"], ["c"]),
            item,
            node("Conv", ["s", "w"], ["y"], pads=[1] * 4),
        ]
        made = model_of(nodes, [2, 4, 4], k=np.array(9.0), w=rng.normal(size=(3, 2, 3, 3)), **used)
        assert difference(made, rng) is None, item.op_type


def _whole(values: Array) -> tuple[Array, Array]:
    scale = np.array(np.abs(values).max() / 127, np.float32)
    return np.round(values / scale).astype(np.int8), scale


def test_weights_that_are_whole_numbers_enter_as_they_stand(rng: np.random.Generator) -> None:
    whole, scale = _whole(rng.normal(size=(4, 3)))
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"]), node("MatMul", ["x", "w"], ["y"])]
    made = model_of(nodes, [4], q=whole, s=scale)
    (branch,) = layers_of(made).scores.branches
    assert np.array_equal(np.asarray(branch.weights), (whole.T.astype(np.float32) * scale).astype(np.float64))
    columns = np.array([0.5, 0.25, 2.0], np.float32)
    nodes[0] = node("DequantizeLinear", ["q", "s"], ["w"], axis=1)
    (branch,) = layers_of(model_of(nodes, [4], q=whole, s=columns)).scores.branches
    assert np.array_equal(np.asarray(branch.weights), (whole * columns).T)


def test_quantized_activations_are_not_rounded_but_keep_the_relu_that_exporters_drop(
    rng: np.random.Generator,
) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("QuantizeLinear", ["a", "s", "z"], ["q"], name="quant"),
        node("DequantizeLinear", ["q", "s", "z"], ["b"]),
        node("MatMul", ["b", "v"], ["y"]),
    ]
    tensors = {"w": rng.normal(size=(6, 5)), "v": rng.normal(size=(5, 3)), "s": np.array(0.05, np.float32)}
    network = layers_of(model_of(nodes, [6], **tensors, z=np.array(0, np.uint8)))
    assert [layer.name for layer in network.layers] == ["quant"]
    assert any("'quant': activations are neither rounded" in note for note in network.notes)
    assert not layers_of(model_of(nodes, [6], **tensors, z=np.array(128, np.uint8))).layers
    nodes[2] = node("Cast", ["q"], ["b"], to=TensorProto.FLOAT, name="other")
    with pytest.raises(FrontendError, match="'other' reads its whole numbers"):
        layers_of(model_of(nodes, [6], **tensors, z=np.array(0, np.uint8)))


def test_only_what_the_scores_depend_on_is_translated(rng: np.random.Generator) -> None:
    made = model_of(
        [node("Erf", ["x"], ["e"]), node("MatMul", ["x", "w"], ["y"])], [4], w=rng.normal(size=(4, 3))
    )
    assert difference(made, rng) is None
    made.model.graph.output.append(helper.make_tensor_value_info("e", TensorProto.INT64, None))
    made.model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    assert layers_of(made).scores.features == (3,)
    made.model.graph.output[1].type.tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(FrontendError, match=r"expected one output.*\['y', 'e'\]"):
        layers_of(made)


def test_a_batch_that_operators_may_count_on_is_refused(rng: np.random.Generator) -> None:
    nodes = [node("Reshape", ["x", "s"], ["r"], name="shape"), node("MatMul", ["r", "w"], ["y"])]
    made = model_of(nodes, [4], batch=2, s=np.array([2, 4]), w=rng.normal(size=(4, 3)))
    with pytest.raises(FrontendError, match="'x' takes 2 samples at once, and operator 'shape'"):
        layers_of(made)


@pytest.mark.parametrize(
    ("item", "tensors"),
    [
        (node("ConstantOfShape", ["s"], ["k"], name="huge"), {"s": np.array([2**20, 2**20])}),
        (node("Expand", ["one", "s"], ["k"], name="huge"), {"one": np.ones(1), "s": np.array([2**40])}),
        (node("Tile", ["one", "s"], ["k"], name="huge"), {"one": np.ones(1), "s": np.array([2**40])}),
        (
            node("Range", ["a", "b", "c"], ["k"], name="huge"),
            {"a": np.array(0), "b": np.array(2**50), "c": np.array(1)},
        ),
        (node("Add", ["a", "b"], ["k"], name="huge"), {"a": np.ones((5000, 1)), "b": np.ones((1, 5000))}),
    ],
)  # fmt: skip
def test_constants_larger_than_a_classifier_are_refused_before_they_are_made(
    item: Node, tensors: dict[str, Any]
) -> None:
    with pytest.raises(FrontendError, match="'huge' is a .*more than 16777216 are not made"):
        layers_of(model_of([item, node("Add", ["x", "k"], ["y"])], [4], **tensors))


def test_old_models_say_at_which_axis_a_constant_begins(rng: np.random.Generator) -> None:
    bias = rng.normal(size=2)
    made = model_of([node("Add", ["x", "b"], ["y"], broadcast=1, axis=1)], [2, 3, 4], opset=6, b=bias)
    assert np.allclose(layers_of(made).scores.offsets, np.broadcast_to(bias[:, None, None], (2, 3, 4)))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_classifier_of_scikit_learn_comes_in_by_its_scores(
    classes: int, rng: np.random.Generator
) -> None:
    rows, domain = 1 if classes == 2 else 3, "ai.onnx.ml"
    nodes = [
        node("Scaler", ["x"], ["z"], domain=domain, offset=[0.5] * 4, scale=[2.0, 1.0, 0.5, 1.0]),
        node("LinearClassifier", ["z"], ["label", "p"], domain=domain, coefficients=rng.normal(size=4 * rows),
             intercepts=rng.normal(size=rows), classlabels_ints=range(classes), post_transform="LOGISTIC"),
        node("Normalizer", ["p"], ["n"], domain=domain, norm="L1"),
        node("ZipMap", ["n"], ["y"], domain=domain, classlabels_int64s=range(classes)),
    ]  # fmt: skip
    kind = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_value_info("y", helper.make_sequence_type_proto(kind)),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    frames = rng.normal(size=(40, 4)).astype(np.float32)
    (labels,) = run_onnx(model, ["label"], {"x": frames})
    network, _ = activation_network(Path("case.onnx"), model, (4,))
    scores = evaluate(network.scores, activations_of(network, frames))
    assert np.array_equal(scores.argmax(axis=1), labels)


@pytest.mark.parametrize("high", [-1.0, 0.0, 2.0])
def test_what_is_cut_below_zero_is_negative_again(high: float, rng: np.random.Generator) -> None:
    for item in (
        node("Relu", ["c"], ["s"]),
        node("LeakyRelu", ["c"], ["s"], alpha=0.1),
        node("Abs", ["c"], ["s"]),
    ):
        nodes = [
            node("Mul", ["x", "k"], ["a"]),
            node("Relu", ["a"], ["b"]),
            node("Clip", ["b", "", "high"], ["c"]),
            item,
            node("Conv", ["s", "w"], ["y"]),
        ]
        weights = rng.normal(size=(3, 2, 3, 3))
        made = model_of(nodes, [2, 4, 4], k=np.array(9.0), w=weights, high=np.array(high))
        assert difference(made, rng) is None, item.op_type
