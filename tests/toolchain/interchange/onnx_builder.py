"""Puts random ONNX models together, operator by operator, and runs them in onnxruntime."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from toolchain.arrays import Array

TYPES = {np.float16: TensorProto.FLOAT16, np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE}


TOLERANCES = {np.float16: 3e-2, np.float32: 1e-4, np.float64: 1e-9}
"""Of the largest value that stands anywhere in a graph."""


CURVED = ("Sigmoid", "Tanh", "Elu", "HardSigmoid", "Softplus", "Exp", "Erf", "Sqrt")
SQUASHING = ("Softmax", "LogSoftmax", "Sigmoid", "Tanh", "ArgMax")


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
class Builder:
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
        kinds: Any = [np.int8, np.uint8]
        kind = self.rng.choice(kinds)
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
        return run_onnx(model_of_graph(graph, opset), list(outputs), given)
    except Exception:  # noqa: BLE001 - whatever onnxruntime does not run is not part of a graph
        return None


def model_of_graph(graph: onnx.GraphProto, opset: int) -> onnx.ModelProto:
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
