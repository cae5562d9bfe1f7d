"""The rules of one neuron for one step, as all compiled loops use them; see `fixedpoint.lif_step`.

All arithmetic is int32, as in Lava.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from toolchain import fixedpoint
from toolchain.arrays import Array
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

PLAIN: Final = 0
"""A spike sets the potential to zero and does nothing else."""
RESETS: Final = 1
"""A spike changes the potential in another way, and does nothing else."""
REMEMBERS: Final = 2
"""Spikes also make neurons refractory or raise their thresholds; `wait` and `rise` are part of the state."""
COUNTS: Final = 3
"""The same, and a neuron may send several spikes in one step."""


class FiringRule(NamedTuple):
    """What is the same for all neurons of a population.

    Attributes:
        forgets: Whether no neuron keeps any of its current for the next step: `keep_u` is 0 everywhere.
        kind: `PLAIN`, `RESETS`, `REMEMBERS` or `COUNTS`.
        mask: Bits of the potential that a spike leaves: all of them (-1) or none (0).
        most: Most spikes that a neuron sends in one step.
    """

    forgets: bool
    kind: int
    mask: int
    most: int


class NeuronParameters(NamedTuple):
    """Parameters of neurons, int32 `[size]`; from `change` on empty where no population needs them.

    Attributes:
        keep_u: Share of the current that stays, `4096 - (du + 1)`.
        keep_v: Share of the potential that stays, `4096 - dv`.
        threshold: Threshold in the units of the potential, `vth << 6`.
        bias: Number added to the potential at every step.
        change: What every spike adds to the bits that `FiringRule.mask` leaves of the potential.
        refractory: Steps for which a spike makes the neuron refractory.
        adaptation: Amount by which a spike raises the threshold of the next step.
        keep_rise: Share of what was added to the threshold that stays.
    """

    keep_u: Array
    keep_v: Array
    threshold: Array
    bias: Array
    change: Array
    refractory: Array
    adaptation: Array
    keep_rise: Array


class StateArrays(NamedTuple):
    """State of the neurons of a batch, int32 `[batch, size]`.

    An array that is not needed is empty, `[batch, 0]`: the current of neurons that forget it at once, and
    both of the last two where spikes leave nothing behind but a potential.

    Attributes:
        u: Currents.
        v: Potentials.
        wait: Steps for which neurons are still refractory.
        rise: What was added to the thresholds.
    """

    u: Array
    v: Array
    wait: Array
    rise: Array


class StateRecord(NamedTuple):
    """Currents and potentials after every step of a block, `[steps, batch, size]`; empty if not recorded."""

    u: Array
    v: Array


NO_RECORD: Final = np.zeros((0, 0, 0), np.int32)
"""The record of a quantity that nobody asked for."""


def rest(batch: int, size: int, *, forgets: bool, remembers: bool) -> StateArrays:
    """Return the state of a batch at rest."""
    sizes = (0 if forgets else size, size, *(size if remembers else 0,) * 2)
    return StateArrays(*(np.zeros((batch, each), np.int32) for each in sizes))


@njit(inline="always")
def rule_of(rules: Array, population: int) -> FiringRule:
    """Return the rule of one population of several, whose rules stand in rows."""
    return FiringRule(
        rules[population, 0] != 0, rules[population, 1], rules[population, 2], rules[population, 3]
    )


@njit(inline="always")
def parameters_between(parameters: NeuronParameters, start: int, stop: int) -> NeuronParameters:
    """Return the parameters of some of the neurons."""
    return NeuronParameters(
        parameters.keep_u[start:stop],
        parameters.keep_v[start:stop],
        parameters.threshold[start:stop],
        parameters.bias[start:stop],
        parameters.change[start:stop],
        parameters.refractory[start:stop],
        parameters.adaptation[start:stop],
        parameters.keep_rise[start:stop],
    )


@njit(inline="always")
def state_between(state: StateArrays, start: int, stop: int) -> StateArrays:
    """Return views of the first axis of a state."""
    return StateArrays(
        state.u[start:stop], state.v[start:stop], state.wait[start:stop], state.rise[start:stop]
    )


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


@njit(inline="always")
def potential_of(v: Any, keep: Any, current: Any, bias: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return the potential of the next step, saturated, before the reset."""
    total = np.int32(np.int32(decayed(v, keep) + current) + bias)
    return min(max(total, np.int32(1 - _HALF)), _LARGEST)


@njit(inline="always")
def after_spike(potential: Any, mask: Any, change: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return the potential that a spike leaves."""
    return np.int32(np.int32(potential & mask) + change)


@njit(inline="always")
def wait_after(wait: Any, fired: Any, refractory: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return for how many steps a neuron is refractory from now on."""
    return refractory if fired else max(np.int32(wait - ONE), NOTHING)


@njit(inline="always")
def rise_after(rise: Any, keep: Any, increase: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return what is added to the threshold of the next step; the sum is at most `(2^23 - 1) 256`."""
    return min(np.int32(decayed(rise, keep) + increase), _LARGEST)


@njit(inline="always")
def spikes_above(above: Any, amount: Any, most: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return how often a potential that is `above` the threshold by 1 or more can lose an amount above 0.

    The quotient is taken in double precision, for which processors have vectors, and its whole part is
    exact: a quotient that is not whole is at least `1 / amount` below the next whole number, and the
    rounding moves it by less than that, at most `2^-53 above / amount`, since `above` is below 2^32.
    """
    whole = np.int32(np.float64(np.int32(above - ONE)) / np.float64(amount))
    return np.int32(min(whole, np.int32(most - ONE)) + ONE)
