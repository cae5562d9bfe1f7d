"""The integer rules that Pumice's own processes compute by: those of Lava's CPU `fixed_pt` models.

They are the ones of `toolchain.fixedpoint`, which this package may not import; a property test holds both
equal.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]

_STATE_LIMIT: Final = 2**23
_DECAY_BITS: Final = 12
_ALIGNMENT_BITS: Final = 6


def lif_step(
    u: Integers, v: Integers, a: Integers, *, du: Integers, dv: Integers, vth: Integers, bias: Integers
) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    r"""Advance leaky integrate-and-fire neurons by one step.

    .. math::
        u' = wrap(decay(u, du + 1) + (a << 6)) \qquad
        v' = saturate(decay(v, dv) + u' + bias) \qquad
        s = [v' > (vth << 6)], \; v' \leftarrow 0 \text{ where } s

    Args:
        u: Synaptic current before the step.
        v: Membrane potential before the step.
        a: Synaptic input of this step, summed over connections.
        du: Current decay register, 0 .. 4095; it carries a hidden + 1.
        dv: Potential decay register, 0 .. 4095.
        vth: Threshold mantissa, compared as `vth << 6`.
        bias: Bias that is added to `v` in every step.

    Returns:
        Current, potential after the reset, and spikes.
    """
    current = _wrap(_decay(u, du + np.int32(1)) + (a << np.int32(_ALIGNMENT_BITS)))
    driven = _decay(v, dv) + current + bias
    potential = np.clip(driven, 1 - _STATE_LIMIT, _STATE_LIMIT - 1).astype(np.int32)
    spikes = potential > (vth << np.int32(_ALIGNMENT_BITS))
    return current, np.where(spikes, np.int32(0), potential), spikes


def _decay(x: Integers, amount: Integers) -> Integers:
    """Return `sign(x) * ((|x| * (4096 - amount)) >> 12)`: decay rounded toward zero."""
    product = x.astype(np.int64) * (2**_DECAY_BITS - amount.astype(np.int64))
    return (np.sign(product) * (np.abs(product) >> _DECAY_BITS)).astype(np.int32)


def _wrap(current: Integers) -> Integers:
    """Return the current after one wrap at 24 bits: `> 2^23` goes down, `<= -2^23` goes up by 2^24."""
    down = np.where(current > _STATE_LIMIT, current - 2 * _STATE_LIMIT, current)
    return np.where(current <= -_STATE_LIMIT, current + 2 * _STATE_LIMIT, down).astype(np.int32)


def shift(total: NDArray[np.int64], exponent: int) -> Integers:
    """Return `total * 2^exponent` of a sum of 32 bits; bits that are lost round down."""
    word = total.astype(np.int32)
    return np.left_shift(word, exponent) if exponent > 0 else np.right_shift(word, -exponent)


def wrap_sum(total: NDArray[np.int64]) -> Integers:
    """Return the sum of a convolution as Lava sends it: modulo 2^24, signed."""
    return ((total + _STATE_LIMIT) % (2 * _STATE_LIMIT) - _STATE_LIMIT).astype(np.int32)


def encode_graded(x: NDArray[Any], scale: float, bits: int) -> Integers:
    """Return `clip(round(x * scale))` as signed integers of `bits` magnitude bits."""
    limit = 2**bits - 1
    return np.clip(np.rint(np.asarray(x, np.float64) * scale), -limit, limit).astype(np.int32)
