"""The operators of ONNX whose graph consists of straight lines: layers of ReLU compute them exactly."""

from collections.abc import Mapping
from functools import reduce
from typing import Final

import numpy as np

from toolchain.arrays import Floats
from toolchain.interchange.onnx.operators import Operator
from toolchain.interchange.onnx.translation import Translation, Translator
from toolchain.rate_coding.symbolic_tensors import SymbolicTensor, affine, scaled

_ONE: Final = np.ones(1)
_NUMPY: Final = 7
"""First opset whose slopes broadcast as NumPy does."""
_INFINITE: Final = 3e38
"""Bounds beyond this are those of no bound: the largest of single precision."""


def relu(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate the positive part."""
    return t.layers.positive(operator.name, t.read(operator))


def clip(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a value cut below and above."""
    low, high = _bound(t, operator, 1, "min", -np.inf), _bound(t, operator, 2, "max", np.inf)
    if low > high:
        raise operator.refuse(f"it cuts below {low:g} and above {high:g}")
    return t.layers.clipped(operator.name, t.read(operator), low, high)


def _bound(t: Translation, operator: Operator, place: int, name: str, otherwise: float) -> float:
    stored = t.stored(operator, place)
    value = operator.real(name, otherwise) if stored is None else float(stored.ravel()[0])
    return otherwise if abs(value) > _INFINITE else value


def leaky_relu(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a positive part that leaks."""
    return t.layers.leaky(operator.name, t.read(operator), np.array([operator.real("alpha", 0.01)]))


def parametric_relu(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a positive part that leaks by learned slopes."""
    value, slope = t.read(operator), t.constant(operator, 1)
    if operator.opset < _NUMPY and slope.ndim == 1:
        slope = slope.reshape(-1, *[1] * (value.elements.ndim - 2))
    try:
        fits = np.broadcast_shapes(value.shape, slope.shape) == value.shape
    except ValueError:
        fits = False
    if not fits:
        raise operator.refuse(f"its slopes {list(slope.shape)} do not fit {list(value.shape)}")
    return t.layers.leaky(operator.name, value, slope)


def absolute(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate an absolute value."""
    return t.layers.leaky(operator.name, t.read(operator), -_ONE)


def largest(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate the largest of several tensors and constants, element by element."""
    return _extreme(t, operator, _ONE)


def smallest(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate the smallest of several tensors and constants, element by element."""
    return scaled(operator.name, _extreme(t, operator, -_ONE), -_ONE)


def _extreme(t: Translation, operator: Operator, sign: Floats) -> SymbolicTensor:
    values = [scaled(operator.name, value, sign) if sign[0] < 0 else value for value in t.depending(operator)]
    floors = [sign * t.constant(operator, i) for i, name in enumerate(operator.inputs) if name in t.constants]
    try:
        extreme = reduce(lambda first, second: t.layers.maximum(operator.name, first, second), values)
        for floor in floors:
            if (
                extreme.nonnegative
                and (floor <= 0).all()
                and np.broadcast_shapes(extreme.shape, floor.shape) == extreme.shape
            ):
                continue
            above = t.layers.positive(operator.name, affine(operator.name, extreme, _ONE, -floor))
            extreme = affine(operator.name, above, _ONE, floor)
    except ValueError:
        shapes = [list(value.shape) for value in values] + [list(floor.shape) for floor in floors]
        raise operator.refuse(f"it compares {shapes}, which do not broadcast") from None
    return extreme


RECTIFIERS: Final[Mapping[str, Translator]] = {
    "Abs": absolute,
    "Clip": clip,
    "LeakyRelu": leaky_relu,
    "Max": largest,
    "Min": smallest,
    "PRelu": parametric_relu,
    "Relu": relu,
}
