"""Populations advance by one step, and gradients go back by one: the equations of `NeuronDynamics`.

Each loop serves neighbouring neurons of one sample. `numbers` and `state` are the rows named below, `[rows,
N]`. Forward, operations stand in the order of `NeuronDynamics.step`, so that spikes are equal; a processor
computes many neurons at once, and nothing is decided by a branch.
"""

# ruff: noqa: PLR0917 - compiled loops take plain arrays
from typing import Any, Final

import numpy as np

from toolchain.compiled import njit
from toolchain.models.surrogate_loops import derive

KEEP_U, KEEP_V, VTH, BIAS, AMOUNT, KEEP_RISE, ADAPTATION, REFRACTORY = range(8)
"""Rows of `numbers`: zero where a population has none of it."""
NUMBERS: Final = 8
U, V, RISE, WAIT = range(4)
"""Rows of a state."""
STATES: Final = 4
START, STOP, KIND, REMEMBERS, KEEPS, MOST, SURROGATE = range(7)
"""Columns of the table of layers: its neurons, its kind, whether its gradients need the states before steps,
whether a reset keeps the potential, most spikes a step, shape of the spike derivative."""
COLUMNS: Final = 14
"""Those and the columns of `ruled_neurons`."""
ANY, PLAIN, RULED, PORT = range(4)
"""Kinds of layers: `advance_any`, `advance_plain`, `advance_ruled`; a port has no neurons, see `collect`."""


@njit(nogil=True, error_model="numpy")
def advance_plain(a: Any, state: Any, sent: Any, numbers: Any, start: int, stop: int) -> None:  # noqa: ANN401
    """Advance neurons whose spikes set the potential to zero and do nothing else.

    Args:
        a: Synaptic input `[N]`; becomes the potentials before the reset, which the way back needs instead.
        state: Rows `U` and `V`, `[4, N]`, changed in place.
        sent: Gets the spikes, uint8 `[N]`.
        numbers: Numbers of the neurons `[8, N]`.
        start: First neuron.
        stop: Neuron behind the last.
    """
    a, sent = a[start:stop], sent[start:stop]
    us, vs = state[U, start:stop], state[V, start:stop]
    keep_u, keep_v = numbers[KEEP_U, start:stop], numbers[KEEP_V, start:stop]
    vth, bias = numbers[VTH, start:stop], numbers[BIAS, start:stop]
    nothing = a.dtype.type(0)
    for n in range(len(a)):
        u = keep_u[n] * us[n] + a[n]
        v = keep_v[n] * vs[n] + u + bias[n]
        fired = v > vth[n]
        us[n] = u
        a[n] = v
        vs[n] = nothing if fired else v
        sent[n] = fired


@njit(nogil=True, error_model="numpy")
def advance_any(
    a: Any,  # noqa: ANN401
    state: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    potential: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    start: int,
    stop: int,
    keeps: int,
    most: int,
) -> None:
    """Advance neurons of any kind, as `advance_plain`.

    Args:
        a: Synaptic input.
        state: All four rows.
        sent: Gets the spikes, or how many of them.
        potential: Gets the potentials before the reset.
        numbers: Numbers of the neurons.
        start: First neuron.
        stop: Neuron behind the last.
        keeps: Whether a spike takes the amount away; else it sets it.
        most: Most spikes a step.
    """
    a, sent, potential = a[start:stop], sent[start:stop], potential[start:stop]
    us, vs = state[U, start:stop], state[V, start:stop]
    rises, waits = state[RISE, start:stop], state[WAIT, start:stop]
    keep_u, keep_v = numbers[KEEP_U, start:stop], numbers[KEEP_V, start:stop]
    vth, bias, amounts = numbers[VTH, start:stop], numbers[BIAS, start:stop], numbers[AMOUNT, start:stop]
    keep_rise, adaptation = numbers[KEEP_RISE, start:stop], numbers[ADAPTATION, start:stop]
    refractory = numbers[REFRACTORY, start:stop]
    nothing, one = a.dtype.type(0), a.dtype.type(1)
    for n in range(len(a)):
        u, old = keep_u[n] * us[n] + a[n], vs[n]
        v = keep_v[n] * old + u + bias[n]
        active, above = waits[n] == nothing, v > vth[n] + rises[n]
        us[n] = u
        potential[n] = v if active else old
        sent[n] = active & above
    if most > 1:
        count_spikes(sent, potential, vth, rises, amounts, most)
    for n in range(len(a)):
        v, count, fired = potential[n], a.dtype.type(sent[n]), sent[n] > 0
        amount, longest, wait = amounts[n], refractory[n], waits[n] - one
        left = v - count * amount if keeps else amount
        vs[n] = left if fired else v
        wait = max(wait, nothing)
        waits[n] = longest if fired else wait
        rises[n] = keep_rise[n] * rises[n] + adaptation[n] * count


@njit(nogil=True, error_model="numpy")
def count_spikes(sent: Any, potential: Any, vth: Any, rises: Any, amounts: Any, most: int) -> None:  # noqa: ANN401
    """Replace spikes by their numbers, where a neuron may send several."""
    nothing, one, highest = vth.dtype.type(0), vth.dtype.type(1), vth.dtype.type(most)
    for n in range(len(sent)):
        fired, amount, threshold = sent[n] > 0, amounts[n], vth[n] + rises[n]
        whole = np.floor((potential[n] - threshold) / amount)
        more = potential[n] - whole * amount > threshold
        count = min(whole + (one if more else nothing), highest)
        sent[n] = np.uint8(count if fired else nothing)


@njit(nogil=True, error_model="numpy")
def _approach(over: Any, nearest: Any, vth: Any, amounts: Any, most: int) -> None:  # noqa: ANN401
    """Measure potentials from the nearest place where one more spike is sent; count the spikes up to it."""
    nothing, last = vth.dtype.type(0), vth.dtype.type(most - 1)
    for n in range(len(over)):
        nearest[n] = min(max(np.rint((over[n] - vth[n]) / amounts[n]), nothing), last)
        over[n] -= nearest[n] * amounts[n]


@njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def retreat_plain(
    by_spikes: Any,  # noqa: ANN401
    potential: Any,  # noqa: ANN401
    later: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    start: int,
    stop: int,
    surrogate: int,
    slope: Any,  # noqa: ANN401
) -> None:
    """Take gradients of plain neurons one step back.

    Args:
        by_spikes: Gradient with respect to the spikes `[N]`.
        potential: Potentials before the reset.
        later: Gradients with respect to the state after the step, rows `U` and `V`; becomes those before it.
        by_a: Gets the gradient with respect to the input.
        numbers: Numbers of the neurons.
        start: First neuron.
        stop: Neuron behind the last.
        surrogate: Shape of the derivative.
        slope: Its sharpness.
    """
    by_spikes, potential, by_a = by_spikes[start:stop], potential[start:stop], by_a[start:stop]
    later_u, later_v = later[U, start:stop], later[V, start:stop]
    keep_u, keep_v = numbers[KEEP_U, start:stop], numbers[KEEP_V, start:stop]
    vth = numbers[VTH, start:stop]
    nothing, one = numbers.dtype.type(0), numbers.dtype.type(1)
    for n in range(len(by_a)):
        # The place of the result serves for the distance to the threshold, then for the derivative there.
        by_a[n] = potential[n] / vth[n] - one
    derive(by_a, surrogate, slope)
    for n in range(len(by_a)):
        of_v, fired = later_v[n], potential[n] > vth[n]
        by_v = (nothing if fired else of_v) + by_spikes[n] * by_a[n] / vth[n]
        by_u = by_v + later_u[n]
        by_a[n] = by_u
        later_u[n] = keep_u[n] * by_u
        later_v[n] = keep_v[n] * by_v


@njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def retreat_any(
    by_spikes: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    potential: Any,  # noqa: ANN401
    before: Any,  # noqa: ANN401
    later: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    by_numbers: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    start: int,
    stop: int,
    keeps: int,
    most: int,
    surrogate: int,
    slope: Any,  # noqa: ANN401
) -> None:
    """Take gradients of neurons of any kind one step back, and add up those of their numbers.

    Args:
        by_spikes: Gradient with respect to the spikes `[N]`.
        sent: Spikes.
        potential: Potentials before the reset.
        before: State before the step, four rows.
        later: Gradients with respect to the state after the step; becomes those before it.
        by_a: Gets the gradient with respect to the input.
        by_numbers: Gradients with respect to the numbers `[8, N]`, added up.
        numbers: Numbers of the neurons.
        start: First neuron.
        stop: Neuron behind the last.
        keeps: Whether a spike takes the amount away.
        most: Most spikes a step.
        surrogate: Shape of the derivative.
        slope: Its sharpness.
    """
    by_spikes, sent = by_spikes[start:stop], sent[start:stop]
    potential, by_a = potential[start:stop], by_a[start:stop]
    old_u, old_v = before[U, start:stop], before[V, start:stop]
    old_rise, old_wait = before[RISE, start:stop], before[WAIT, start:stop]
    later_u, later_v, later_rise = later[U, start:stop], later[V, start:stop], later[RISE, start:stop]
    vth, amounts, bias = numbers[VTH, start:stop], numbers[AMOUNT, start:stop], by_numbers[BIAS, start:stop]
    keep_u, by_keep_u = numbers[KEEP_U, start:stop], by_numbers[KEEP_U, start:stop]
    keep_v, by_keep_v = numbers[KEEP_V, start:stop], by_numbers[KEEP_V, start:stop]
    keep_rise, by_keep_rise = numbers[KEEP_RISE, start:stop], by_numbers[KEEP_RISE, start:stop]
    adaptation, by_adaptation = numbers[ADAPTATION, start:stop], by_numbers[ADAPTATION, start:stop]
    by_vth, by_amount = by_numbers[VTH, start:stop], by_numbers[AMOUNT, start:stop]
    nothing, one, sets = numbers.dtype.type(0), numbers.dtype.type(1), not keeps
    over, nearest = potential - old_rise, np.zeros_like(by_a)
    if most > 1:
        _approach(over, nearest, vth, amounts, most)
    for n in range(len(by_a)):
        by_a[n] = over[n] / vth[n] - one
    derive(by_a, surrogate, slope)
    driven = np.empty_like(by_a)
    for n in range(len(by_a)):
        active, of_v = old_wait[n] == nothing, later_v[n]
        smooth = (by_spikes[n] + adaptation[n] * later_rise[n]) * by_a[n] / vth[n]
        smooth = smooth if active else nothing
        is_set = (sent[n] > 0) & sets
        by_a[n] = smooth
        driven[n] = (nothing if is_set else of_v) + smooth
    _learn_thresholds(by_a, over, nearest, later_v, sent, vth, by_vth, by_amount, sets=sets)
    _learn_rises(by_a, later_rise, old_rise, sent, keep_rise, by_keep_rise, by_adaptation)
    for n in range(len(by_a)):
        active, by_v = old_wait[n] == nothing, driven[n]
        remaining = keep_v[n] * by_v
        later_v[n] = remaining if active else by_v
        driven[n] = by_v if active else nothing
    for n in range(len(by_a)):
        by_a[n] = driven[n] + later_u[n]
        bias[n] += driven[n]
        by_keep_v[n] += driven[n] * old_v[n]
    for n in range(len(by_a)):
        by_keep_u[n] += by_a[n] * old_u[n]
        later_u[n] = keep_u[n] * by_a[n]


@njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def _learn_thresholds(
    smooth: Any,  # noqa: ANN401
    over: Any,  # noqa: ANN401
    nearest: Any,  # noqa: ANN401
    later_v: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    vth: Any,  # noqa: ANN401
    by_vth: Any,  # noqa: ANN401
    by_amount: Any,  # noqa: ANN401
    sets: Any,  # noqa: ANN401
) -> None:
    """Add up the gradients of thresholds and amounts; `smooth` is that which spikes pass to potentials."""
    nothing = vth.dtype.type(0)
    # Times the distance in thresholds and one: 0 for a threshold that is infinite.
    for n in range(len(vth)):
        by_vth[n] -= smooth[n] * (over[n] / vth[n])
    for n in range(len(vth)):
        is_set, count, of_v = (sent[n] > 0) & sets, vth.dtype.type(sent[n]), later_v[n]
        taken = of_v if is_set else nothing
        by_amount[n] += taken - (nothing if sets else count * of_v) - nearest[n] * smooth[n]


@njit(nogil=True, fastmath={"contract"}, error_model="numpy")
def _learn_rises(
    smooth: Any,  # noqa: ANN401
    later_rise: Any,  # noqa: ANN401
    old_rise: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    keep_rise: Any,  # noqa: ANN401
    by_keep_rise: Any,  # noqa: ANN401
    by_adaptation: Any,  # noqa: ANN401
) -> None:
    """Add up the gradients of adaptation, and take those of what it added to thresholds one step back."""
    for n in range(len(smooth)):
        count, of_rise = smooth.dtype.type(sent[n]), later_rise[n]
        by_keep_rise[n] += of_rise * old_rise[n]
        by_adaptation[n] += of_rise * count
        later_rise[n] = keep_rise[n] * of_rise - smooth[n]
