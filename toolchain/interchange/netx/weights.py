"""What becomes of the weights of a dense layer between a netx file and Lava's synapses.

netx shifts a matrix left as far as 8 bits hold it, counts the bits that are left, and lets Lava drop the
others. The rule has corners in which another weight comes out, so it is followed here step by step, and who
reads or writes a file asks whether the weights survive it.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from toolchain import fixedpoint, ir
from toolchain.arrays import Ints
from toolchain.fixedpoint import SignMode
from toolchain.ir.matrix import Matrix

_LOWEST, _HIGHEST = -256, 254
"""Where netx clips a matrix of both signs."""
_MOST: Final = 8


def changed_by_netx(*parts: Ints) -> str | None:
    """Return what netx would make of other weights than these, or None where they stay as they are.

    Args:
        parts: The matrices of one layer: the forward one, and the recurrent one of `dense_rec`. netx chooses
            one shift for both, Lava a sign mode for each.
    """
    values = np.concatenate([part.ravel() for part in parts])
    lowest, highest = int(values.min()), int(values.max())
    if lowest == highest == 0:
        return None
    mixed = lowest < 0 <= highest
    if highest > _HIGHEST and lowest < 0:
        return f"clips {highest} to {_HIGHEST}"
    if lowest < _LOWEST and highest > 0:
        return f"clips {lowest} to {_LOWEST}"
    left = _left_shift(lowest, highest, mixed=mixed)
    if left < 0:
        return f"cannot hold {lowest} .. {highest}"
    bits = _MOST - left - (_common_zeros(values) - mixed)
    for part in parts:
        after = _kept_by_lava(part << left, bits) >> left
        other = np.flatnonzero(after.ravel() != part.ravel())
        if other.size:
            return f"makes {after.ravel()[other[0]]} of {part.ravel()[other[0]]}"
    return None


def _left_shift(lowest: int, highest: int, *, mixed: bool) -> int:
    """Return by how many bits netx shifts: as far as 8 bits hold the largest weight of either sign."""
    if mixed:
        room = min(127 / highest if highest else math.inf, 128 / -lowest)
        return math.floor(math.log2(room)) + 1
    return math.floor(math.log2(256 / -lowest if lowest < 0 else 255 / highest))


def _common_zeros(values: Ints) -> int:
    """Return how many low bits, 8 at most, are zero in all weights."""
    return next(n for n in range(_MOST, -1, -1) if not (values % 2**n).any())


def _kept_by_lava(weights: Ints, bits: int) -> Ints:
    """Return the weights after Lava's clipping and dropping of bits."""
    mode = fixedpoint.sign_mode_of(weights)
    dropped = _MOST - bits + (mode is SignMode.MIXED)
    if dropped < 0:
        # Of one sign and more than 8 bits: NumPy shifts all of them out.
        return np.zeros_like(weights)
    mirrored = -1 if mode is SignMode.INHIBITORY else 1
    clipped = np.clip(weights * mirrored, _LOWEST if mode is SignMode.MIXED else 0, 255)
    return ((clipped >> dropped) << dropped) * mirrored


def total_weights(parts: Sequence[ir.FixedDense | ir.FixedConv2d]) -> tuple[Ints, int]:
    r"""Return what a spike adds over all parts of a connection, in units of `64 \cdot 2^e`, and `e <= 0`.

    Args:
        parts: Connections between the same populations, such as the two signs of one.
    """
    exponent = min(0, *(part.exponent for part in parts))
    total = sum(matrix_of(part.weights) << (part.exponent - exponent) for part in parts)
    return np.asarray(total), exponent


def matrix_of(weights: Matrix) -> Ints:
    """Return weights as a dense array, wide enough to be added."""
    return (weights.toarray() if isinstance(weights, csr_array) else np.asarray(weights)).astype(np.int64)
