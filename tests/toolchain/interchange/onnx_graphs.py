"""Random ONNX classifiers, wider than what exporters write, and what onnxruntime makes of them.

Every operator is tried in onnxruntime on one sample before it is kept, so that a graph is valid whatever was
drawn: odd broadcasts, permutations, windows that reach over edges, several readers of one tensor.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from toolchain.currents import Current
from toolchain.errors import FrontendError
from toolchain.interchange.activation_network import activations_of, evaluate
from toolchain.interchange.onnx_layers import activation_network

Array = NDArray[Any]
_TYPES = {np.float16: TensorProto.FLOAT16, np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE}
_TOLERANCES = {np.float16: 3e-2, np.float32: 1e-4, np.float64: 1e-9}
"""Of the largest value that stands anywhere in a graph."""
_SHAPES = (
    ([1, 3, 3], [4, 9, 9]),
    ([1, 4], [4, 12]),
    ([2], [12]),
    ([2, 3, 2, 2], [3, 4, 3, 3]),
)
"""Least and largest extents of what enters: images, rows, lists, and what no convolution reads."""
_CURVED = ("Sigmoid", "Tanh", "Elu", "HardSigmoid", "Softplus", "Exp", "Erf", "Sqrt")
_SQUASHING = ("Softmax", "LogSoftmax", "Sigmoid", "Tanh", "ArgMax")
_LAST = ("Softmax", "LogSoftmax", "Sigmoid", "Tanh", "ArgMax", "Identity", "Dropout")


@dataclass
class RandomModel:
    """A model, the tensor whose values count, what every tensor was on a sample, and what comes last."""

    model: onnx.ModelProto
    scores: str
    shape: tuple[int, ...]
    dtype: Any
    values: dict[str, Array]
    last: str


@dataclass
class _Builder:
    rng: np.random.Generator
    opset: int
    dtype: Any
    fixed: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, Array] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    count: int = 0

    def fresh(self) -> str:
        self.count += 1
        odd = ("t{}", "/layer/{}/out:0", "ä {}", "{}", "StatefulPartitionedCall/x{};y")
        return str(self.rng.choice(odd)).format(self.count)

    def constant(self, values: Array, *, weights: bool = True) -> str:
        """Add a constant: as an initializer, as a node, behind a permutation, or behind whole numbers."""
        name, way = self.fresh(), self.rng.random()
        values = np.asarray(values)
        if weights and values.dtype.kind == "f":
            values = values.astype(self.dtype)
            if way < 0.1 and values.ndim > 1:
                perm = self.rng.permutation(values.ndim)
                inner = self.constant(values.transpose(np.argsort(perm)), weights=False)
                self.nodes.append(helper.make_node("Transpose", [inner], [name], perm=perm.tolist()))
                self.tensors[name] = values
                return name
            if way < 0.2 and self.opset >= 10 and self.dtype is np.float32 and values.size:
                return self._whole_numbers(values, name)
        if way < 0.4:
            self.nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values)))
        self.tensors[name] = values
        return name

    def _whole_numbers(self, values: Array, name: str) -> str:
        kind = self.rng.choice([np.int8, np.uint8])
        zero = np.array(0 if kind is np.int8 else 128, kind)
        scale = np.array(np.abs(values).max() / 127 or 1.0, np.float32)
        limits = np.iinfo(kind)
        whole = np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(kind)
        inputs = [self.constant(part, weights=False) for part in (whole, scale, zero)]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name]))
        self.tensors[name] = ((whole.astype(np.float32) - np.float32(zero)) * scale).astype(np.float32)
        return name

    def add(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str] | None:
        """Add an operator if onnxruntime runs it."""
        names = [self.fresh() for _ in range(outputs)]
        title = str(self.rng.choice(["", f"{kind}_{self.count}", f"/m/{kind}.{self.count}"]))
        node = helper.make_node(kind, list(inputs), names, name=title, **attributes)
        given = {name: self.known(name) for name in inputs if name}
        found = _run_alone(node, given, names, self.opset)
        if found is None or any(array.size == 0 or array.size > 4000 for array in found):
            return None
        if any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in found):
            return None
        self.nodes.append(node)
        self.values |= dict(zip(names, found, strict=True))
        self.order.extend(names)
        return names

    def known(self, name: str) -> Array:
        return self.values[name] if name in self.values else self.tensors[name]

    def normal(self, *shape: int) -> Array:
        return self.rng.normal(size=shape) * (
            0.6 if len(shape) < 2 else 1 / np.sqrt(max(np.prod(shape[1:]), 1))
        )


def _run_alone(
    node: onnx.NodeProto, given: dict[str, Array], outputs: Sequence[str], opset: int
) -> list[Array] | None:
    graph = helper.make_graph(
        [node],
        "one",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
            for name, values in given.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
    )
    try:
        return run_onnx(_model(graph, opset), list(outputs), given)
    except Exception:  # noqa: BLE001 - whatever onnxruntime does not run is not part of a graph
        return None


def _model(graph: onnx.GraphProto, opset: int) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run_onnx(model: onnx.ModelProto, names: list[str] | None, given: dict[str, Array]) -> list[Array]:
    """Return what onnxruntime gives."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # Its fusions round constants of double precision, and activations that meet whole numbers.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(values) for values in session.run(names, given)]


def _pads(b: _Builder, axes: int, attributes: dict[str, Any], most: int) -> dict[str, Any]:
    way = b.rng.random()
    if way < 0.2:
        attributes["auto_pad"] = str(b.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    elif way < 0.5:
        attributes["pads"] = b.rng.integers(0, most + 1, 2 * axes).tolist()
    elif way < 0.8:
        attributes["pads"] = b.rng.integers(0, most + 1, axes).tolist() * 2
    return attributes


def _conv(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    axes = value.ndim - 2
    if axes not in {1, 2}:
        return None
    channels = value.shape[1]
    groups = int(b.rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    outputs = groups * int(b.rng.integers(1, 4 if groups == 1 else 3))
    kernel = [int(b.rng.integers(1, min(3, n) + 1)) for n in value.shape[2:]]
    attributes: dict[str, Any] = {"group": groups} if groups > 1 or b.rng.random() < 0.3 else {}
    if b.rng.random() < 0.4:
        attributes["strides"] = b.rng.integers(1, 4, axes).tolist()
    if b.rng.random() < 0.3:
        attributes["dilations"] = b.rng.integers(1, 3, axes).tolist()
    inputs = [x, b.constant(b.normal(outputs, channels // groups, *kernel))]
    if b.rng.random() < 0.6:
        inputs.append(b.constant(b.normal(outputs)))
    return b.add("Conv", inputs, **_pads(b, axes, attributes, 2))


def _pool(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    axes = value.ndim - 2
    if axes not in {1, 2}:
        return None
    if b.rng.random() < 0.2:
        return b.add(str(b.rng.choice(["GlobalAveragePool", "GlobalMaxPool"])), [x])
    kind = str(b.rng.choice(["AveragePool", "MaxPool", "MaxPool"]))
    kernel = [int(b.rng.integers(1, min(3, n) + 1)) for n in value.shape[2:]]
    attributes: dict[str, Any] = {"kernel_shape": kernel}
    if b.rng.random() < 0.7:
        attributes["strides"] = b.rng.integers(1, 4, axes).tolist()
    if b.opset >= 10 and b.rng.random() < 0.2:
        attributes["ceil_mode"] = 1
    if kind == "AveragePool" and b.rng.random() < 0.5:
        attributes["count_include_pad"] = 1
    if kind == "MaxPool" and b.opset >= 10 and b.rng.random() < 0.2:
        attributes["dilations"] = b.rng.integers(1, 3, axes).tolist()
    return b.add(kind, [x], **_pads(b, axes, attributes, max(min(kernel) - 1, 0)))


def _norm(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    if value.ndim < 2:
        return None
    c = value.shape[1]
    parts = [b.rng.uniform(-0.5, 1.5, c), b.normal(c), b.normal(c), b.rng.uniform(0.2, 2, c)]
    attributes = {"epsilon": 1e-3} if b.rng.random() < 0.5 else {}
    return b.add("BatchNormalization", [x, *(b.constant(part) for part in parts)], **attributes)


def _odd_shape(b: _Builder, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts with another: some axes 1, some missing, seldom some more."""
    kept = [n if b.rng.random() < 0.5 else 1 for n in shape]
    kept = kept[int(b.rng.integers(0, len(kept) + 1)) :]
    if kept and kept[0] == 1 and len(kept) < len(shape) and b.rng.random() < 0.1:
        kept[0] = int(b.rng.integers(1, 4))
    if b.rng.random() < 0.1:
        kept = [1] * (len(shape) - len(kept) + int(b.rng.integers(0, 2))) + kept
    if b.rng.random() < 0.5 and len(shape) == 4:
        kept = [shape[1], 1, 1]
    return tuple(kept)


def _arithmetic(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    kind = str(b.rng.choice(["Add", "Sub", "Mul", "Div"]))
    constant = b.rng.uniform(0.3, 1.5, _odd_shape(b, value.shape)) * b.rng.choice([-1, 1])
    inputs = [x, b.constant(constant)]
    if b.rng.random() < 0.4:
        inputs.reverse()
    return b.add(kind, inputs)


def _two(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    fitting = [name for name in b.order if _broadcasts(value.shape, b.known(name).shape)]
    kind = str(b.rng.choice(["Add", "Add", "Add", "Sub", "Sum", "Max", "Min", "Mul", "Mean"]))
    inputs = [x, str(b.rng.choice(fitting))]
    if b.rng.random() < 0.3:
        inputs.reverse()
    if kind in {"Max", "Min"} and b.rng.random() < 0.5:
        inputs[1] = b.constant(b.normal(*_odd_shape(b, value.shape)))
    return b.add(kind, inputs)


def _broadcasts(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    return all(n == m or 1 in {n, m} for n, m in zip(first[::-1], second[::-1], strict=False))


def _concat(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    axis = int(b.rng.integers(1, value.ndim)) if value.ndim > 1 else 0
    rest = tuple(np.delete(value.shape, axis))
    fitting = [
        n
        for n in b.order
        if b.known(n).ndim == value.ndim and tuple(np.delete(b.known(n).shape, axis)) == rest
    ]
    chosen = [str(name) for name in b.rng.choice(fitting, int(b.rng.integers(1, 4)))]
    return b.add("Concat", [x, *chosen], axis=axis if b.rng.random() < 0.7 else axis - value.ndim)


def _rectifier(b: _Builder, x: str) -> list[str] | None:
    kind = str(b.rng.choice(["Relu"] * 6 + ["LeakyRelu", "Abs", "PRelu", "Clip", "Clip"]))
    if kind == "PRelu":
        shape = b.known(x).shape
        return b.add(kind, [x, b.constant(b.normal(*(shape[1:2] + (1,) * (len(shape) - 2))))])
    if kind == "LeakyRelu":
        return b.add(kind, [x], alpha=float(b.rng.uniform(0, 0.5)))
    if kind != "Clip":
        return b.add(kind, [x])
    low, high = [(0.0, 6.0), (-1.0, 1.0), (0.1, 0.5), (-0.3, np.inf)][int(b.rng.integers(4))]
    if b.opset < 11:
        return b.add(kind, [x], min=low, **({"max": high} if np.isfinite(high) else {}))
    bounds = [b.constant(np.array(low)), b.constant(np.array(high)) if np.isfinite(high) else ""]
    return b.add(kind, [x, *bounds])


def _shape(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    kind = str(
        b.rng.choice(["Flatten", "Reshape", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Computed"])
    )
    if kind == "Flatten":
        return b.add(kind, [x], axis=1)
    if kind == "Transpose":
        perm = [0, *(1 + b.rng.permutation(value.ndim - 1))] if value.ndim > 1 else [0]
        return b.add(kind, [x], perm=[int(axis) for axis in perm])
    if kind == "Computed":
        return _computed_reshape(b, x)
    if kind == "Reshape":
        shape = _factors(b, value)
        return b.add(kind, [x, b.constant(np.array(shape, np.int64))])
    ones = [axis for axis in range(1, value.ndim) if value.shape[axis] == 1]
    axes = [int(b.rng.choice(ones))] if ones else []
    if kind == "Unsqueeze":
        axes = [int(b.rng.integers(1, value.ndim + 1))]
    if not axes or value.ndim > 4:
        return None
    if b.opset < 13:
        return b.add(kind, [x], axes=axes)
    return b.add(kind, [x, b.constant(np.array(axes, np.int64))])


def _factors(b: _Builder, value: Array) -> list[int]:
    size = int(value.size)
    first = int(b.rng.choice([n for n in range(1, size + 1) if size % n == 0]))
    shapes = [[1, -1], [-1, size], [0, -1], [1, first, -1], [-1, first, size // first], [1, first, 1, -1]]
    return shapes[int(b.rng.integers(len(shapes)))]


def _computed_reshape(b: _Builder, x: str) -> list[str] | None:
    """As exporters flatten: the batch is taken from the shape at run time."""
    shape = b.add("Shape", [x])
    if shape is None:
        return None
    b.order.remove(shape[0])
    index = b.constant(np.array([0], np.int64))
    batch = b.add("Gather", [shape[0], index], axis=0)
    if batch is None:
        return None
    b.order.remove(batch[0])
    whole = b.add("Concat", [batch[0], b.constant(np.array([-1], np.int64))], axis=0)
    if whole is None:
        return None
    b.order.remove(whole[0])
    return b.add("Reshape", [x, whole[0]])


def _choose(b: _Builder, x: str) -> list[str] | None:
    """Slices, choices and splits."""
    value = b.known(x)
    if value.ndim < 2:
        return None
    axis, way = int(b.rng.integers(1, value.ndim)), b.rng.random()
    extent = value.shape[axis]
    if way < 0.3:
        index = b.rng.integers(-extent, extent, int(b.rng.integers(1, extent + 1)))
        return b.add("Gather", [x, b.constant(index.astype(np.int64))], axis=axis)
    if way < 0.5 and extent % 2 == 0 and b.opset < 18:
        return b.add("Split", [x], outputs=2, axis=axis)
    start, end = sorted(int(n) for n in b.rng.integers(-extent, extent + 1, 2))
    if b.opset < 10:
        return b.add("Slice", [x], starts=[start], ends=[end], axes=[axis])
    step = int(b.rng.choice([1, 1, 2, -1]))
    bounds = (start, end) if step > 0 else (end, start)
    parts = [b.constant(np.array([n], np.int64)) for n in (*bounds, axis, step)]
    return b.add("Slice", [x, *parts])


def _dense(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    outputs = int(b.rng.integers(1, 7))
    if value.ndim == 2 and b.rng.random() < 0.6:
        turned = int(b.rng.integers(2))
        weights = b.normal(outputs, value.shape[1])
        inputs = [x, b.constant(weights if turned else weights.T)]
        if b.rng.random() < 0.7 or b.opset < 11:
            inputs.append(b.constant(b.normal(*(outputs,) if b.rng.random() < 0.7 else (1, 1))))
        attributes = {"transB": turned} | ({"alpha": 0.5, "beta": 2.0} if b.rng.random() < 0.2 else {})
        return b.add("Gemm", inputs, **attributes)
    if b.rng.random() < 0.2 and value.ndim > 1:
        return b.add("MatMul", [b.constant(b.normal(outputs, value.shape[-2])), x])
    return b.add("MatMul", [x, b.constant(b.normal(outputs, value.shape[-1]).T)])


def _reduce(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    if value.ndim < 2:
        return None
    kind = str(b.rng.choice(["ReduceMean", "ReduceMean", "ReduceSum"]))
    axes = sorted({int(axis) for axis in b.rng.integers(1, value.ndim, 2)}) if b.rng.random() < 0.5 else [-1]
    if value.ndim == 4 and b.rng.random() < 0.5:
        axes = [2, 3] if b.rng.random() < 0.5 else [1, 2]
    kept = {"keepdims": int(b.rng.integers(2))}
    if b.opset < (13 if kind == "ReduceSum" else 18):
        return b.add(kind, [x], axes=axes, **kept)
    return b.add(kind, [x, b.constant(np.array(axes, np.int64))], **kept)


def _pad(b: _Builder, x: str) -> list[str] | None:
    value = b.known(x)
    if value.ndim not in {3, 4}:
        return None
    axes = value.ndim - 2
    pads = [0, 0, *b.rng.integers(0, 3, axes).tolist()] * 2 if b.rng.random() < 0.5 else [
        0, 0, *b.rng.integers(0, 3, axes).tolist(), 0, 0, *b.rng.integers(0, 3, axes).tolist()
    ]  # fmt: skip
    level = float(b.rng.choice([0.0, 0.0, 0.5]))
    if b.opset < 11:
        return b.add("Pad", [x], pads=pads, value=level)
    inputs = [x, b.constant(np.array(pads, np.int64))]
    return b.add("Pad", inputs if level == 0 else [*inputs, b.constant(np.array(level))])


def _passed(b: _Builder, x: str) -> list[str] | None:
    kind = str(b.rng.choice(["Identity", "Dropout", "Cast", "Neg"]))
    if kind == "Cast":
        return b.add(kind, [x], to=_TYPES[b.dtype])
    return b.add(kind, [x])


def _curved(b: _Builder, x: str) -> list[str] | None:
    kind = str(b.rng.choice([*_CURVED, "Softmax", "LogSoftmax", "MatMul"]))
    return b.add(kind, [x, x] if kind == "MatMul" else [x])


_STEPS: list[tuple[Callable[[_Builder, str], list[str] | None], float]] = [
    (_rectifier, 5), (_conv, 5), (_pool, 2), (_norm, 1.5), (_arithmetic, 3), (_two, 2), (_concat, 1),
    (_shape, 2.5), (_choose, 1), (_dense, 2.5), (_reduce, 0.7), (_pad, 0.7), (_passed, 1), (_curved, 0.25),
]  # fmt: skip


def random_model(rng: np.random.Generator) -> RandomModel:
    """Return a random classifier that onnxruntime runs."""
    found = None
    while found is None:
        found = _drawn(rng)
    return found


def _drawn(rng: np.random.Generator) -> RandomModel | None:
    dtype = [np.float32, np.float32, np.float32, np.float64, np.float16][int(rng.integers(5))]
    b = _Builder(rng, int(rng.integers(7, 21)), dtype, fixed=bool(rng.integers(2)))
    shapes = [tuple(int(n) for n in rng.integers(low, high)) for low, high in _SHAPES]
    shape = shapes[int(rng.choice(4, p=[0.55, 0.2, 0.2, 0.05]))]
    x = b.fresh()
    b.values[x] = rng.normal(size=(1, *shape)).astype(dtype)
    b.order.append(x)
    chances = np.array([chance for _, chance in _STEPS])
    for _ in range(int(rng.integers(2, 12))):
        latest = b.order[-1] if rng.random() < 0.8 else str(rng.choice(b.order))
        _STEPS[int(rng.choice(len(_STEPS), p=chances / chances.sum()))][0](b, latest)
    if rng.random() < 0.7:
        (b.known(b.order[-1]).ndim != 2) and _flat(b)
        _dense(b, b.order[-1])
    scores = b.order[-1]
    if rng.random() < 0.4:
        kind = str(rng.choice(_LAST))
        axis = {"axis": b.known(scores).ndim - 1} if kind in {"Softmax", "ArgMax"} else {}
        b.add(kind, [scores], **axis)
    last = b.order[-1]
    stored = {node.output[0] for node in b.nodes}

    def model_of(batch: int | str) -> onnx.ModelProto:
        kind = helper.np_dtype_to_tensor_dtype(b.known(last).dtype)
        graph = helper.make_graph(
            b.nodes,
            "random",
            [helper.make_tensor_value_info(x, _TYPES[dtype], [batch, *shape])],
            [helper.make_tensor_value_info(last, kind, None)],
            [
                numpy_helper.from_array(values, name)
                for name, values in b.tensors.items()
                if name not in stored
            ],
        )
        return _model(graph, b.opset)

    # What holds of a single sample need not hold of any number of them.
    models = [model_of(batch) for batch in ((1,) if b.fixed else ("n", 1))]
    loads = [model for model in models if _loads(model, {x: b.values[x]})]
    if not loads:
        return None
    return RandomModel(
        loads[0], scores, shape, dtype, b.values, b.nodes[-1].op_type if last != scores else ""
    )


def _loads(model: onnx.ModelProto, given: dict[str, Array]) -> bool:
    try:
        run_onnx(model, None, given)
    except Exception:  # noqa: BLE001 - onnxruntime makes its classes of errors at run time
        return False
    return True


def _flat(b: _Builder) -> None:
    b.add("Flatten", [b.order[-1]], axis=1)


def difference(made: RandomModel, rng: np.random.Generator) -> str | None:
    """Return how the layers of a model differ from onnxruntime, or None.

    Raises:
        FrontendError: It is refused.
    """
    network, layout = activation_network(Path("random.onnx"), made.model, made.shape)
    frames = rng.normal(size=(3, *made.shape)).astype(made.dtype)
    watched = onnx.ModelProto()
    watched.CopyFrom(made.model)
    del watched.graph.output[:]
    watched.graph.output.append(helper.make_empty_tensor_value_info(made.scores))
    entering = made.model.graph.input[0].name
    expected = np.stack(
        [run_onnx(watched, [made.scores], {entering: frame[None]})[0].ravel() for frame in frames]
    )
    entered = np.empty((len(frames), frames[0].size))
    entered[:, layout.elements.ravel()] = frames.reshape(len(frames), -1)
    found = scores_of(network.scores, activations_of(network, entered))
    if found.shape != expected.shape:
        return f"shapes {found.shape} and {expected.shape}"
    reals = [values for values in (expected, *made.values.values()) if values.dtype.kind == "f"]
    largest = max(float(np.abs(values).max()) for values in reals)
    text = onnx.printer.to_text(made.model)
    bound = _TOLERANCES[made.dtype] * max(largest, 1.0)
    squashed = sum("is left out" in note for note in network.notes)
    if squashed > (made.last in _SQUASHING):
        return None if _same_order(found, expected, bound) else f"another order\n{text}"
    apart = float(np.abs(found - expected).max())
    return None if apart <= bound else f"{apart} apart, more than {bound}\n{text}"


def _same_order(found: Array, expected: Array, bound: float) -> bool:
    above = [array[:, :, None] - array[:, None] for array in (found, expected)]
    return not ((above[0] > bound) & (above[1] < -bound)).any()


def scores_of(current: Current, values: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return scores, `[batch, classes]`."""
    return evaluate(current, values).reshape(len(next(iter(values.values()))), -1)


def verdict(seed: int) -> tuple[str, str]:
    """Return what became of one random model: equal, refused or different, and why."""
    rng = np.random.default_rng([seed, 18])
    made = random_model(rng)
    try:
        said = difference(made, rng)
    except FrontendError as error:
        return "refused", str(error)
    return ("equal", "") if said is None else ("different", said)
