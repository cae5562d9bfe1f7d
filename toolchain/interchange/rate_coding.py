r"""From a classifier with ReLU to a spiking network whose rates stand for its activations.

An activation `a` becomes the rate `rho a / lambda` of an integrate-and-fire neuron, where `lambda` is about
the largest activation of its layer on samples: data-based threshold balancing (Diehl et al. 2015, with the
percentile of Rueckauer et al. 2017). Here the threshold is `theta = lambda / rho` and the weights that read a
neuron are multiplied by its `theta`.

Chips reset to zero, so what is above the threshold at a spike is lost and rates are too small. Ours are two
remedies: the largest rate `rho`, which for a constant drive bounds the loss, and thresholds that are lowered
layer by layer until the mean rates on samples are those of the activations.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, final

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
from toolchain.errors import FrontendError, UsageError
from toolchain.interchange.activations import Activation, entering_name, frames_of, measure_activations
from toolchain.interchange.balance import balanced
from toolchain.interchange.imported import Imported
from toolchain.interchange.onnx_file import tensor_values
from toolchain.interchange.relu_network import Attributes, check_operators
from toolchain.ir import (
    AnyNode,
    Decode,
    EdgeKind,
    Graph,
    Input,
    Lif,
    Origin,
    Output,
    SumPool2d,
    Window,
    verify,
)
from toolchain.ir.types import size_of
from toolchain.stimulus import Stimulus

Floats = NDArray[np.float64]
Value = Sent | Current

INPUT: Final = "input"
_GRADED_BITS: Final = 8
_STEPS: Final = 32
"""Least steps for which samples are shown while thresholds are lowered."""


@final
@dataclass(frozen=True, kw_only=True)
class RateCode:
    """How activations become rates.

    Attributes:
        largest_rate: Spikes per step of the largest activation.
        percentile: Which activation of a layer counts as the largest, in percent.
        balance: Whether thresholds are lowered until the mean rates on the samples are those asked for.
    """

    largest_rate: float = 0.5
    percentile: float = 99.9
    balance: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.largest_rate <= 1 and 0 < self.percentile <= 100):
            raise UsageError(
                "expected a largest rate in 0 .. 1 and a percentile in 0 .. 100, got "
                f"{self.largest_rate} and "
                f"{self.percentile}"
            )


def rate_coded(
    path: Path, model: onnx.ModelProto, samples: Stimulus, *, classes: Sequence[str], code: RateCode
) -> Imported:
    """Convert a classifier of convolutions, dense layers, norms, average pooling and ReLU.

    Args:
        path: The file, for messages.
        model: What it holds.
        samples: What activations are measured on, `[batch, time, *features]`; averaged over time.
        classes: Names of the classes.
        code: How activations become rates.

    Raises:
        FrontendError: An operator has no counterpart: names it and why.
        StimulusError: The samples do not fit its input.
        UsageError: There are several inputs.
    """
    check_operators(model)
    frames = frames_of(model, samples)
    # All shapes are known, and known to be small, before onnxruntime makes them.
    _Translation(path, model, frames, code, {}).graph(path.stem, classes)
    measured = measure_activations(path, model, frames, code.percentile)
    translation = _Translation(path, model, frames, code, measured)
    graph = translation.graph(path.stem, classes)
    if code.balance:
        graph = balanced(graph, frames, translation.rates, max(samples.steps, _STEPS))
        translation.notes.append(
            "thresholds were lowered until mean rates on the samples were those asked for"
        )
    return Imported(graph, tuple(translation.notes))


@final
@dataclass
class _Translation:
    """Follows the operators; every ReLU becomes a population."""

    path: Path
    model: onnx.ModelProto
    frames: NDArray[np.float32]
    code: RateCode
    measured: Mapping[str, Activation]
    notes: list[str] = field(default_factory=list)
    nodes: list[AnyNode] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tensors = self.model.graph.initializer
        self.constants = {tensor.name: tensor_values(self.path, tensor) for tensor in tensors}
        for node in self.model.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = tensor_values(self.path, Attributes(node).tensor("value"))
        self.entering = entering_name(self.model)

    def graph(self, name: str, classes: Sequence[str]) -> Graph:
        """Return the network; the last layer integrates what it gets."""
        shape = self.frames.shape[1:]
        peak = float(np.abs(self.frames).max()) or 1.0
        scale = (2**_GRADED_BITS - 1) / peak
        self.nodes.append(
            Input(name=INPUT, shape=shape, edge=EdgeKind.GRADED, scale=scale, bits=_GRADED_BITS)
        )
        self.values[self.entering] = Sent(INPUT, shape, spikes=False)
        for node in self.model.graph.node:
            if node.op_type != "Constant":
                self.values[node.output[0]] = self._translate(node)
        scores = self.values[self.model.graph.output[0].name]
        current = scores if isinstance(scores, Current) else identity("scores", scores)
        self._population("readout", current, np.inf)
        self.nodes.append(
            Output(name="output", inputs=("readout",), decode=Decode.LAST_V, classes=tuple(classes))
        )
        graph = Graph(tuple(self.nodes), name=re_named(name))
        verify(graph)
        self.notes.append(
            f"activations became rates of at most {self.code.largest_rate:g} spikes per step; show a "
            "still input at every step, and more steps if classes differ from those of the classifier"
        )
        return graph

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
        found = self.measured.get(node.output[0], Activation(1.0, 0.0))
        peak = found.largest
        self.rates[name] = found.mean * self.code.largest_rate / peak
        threshold = peak / self.code.largest_rate
        self._population(name, current, threshold)
        self.notes.append(
            f"'{name}': activations up to {peak:.4g} become rates up to {self.code.largest_rate:g}"
        )
        return Sent(name, current.shape, spikes=True, factor=threshold, flat=current.flat)

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
        self.nodes.append(
            SumPool2d(
                name=name,
                inputs=(value.node,),
                kernel=window.kernel,
                stride=window.stride,
                padding=window.padding,
            )
        )
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

    def _population(self, name: str, current: Current, threshold: float) -> None:
        inputs: list[str] = []
        for i, branch in enumerate(current.branches):
            unique = f"{name}.{i}.{branch.name}"[-180:].lstrip(".-")
            self.nodes.append(branch.node(unique))
            inputs.append(unique)
        bias = current.bias.reshape(-1, *[1] * (len(current.shape) - 1))
        shape = current.shape
        self.nodes.append(
            Lif(
                name=name,
                inputs=tuple(inputs),
                du=np.ones(shape),
                dv=np.zeros(shape),
                vth=np.full(shape, threshold),
                bias=np.broadcast_to(bias, shape),
                origin=Origin.whole(name, size_of(shape)),
            )
        )


def re_named(text: str) -> str:
    """Return a text as a name of the graph."""
    kept = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_.-") else "_" for letter in text
    )
    return kept.lstrip(".-")[:80] or "node"
