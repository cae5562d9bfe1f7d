"""ONNX in: our own files unchanged, classifiers as rates, everything else by its name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from torch import nn

from tests.graphs import recurrent
from tests.image_graphs import ImageRecipe, random_images
from tests.random_graphs import Recipe, plain_recipes, random_fixed
from toolchain import ir
from toolchain.errors import CorruptArtifactError, FrontendError, MissingFileError, StimulusError, UsageError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import check_integers, predictions
from toolchain.interchange.onnx.from_onnx import from_onnx
from toolchain.ir import Graph, Stage, same_structure
from toolchain.passes import DequantizeGraph, FoldDelays
from toolchain.rate_coding.spiking_network import RateCode
from toolchain.target.protocol import PortableProgram
from toolchain.target.registry import load_target
from toolchain.workflow.compile_file import compile_file

Steps = list[onnx.NodeProto]


def exported(graph: Graph, folder: Path) -> Path:
    program = load_target("onnx").build(graph)
    assert isinstance(program, PortableProgram)
    program.export(folder)
    return folder


@settings(max_examples=8)
@given(recipe=plain_recipes)
def test_the_integers_of_a_file_of_ours_come_back(tmp_path_factory: Any, recipe: Recipe) -> None:
    graph = random_fixed(recipe)
    folder = exported(graph, tmp_path_factory.mktemp("onnx"))
    for name in ("step.onnx", "network.onnx"):
        found = from_onnx(folder / name)
        assert found.fixed is not None
        assert same_structure(found.fixed, graph)
        check_integers(found.graph, found.fixed)


def test_real_numbers_and_images_come_back_too(tmp_path: Path, rng: np.random.Generator) -> None:
    graph = FoldDelays()(recurrent(rng))
    found = from_onnx(exported(graph, tmp_path / "real") / "network.onnx")
    assert found.fixed is None
    assert same_structure(found.graph, graph)
    images = random_images(ImageRecipe(seed=2, layers=2, pooled=True, size=(6, 6)))
    read = from_onnx(exported(images, tmp_path / "images") / "step.onnx").fixed
    assert read is not None
    assert same_structure(read, images)


def _other_weights(model: onnx.ModelProto) -> None:
    tensor = next(item for item in model.graph.initializer if item.name.endswith("/weights"))
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] += 2
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _other_graph(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value = model.metadata_props[0].value.replace('"p0"', '"q0"')


def _no_arrays(model: onnx.ModelProto) -> None:
    model.metadata_props[1].value = "?"


@pytest.mark.parametrize("change", [_other_weights, _other_graph, _no_arrays])
def test_an_edited_file_of_ours_is_refused(tmp_path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    path = exported(random_fixed(Recipe(seed=4)), tmp_path) / "step.onnx"
    model = onnx.load_model(path)
    change(model)
    onnx.save_model(model, path)
    with pytest.raises(CorruptArtifactError):
        from_onnx(path)


def classifier(
    path: Path, nodes: Steps, tensors: dict[str, NDArray[Any]], shape: list[int], classes: int
) -> Path:
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, path)
    return path


def digits(path: Path) -> tuple[Path, MLPClassifier, NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A classifier of handwritten digits, as a file; it, its training images, and others with their "
    "labels."""
    data: Any = load_digits()
    x, order = data.data / 16, np.random.default_rng(0).permutation(len(data.data))
    seen, other = order[:1300], order[1300:]
    model = MLPClassifier((48,), max_iter=150, random_state=0, tol=1e-3).fit(x[seen], data.target[seen])
    tensors = {f"{name}{i}": values.astype(np.float32) for name, parts in
               (("w", model.coefs_), ("b", model.intercepts_)) for i, values in enumerate(parts)}  # fmt: skip
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["g0"], name="first"),
        helper.make_node("Relu", ["g0"], ["r0"], name="relu"),
        helper.make_node("MatMul", ["r0", "w1"], ["m1"], name="second"),
        helper.make_node("Add", ["m1", "b1"], ["a1"], name="bias"),
        helper.make_node("Softmax", ["a1"], ["p"], name="softmax"),
    ]
    return classifier(path, nodes, tensors, [64], 10), model, x[seen], x[other], data.target[other]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_classifier_keeps_its_accuracy_as_rates(tmp_path: Path) -> None:
    path, model, seen, images, labels = digits(tmp_path / "mlp.onnx")
    samples = Stimulus.of(seen[:200, None])
    found = from_onnx(path, samples=samples, classes=[str(i) for i in range(10)])
    shown = np.repeat(images[:, None], 32, axis=1)
    trace = load_target("emulator").build(found.graph).run(Stimulus.of(shown))
    right = np.mean(predictions(found.graph, trace) == labels)
    assert right > model.score(images, labels) - 0.02
    plain = from_onnx(path, samples=samples, code=RateCode(balance=False)).graph["relu"]
    hidden = found.graph["relu"]
    assert isinstance(plain, ir.Lif)
    assert isinstance(hidden, ir.Lif)
    peak = np.percentile(np.maximum(seen[:200] @ model.coefs_[0] + model.intercepts_[0], 0), 99.9)
    assert plain.vth[0] == pytest.approx(peak / 0.5, rel=1e-5)
    assert hidden.vth[0] < plain.vth[0]


def test_rates_stand_for_the_activations_of_convolutions(tmp_path: Path, rng: np.random.Generator) -> None:
    """Many steps: the mean current of the read-out is what the classifier computes, nearer with balance."""
    kernel, gamma = rng.normal(size=(4, 2, 3, 3)) * 0.3, rng.uniform(0.5, 1.5, 4)
    tensors = {
        "k": kernel,
        "kb": rng.normal(size=4) * 0.1,
        "g": gamma,
        "be": rng.normal(size=4) * 0.1,
        "mu": np.zeros(4),
        "va": np.ones(4),
        "k2": rng.normal(size=(4, 4, 1, 1)) * 0.5,
        "w": rng.normal(size=(3, 16)),
        "wb": rng.normal(size=3),
    }
    nodes = [
        helper.make_node("Conv", ["x", "k", "kb"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("BatchNormalization", ["c", "g", "be", "mu", "va"], ["n"], name="norm"),
        helper.make_node("Relu", ["n"], ["r"], name="relu1"),
        helper.make_node("AveragePool", ["r"], ["a"], kernel_shape=[2, 2], strides=[2, 2], name="pool"),
        helper.make_node("Conv", ["a", "k2"], ["c2"], name="conv2"),
        helper.make_node("Add", ["c2", "a"], ["s"], name="skip"),
        helper.make_node("Relu", ["s"], ["r2"], name="relu2"),
        helper.make_node("Flatten", ["r2"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w", "wb"], ["y"], transB=1, name="scores"),
    ]
    path = classifier(
        tmp_path / "net.onnx", nodes, {k: v.astype(np.float32) for k, v in tensors.items()}, [2, 4, 4], 3
    )
    images = rng.random((12, 2, 4, 4))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = np.asarray(session.run(None, {"x": images.astype(np.float32)})[0])
    shown = Stimulus.of(np.repeat(images[:, None], 400, axis=1))
    errors: list[float] = []
    for balance in (False, True):
        code = RateCode(largest_rate=0.2, percentile=100, balance=balance)
        graph = from_onnx(path, samples=shown, code=code).graph
        trace = load_target("emulator").build(graph).run(shown, record=("v",))
        errors.append(float(np.abs(trace.v["readout"][:, -1] / 400 - expected).max()))
    assert errors[1] < errors[0]
    assert errors[1] < 0.15 * np.abs(expected).max()


@pytest.mark.parametrize("order", [("Relu", "MaxPool"), ("MaxPool", "Relu")])
def test_rates_stand_for_the_largest_of_a_window(
    tmp_path: Path, order: tuple[str, str], rng: np.random.Generator
) -> None:
    """A window is neurons of differences: with many steps, the read-out is that of the classifier."""
    nodes = [helper.make_node("Conv", ["x", "k"], ["t0"], pads=[1] * 4, name="conv")]
    for i, kind in enumerate(order):
        window: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]} if kind == "MaxPool" else {}
        nodes.append(helper.make_node(kind, [f"t{i}"], [f"t{i + 1}"], name=kind, **window))
    nodes += [helper.make_node("Flatten", ["t2"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    tensors = {"k": rng.normal(size=(4, 2, 3, 3)) * 0.3, "w": rng.normal(size=(16, 3))}
    weights = {name: values.astype(np.float32) for name, values in tensors.items()}
    path = classifier(tmp_path / "net.onnx", nodes, weights, [2, 4, 4], 3)
    images = rng.random((12, 2, 4, 4))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = np.asarray(session.run(None, {"x": images.astype(np.float32)})[0])
    shown = Stimulus.of(np.repeat(images[:, None], 400, axis=1))
    graph = from_onnx(path, samples=shown, code=RateCode(largest_rate=0.2, percentile=100)).graph
    assert sum(isinstance(item, ir.Lif) for item in graph.nodes) == 4
    trace = load_target("emulator").build(graph).run(shown, record=("v",))
    error = np.abs(trace.v["readout"][:, -1] / 400 - expected).max()
    assert error < 0.15 * np.abs(expected).max()


def _simple(path: Path, *nodes: onnx.NodeProto, **tensors: NDArray[Any]) -> Path:
    given = {"w": np.ones((8, 3), np.float32)} | tensors
    last = helper.make_node("MatMul", [nodes[-1].output[0] if nodes else "x", "w"], ["y"], name="last")
    return classifier(path, [*nodes, last], given, [8], 3)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (helper.make_node("Sigmoid", ["x"], ["s"], name="s"), "'s' is a Sigmoid: it may stand last only"),
        (helper.make_node("Softmax", ["x"], ["s"], name="s"), "'s' is a Softmax: .* but 'last' reads it"),
        (helper.make_node("HardSigmoid", ["x"], ["s"], name="s"), "'s' is a HardSigmoid: it is a gate"),
        (helper.make_node("Elu", ["x"], ["s"], name="s"), "'s' is a Elu: it is curved"),
        (helper.make_node("Round", ["x"], ["s"], name="s"), "is a Round: known are Abs, Add"),
        (helper.make_node("Mul", ["x", "x"], ["s"], name="s"), "'s' is a Mul: activations are multiplied"),
        (helper.make_node("Add", ["x", "x"], ["s"], name="s"), ""),
        (helper.make_node("Transpose", ["x"], ["s"], perm=[0, 1], name="s"), ""),
    ],
)
def test_operators_without_counterpart_are_named(tmp_path: Path, node: onnx.NodeProto, said: str) -> None:
    path = _simple(tmp_path / "net.onnx", node)
    samples = Stimulus.of(np.ones((2, 1, 8)))
    if not said:
        assert from_onnx(path, samples=samples).graph.stage is Stage.FLOAT
        return
    with pytest.raises(FrontendError, match=said):
        from_onnx(path, samples=samples)


def test_a_classifier_needs_samples_that_fit(tmp_path: Path) -> None:
    path = _simple(tmp_path / "net.onnx", helper.make_node("Relu", ["x"], ["r"], name="r"))
    with pytest.raises(UsageError, match="samples as `stimulus`"):
        from_onnx(path)
    with pytest.raises(StimulusError, match=r"frames of \[7\]"):
        from_onnx(path, samples=Stimulus.of(np.ones((2, 1, 7))))
    with pytest.raises(UsageError, match="largest rate"):
        RateCode(largest_rate=0.0)


def _outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def _claiming(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [2**40, 3]


def _negative(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [-8, -3]


def _texts(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_type = TensorProto.STRING


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_outside, "in another file"),
        (_claiming, "claims 3298534883328 values"),
        (_negative, "shape"),
        (_texts, "not read"),
    ],
)
def test_a_tensor_is_held_against_what_it_stores(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None], said: str
) -> None:
    path = _simple(tmp_path / "net.onnx", helper.make_node("Relu", ["x"], ["r"], name="r"))
    model = onnx.load_model(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CorruptArtifactError, match=said):
        from_onnx(path, samples=Stimulus.of(np.ones((2, 1, 8))))


def test_other_files_are_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not what its name says")
    with pytest.raises(CorruptArtifactError, match="not an ONNX model"):
        from_onnx(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(CorruptArtifactError, match="no nodes"):
        from_onnx(tmp_path / "empty.onnx")
    with pytest.raises(MissingFileError):
        from_onnx(tmp_path / "none.onnx")


def test_integers_back_in_real_numbers_are_those_of_the_graph(rng: np.random.Generator) -> None:
    fixed = random_fixed(Recipe(seed=9, sizes=(4, 3), recurrent=True, biased=True, sparse=True))
    real = DequantizeGraph()(fixed)
    check_integers(real, fixed)
    x = rng.random((1, 6, 2)) < 0.5
    assert set(reference.run(real, x).spikes) == set(reference.run(fixed, x).spikes)
    assert same_structure(real, DequantizeGraph()(replace(fixed)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["dense", "image"])
def test_what_pytorch_exports_is_compiled(kind: str, tmp_path: Path) -> None:
    """Its names hold slashes, and several layers of it may be one connection here."""
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 4), nn.Linear(4, 3))
    maps = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2))
    image = nn.Sequential(maps, nn.Flatten(), nn.Linear(12, 3))
    network, shape = {"dense": (dense, (6,)), "image": (image, (1, 6, 6))}[kind]
    x = torch.rand(12, *shape)
    torch.onnx.export(network.eval(), (x,), str(tmp_path / "net.onnx"), dynamo=False)
    shown = np.repeat(x.numpy()[:, None], 16, axis=1)
    build = compile_file(tmp_path / "net.onnx", stimulus=shown)
    assert {node.name for node in build.fixed_graph.populations} >= {"readout"}
    with pytest.raises(StimulusError, match=r"np.repeat\(x\[:, None\], 32, axis=1\)"):
        compile_file(tmp_path / "net.onnx", stimulus=x.numpy())


@pytest.mark.parametrize("name", ["/0/Gemm", "node gemm:0", "\u00e9", "-.x", "readout", "layer" * 60])
def test_operators_may_be_called_anything(name: str, rng: np.random.Generator, tmp_path: Path) -> None:
    weights = {key: rng.normal(size=(4, 4)).astype(np.float32) for key in "uvw"}
    nodes = [
        helper.make_node("MatMul", ["x", "u"], ["a"], name=name),
        helper.make_node("MatMul", ["a", "v"], ["b"], name=f"{name}.second"),
        helper.make_node("Relu", ["b"], ["c"], name=f"{name}.third"),
        helper.make_node("MatMul", ["c", "w"], ["y"], name=f"{name}.fourth"),
    ]
    values = [helper.make_tensor_value_info(key, TensorProto.FLOAT, ["n", 4]) for key in "xy"]
    constants = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    graph = helper.make_graph(nodes, "net", values[:1], values[1:], constants)
    onnx.save_model(helper.make_model(graph, ir_version=9), tmp_path / "net.onnx")
    build = compile_file(tmp_path / "net.onnx", stimulus=rng.random((6, 8, 4)))
    assert len(build.fixed_graph.populations) == 2


def test_a_layer_may_have_the_name_that_a_connection_would_get(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "u"], ["a"], name="fc"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("MatMul", ["b", "v"], ["c"], name="other"),
        helper.make_node("Relu", ["c"], ["d"], name="relu.0.fc"),
        helper.make_node("MatMul", ["d", "w"], ["y"], name="last"),
    ]
    values = [helper.make_tensor_value_info(key, TensorProto.FLOAT, ["n", 4]) for key in "xy"]
    constants = [numpy_helper.from_array(rng.normal(size=(4, 4)).astype(np.float32), key) for key in "uvw"]
    graph = helper.make_graph(nodes, "net", values[:1], values[1:], constants)
    onnx.save_model(helper.make_model(graph, ir_version=9), tmp_path / "net.onnx")
    build = compile_file(tmp_path / "net.onnx", stimulus=rng.random((6, 8, 4)))
    assert {"relu", "relu.0.fc", "readout"} == {node.name for node in build.fixed_graph.populations}
