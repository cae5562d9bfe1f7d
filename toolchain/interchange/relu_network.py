"""Which operators of ONNX a classifier may have, and what their attributes say."""

from typing import Final, final

import onnx

from toolchain.currents import Pair
from toolchain.errors import FrontendError
from toolchain.ir.windows import Window

TRANSLATED: Final = {
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "BatchNormalization",
    "Relu",
    "AveragePool",
    "GlobalAveragePool",
    "Flatten",
    "Reshape",
    "Constant",
}
PASSED: Final = {"Identity", "Dropout", "Softmax", "LogSoftmax"}
"""What changes nothing here; a softmax changes no order of the classes."""
_REASONS: Final = {
    "MaxPool": "the largest of rates is not a rate that spikes can have; use average pooling",
    "Sigmoid": "rates cannot be negative or saturate; train with ReLU",
    "Tanh": "rates cannot be negative; train with ReLU",
    "LeakyRelu": "rates cannot be negative; train with ReLU",
    "Elu": "rates cannot be negative; train with ReLU",
    "Gelu": "rates cannot be negative; train with ReLU",
    "Clip": "rates have a largest value of their own; train with ReLU",
}


def check_operators(model: onnx.ModelProto) -> None:
    """Raise for the first operator that cannot become part of a spiking network.

    Raises:
        FrontendError: Names it and why.
    """
    names = {tensor.name for tensor in model.graph.initializer} | {item.name for item in model.graph.input}
    for node in model.graph.node:
        title = f"operator '{node.name or ', '.join(node.output)}'"
        if node.domain not in {"", "ai.onnx"} or node.op_type not in TRANSLATED | PASSED:
            reason = _REASONS.get(node.op_type, f"known are {', '.join(sorted(TRANSLATED | PASSED))}")
            raise FrontendError(f"{title} is a {node.op_type}: {reason}")
        if not node.output or (not node.input and node.op_type != "Constant"):
            raise FrontendError(f"{title} reads or writes nothing")
        if node.output[0] in names:
            raise FrontendError(f"{title} writes '{node.output[0]}', which stands already")
        names.add(node.output[0])
    if len(model.graph.output) != 1 or model.graph.output[0].name not in names:
        raise FrontendError(f"expected one output, the scores of the classes, got {len(model.graph.output)}")
    if model.graph.sparse_initializer or model.functions:
        raise FrontendError("sparse weights and functions of a model are not read")


def entering(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are not weights."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [item for item in model.graph.input if item.name not in stored]


def entering_name(model: onnx.ModelProto) -> str:
    """Return the name of the input."""
    return entering(model)[0].name


@final
class Attributes:
    """The attributes of an operator, with the defaults of ONNX."""

    def __init__(self, node: onnx.NodeProto) -> None:
        self._name = node.name or node.output[0]
        self._values = {item.name: item for item in node.attribute}

    def integer(self, name: str, otherwise: int) -> int:
        """Return a whole number."""
        return int(self._values[name].i) if name in self._values else otherwise

    def real(self, name: str, otherwise: float) -> float:
        """Return a real number."""
        return float(self._values[name].f) if name in self._values else otherwise

    def tensor(self, name: str) -> onnx.TensorProto:
        """Return a tensor."""
        if name not in self._values:
            raise FrontendError(f"constant '{self._name}' has no '{name}'")
        return self._values[name].t

    def window(self, kernel: Pair) -> Window:
        """Return the window of a convolution, checked."""
        stride, dilation = self._pair("strides", 1), self._pair("dilations", 1)
        return Window(kernel, stride, self._padding(), dilation)

    def pool(self) -> Window:
        """Return the window of an average, checked."""
        padding = self._padding()
        if self.integer("ceil_mode", 0) or (padding != (0, 0) and not self.integer("count_include_pad", 0)):
            raise FrontendError(f"pooling '{self._name}' divides by something else than its window")
        kernel, stride = self._pair("kernel_shape", 0), self._pair("strides", 1)
        return Window(kernel, stride, padding, self._pair("dilations", 1))

    def _pair(self, name: str, otherwise: int) -> Pair:
        found = list(self._values[name].ints) if name in self._values else [otherwise, otherwise]
        if len(found) != 2 or min(found) < 1 or max(found) > 2**31:
            raise FrontendError(f"operator '{self._name}' has {name} {found}, expected those of an image")
        return found[0], found[1]

    def _padding(self) -> Pair:
        kind = self._values["auto_pad"].s.decode(errors="replace") if "auto_pad" in self._values else "NOTSET"
        found = list(self._values["pads"].ints) if "pads" in self._values else [0, 0, 0, 0]
        if kind not in {"NOTSET", "VALID"} or len(found) != 4 or min(found) < 0 or max(found) > 2**31:
            raise FrontendError(f"operator '{self._name}' pads {kind} {found}, expected numbers for an image")
        if found[:2] != found[2:]:
            raise FrontendError(f"operator '{self._name}' pads one side more: {found}")
        return found[0], found[1]
