"""Graded inputs: the integers that stand for real values, taken from the values themselves."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.models.input_code import MOST_BITS, InputCode

_BITS: Final = 8
"""Bits of an integer's magnitude where values are multiples of no fraction."""
_CLOSE: Final = 1e-4
"""How far a value may be from a level, in levels."""
_BLOCK: Final = 2**20
"""Values that are looked at together, at least."""
_ROUNDING: Final = 1e-6
"""The same for every level that it is from 0: what rounding to 32 bits leaves, and more."""


def input_code_of(values: NDArray[Any]) -> InputCode:
    """Return the code of an input that holds such values.

    Values that are multiples of one fraction, such as the sixteenths of scikit-learn's digits or the 255ths
    of pictures in bytes, become exact integers; of others the largest becomes the largest integer.

    Args:
        values: Values that enter, such as some samples of the training part.

    >>> input_code_of(np.arange(17) / 16), input_code_of(np.array([0.0, 2.0, 5.0]))
    (InputCode(scale=16.0, bits=5), InputCode(scale=1.0, bits=3))
    """
    different = np.unique(np.abs(np.asarray(values, np.float64)))
    peak = float(different[-1]) or 1.0
    if len(different) <= 2**_BITS + 1:
        for levels in range(1, 2**_BITS):
            scaled = different * levels
            if _are_whole(scaled):
                needed = max(int(np.rint(peak * levels)).bit_length(), 1)
                return (
                    InputCode(float(levels), needed) if needed <= MOST_BITS else InputCode.up_to(peak, _BITS)
                )
    return InputCode.up_to(peak, _BITS)


def input_code_of_all(samples: NDArray[Any], some: int) -> InputCode:
    """Return the code of an input that holds the values of all samples, as `input_code_of` says it.

    The first samples say which fraction all are multiples of. Of the others only their peak and whether they
    are such multiples is asked, which is quick for as many as there are.

    Args:
        samples: Samples that enter, `[samples, ...]`.
        some: How many of them are looked at closely.
    """
    together = max(some, _BLOCK // max(samples[:1].size, 1))
    blocks = [samples[i : i + together] for i in range(0, len(samples), together)]
    peak = max(max(float(block.max()), -float(block.min())) for block in blocks)
    code = input_code_of(np.append(np.ravel(samples[:some]).astype(np.float64), peak))
    exact = all(_are_whole(np.abs(block.astype(np.float64)) * code.scale) for block in blocks)
    return code if exact else InputCode.up_to(peak or 1.0, _BITS)


def _are_whole(scaled: NDArray[np.float64]) -> bool:
    return bool((np.abs(scaled - np.rint(scaled)) <= _CLOSE + _ROUNDING * scaled).all())
