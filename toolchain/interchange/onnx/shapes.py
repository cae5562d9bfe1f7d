"""The operators of ONNX that only move elements, on any array: on constants, and on the numbers of elements.

One rule for both: an activation is known by the numbers that its elements have in the layer that they come
from, so that moving the numbers is moving the activations.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.interchange.onnx.operators import Operator
from toolchain.ir.currents import LARGEST

Values = NDArray[Any]
Parameters = Sequence[Values | None]
"""The other inputs of an operator, in their places; None where one is left out."""


def moved(operator: Operator, values: Values, parameters: Parameters) -> list[Values]:
    """Return what an operator of `MOVING` gives, one array per output.

    Args:
        operator: The operator.
        values: First input of the operator.
        parameters: Other inputs of the operator.

    Raises:
        FrontendError: It does not fit the array.
    """
    try:
        arrays = MOVING[operator.kind](operator, values, parameters)
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise operator.refuse(f"it does not fit an array of shape {list(values.shape)}: {error}") from None
    return arrays if isinstance(arrays, list) else [arrays]


def _parameter(parameters: Parameters, place: int) -> list[int] | None:
    """Return whole numbers that came as an input."""
    parameter = parameters[place] if place < len(parameters) else None
    return None if parameter is None else [int(value) for value in parameter.ravel()]


def _axes(operator: Operator, parameters: Parameters) -> list[int] | None:
    given = operator.integers("axes")
    return _parameter(parameters, 0) if given is None else list(given)


def _made(operator: Operator, shape: Sequence[int]) -> None:
    if math.prod(shape) > LARGEST:
        raise operator.refuse(f"it makes {math.prod(shape)} values; more than {LARGEST} are not made")


def _reshape(operator: Operator, values: Values, parameters: Parameters) -> Values:
    shape = _parameter(parameters, 0) or list(operator.integers("shape") or ())
    if not operator.integer("allowzero", 0):
        shape = [values.shape[i] if extent == 0 else extent for i, extent in enumerate(shape)]
    return values.reshape(shape)


def _flatten(operator: Operator, values: Values, parameters: Parameters) -> Values:
    del parameters
    axis = operator.integer("axis", 1)
    axis = axis + values.ndim if axis < 0 else axis
    if not 0 <= axis <= values.ndim:
        raise ValueError(f"axis {axis}")
    return values.reshape(math.prod(values.shape[:axis]), -1)


def _transpose(operator: Operator, values: Values, parameters: Parameters) -> Values:
    del parameters
    return values.transpose(operator.integers("perm") or tuple(range(values.ndim))[::-1])


def _squeeze(operator: Operator, values: Values, parameters: Parameters) -> Values:
    axes = _axes(operator, parameters)
    return values.squeeze() if axes is None else values.squeeze(tuple(axes))


def _unsqueeze(operator: Operator, values: Values, parameters: Parameters) -> Values:
    return np.expand_dims(values, tuple(_axes(operator, parameters) or ()))


def _slice(operator: Operator, values: Values, parameters: Parameters) -> Values:
    starts, ends = operator.integers("starts"), operator.integers("ends")
    axes, steps = operator.integers("axes"), None
    if starts is None or ends is None:
        starts, ends, axes, steps = (_parameter(parameters, place) for place in range(4))
    if starts is None or ends is None:
        raise ValueError("it says no range")
    chosen = [slice(None)] * values.ndim
    axes = range(len(starts)) if axes is None else axes
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        first = max(start, 0) if step < 0 and start >= 0 else start
        # Behind the beginning, going backwards: NumPy would count from the end.
        last = None if step < 0 and end < -values.shape[axis] else end
        chosen[axis] = slice(first, last, step)
    return values[tuple(chosen)]


def _gather(operator: Operator, values: Values, parameters: Parameters) -> Values:
    index = parameters[0]
    if index is None:
        raise ValueError("it has no constant index")
    axis = operator.integer("axis", 0)
    _made(operator, (values.size // max(values.shape[axis], 1), index.size))
    return np.take(values, index.astype(np.int64), axis=axis)


def _expand(operator: Operator, values: Values, parameters: Parameters) -> Values:
    shape = np.broadcast_shapes(values.shape, tuple(_parameter(parameters, 0) or ()))
    _made(operator, shape)
    return np.broadcast_to(values, shape)


def _tile(operator: Operator, values: Values, parameters: Parameters) -> Values:
    repeats = _parameter(parameters, 0) or []
    if len(repeats) != values.ndim or min(repeats, default=0) < 0:
        raise ValueError(f"it repeats {repeats} times")
    _made(operator, [n * r for n, r in zip(values.shape, repeats, strict=True)])
    return np.tile(values, repeats)


def _split(operator: Operator, values: Values, parameters: Parameters) -> list[Values]:
    axis, parts = operator.integer("axis", 0), len(operator.outputs)
    extent = values.shape[axis]
    sizes = _parameter(parameters, 0) or operator.integers("split")
    if sizes is None:
        each = -(-extent // parts)
        sizes = [each] * (parts - 1) + [extent - each * (parts - 1)]
    if len(sizes) != parts or sum(sizes) != extent or min(sizes) < 0:
        raise ValueError(f"it splits {extent} into {list(sizes)}")
    return np.split(values, np.cumsum(sizes)[:-1], axis=axis)


def _depth_to_space(operator: Operator, values: Values, parameters: Parameters) -> Values:
    del parameters
    n, c, h, w = values.shape
    b = operator.integer("blocksize", 1)
    if operator.text("mode", "DCR") == "CRD":
        return (
            values.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, -1, h * b, w * b)
        )
    return values.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, -1, h * b, w * b)


def _space_to_depth(operator: Operator, values: Values, parameters: Parameters) -> Values:
    del parameters
    n, c, h, w = values.shape
    b = operator.integer("blocksize", 1)
    parts = values.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * b**2, h // b, w // b)


MOVING: Final[Mapping[str, Callable[[Operator, Values, Parameters], Values | list[Values]]]] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": _tile,
    "Split": _split,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
