"""From the operators of an ONNX classifier to layers: what a ReLU gives is one, all before it its current."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.currents import (
    Branch,
    Current,
    Pair,
    Sent,
    check_size,
    convolved,
    identity,
    multiplied,
    summed,
)
from toolchain.errors import FrontendError
from toolchain.interchange.activation_network import INPUT, ActivationNetwork, Rectified, WindowSum
from toolchain.interchange.onnx_file import tensor_values
from toolchain.interchange.relu_network import Attributes, check_operators, entering_name
from toolchain.ir import Window
from toolchain.ir.types import size_of

Floats = NDArray[np.float64]
Value = Sent | Current


def activation_network(path: Path, model: onnx.ModelProto, shape: tuple[int, ...]) -> ActivationNetwork:
    """Translate a classifier of convolutions, dense layers, norms, average pooling and ReLU.

    Args:
        path: The file, for messages.
        model: What it holds.
        shape: Of a sample.

    Raises:
        CorruptArtifactError: A tensor claims more than it holds.
        FrontendError: An operator has no counterpart: names it and why.
    """
    check_operators(model)
    return _Translation(path, model, shape).network()


@final
@dataclass
class _Translation:
    """Follows the operators; every ReLU becomes a layer."""

    path: Path
    model: onnx.ModelProto
    shape: tuple[int, ...]
    steps: list[Rectified | WindowSum] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tensors = self.model.graph.initializer
        self.constants = {tensor.name: tensor_values(self.path, tensor) for tensor in tensors}
        for node in self.model.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = tensor_values(self.path, Attributes(node).tensor("value"))

    def network(self) -> ActivationNetwork:
        """Return the network."""
        self.values[entering_name(self.model)] = Sent(INPUT, self.shape, spikes=False)
        for node in self.model.graph.node:
            if node.op_type != "Constant":
                self.values[node.output[0]] = self._translate(node)
        scores = self.values[self.model.graph.output[0].name]
        current = scores if isinstance(scores, Current) else identity("scores", scores)
        return ActivationNetwork(self.shape, tuple(self.steps), current)

    def _translate(self, node: onnx.NodeProto) -> Value:
        translators: dict[str, Callable[[str, onnx.NodeProto], Value]] = {
            "Conv": self._convolution,
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "Add": self._add,
            "BatchNormalization": self._norm,
            "Relu": self._relu,
            "AveragePool": self._average,
            "GlobalAveragePool": self._average,
            "Flatten": self._flatten,
            "Reshape": self._flatten,
        }
        name = re_named(node.name or node.output[0])
        translate = translators.get(node.op_type)
        return self._read(node.input[0]) if translate is None else translate(name, node)

    def _read(self, name: str) -> Value:
        if name not in self.values:
            raise FrontendError(
                f"'{name}' is read before it is computed, or is a constant where a value should be"
            )
        return self.values[name]

    def _constant(self, node: onnx.NodeProto, place: int) -> Floats:
        name = node.input[place] if place < len(node.input) else ""
        if name not in self.constants:
            raise FrontendError(
                f"operator '{node.name or node.output[0]}' needs constant weights, '{name}' is none"
            )
        values = self.constants[name]
        if not np.isfinite(values).all():
            raise FrontendError(f"'{name}' holds values that are not finite")
        return values.astype(np.float64)

    def _optional(self, node: onnx.NodeProto, place: int, size: int) -> Floats:
        return (
            self._constant(node, place).ravel()
            if len(node.input) > place and node.input[place]
            else np.zeros(size)
        )

    def _convolution(self, name: str, node: onnx.NodeProto) -> Current:
        value, kernels, window, groups = self._read(node.input[0]), self._constant(node, 1), None, 1
        attributes = Attributes(node)
        if kernels.ndim != 4:
            raise FrontendError(f"convolution '{name}' has weights {kernels.shape}, expected those of images")
        groups = attributes.integer("group", 1)
        window = attributes.window((kernels.shape[2], kernels.shape[3]))
        bias = self._optional(node, 2, len(kernels))
        if groups < 1 or len(kernels) % groups or bias.shape != (len(kernels),):
            raise FrontendError(f"convolution '{name}' has {kernels.shape} weights in {groups} groups")
        if isinstance(value, Current):
            if window.padding != (0, 0):
                raise FrontendError(f"convolution '{name}' pads what no ReLU has passed; put one before it")
            stream = convolved(
                name, value, kernels, stride=window.stride, dilation=window.dilation, groups=groups
            )
            return stream.affine(np.ones(len(bias)), bias)
        rows, columns = self._positions(name, value, window)
        if kernels.shape[1] * groups != value.shape[0]:
            raise FrontendError(
                f"convolution '{name}' reads {kernels.shape[1] * groups} channels of {value.shape}"
            )
        branch = Branch(name, value, kernels, window.stride, window.padding, window.dilation, groups)
        return Current((branch,), bias, (len(kernels), rows, columns))

    @staticmethod
    def _positions(name: str, value: Value, window: Window) -> Pair:
        if value.flat or len(value.shape) != 3:
            raise FrontendError(f"'{name}' reads {value.features}, expected feature maps [C, H, W]")
        rows, columns = window.positions((value.shape[1], value.shape[2]))
        if rows < 1 or columns < 1:
            raise FrontendError(f"'{name}' has a window larger than {value.shape}")
        check_size(name, value.shape[0], rows, columns)
        return rows, columns

    def _gemm(self, name: str, node: onnx.NodeProto) -> Current:
        attributes, weights = Attributes(node), self._constant(node, 1)
        if attributes.integer("transA", 0) or weights.ndim != 2:
            raise FrontendError(f"dense layer '{name}' multiplies in another order than x W")
        matrix = weights if attributes.integer("transB", 0) else weights.T
        alpha, beta = attributes.real("alpha", 1.0), attributes.real("beta", 1.0)
        bias = beta * self._optional(node, 2, len(matrix))
        return self._dense(name, self._read(node.input[0]), alpha * matrix, bias)

    def _matmul(self, name: str, node: onnx.NodeProto) -> Current:
        weights = self._constant(node, 1)
        if weights.ndim != 2:
            raise FrontendError(f"'{name}' multiplies with weights {weights.shape}, expected a matrix")
        return self._dense(name, self._read(node.input[0]), weights.T, np.zeros(weights.shape[1]))

    @staticmethod
    def _dense(name: str, value: Value, matrix: Floats, bias: Floats) -> Current:
        matrix = np.ascontiguousarray(matrix)
        if value.features != (matrix.shape[1],) or bias.size not in {1, len(matrix)}:
            raise FrontendError(f"dense layer '{name}' of {matrix.shape} cannot read {value.features}")
        offset = np.array(np.broadcast_to(bias, len(matrix)))
        if isinstance(value, Current):
            return multiplied(name, value, matrix).affine(np.ones(len(offset)), offset)
        return Current((Branch(name, value, matrix),), offset, (len(matrix),))

    def _add(self, name: str, node: onnx.NodeProto) -> Current:
        fixed = [i for i, item in enumerate(node.input) if item in self.constants]
        if fixed:
            value = self._read(node.input[1 - fixed[0]])
            current = value if isinstance(value, Current) else identity(name, value)
            offset = self._constant(node, fixed[0])
            size = current.shape[0]
            if offset.size not in {1, size} or (
                len(current.shape) > 1 and offset.size > 1 and offset.shape[-1] != 1
            ):
                raise FrontendError(
                    f"'{name}' adds {offset.shape} to {current.shape}, expected one per channel"
                )
            return current.affine(np.ones(size), np.array(np.broadcast_to(offset.ravel(), size)))
        parts = [self._read(item) for item in node.input]
        currents = [
            value if isinstance(value, Current) else identity(f"{name}.{i}", value)
            for i, value in enumerate(parts)
        ]
        return summed(currents)

    def _norm(self, name: str, node: onnx.NodeProto) -> Current:
        value = self._read(node.input[0])
        current = value if isinstance(value, Current) else identity(name, value)
        size = current.shape[0]
        gamma, beta, mean, variance = (self._constant(node, place).ravel() for place in (1, 2, 3, 4))
        if {gamma.size, beta.size, mean.size, variance.size} != {size} or (variance < 0).any():
            raise FrontendError(f"norm '{name}' does not fit the {size} channels before it")
        factor = gamma / np.sqrt(variance + Attributes(node).real("epsilon", 1e-5))
        return current.affine(factor, beta - mean * factor)

    def _relu(self, name: str, node: onnx.NodeProto) -> Value:
        value = self._read(node.input[0])
        if isinstance(value, Sent) and value.spikes:
            return value
        current = value if isinstance(value, Current) else identity(f"{name}.identity", value)
        self.steps.append(Rectified(name, current))
        return Sent(name, current.shape, spikes=True, flat=current.flat)

    def _average(self, name: str, node: onnx.NodeProto) -> Value:
        value = self._read(node.input[0])
        if value.flat or len(value.shape) != 3:
            raise FrontendError(f"pooling '{name}' reads {value.features}, expected feature maps [C, H, W]")
        whole: Pair = (value.shape[1], value.shape[2])
        window = Window(whole) if node.op_type == "GlobalAveragePool" else Attributes(node).pool()
        positions = self._positions(name, value, window)
        if isinstance(value, Current):
            if window.padding != (0, 0):
                raise FrontendError(f"pooling '{name}' pads what no ReLU has passed; put one before it")
            kernels = np.full((value.shape[0], 1, *window.kernel), 1 / window.area)
            return convolved(name, value, kernels, stride=window.stride, groups=value.shape[0])
        self.steps.append(WindowSum(name, value, window))
        factor = value.channels(name)[:, None, None] / window.area
        return Sent(name, (value.shape[0], *positions), spikes=False, factor=factor)

    def _flatten(self, name: str, node: onnx.NodeProto) -> Value:
        value = self._read(node.input[0])
        if node.op_type == "Reshape":
            shape = self._constant(node, 1).ravel().tolist()
            if len(shape) != 2 or shape[1] not in {-1, size_of(value.shape)}:
                raise FrontendError(f"'{name}' reshapes to {shape}, expected [batch, everything else]")
        elif Attributes(node).integer("axis", 1) != 1:
            raise FrontendError(f"'{name}' flattens the batch, too")
        return replace(value, flat=True)


def re_named(text: str) -> str:
    """Return a text as a name of the graph."""
    kept = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_.-") else "_" for letter in text
    )
    return kept.lstrip(".-")[:80] or "node"
