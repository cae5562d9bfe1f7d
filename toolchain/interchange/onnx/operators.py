"""The operators of an ONNX classifier: what their attributes say, and why some have no counterpart."""

from collections.abc import Sequence
from typing import Final, final

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.errors import FrontendError
from toolchain.rate_coding.window_placement import WindowPlacement

_NUMPY: Final = 7
"""First opset whose arithmetic broadcasts as NumPy does."""
_LARGEST: Final = 2**31
_CURVED: Final = "it is curved, and layers of ReLU are straight lines; train with Relu, LeakyRelu or Clip"
_STATISTICS: Final = "it divides by statistics of the sample; train with BatchNormalization"
_WHOLE: Final = "its activations are whole numbers; save the model with QuantizeLinear and DequantizeLinear"
_LARGER: Final = "it makes images larger, which classifiers do not need"
_LOOP: Final = "it is a network with a loop, not a classifier"
_GATES: Final = "its gates multiply activations with activations, but rates only add up"
REASONS: Final = {
    **dict.fromkeys(["Celu", "Elu", "Erf", "Exp", "Gelu", "Log", "Mish", "Pow", "Selu", "Softplus"], _CURVED),
    **dict.fromkeys(["Sigmoid", "Softsign", "Sqrt", "Swish", "Tanh"], _CURVED),
    **dict.fromkeys(["GroupNormalization", "InstanceNormalization", "LayerNormalization"], _STATISTICS),
    **dict.fromkeys(["LRN", "LpNormalization", "MeanVarianceNormalization"], _STATISTICS),
    **dict.fromkeys(["ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"], _WHOLE),
    **dict.fromkeys(["GRU", "LSTM", "HardSwish"], _GATES),
    **dict.fromkeys(["Resize", "Upsample"], _LARGER),
    **dict.fromkeys(["If", "Loop", "RNN", "Scan"], _LOOP),
    "HardSigmoid": "it is a gate to multiply activations with, but rates only add up; train with Clip",
    "ConvTranspose": "chips have no transposed convolutions",
    "DynamicQuantizeLinear": "its scale depends on the sample; quantize statically",
    "Hardmax": "it keeps no order of the classes; leave it out",
    "TopK": "it keeps some classes only; leave it out",
}
"""Why an operator has no counterpart, for messages."""


@final
class Operator:
    """One operator of a model and its attributes, with the defaults of ONNX.

    Args:
        node: Node as it stands in the file.
        opset: Version of the operators that the file uses; some of them changed.
    """

    def __init__(self, node: onnx.NodeProto, opset: int) -> None:
        self.kind = node.op_type
        self.opset = opset
        self.name = node.name or (node.output[0] if node.output else node.op_type)
        self.inputs, self.outputs = tuple(node.input), tuple(node.output)
        self._values = {item.name: item for item in node.attribute}
        self.domain = "" if node.domain == "ai.onnx" else node.domain
        self.node = node

    def refuse(self, reason: str) -> FrontendError:
        """Return the error that names the operator and says why it is refused."""
        return FrontendError(f"operator '{self.name}' is a {self.kind}: {reason}")

    def reads(self, place: int) -> str:
        """Return the name of an input; empty if it is left out."""
        return self.inputs[place] if place < len(self.inputs) else ""

    def has(self, name: str) -> bool:
        """Return whether an attribute is given."""
        return name in self._values

    def integer(self, name: str, otherwise: int) -> int:
        """Return a whole number."""
        return int(self._values[name].i) if name in self._values else otherwise

    def real(self, name: str, otherwise: float) -> float:
        """Return a real number; attributes of ONNX are of single precision."""
        return float(self._values[name].f if name in self._values else np.float32(otherwise))

    def integers(self, name: str) -> tuple[int, ...] | None:
        """Return whole numbers, if they are given."""
        return tuple(self._values[name].ints) if name in self._values else None

    def reals(self, name: str) -> tuple[float, ...] | None:
        """Return real numbers, if they are given."""
        return tuple(self._values[name].floats) if name in self._values else None

    def texts(self, name: str) -> tuple[bytes, ...] | None:
        """Return texts, if they are given."""
        return tuple(self._values[name].strings) if name in self._values else None

    def text(self, name: str, otherwise: str) -> str:
        """Return a text."""
        return self._values[name].s.decode(errors="replace") if name in self._values else otherwise

    def tensor(self, name: str) -> onnx.TensorProto | None:
        """Return a tensor, if it is given."""
        return self._values[name].t if name in self._values else None

    def aligned(self, constant: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
        """Return a constant as NumPy's rules broadcast it; old models say at which axis it begins."""
        if self.opset >= _NUMPY or not self.has("axis"):
            return constant
        behind = rank - self.integer("axis", 0) - constant.ndim
        return constant.reshape(*constant.shape, *[1] * max(behind, 0))

    def placed(self, kernel: Sequence[int], size: Sequence[int]) -> "WindowPlacement":
        """Return where a window stands on an image, all paddings worked out.

        Args:
            kernel: Extents of the window, one or two.
            size: Extents of the image, as many.
        """
        axes = len(kernel)
        strides = self._extents("strides", axes)
        dilations = self._extents("dilations", axes)
        begins, ends = self._pads(kernel, size, strides, dilations)
        if self.integer("ceil_mode", 0):
            spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
            for axis, (n, span, stride) in enumerate(zip(size, spans, strides, strict=True)):
                padded = n + begins[axis] + ends[axis]
                last = -(-(padded - span) // stride)
                if last * stride >= n + begins[axis]:
                    last -= 1
                ends[axis] += max(last * stride + span - padded, 0)
        rows = [
            (k, s, d, (t, b)) for k, s, d, t, b in zip(kernel, strides, dilations, begins, ends, strict=True)
        ]
        # An image of one dimension is one row.
        return WindowPlacement(*zip(*([(1, 1, 1, (0, 0))] * (2 - axes) + rows), strict=True))

    def _pads(
        self, kernel: Sequence[int], size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        axes, kind = len(kernel), self.text("auto_pad", "NOTSET")
        given = list(self.integers("pads") or [0] * (2 * axes)) if kind == "NOTSET" else [0] * (2 * axes)
        if kind not in {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"} or len(given) != 2 * axes:
            raise self.refuse(f"it pads {kind} {given}, expected two numbers per axis")
        if min(given) < 0 or max(given) >= _LARGEST:
            raise self.refuse(f"it pads {given}, expected numbers of 0 or more")
        begins, ends = given[:axes], given[axes:]
        if kind.startswith("SAME"):
            for axis, (k, n, s, d) in enumerate(zip(kernel, size, strides, dilations, strict=True)):
                total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
                less, more = total // 2, total - total // 2
                begins[axis], ends[axis] = (less, more) if kind == "SAME_UPPER" else (more, less)
        return begins, ends

    def kernel(self, axes: int) -> tuple[int, ...]:
        """Return the extents of the window of a pooling."""
        if not self.has("kernel_shape"):
            raise self.refuse("it has no kernel_shape")
        return self._extents("kernel_shape", axes)

    def _extents(self, name: str, axes: int) -> tuple[int, ...]:
        extents = self.integers(name) or (1,) * axes
        if len(extents) != axes or min(extents) < 1 or max(extents) >= _LARGEST:
            raise self.refuse(f"it has {name} {list(extents)}, expected {axes} numbers of 1 or more")
        return extents


def check_operators(model: onnx.ModelProto) -> None:
    """Raise if a model is not a plain list of operators.

    Raises:
        FrontendError: Names what it has instead.
    """
    names = {tensor.name for tensor in model.graph.initializer} | {item.name for item in model.graph.input}
    for node in model.graph.node:
        title = f"operator '{node.name or ', '.join(node.output)}'"
        if not any(node.output):
            raise FrontendError(f"{title} writes nothing")
        for name in filter(None, node.output):
            if name in names:
                raise FrontendError(f"{title} writes '{name}', which stands already")
            names.add(name)
    if model.graph.sparse_initializer or model.functions:
        raise FrontendError("sparse weights and functions of a model are not read")


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a model uses."""
    return max((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), default=1)


def entering(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are not weights."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [item for item in model.graph.input if item.name not in stored]


def scores_of(model: onnx.ModelProto) -> str:
    """Return the name of the output that holds the scores of the classes.

    A model of scikit-learn gives labels, too: whole numbers or texts, which are passed over.

    Raises:
        FrontendError: There is none, or several.
    """
    outputs = list(model.graph.output)
    if len(outputs) > 1:
        outputs = [item for item in outputs if _is_real(item.type)]
    if len(outputs) != 1:
        raise FrontendError(
            f"expected one output, the scores of classes, got {[item.name for item in model.graph.output]}"
        )
    return outputs[0].name


def _is_real(kind: onnx.TypeProto) -> bool:
    if kind.HasField("tensor_type"):
        return kind.tensor_type.elem_type in {
            onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16
        }  # fmt: skip
    return kind.HasField("sequence_type")
