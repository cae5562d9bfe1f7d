"""Graded inputs: the integers that stand for real values, taken from the values themselves."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.models.input_code import MOST_BITS, InputCode

_CLOSE: Final = 1e-4
"""How far a value may be from a level, in levels."""
_ROUNDING: Final = 1e-6
"""The same for every level that it is from 0: what rounding to 32 bits leaves, and more."""


def input_code_of(values: NDArray[Any], bits: int = 8) -> InputCode:
    """Return the code of an input that holds such values.

    Values that are multiples of one fraction, such as the sixteenths of scikit-learn's digits or the 255ths
    of pictures in bytes, become exact integers; of others the largest becomes the largest integer.

    Args:
        values: Values that enter, such as some samples of the training part.
        bits: Bits of an integer's magnitude where values are no such multiples.

    >>> input_code_of(np.arange(17) / 16), input_code_of(np.array([0.0, 2.0, 5.0]))
    (InputCode(scale=16.0, bits=5), InputCode(scale=1.0, bits=3))
    """
    different = np.unique(np.abs(np.asarray(values, np.float64)))
    peak = float(different[-1]) or 1.0
    if len(different) <= 2**bits + 1:
        for levels in range(1, 2**bits):
            scaled = different * levels
            if (np.abs(scaled - np.rint(scaled)) <= _CLOSE + _ROUNDING * scaled).all():
                needed = max(int(np.rint(peak * levels)).bit_length(), 1)
                return (
                    InputCode(float(levels), needed) if needed <= MOST_BITS else InputCode.up_to(peak, bits)
                )
    return InputCode.up_to(peak, bits)
