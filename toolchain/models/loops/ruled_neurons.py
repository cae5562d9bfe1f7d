"""Neurons by any of the integer rules, one step forward or back: the equations of `NeuronUpdate` in training.

Integers are kept as numbers of float32 or float64 that hold them exactly, so that forward and backward are
one code for both, and the same code serves real numbers. `numbers` and `state` are those of `neurons`.
"""

# ruff: noqa: PLR0917 - compiled loops take plain arrays
from typing import Any, Final

import numpy as np

from toolchain import fixedpoint
from toolchain.compiled import njit
from toolchain.models.loops.neurons import (
    ADAPTATION,
    AMOUNT,
    BIAS,
    KEEP_RISE,
    KEEP_U,
    KEEP_V,
    KEEPS,
    MOST,
    REFRACTORY,
    REMEMBERS,
    RISE,
    START,
    STOP,
    SURROGATE,
    VTH,
    WAIT,
    U,
    V,
    count_spikes,
)
from toolchain.models.surrogate_loops import derive

UNIT, FORGETS, TRUNCATES, SATURATES, WIDE, TARGET, LIMIT = range(7, 14)
"""Columns of the table of layers: factor of the input, whether no current stays, how decays are truncated,
whether states are limited, whether 32 bits can overflow; of a port, the first neuron that it reaches and the
magnitude at which its sums wrap, 0 for none."""
NOWHERE, AT_ONCE, IN_PARTS = range(3)
"""How decays round toward zero: not at all; the product; or, where float32 does not hold a product of 24 and
12 bits, the products of the upper and of the lower 12 bits, each of them exact."""
_UNITY: Final = fixedpoint.DECAY_UNITY
_HALF: Final = fixedpoint.STATE_LIMIT


@njit(nogil=True, error_model="numpy")
def advance_ruled(
    a: Any,  # noqa: ANN401
    state: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    potential: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    start: int,
    stop: int,
) -> None:
    """Advance neurons by the rules of their layer.

    Args:
        a: Synaptic input `[N]`.
        state: Rows `U`, `V`, `RISE` and `WAIT`, `[4, N]`, changed in place.
        sent: Gets the spikes, or how many of them, `[N]`.
        potential: Gets the potentials before the reset, `[N]`.
        numbers: Numbers of the neurons `[8, N]`.
        layer: Row of the table of layers.
        start: First neuron.
        stop: Neuron behind the last.
    """
    us, vs = state[U, start:stop], state[V, start:stop]
    sent, potential = sent[start:stop], potential[start:stop]
    bias, vth, amounts = numbers[BIAS, start:stop], numbers[VTH, start:stop], numbers[AMOUNT, start:stop]
    keep_u, keep_v = numbers[KEEP_U, start:stop], numbers[KEEP_V, start:stop]
    _keep(a[start:stop], us, vs, potential, keep_u, keep_v, layer)
    if layer[SATURATES] and not (layer[WIDE] or layer[REMEMBERS] or layer[MOST] > 1):
        _fire_integers(us, vs, sent, potential, bias, vth, amounts, layer[KEEPS])
        return
    _drive(us, potential, bias, layer)
    _fire(sent, potential, state, numbers, layer, start, stop)
    if layer[KEEPS]:
        for n in range(len(vs)):
            vs[n] = potential[n] - amounts[n] * vs.dtype.type(sent[n])
    else:
        for n in range(len(vs)):
            amount, v = amounts[n], potential[n]
            vs[n] = amount if sent[n] > 0 else v
    if layer[REMEMBERS]:
        _remember(sent, state, numbers, layer, start, stop)


@njit(nogil=True, error_model="numpy")
def _keep(
    a: Any,  # noqa: ANN401
    us: Any,  # noqa: ANN401
    vs: Any,  # noqa: ANN401
    potential: Any,  # noqa: ANN401
    keep_u: Any,  # noqa: ANN401
    keep_v: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
) -> None:
    """Add the input to what stays of the currents, and write what stays of the potentials."""
    unit = us.dtype.type(layer[UNIT])
    if layer[FORGETS]:
        for n in range(len(us)):
            us[n] = a[n] * unit
    else:
        _decay(us, keep_u, layer[TRUNCATES])
        for n in range(len(us)):
            us[n] += a[n] * unit
    potential[:] = vs
    _decay(potential, keep_v, layer[TRUNCATES])


@njit(nogil=True, error_model="numpy")
def _fire(sent: Any, potential: Any, state: Any, numbers: Any, layer: Any, start: int, stop: int) -> None:  # noqa: ANN401
    """Write the spikes, or how many of them; refractory neurons keep their potential."""
    vs, vth, amounts = state[V, start:stop], numbers[VTH, start:stop], numbers[AMOUNT, start:stop]
    rises, waits = state[RISE, start:stop], state[WAIT, start:stop]
    if layer[REMEMBERS]:
        for n in range(len(vs)):
            driven, old = potential[n], vs[n]
            active, above = waits[n] == 0, driven > vth[n] + rises[n]
            potential[n] = driven if active else old
            sent[n] = active & above
    else:
        for n in range(len(vs)):
            sent[n] = potential[n] > vth[n]
    if layer[MOST] > 1:
        count_spikes(sent, potential, vth, rises, amounts, layer[MOST])


@njit(nogil=True, error_model="numpy")
def _fire_integers(
    us: Any,  # noqa: ANN401
    vs: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    potential: Any,  # noqa: ANN401
    bias: Any,  # noqa: ANN401
    vth: Any,  # noqa: ANN401
    amounts: Any,  # noqa: ANN401
    keeps: int,
) -> None:
    """Do the rest for the simplest integers, which send one spike a step and remember none, in one loop."""
    half = us.dtype.type(_HALF)
    full, most = half + half, half - us.dtype.type(1)
    for n in range(len(us)):
        u, amount = us[n], amounts[n]
        down = u - full if u > half else u
        u = down + full if down <= -half else down
        v = min(max(potential[n] + u + bias[n], -most), most)
        fired, after = v > vth[n], v - amount if keeps else amount
        us[n] = u
        potential[n] = v
        vs[n] = after if fired else v
        sent[n] = fired


@njit(nogil=True, error_model="numpy")
def _drive(us: Any, potential: Any, bias: Any, layer: Any) -> None:  # noqa: ANN401
    """Limit currents, and add them to the potentials, which are limited, too."""
    most = us.dtype.type(_HALF - 1)
    if layer[WIDE]:
        _overflow(us)
    if layer[SATURATES]:
        _wrap(us)
    for n in range(len(us)):
        potential[n] = potential[n] + us[n] + bias[n]
    if layer[WIDE]:
        _overflow(potential)
    if layer[SATURATES]:
        for n in range(len(us)):
            potential[n] = min(max(potential[n], -most), most)


@njit(nogil=True, error_model="numpy")
def _wrap(us: Any) -> None:  # noqa: ANN401
    """Wrap currents once at 24 bits."""
    half = us.dtype.type(_HALF)
    full = half + half
    for n in range(len(us)):
        u = us[n]
        down = u - full if u > half else u
        us[n] = down + full if down <= -half else down


@njit(nogil=True, error_model="numpy")
def _decay(x: Any, keep: Any, truncates: int) -> None:  # noqa: ANN401
    """Replace a state by what stays of it."""
    if truncates == IN_PARTS:
        unity = x.dtype.type(_UNITY)
        part = x.dtype.type(1 / _UNITY)
        for n in range(len(x)):
            high = np.trunc(x[n] * part)
            low = x[n] - high * unity
            x[n] = high * (keep[n] * unity) + np.trunc(low * keep[n])
    elif truncates == AT_ONCE:
        for n in range(len(x)):
            x[n] = np.trunc(x[n] * keep[n])
    else:
        for n in range(len(x)):
            x[n] *= keep[n]


@njit(nogil=True, error_model="numpy")
def _overflow(x: Any) -> None:  # noqa: ANN401
    """Replace whole numbers by what 32 bits hold of them."""
    half = x.dtype.type(fixedpoint.WORD_LIMIT)
    full = half + half
    for n in range(len(x)):
        x[n] -= np.floor((x[n] + half) / full) * full


@njit(nogil=True, error_model="numpy")
def _remember(sent: Any, state: Any, numbers: Any, layer: Any, start: int, stop: int) -> None:  # noqa: ANN401
    """Advance what spikes leave behind beside a potential: refractory periods and raised thresholds."""
    rises, waits = state[RISE, start:stop], state[WAIT, start:stop]
    keep_rise, adaptation = numbers[KEEP_RISE, start:stop], numbers[ADAPTATION, start:stop]
    refractory = numbers[REFRACTORY, start:stop]
    nothing, one, most = rises.dtype.type(0), rises.dtype.type(1), rises.dtype.type(_HALF - 1)
    _decay(rises, keep_rise, layer[TRUNCATES])
    for n in range(len(sent)):
        longest, wait = refractory[n], waits[n] - one
        wait = max(wait, nothing)
        waits[n] = longest if sent[n] > 0 else wait
        rises[n] += adaptation[n] * rises.dtype.type(sent[n])
    if layer[SATURATES]:
        for n in range(len(sent)):
            rises[n] = min(rises[n], most)


@njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def retreat_ruled(
    by_spikes: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    potential: Any,  # noqa: ANN401
    before: Any,  # noqa: ANN401
    later: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    by_numbers: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    slope: Any,  # noqa: ANN401
    start: int,
    stop: int,
) -> None:
    """Take gradients one step back, straight through all that was rounded, and add up those of the bias.

    Args:
        by_spikes: Gradient with respect to the spikes `[N]`.
        sent: Spikes.
        potential: Potentials before the reset; overwritten.
        before: State before the step, four rows, if the layer remembers more than currents and potentials.
        later: Gradients with respect to the state after the step; becomes those before it.
        by_a: Gets the gradient with respect to the input.
        by_numbers: Gradients with respect to the numbers `[8, N]`; row `BIAS` is added to.
        numbers: Numbers of the neurons.
        layer: Row of the table of layers.
        slope: Sharpness of the surrogate.
        start: First neuron.
        stop: Neuron behind the last.
    """
    by_spikes, sent, by_a = by_spikes[start:stop], sent[start:stop], by_a[start:stop]
    later_u, later_v, later_rise = later[U, start:stop], later[V, start:stop], later[RISE, start:stop]
    keep_u, keep_v = numbers[KEEP_U, start:stop], numbers[KEEP_V, start:stop]
    by_bias = by_numbers[BIAS, start:stop]
    remembers, keeps = layer[REMEMBERS], layer[KEEPS]
    nothing, unit = numbers.dtype.type(0), numbers.dtype.type(layer[UNIT])
    over = potential[start:stop]
    if remembers:
        old_rise, adaptation = before[RISE, start:stop], numbers[ADAPTATION, start:stop]
        for n in range(len(over)):
            over[n] -= old_rise[n]
            by_a[n] = by_spikes[n] + adaptation[n] * later_rise[n]
    else:
        for n in range(len(over)):
            by_a[n] = by_spikes[n]
    _lend(over, by_a, numbers[VTH, start:stop], numbers[AMOUNT, start:stop], layer, slope)
    if not remembers:
        for n in range(len(over)):
            of_v, forgotten = later_v[n], (sent[n] > 0) & (not keeps)
            by_v = by_a[n] + (nothing if forgotten else of_v)
            by_u = by_v + later_u[n]
            by_bias[n] += by_v
            by_a[n] = unit * by_u
            later_u[n] = keep_u[n] * by_u
            later_v[n] = keep_v[n] * by_v
        return
    keep_rise, old_wait = numbers[KEEP_RISE, start:stop], before[WAIT, start:stop]
    for n in range(len(over)):
        by_spike, of_v, forgotten = by_a[n], later_v[n], (sent[n] > 0) & (not keeps)
        active = old_wait[n] == nothing
        by_spike = by_spike if active else nothing
        by_v = by_spike + (nothing if forgotten else of_v)
        driven = by_v if active else nothing
        by_u, left = driven + later_u[n], keep_v[n] * by_v
        by_bias[n] += driven
        by_a[n] = unit * by_u
        later_u[n] = keep_u[n] * by_u
        later_v[n] = left if active else by_v
        later_rise[n] = keep_rise[n] * later_rise[n] - by_spike


@njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def _lend(over: Any, by: Any, vth: Any, amounts: Any, layer: Any, slope: Any) -> None:  # noqa: ANN401
    """Multiply gradients with the derivative of the spikes at potentials, which are overwritten.

    The derivative of a number of spikes is a ramp: the surrogate counts from the nearest point between the
    first threshold and the last one.
    """
    one, nothing = over.dtype.type(1), over.dtype.type(0)
    unit, last = over.dtype.type(layer[UNIT]), over.dtype.type(layer[MOST] - 1)
    if layer[MOST] > 1:
        for n in range(len(over)):
            above = over[n] - vth[n]
            within = min(max(above, nothing), last * amounts[n])
            over[n] = (above - within) / amounts[n]
    else:
        for n in range(len(over)):
            # A threshold that was rounded to zero is as far as the smallest one above it.
            reach = vth[n]
            over[n] = over[n] / (reach if reach > nothing else unit) - one
    derive(over, layer[SURROGATE], slope)
    reaches = amounts if layer[MOST] > 1 else vth
    for n in range(len(over)):
        reach = reaches[n]
        by[n] *= over[n] / (reach if reach > nothing else unit)


@njit(nogil=True)
def collect(a: Any, layer: Any) -> None:  # noqa: ANN401
    """Bring the sums of a port to the neurons that it reaches: wrapped where they must, and rounded down.

    Args:
        a: Synaptic input of a step, `[N]`, the sums among it.
        layer: Row of the table of layers.
    """
    start, count, target = layer[START], layer[STOP] - layer[START], layer[TARGET]
    half = a.dtype.type(layer[LIMIT])
    full = half + half
    for n in range(count):
        total = a[start + n]
        if layer[LIMIT]:
            total -= np.floor((total + half) / full) * full
        a[target + n] += np.floor(total) if layer[TRUNCATES] else total


@njit(nogil=True)
def hand_back(by_a: Any, layer: Any) -> None:  # noqa: ANN401
    """Give the sums of a port the gradients of the neurons that it reaches."""
    start, target = layer[START], layer[TARGET]
    for n in range(layer[STOP] - start):
        by_a[start + n] = by_a[target + n]
