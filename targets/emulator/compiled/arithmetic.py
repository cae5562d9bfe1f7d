"""The rules of one neuron for one step, as all compiled loops use them, in integers and in real numbers.

Integers are int32, as in Lava; their rules are those of `fixedpoint.lif_step`. Real numbers are float64; they
take the operations of `toolchain.execution.reference.advance_reals` in the same order, so that they are equal
bit for bit. A loop is written once and compiled for both: each function here stands for its integers and,
where its first argument is a real number, for the function that `or_reals` names.
"""

from typing import Any, Final

import numpy as np

from targets.emulator.compiled.by_number import or_reals
from toolchain import fixedpoint
from toolchain.compiled import njit

ALIGNMENT: Final = np.int32(fixedpoint.ALIGNMENT_BITS)
NOTHING: Final = np.int32(0)
ONE: Final = np.int32(1)
_DECAY_BITS: Final = np.uint32(fixedpoint.DECAY_BITS)
_LOW_BITS: Final = np.uint32(fixedpoint.DECAY_UNITY - 1)
_SIGN: Final = np.int32(31)
_HALF: Final = np.int32(fixedpoint.STATE_LIMIT)
_FULL: Final = np.int32(2 * fixedpoint.STATE_LIMIT)
_LARGEST: Final = np.int32(fixedpoint.STATE_LIMIT - 1)


@njit(inline="always")
def decayed(x: Any, keep: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return `sign(x) * ((|x| * keep) >> 12)` without 64-bit products: `|x|` is split at bit 12."""
    sign = x >> _SIGN
    magnitude = np.uint32((x ^ sign) - sign)
    factor = np.uint32(keep)
    scaled = np.int32(
        (magnitude >> _DECAY_BITS) * factor + (((magnitude & _LOW_BITS) * factor) >> _DECAY_BITS)
    )
    return np.int32((scaled ^ sign) - sign)


@njit(inline="always")
def wrapped(current: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return a current after one wrap at 24 bits."""
    down = np.int32(current - _FULL) if current > _HALF else current
    return np.int32(down + _FULL) if down <= -_HALF else down


def _real_current(a: Any, factor: Any, u: Any, keep: Any, forgets: Any) -> Any:  # noqa: ANN401, ARG001
    return a if forgets else keep * u + a


@or_reals(_real_current)
def current_of(a: Any, factor: Any, u: Any, keep: Any, forgets: Any) -> Any:  # noqa: ANN401
    """Return the current after a step with synaptic input `a`, to be multiplied by `factor` if integer."""
    current = np.int32(np.int32(a * factor) << ALIGNMENT)
    if not forgets:
        current = np.int32(current + decayed(u, keep))
    return wrapped(current)


def _real_potential(v: Any, keep: Any, current: Any, bias: Any) -> Any:  # noqa: ANN401
    return keep * v + current + bias


@or_reals(_real_potential)
def potential_of(v: Any, keep: Any, current: Any, bias: Any) -> Any:  # noqa: ANN401
    """Return the potential of the next step before the reset; integers saturate."""
    total = np.int32(np.int32(decayed(v, keep) + current) + bias)
    return min(max(total, np.int32(1 - _HALF)), _LARGEST)


def _real_level(threshold: Any, rise: Any) -> Any:  # noqa: ANN401
    return threshold + rise


@or_reals(_real_level)
def level_of(threshold: Any, rise: Any) -> Any:  # noqa: ANN401
    """Return the threshold with what was added to it."""
    return np.int32(threshold + rise)


def _real_after(potential: Any, mask: Any, change: Any) -> Any:  # noqa: ANN401
    return potential + change if mask else change


@or_reals(_real_after)
def after_spike(potential: Any, mask: Any, change: Any) -> Any:  # noqa: ANN401
    """Return the potential that a spike leaves: all of it or nothing, as the mask says, plus a change."""
    return np.int32(np.int32(potential & mask) + change)


def _real_after_count(potential: Any, count: Any, change: Any) -> Any:  # noqa: ANN401
    return potential + count * change


@or_reals(_real_after_count)
def after_spikes(potential: Any, count: Any, change: Any) -> Any:  # noqa: ANN401
    """Return the potential that so many spikes leave, each of which changes it."""
    return np.int32(potential + np.int32(count * change))


@njit(inline="always")
def wait_after(wait: Any, fired: Any, refractory: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return for how many steps a neuron is refractory from now on."""
    return refractory if fired else max(np.int32(wait - ONE), NOTHING)


def _real_rise(rise: Any, keep: Any, adaptation: Any, count: Any) -> Any:  # noqa: ANN401
    return keep * rise + adaptation * count


@or_reals(_real_rise)
def rise_after(rise: Any, keep: Any, adaptation: Any, count: Any) -> Any:  # noqa: ANN401
    """Return what is added to the threshold of the next step; the sum is at most `(2^23 - 1) 256`."""
    return min(np.int32(decayed(rise, keep) + np.int32(adaptation * count)), _LARGEST)


def _real_count(potential: Any, level: Any, change: Any, most: Any) -> Any:  # noqa: ANN401
    amount = -change
    whole = np.floor((potential - level) / amount)
    return min(whole + (potential - whole * amount > level), np.float64(most))


@or_reals(_real_count)
def spikes_above(potential: Any, level: Any, change: Any, most: Any) -> Any:  # noqa: ANN401
    """Return how many spikes a potential above its threshold sends, each of which lowers it by `-change`.

    In integers the quotient is taken in double precision, for which processors have vectors, and its whole
    part is exact: a quotient that is not whole is at least `1 / amount` below the next whole number, and the
    rounding moves it by less than that, at most `2^-53 above / amount`, since `above` is below 2^32.
    """
    above = np.int32(potential - level)
    whole = np.int32(np.float64(np.int32(above - ONE)) / np.float64(np.int32(-change)))
    return np.int32(min(whole, np.int32(most - ONE)) + ONE)


def _real_dropped(total: Any, right: Any) -> Any:  # noqa: ANN401, ARG001
    return total


@or_reals(_real_dropped)
def dropped(total: Any, right: Any) -> Any:  # noqa: ANN401
    """Return a sum without the bits that a negative exponent drops; real numbers have none."""
    return np.int32(total >> np.int32(right))
