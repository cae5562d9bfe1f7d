r"""The integers of the chip: widths, rounding, wrapping, saturation, decays and the rules of weights.

Everything here equals Lava's CPU `fixed_pt` models (lava-nc 0.10.0) bit for bit, and tests compare every
other implementation of these rules with this one. All state is int32.
"""

from enum import Enum
from typing import Any, Final, NamedTuple, Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from toolchain.reset import Reset

IntArray = NDArray[np.int32]

STATE_BITS: Final = 24
"""Bits of the current `u` and the potential `v`, sign included."""
STATE_LIMIT: Final = 2 ** (STATE_BITS - 1)
"""Magnitude at which `u` wraps and `v` saturates."""
WORD_LIMIT: Final = 2**31
"""Magnitude at which a sum of synapses wraps, before its exponent drops bits."""
DECAY_BITS: Final = 12
DECAY_UNITY: Final = 2**DECAY_BITS
"""The decay that forgets everything at once."""
ALIGNMENT_BITS: Final = 6
"""Bits by which synaptic input and threshold are shifted left before they meet `u` and `v`."""
THRESHOLD_MAX: Final = 2**17 - 1
"""Largest mantissa of a threshold."""
SILENT_LIMIT: Final = THRESHOLD_MAX << ALIGNMENT_BITS
"""Largest potential at which a read-out with the largest threshold does not fire."""
BIAS_MANTISSA_MAX: Final = 2**12 - 1
BIAS_EXPONENT_MAX: Final = 7
WEIGHT_BITS: Final = 8
"""Bits of the weight of one synapse, sign included."""
WEIGHT_EXPONENTS: Final = (-8, 7)
"""Smallest and largest exponent of a connection."""
WIDE_BITS: Final = WEIGHT_BITS + WEIGHT_EXPONENTS[1]
"""Most bits of a weight that two synapses make together: their exponents differ by at most 7."""
MESSAGE_BITS: Final = 24
"""Magnitude bits of a graded message."""
MIXED_WEIGHT_MAX: Final = 254
"""Largest magnitude of a weight in a matrix of both signs. The hardware holds -256 as well; it would become
-255 if the matrix lost its positive weights, so the quantizer never emits it."""
PURE_WEIGHT_MAX: Final = 255
"""Largest magnitude of a weight in a matrix of one sign."""
INPUT_LIMIT: Final = 2**18
"""Largest synaptic input for which one wrap of `u` is enough: 2^18 << 6 = 2^24."""


class SignMode(Enum):
    """The signs that the weights of a connection may have; they decide its range and its granularity."""

    MIXED = "mixed"
    EXCITATORY = "excitatory"
    INHIBITORY = "inhibitory"


def decay(x: IntArray, amount: IntArray) -> IntArray:
    r"""Return `sign(x) * ((|x| * (4096 - amount)) >> 12)`: decay rounded toward zero.

    Args:
        x: The state, int32.
        amount: The decay in units of 1/4096, 0 .. 4096.

    >>> decay(np.array([100, -100], np.int32), np.array([2048, 2048], np.int32)).tolist()
    [50, -50]
    >>> decay(np.array([3, -3], np.int32), np.array([2048, 2048], np.int32)).tolist()
    [1, -1]
    """
    product = x.astype(np.int64) * (DECAY_UNITY - amount.astype(np.int64))
    return (np.sign(product) * (np.abs(product) >> DECAY_BITS)).astype(np.int32)


def wrap(current: IntArray) -> IntArray:
    """Return the current wrapped once at 24 bits: above 2^23 it loses 2^24, at -2^23 and below it gains 2^24.

    >>> wrap(np.array([2**23, 2**23 + 1, -(2**23)], np.int32)).tolist()
    [8388608, -8388607, 8388608]
    """
    down = np.where(current > STATE_LIMIT, current - 2 * STATE_LIMIT, current)
    return np.where(current <= -STATE_LIMIT, current + 2 * STATE_LIMIT, down).astype(np.int32)


def saturate(potential: IntArray) -> IntArray:
    """Return the potential clipped to `-(2^23 - 1) .. 2^23 - 1`."""
    return np.clip(potential, -(STATE_LIMIT - 1), STATE_LIMIT - 1).astype(np.int32)


class NeuronState(NamedTuple):
    """The state of a population between two steps; all zero at rest.

    Attributes:
        u: Synaptic currents.
        v: Membrane potentials.
        wait: Steps for which neurons are still refractory.
        rise: What adaptation adds to the thresholds, in the units of the potential.
    """

    u: NDArray[Any]
    v: NDArray[Any]
    wait: NDArray[Any]
    rise: NDArray[Any]


class IntegerNeurons(Protocol):
    """The parameters of a population in integers; `toolchain.ir.FixedLif` says what each means."""

    @property
    def du(self) -> IntArray: ...  # noqa: D102 - documented where they are fields
    @property
    def dv(self) -> IntArray: ...  # noqa: D102
    @property
    def vth(self) -> IntArray: ...  # noqa: D102
    @property
    def bias(self) -> IntArray: ...  # noqa: D102
    @property
    def reset(self) -> Reset: ...  # noqa: D102
    @property
    def reset_amount(self) -> IntArray | None: ...  # noqa: D102
    @property
    def refractory(self) -> IntArray | None: ...  # noqa: D102
    @property
    def adaptation(self) -> IntArray | None: ...  # noqa: D102
    @property
    def adaptation_decay(self) -> IntArray | None: ...  # noqa: D102
    @property
    def max_spikes(self) -> int: ...  # noqa: D102


def lif_step(state: NeuronState, a: IntArray, neurons: IntegerNeurons) -> tuple[NeuronState, NDArray[Any]]:
    r"""Advance a leaky integrate-and-fire population by one step.

    .. math::
        u' = wrap(decay(u, d_u + 1) + (a \ll 6)) \qquad
        v' = saturate(decay(v, d_v) + u' + b) \qquad
        \Theta = (\theta \ll 6) + h

    .. math::
        n = [v' > \Theta], \qquad v' \leftarrow reset(v', n), \qquad
        h' = \min(decay(h, d_h) + k n,\; 2^{23} - 1)

    A refractory neuron keeps its potential and sends nothing, while its current goes on. The reset to zero
    makes :math:`v' = 0` where :math:`n > 0`, the reset to a value :math:`v' = r`, the subtracting one
    :math:`v' - n r`. A population that sends up to :math:`m` spikes a step subtracts, and
    :math:`n = \min(\lfloor (v' - \Theta - 1) / r \rfloor + 1,\; m)` above the threshold: as often as the
    potential is above it while one amount after the other is taken away.

    No number leaves 32 bits: `k n` is at most (2^23 - 1) 255, and what a subtraction leaves is above
    :math:`\Theta - r`.

    Args:
        state: State before the step.
        a: Synaptic input of this step, summed over connections.
        neurons: Parameters.

    Returns:
        The state after the step, and the spikes: bool, or uint8 where a neuron may send several. All
        arithmetic is int32, as in Lava: with an input beyond `INPUT_LIMIT` the current can leave its 24 bits.
    """
    u = wrap(decay(state.u, neurons.du + np.int32(1)) + (a << np.int32(ALIGNMENT_BITS)))
    driven = saturate(decay(state.v, neurons.dv) + u + neurons.bias)
    active = state.wait == 0
    v = np.where(active, driven, state.v)
    threshold = (neurons.vth << np.int32(ALIGNMENT_BITS)) + state.rise
    spikes: NDArray[Any] = active & (v > threshold)
    amount = np.int32(0) if neurons.reset_amount is None else neurons.reset_amount
    if neurons.max_spikes > 1:
        count = (v - threshold - np.int32(1)) // amount + np.int32(1)
        spikes = np.where(spikes, np.minimum(count, np.int32(neurons.max_spikes)), 0).astype(np.uint8)
    v = _reset(v, spikes.astype(np.int32), neurons.reset, amount)
    wait = np.maximum(state.wait - np.int32(1), np.int32(0))
    if neurons.refractory is not None:
        wait = np.where(spikes > 0, neurons.refractory, wait)
    rise = state.rise
    if neurons.adaptation is not None and neurons.adaptation_decay is not None:
        risen = decay(rise, neurons.adaptation_decay) + neurons.adaptation * spikes.astype(np.int32)
        rise = np.minimum(risen, np.int32(STATE_LIMIT - 1))
    return NeuronState(u, v, wait, rise), spikes


def _reset(v: IntArray, count: IntArray, reset: Reset, amount: IntArray | np.int32) -> IntArray:
    match reset:
        case Reset.ZERO:
            return np.where(count > 0, np.int32(0), v)
        case Reset.VALUE:
            return np.where(count > 0, amount, v)
        case Reset.SUBTRACT:
            return v - count * amount
        case Reset.NONE:
            return v
        case _:
            assert_never(reset)


def shift(total: NDArray[np.int64], exponent: int) -> IntArray:
    """Return `total * 2^exponent`, rounded down where bits are lost (decays round toward zero).

    As in Lava, a sum has 32 bits and wraps there, before the exponent drops bits.

    >>> shift(np.array([-10, 10, 2**32 + 8]), -2).tolist()
    [-3, 2, 2]
    """
    wrapped = total.astype(np.int32)
    return np.left_shift(wrapped, exponent) if exponent > 0 else np.right_shift(wrapped, -exponent)


def wrap_sum(total: NDArray[np.int64]) -> IntArray:
    """Return the sum of a convolution as Lava sends it: modulo 2^24, signed; |total| < 2^31.

    >>> wrap_sum(np.array([2**23 - 1, 2**23, -(2**23) - 1])).tolist()
    [8388607, -8388608, 8388607]
    """
    return ((total + STATE_LIMIT) % (2 * STATE_LIMIT) - STATE_LIMIT).astype(np.int32)


def weight_limits(sign_mode: SignMode, weight_bits: int = WEIGHT_BITS) -> tuple[int, int]:
    """Return the smallest and largest weight that the quantizer may emit.

    More than 8 bits are those of two synapses together; see `halve_weights`.
    """
    spare = max(weight_bits - WEIGHT_BITS, 0)
    mixed, pure = MIXED_WEIGHT_MAX << spare, (PURE_WEIGHT_MAX + 1 << spare) - 1
    match sign_mode:
        case SignMode.MIXED:
            return -mixed, mixed
        case SignMode.EXCITATORY:
            return 0, pure
        case SignMode.INHIBITORY:
            return -pure, 0


def weight_granularity(sign_mode: SignMode, weight_bits: int) -> int:
    """Return the distance between neighbouring weights: the sign of a mixed matrix costs one bit."""
    return 1 << (max(WEIGHT_BITS - weight_bits, 0) + (sign_mode is SignMode.MIXED))


def apply_weight_rule(weights: NDArray[Any], sign_mode: SignMode, weight_bits: int) -> IntArray:
    """Return the weights that the hardware really uses: clipped, and without their low bits.

    Weights of both signs are clipped to -256 .. 255 and lose their low bits by an arithmetic shift (3
    becomes 2, -3 becomes -4). Excitatory ones are clipped to 0 .. 255; inhibitory ones are their mirror
    image.

    >>> apply_weight_rule(np.array([3, -3, 300]), SignMode.MIXED, 8).tolist()
    [2, -4, 254]
    """
    mirrored = sign_mode is SignMode.INHIBITORY
    values = np.asarray(weights, dtype=np.int32) * np.int32(-1 if mirrored else 1)
    lowest = -256 if sign_mode is SignMode.MIXED else 0
    dropped = weight_granularity(sign_mode, weight_bits).bit_length() - 1
    effective = (np.clip(values, lowest, 255) >> dropped) << dropped
    return (effective * (-1 if mirrored else 1)).astype(np.int32)


def sign_mode_of(weights: NDArray[Any]) -> SignMode:
    """Return the narrowest sign mode that the weights fit; weights that are all zero count as excitatory."""
    if weights.size == 0 or weights.min() >= 0:
        return SignMode.EXCITATORY
    return SignMode.INHIBITORY if weights.max() <= 0 else SignMode.MIXED


def round_weights(weights: NDArray[np.float64], sign_mode: SignMode, weight_bits: int) -> IntArray:
    """Return the nearest weights that `apply_weight_rule` leaves unchanged, clipped to the limits."""
    step = weight_granularity(sign_mode, weight_bits)
    lowest, highest = weight_limits(sign_mode, weight_bits)
    lowest, highest = -((-lowest) // step) * step, (highest // step) * step
    return np.clip(np.rint(weights / step) * step, lowest, highest).astype(np.int32)


def halve_weights(weights: IntArray, sign_mode: SignMode, weight_bits: int) -> tuple[IntArray, IntArray]:
    """Return coarse and fine weights, with `coarse * 2^(weight_bits - 8) + fine` equal to the weights.

    Each is a weight of 8 bits that `apply_weight_rule` leaves unchanged. Where all weights have one sign,
    the fine half is the low bits of the magnitude. With both signs, both halves are even and the fine half
    has either sign. A weight that the fine half can hold alone has a coarse half of zero.

    Args:
        weights: Weights that `round_weights` returned.
        sign_mode: Signs of both halves.
        weight_bits: 9 .. 15.

    >>> [x.tolist() for x in halve_weights(np.array([255, 300, 4095]), SignMode.EXCITATORY, 12)]
    [[0, 18, 255], [255, 12, 15]]
    >>> [x.tolist() for x in halve_weights(np.array([300, -4064]), SignMode.MIXED, 12)]
    [[18, -254], [12, 0]]
    """
    unit = 1 << (weight_bits - WEIGHT_BITS)
    if sign_mode is SignMode.MIXED:
        coarse = 2 * np.rint(weights / (2 * unit)).astype(np.int32)
    else:
        coarse = np.sign(weights) * (np.abs(weights) // unit)
    alone = np.abs(weights) <= (MIXED_WEIGHT_MAX if sign_mode is SignMode.MIXED else PURE_WEIGHT_MAX)
    coarse = np.where(alone, 0, coarse)
    return coarse.astype(np.int32), (weights - coarse * unit).astype(np.int32)


def split_bias(bias: NDArray[np.float64]) -> tuple[IntArray, IntArray]:
    """Return mantissas and exponents with `mantissa * 2^exponent` nearest to `bias`.

    Every neuron takes the smallest exponent, at most 7, with which its mantissa is at most 4095 in magnitude.
    With the largest exponent it may be -4096, which 13 bits with a sign hold, too.

    >>> [x.tolist() for x in split_bias(np.array([100.0, -9000.0, -524288.0]))]
    [[100, -2250, -4096], [0, 2, 7]]
    """
    mantissa = np.rint(bias)
    exponent = np.zeros(bias.shape, dtype=np.int32)
    for power in range(1, BIAS_EXPONENT_MAX + 1):
        too_large = np.abs(mantissa) > BIAS_MANTISSA_MAX
        mantissa = np.where(too_large, np.rint(bias / 2**power), mantissa)
        exponent = np.where(too_large, np.int32(power), exponent)
    limit = BIAS_MANTISSA_MAX
    return np.clip(mantissa, -limit - 1, limit).astype(np.int32), exponent.astype(np.int32)


def encode_graded(x: NDArray[np.floating[Any]], scale: float, bits: int) -> IntArray:
    """Return `clip(round(x * scale))` as signed integers of `bits` magnitude bits."""
    limit = 2**bits - 1
    return np.clip(np.rint(np.asarray(x, np.float64) * scale), -limit, limit).astype(np.int32)


def is_clipped(x: NDArray[np.floating[Any]], scale: float, bits: int) -> NDArray[np.bool_]:
    """Return which values `encode_graded` has to clip.

    >>> is_clipped(np.array([0.5, -3.7, 3.5]), 2.0, 3).tolist()
    [False, False, False]
    >>> is_clipped(np.array([3.8, -4.0]), 2.0, 3).tolist()
    [True, True]
    """
    return np.abs(np.rint(np.asarray(x, np.float64) * scale)) > 2**bits - 1
