"""The constants of a model, and what its operators compute of them before any sample comes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator

from toolchain.interchange.onnx.file import tensor_values
from toolchain.interchange.onnx.operators import Operator, opset_of
from toolchain.interchange.onnx.shapes import MOVING, moved
from toolchain.ir.currents import LARGEST

Values = NDArray[Any]

_ARITHMETIC: Final = frozenset(
    {
        "Abs", "Add", "And", "Cast", "Ceil", "Clip", "Div", "Equal", "Exp", "Floor", "Greater", "Less",
        "Log", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "ReduceL1", "ReduceL2",
        "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Round",
        "Sign", "Sqrt", "Sub", "Sum", "Where",
    }
)  # fmt: skip
"""What onnx's own reference computes: nothing larger than its inputs broadcast together."""


@final
class Constants:
    """The constants of a model by name, read and folded when they are asked for.

    Args:
        path: Path of the file, for messages.
        model: Content of the file.
    """

    def __init__(self, path: Path, model: onnx.ModelProto) -> None:
        self._path, self._opset = path, opset_of(model)
        self._stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self._values: dict[str, Values] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values or name in self._stored

    def __getitem__(self, name: str) -> Values:
        if name not in self._values:
            self._values[name] = tensor_values(self._path, self._stored[name])
        return self._values[name]

    def add(self, name: str, values: Values) -> None:
        """Add what became known without a sample: the shape of an activation."""
        self._values[name] = values

    def fold(self, operator: Operator) -> bool:
        """Add what an operator gives, if all that it reads is constant.

        Returns:
            Whether it is a constant.

        Raises:
            FrontendError: It does not fit its inputs, or makes too much.
        """
        if operator.domain or not all(name in self for name in operator.inputs if name):
            return False
        result = self._folded(operator)
        for name, values in zip(operator.outputs, result, strict=False):
            self._values[name] = values
        return bool(result)

    def _folded(self, operator: Operator) -> Sequence[Values]:
        if operator.kind == "Constant":
            return [self._constant(operator)]
        inputs = [self[name] if name else None for name in operator.inputs]
        first = inputs[0] if inputs else None
        if first is None:
            return []
        if operator.kind in MOVING:
            return moved(operator, first, inputs[1:])
        if operator.kind in _ARITHMETIC:
            return self._computed(operator, [values for values in inputs if values is not None])
        makers = {
            "Identity": lambda: first,
            "Dropout": lambda: first,
            "Shape": lambda: shape_of(operator, first.shape),
            "Size": lambda: np.array(first.size),
            "Concat": lambda: _joined(operator, inputs),
            "ConstantOfShape": lambda: self._filled(operator, first),
            "Range": lambda: _range(operator, inputs),
            "DequantizeLinear": lambda: _dequantized(operator, inputs),
        }
        return [makers[operator.kind]()] if operator.kind in makers else []

    def _constant(self, operator: Operator) -> Values:
        tensor = operator.tensor("value")
        if tensor is not None:
            return tensor_values(self._path, tensor)
        for name, kind in (("value_float", np.float32), ("value_int", np.int64)):
            if operator.has(name):
                read = operator.real if kind is np.float32 else operator.integer
                return np.array(read(name, 0), kind)
        for values, kind in (
            (operator.reals("value_floats"), np.float32),
            (operator.integers("value_ints"), np.int64),
        ):
            if values is not None:
                return np.array(values, kind)
        raise operator.refuse("it has no 'value' of numbers")

    def _filled(self, operator: Operator, shape: Values) -> Values:
        extents = [int(extent) for extent in shape.ravel()]
        if min(extents, default=0) < 0:
            raise operator.refuse(f"it makes an array of shape {extents}")
        _check(operator, math.prod(extents))
        tensor = operator.tensor("value")
        value = np.zeros(1, np.float32) if tensor is None else tensor_values(self._path, tensor)
        if value.size != 1:
            raise operator.refuse(f"it fills with {value.size} values, expected one")
        return np.full(extents, value.ravel()[0])

    def _computed(self, operator: Operator, given: Sequence[Values]) -> Sequence[Values]:
        if operator.kind == "Cast" and operator.integer("to", 0) == onnx.TensorProto.STRING:
            raise operator.refuse("it makes texts")
        try:
            _check(operator, math.prod(np.broadcast_shapes(*(values.shape for values in given))))
            names = [name for name in operator.inputs if name]
            graph = helper.make_graph(
                [operator.node],
                "constant",
                [
                    helper.make_tensor_value_info(
                        name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape
                    )
                    for name, values in dict(zip(names, given, strict=True)).items()
                ],
                [helper.make_empty_tensor_value_info(operator.outputs[0])],
            )
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)])
            return [
                np.asarray(values)
                for values in ReferenceEvaluator(model).run(None, dict(zip(names, given, strict=True)))
            ]
        except Exception as error:  # noqa: BLE001 - the reference raises whatever it meets
            raise operator.refuse(f"it cannot be computed of its constants: {error}") from None


def _joined(operator: Operator, inputs: Sequence[Values | None]) -> Values:
    given = [values for values in inputs if values is not None]
    _check(operator, sum(values.size for values in given))
    try:
        return np.concatenate(given, axis=operator.integer("axis", 1))
    except ValueError as error:
        raise operator.refuse(f"its inputs do not fit together: {error}") from None


def _range(operator: Operator, inputs: Sequence[Values | None]) -> Values:
    ends = [values.ravel()[0] for values in inputs if values is not None and values.size == 1]
    if len(ends) != 3 or ends[2] == 0:
        raise operator.refuse("it needs a start, an end and a step")
    start, end, step = ends
    _check(operator, max(math.ceil((end - start) / step), 0))
    return np.arange(start, end, step, dtype=start.dtype)


def _dequantized(operator: Operator, inputs: Sequence[Values | None]) -> Values:
    """Return `(x - zero) scale` in the precision of the scales, which may stand along an axis."""
    whole, scale, zero = [*inputs, None, None][:3]
    if whole is None or scale is None or operator.integer("block_size", 0):
        raise operator.refuse("it has no scale, or one per block of values")
    axis = operator.integer("axis", 1)
    behind = (1,) * (whole.ndim - 1 - axis % max(whole.ndim, 1)) if scale.size > 1 else ()
    try:
        point = np.int64(0) if zero is None else zero.astype(np.int64).reshape(-1, *behind)
        steps = (whole.astype(np.int64) - point).astype(scale.dtype)
        return (steps * scale.reshape(-1, *behind)).reshape(whole.shape)
    except ValueError:
        raise operator.refuse(f"its scales {list(scale.shape)} do not fit {list(whole.shape)}") from None


def shape_of(operator: Operator, shape: Sequence[int]) -> Values:
    """Return the result of a Shape."""
    start, end = operator.integer("start", 0), operator.integer("end", len(shape))
    return np.array(shape, np.int64)[start:end]


def _check(operator: Operator, size: int) -> None:
    if size > LARGEST:
        raise operator.refuse(f"it makes {size} values; more than {LARGEST} are not made")
