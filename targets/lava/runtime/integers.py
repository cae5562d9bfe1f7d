"""The integer rules of Pumice's own processes: those of Lava's CPU `fixed_pt` models, and what spikes do.

They are the ones of `toolchain.fixedpoint`, which this package may not import; a property test holds both
equal.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .firing import Firing, PopulationState

Integers = NDArray[np.int32]

_STATE_LIMIT: Final = 2**23
_DECAY_BITS: Final = 12
_ALIGNMENT_BITS: Final = 6


def lif_step(
    before: PopulationState,
    a: Integers,
    firing: Firing,
    *,
    du: Integers,
    dv: Integers,
    vth: Integers,
    bias: Integers,
) -> tuple[PopulationState, NDArray[Any]]:
    r"""Advance leaky integrate-and-fire neurons by one step.

    .. math::
        u' = wrap(decay(u, d_u + 1) + (a \ll 6)) \qquad
        v' = saturate(decay(v, d_v) + u' + b) \qquad
        n = [v' > (\theta \ll 6) + h]

    .. math::
        v' \leftarrow reset(v', n), \qquad h' = \min(decay(h, d_h) + k n,\; 2^{23} - 1)

    A refractory neuron keeps its potential and sends nothing, while its current goes on.

    Args:
        before: State before the step.
        a: Synaptic input of this step, summed over connections.
        firing: What a spike does.
        du: Current decay register, 0 .. 4095; it carries a hidden + 1.
        dv: Potential decay register, 0 .. 4095.
        vth: Threshold mantissa, compared as `vth << 6`.
        bias: Bias that is added to `v` in every step.

    Returns:
        The state after the step, and the spikes: bool, or uint8 where a neuron may send several.
    """
    u = _wrap(_decay(before.u, du + np.int32(1)) + (a << np.int32(_ALIGNMENT_BITS)))
    driven = np.clip(_decay(before.v, dv) + u + bias, 1 - _STATE_LIMIT, _STATE_LIMIT - 1).astype(np.int32)
    v = firing.held(driven, before)
    spikes = fire(firing, v, vth << np.int32(_ALIGNMENT_BITS), before)
    after = PopulationState(
        u,
        firing.reset_potential(v, spikes),
        firing.next_wait(before, spikes),
        next_rise(firing, before, spikes),
    )
    return after, spikes


def fire(firing: Firing, v: Integers, vth: Integers, before: PopulationState) -> NDArray[Any]:
    """Return spikes, or how many: as often as `v` is above its threshold while amounts are taken away.

    Args:
        firing: What a spike does.
        v: Membrane potential before the reset.
        vth: Threshold without adaptation, in the units of the potential.
        before: State before the step.
    """
    threshold = vth + before.rise
    spikes = firing.ready(v > threshold, before)
    if firing.max_spikes == 1 or firing.reset_amount is None:
        return spikes
    count = (v - threshold - np.int32(1)) // firing.reset_amount + np.int32(1)
    return np.where(spikes, np.minimum(count, np.int32(firing.max_spikes)), 0).astype(np.uint8)


def next_rise(firing: Firing, before: PopulationState, spikes: NDArray[Any]) -> Integers:
    """Return what adaptation adds to the thresholds of the next step; it saturates as a potential does."""
    if firing.adaptation is None or firing.adaptation_decay is None:
        return before.rise
    risen = _decay(before.rise, firing.adaptation_decay) + firing.adaptation * spikes.astype(np.int32)
    return np.minimum(risen, np.int32(_STATE_LIMIT - 1))


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
