"""The operators of ONNX that move values, change their type, or come last and keep their order."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import onnx

from toolchain.interchange.onnx.constants import shape_of
from toolchain.interchange.onnx.linear import INFERRING
from toolchain.interchange.onnx.operators import Operator
from toolchain.interchange.onnx.shapes import MOVING, moved
from toolchain.interchange.onnx.translation import Translation, Translator
from toolchain.rate_coding.symbolic_tensors import SymbolicTensor

_REAL: Final = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16}
_PER_CLASS_AXES: Final = 13
"""Opset since which a softmax runs along one axis, and not along all behind it."""


def identity(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate nothing."""
    return t.read(operator)


def cast(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a change of precision; classes may become whole numbers where they are last."""
    if operator.integer("to", 0) not in _REAL and operator.reads(0) not in t.ordered:
        kinds = {number: name for name, number in onnx.TensorProto.DataType.items()}
        kind = kinds.get(operator.integer("to", 0), "nothing known")
        raise operator.refuse(f"it makes {kind} of activations; expected real numbers")
    return t.read(operator)


def dropout(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a dropout that drops nothing."""
    training, ratio = t.stored(operator, 2), t.stored(operator, 1)
    drops = ratio is None or ratio.any()
    if operator.opset < INFERRING:
        training = np.array(operator.integer("is_test", 0) == 0)
    if training is not None and training.any() and drops:
        raise operator.refuse("it is in training mode, which drops activations; export it for inference")
    return t.read(operator)


def move(t: Translation, operator: Operator) -> list[SymbolicTensor]:
    """Translate an operator that moves elements."""
    value = t.read(operator)
    parameters = [t.stored(operator, place) for place in range(1, len(operator.inputs))]
    return [replace(value, elements=elements) for elements in moved(operator, value.elements, parameters)]


def shape(t: Translation, operator: Operator) -> list[SymbolicTensor]:
    """Add the shape of a tensor as a constant."""
    t.constants.add(operator.outputs[0], shape_of(operator, t.read(operator).shape))
    return []


def size(t: Translation, operator: Operator) -> list[SymbolicTensor]:
    """Add the number of elements of a tensor as a constant."""
    t.constants.add(operator.outputs[0], np.array(t.read(operator).elements.size))
    return []


def softmax(t: Translation, operator: Operator) -> SymbolicTensor:
    """Leave out what keeps the order of the classes, if all of a sample's values are its classes."""
    value = t.read(operator)
    axis, rank = operator.integer("axis", -1 if operator.opset >= _PER_CLASS_AXES else 1), value.elements.ndim
    if not -rank <= axis <= rank:
        raise operator.refuse(f"it runs along axis {axis} of {list(value.shape)}")
    axis = axis + rank if axis < 0 else axis
    together = value.shape[axis : axis + 1] if operator.opset >= _PER_CLASS_AXES else value.shape[axis:]
    return _last(t, operator, value, math.prod(together))


def argmax(t: Translation, operator: Operator) -> SymbolicTensor:
    """Leave out the choice of the largest, which every reader of scores makes."""
    value = t.read(operator)
    axis = operator.integer("axis", 0)
    if not -value.elements.ndim <= axis < value.elements.ndim:
        raise operator.refuse(f"it runs along axis {axis} of {list(value.shape)}")
    return _last(t, operator, value, value.shape[axis])


def monotone(t: Translation, operator: Operator) -> SymbolicTensor:
    """Leave out what grows with each score by itself."""
    value = t.read(operator)
    return _last(t, operator, value, value.elements.size)


def _last(t: Translation, operator: Operator, value: SymbolicTensor, together: int) -> SymbolicTensor:
    if together != value.elements.size:
        raise operator.refuse(
            f"it runs over {together} of the {value.elements.size} values of {list(value.shape)}, which "
            "changes their order; expected the axis of the classes"
        )
    leave_out(t, operator, operator.outputs[0], operator.kind)
    return value


def leave_out(t: Translation, operator: Operator, output: str, kind: str) -> None:
    """Remember that a result keeps no more than the order of the classes, and say so."""
    t.ordered[output] = operator
    t.layers.notes.append(
        f"'{operator.name}', a {kind}, is left out: it is last and changes no order of the classes"
    )


def quantize(t: Translation, operator: Operator) -> SymbolicTensor:
    """Leave out the rounding of activations; what it cuts at zero is a layer.

    Whole numbers of activations are read by nothing but the operator that turns them back.
    """
    value = t.read(operator)
    scale, zero = t.constant(operator, 1), t.stored(operator, 2)
    for reader in t.readers.get(operator.outputs[0], []):
        back = reader.kind == "DequantizeLinear" and [
            np.array_equal(np.ravel(t.constant(reader, 1)), scale.ravel()),
            np.array_equal(_zero_of(t, reader), _zero_of(t, operator)),
        ]
        if not back or not all(back):
            raise operator.refuse(
                f"'{reader.name}' reads its whole numbers; expected a DequantizeLinear of the same scale"
            )
    if scale.size != 1 or not (scale > 0).all():
        raise operator.refuse("it has several scales for activations, expected one above 0")
    limits = np.iinfo(np.uint8 if zero is None else zero.dtype)
    point, step = int(_zero_of(t, operator)[0]), float(scale.ravel()[0])
    low, high = step * (limits.min - point), step * (limits.max - point)
    t.layers.notes.append(
        f"'{operator.name}': activations are neither rounded to its steps of {step:.4g} nor cut at its ends, "
        f"{low:.4g} and {high:.4g}"
    )
    # An exporter leaves the ReLU out where the least whole number stands for 0.
    return t.layers.positive(operator.name, value) if low == 0 else value


def _zero_of(t: Translation, operator: Operator) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    zero = t.stored(operator, 2)
    return np.zeros(1, np.int64) if zero is None else zero.astype(np.int64).ravel()


def dequantize(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate nothing: what was not rounded is as it was."""
    return t.read(operator)


PASS_THROUGH: Final[Mapping[str, Translator]] = {
    "ArgMax": argmax,
    "Cast": cast,
    "DequantizeLinear": dequantize,
    "Dropout": dropout,
    "Identity": identity,
    "LogSoftmax": softmax,
    "QuantizeLinear": quantize,
    "Shape": shape,
    "Sigmoid": monotone,
    "Size": size,
    "Softmax": softmax,
    "Tanh": monotone,
} | dict.fromkeys(MOVING, move)
AFTER_LAST: Final = frozenset(
    {"ArgMax", "Cast", "Dropout", "Identity", "LogSoftmax", "Normalizer", "Sigmoid", "Softmax", "Tanh"}
    | {"ZipMap", *MOVING}
)
"""What may follow an operator that was left out because it is last."""


def refuse_if_read(t: Translation, operator: Operator) -> None:
    """Raise if an operator computes with what keeps no more than the order of the classes.

    Raises:
        FrontendError: Names the operator that was left out, why it cannot be, and its reader.
    """
    if operator.kind in AFTER_LAST:
        return
    for name in operator.inputs:
        if name in t.ordered:
            left = t.ordered[name]
            raise left.refuse(
                "it may stand last only, where it changes no order of the classes, but "
                f"'{operator.name}' reads it; train with Relu, LeakyRelu or Clip"
            )
