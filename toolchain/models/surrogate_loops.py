"""The surrogate's derivative in compiled loops: the equations of `toolchain.models.surrogates`, many at once.

No loop has a branch or calls a library, so that a processor computes several distances in one instruction.
The exponential function is a power of two, written as bits of a float, times a polynomial of what is left.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, assert_never

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from toolchain.compiled import njit
from toolchain.models.surrogates import Surrogate

FAST_SIGMOID, ARCTAN, SIGMOID = range(3)
"""Numbers of the shapes."""


def in_loops(surrogate: Surrogate, slope: float) -> tuple[int, float]:
    """Return the number of a shape, and its slope as `derive` takes it.

    Args:
        surrogate: Shape of the derivative.
        slope: Sharpness as `toolchain.models.surrogates` takes it.
    """
    match surrogate:
        case Surrogate.FAST_SIGMOID:
            return FAST_SIGMOID, slope
        case Surrogate.ARCTAN:
            return ARCTAN, math.pi / 2 * slope
        case Surrogate.SIGMOID:
            return SIGMOID, slope
        case _:
            assert_never(surrogate)


@njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def derive(x: Any, surrogate: int, slope: Any) -> None:  # noqa: ANN401 - Numba ships no types
    """Replace distances to the threshold by the surrogate's derivative there.

    Args:
        x: Distances in units of the threshold, float32 or float64 `[N]`, changed in place.
        surrogate: Number of the shape; see `in_loops`.
        slope: Sharpness of the derivative, in the type of the distances.
    """
    one, four = x.dtype.type(1), x.dtype.type(4)
    if surrogate == FAST_SIGMOID:
        for n in range(len(x)):
            reach = one + slope * abs(x[n])
            x[n] = one / (reach * reach)
    elif surrogate == ARCTAN:
        for n in range(len(x)):
            reach = slope * x[n]
            x[n] = one / (one + reach * reach)
    else:
        for n in range(len(x)):
            e = _falling(abs(slope * x[n]))
            reach = one + e
            x[n] = four * e / (reach * reach)


class _Exponential(NamedTuple):
    """The numbers of `exp(-z)` in one precision; the error is a few units in the last place.

    Attributes:
        coefficients: Coefficients of the polynomial, that of the highest power first.
        log2e: Halvings per unit of `z`.
        high: Logarithm of 2, as many bits as a product with a number of halvings keeps.
        low: Rest of that logarithm.
        most: Largest `z` whose result is not subnormal; beyond it the result is 0.
        rounding: Float so large that its last bit is worth 1: what is added to it is rounded.
        one: Bits of 1.
        shift: Bits behind the exponent.
    """

    coefficients: tuple[Any, ...]
    log2e: Any
    high: Any
    low: Any
    most: Any
    rounding: Any
    one: Any
    shift: Any

    @classmethod
    def of(cls, kind: type[np.float32 | np.float64]) -> "_Exponential":
        """Return the numbers for a precision."""
        single = kind is np.float32
        whole = np.int32 if single else np.int64
        high = 0.693359375 if single else float.fromhex("0x1.62e42fee00000p-1")
        shift = 23 if single else 52
        return cls(
            tuple(kind(1 / math.factorial(k)) for k in range(7 if single else 13, -1, -1)),
            kind(1 / math.log(2)),
            kind(high),
            kind(math.log(2) - high) if single else kind(1.90821492927058770002e-10),
            kind(87 if single else 708),
            kind(1.5 * 2.0**shift),
            kind(1).view(whole),
            whole(shift),
        )


def _falling(z: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    """Return `exp(-z)`; in a compiled loop what follows below, several numbers at once."""
    return np.exp(-z)


@overload(_falling, jit_options={"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"})
def _compile_falling(z: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - Numba ships no types
    kind: Any = np.float32 if z == types.float32 else np.float64
    coefficients, log2e, high, low, most, rounding, one, shift = _Exponential.of(kind)
    degree, nothing, whole = len(coefficients), kind(0), type(one)
    bits: Any = _bits
    of_bits: Any = _of_bits

    def falling(z: Any) -> Any:  # noqa: ANN401 - Numba ships no types
        near = min(z, most)
        rounded = rounding - near * log2e
        halvings = rounded - rounding
        rest = (-near - halvings * high) - halvings * low
        y = coefficients[0]
        for k in range(1, degree):
            y = y * rest + coefficients[k]
        # The last bits of what was rounded are the number of halvings: they become the exponent.
        power = of_bits(whole((bits(rounded) << shift) + one))
        return nothing if z > most else y * power

    return falling


@intrinsic
def _bits(typing: Any, x: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    """Return the bits of a float as a whole number."""
    del typing
    single = x == types.float32
    return _reinterpreted(types.int32 if single else types.int64, x, ir.IntType(32 if single else 64))


@intrinsic
def _of_bits(typing: Any, x: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    """Return the float that some bits are."""
    del typing
    single = x == types.int32
    return _reinterpreted(
        types.float32 if single else types.float64, x, ir.FloatType() if single else ir.DoubleType()
    )


def _reinterpreted(result: Any, x: Any, kind: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        del context, call
        return builder.bitcast(values[0], kind)

    return result(x), generate
