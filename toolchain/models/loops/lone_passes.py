"""The compiled passes over all steps of a population that nothing of its own comes back to.

A chunk of neurons passes through all steps before the next one begins, so that its state stays in the cache;
neurons of a small population, of several samples.
"""

# pyright: reportCallIssue=false
# ruff: noqa: PLR0917 - compiled loops take plain arrays
from typing import Any

import numpy as np

from toolchain.compiled import njit
from toolchain.models.loops.neurons import BIAS, NUMBERS, STATES, VTH, U, V
from toolchain.models.loops.ownership import keep, unowned
from toolchain.models.loops.ruled_neurons import advance_ruled, retreat_ruled


@njit(nogil=True, cache=True)
def advance_lone(
    part: Any,  # noqa: ANN401
    a: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    v_rows: Any,  # noqa: ANN401
    u_rows: Any,  # noqa: ANN401
    driven: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    chunk: int,
) -> None:
    """Run some neurons of some samples over all steps.

    Args:
        part: First sample and the one behind the last, first neuron and the one behind the last.
        a: Input `[B, T, N]`.
        sent: Gets the spikes, `[B, T, N]`.
        v_rows: Gets the potentials after the reset; empty if nobody asks.
        u_rows: Gets the currents; empty if nobody asks.
        driven: Gets the potentials before the reset; empty if nobody asks.
        numbers: Numbers of the neurons `[8, N]`.
        layer: Row of the table of layers.
        chunk: Neurons that advance together.
    """
    begin, end, low, high = part
    states = np.empty((STATES + 2, chunk), numbers.dtype)
    spikes, copied = np.empty(chunk, np.uint8), np.empty((NUMBERS, chunk), numbers.dtype)
    state, fired, own = unowned(states), unowned(spikes), unowned(copied)
    a, sent, v_rows, u_rows, layer = (
        unowned(a),
        unowned(sent),
        unowned(v_rows),
        unowned(u_rows),
        unowned(layer),
    )
    row, potential = state[STATES], state[STATES + 1]
    for start in range(low, high, chunk):
        size = min(chunk, high - start)
        together = min(chunk // size, end - begin)
        _tile(numbers, start, size, together, own)
        for b in range(begin, end, together):
            count = min(together, end - b)
            state[:] = 0
            for t in range(a.shape[1]):
                _gather(a, b, count, t, start, size, row)
                advance_ruled(row, state, fired, potential, own, layer, 0, count * size)
                _scatter(fired, sent, b, count, t, start, size)
                if v_rows.size:
                    _scatter(state[V], v_rows, b, count, t, start, size)
                if u_rows.size:
                    _scatter(state[U], u_rows, b, count, t, start, size)
                if driven.size:
                    _scatter(potential, driven, b, count, t, start, size)
    keep(states)
    keep(spikes)
    keep(copied)


@njit(nogil=True, cache=True)
def retreat_lone(
    part: Any,  # noqa: ANN401
    driven: Any,  # noqa: ANN401
    by_spikes: Any,  # noqa: ANN401
    by_v: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    by_numbers: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    slope: Any,  # noqa: ANN401
    chunk: int,
) -> None:
    """Take gradients of some neurons of some samples back over all steps.

    Args:
        part: First sample and the one behind the last, first neuron and the one behind the last.
        driven: Potentials before the reset, `[B, T, N]`.
        by_spikes: Gradients with respect to the spikes; empty if there are none.
        by_v: Gradients with respect to the potentials after the reset; empty if there are none.
        by_a: Gets the gradients with respect to the input.
        by_numbers: Gradients with respect to the numbers `[8, N]`, added up; see `retreat_ruled`.
        numbers: Numbers of the neurons.
        layer: Row of the table of layers.
        slope: Sharpness of the surrogate.
        chunk: Neurons that advance together.
    """
    begin, end, low, high = part
    rows, copied = np.empty((STATES + 3, chunk), numbers.dtype), np.empty((2 * NUMBERS, chunk), numbers.dtype)
    spikes = np.empty(chunk, np.uint8)
    later, own, by_own, fired = unowned(rows), unowned(copied), unowned(copied)[NUMBERS:], unowned(spikes)
    driven, by_a, layer = unowned(driven), unowned(by_a), unowned(layer)
    by_spikes, by_v = unowned(by_spikes), unowned(by_v)
    potential, by_sent, by_row = later[STATES], later[STATES + 1], later[STATES + 2]
    for start in range(low, high, chunk):
        size = min(chunk, high - start)
        together = min(chunk // size, end - begin)
        _tile(numbers, start, size, together, own)
        by_own[:] = 0
        for b in range(begin, end, together):
            count = min(together, end - b)
            width = count * size
            later[:] = 0
            for t in range(driven.shape[1] - 1, -1, -1):
                _gather(driven, b, count, t, start, size, potential)
                _compare(potential, own[VTH], fired, width)
                _add_gradients(by_spikes, by_v, by_sent, later, b, t, start, count=count, size=size)
                retreat_ruled(
                    by_sent,
                    fired,
                    potential,
                    later,
                    later,
                    by_row,
                    by_own,
                    own,
                    layer=layer,
                    slope=slope,
                    start=0,
                    stop=width,
                )
                _scatter(by_row, by_a, b, count, t, start, size)
        for k in range(together):
            _add(by_own[BIAS, k * size :], by_numbers[BIAS, start:], size)
    keep(rows)
    keep(copied)
    keep(spikes)


@njit(nogil=True, cache=True)
def rerun_lone(
    part: Any,  # noqa: ANN401
    a: Any,  # noqa: ANN401
    by_spikes: Any,  # noqa: ANN401
    by_v: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    by_numbers: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    slope: Any,  # noqa: ANN401
    chunk: int,
) -> None:
    """Do as `retreat_lone` where spikes leave more behind than a potential: from the input, `[B, T, N]`."""
    begin, end, low, high = part
    kind, steps = numbers.dtype, a.shape[1]
    states, copied = np.empty((2 * STATES + 2, chunk), kind), np.empty((2 * NUMBERS, chunk), kind)
    states_before = np.empty((steps, STATES, chunk), kind)
    potentials, spikes = np.empty((steps, chunk), kind), np.empty((steps, chunk), np.uint8)
    state, own, by_own = unowned(states), unowned(copied), unowned(copied)[NUMBERS:]
    past, potential, fired = unowned(states_before), unowned(potentials), unowned(spikes)
    a, by_a, layer = unowned(a), unowned(by_a), unowned(layer)
    by_spikes, by_v = unowned(by_spikes), unowned(by_v)
    later, row, by_row = state[STATES : 2 * STATES], state[2 * STATES], state[2 * STATES + 1]
    for start in range(low, high, chunk):
        size = min(chunk, high - start)
        together = min(chunk // size, end - begin)
        _tile(numbers, start, size, together, own)
        by_own[:] = 0
        for b in range(begin, end, together):
            count = min(together, end - b)
            width = count * size
            state[:] = 0
            for t in range(steps):
                past[t] = state[:STATES]
                _gather(a, b, count, t, start, size, row)
                advance_ruled(row, state, fired[t], potential[t], own, layer, 0, width)
            for t in range(steps - 1, -1, -1):
                _add_gradients(by_spikes, by_v, row, later, b, t, start, count=count, size=size)
                did = fired[t], potential[t], past[t]
                _undo(row, did, later, by_row, by_own, own, layer, slope, width=width)
                _scatter(by_row, by_a, b, count, t, start, size)
        for k in range(together):
            _add(by_own[BIAS, k * size :], by_numbers[BIAS, start:], size)
    keep((states, copied, states_before, potentials, spikes))


@njit(nogil=True)
def _undo(
    row: Any,  # noqa: ANN401
    did: Any,  # noqa: ANN401
    later: Any,  # noqa: ANN401
    by_row: Any,  # noqa: ANN401
    by_own: Any,  # noqa: ANN401
    own: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    slope: Any,  # noqa: ANN401
    width: int,
) -> None:
    """Take gradients one step back; `did` are spikes, potentials before the reset, and the state before."""
    sent, potential, before = did
    retreat_ruled(
        row,
        sent,
        potential,
        before,
        later,
        by_row,
        by_own,
        own,
        layer=layer,
        slope=slope,
        start=0,
        stop=width,
    )


@njit(nogil=True)
def _add_gradients(
    by_spikes: Any,  # noqa: ANN401
    by_v: Any,  # noqa: ANN401
    row: Any,  # noqa: ANN401
    later: Any,  # noqa: ANN401
    b: int,
    t: int,
    start: int,
    count: int,
    size: int,
) -> None:
    """Write gradients of spikes to a row, and add those of potentials to those of later steps."""
    if by_v.size:
        _gather(by_v, b, count, t, start, size, row)
        _add(row, later[V], count * size)
    if by_spikes.size:
        _gather(by_spikes, b, count, t, start, size, row)
    else:
        row[:] = 0


@njit(nogil=True)
def _compare(potential: Any, vth: Any, fired: Any, size: int) -> None:  # noqa: ANN401
    for n in range(size):
        fired[n] = potential[n] > vth[n]


@njit(nogil=True)
def _tile(numbers: Any, start: int, size: int, count: int, own: Any) -> None:  # noqa: ANN401
    """Copy the numbers of some neurons, once for each sample that advances with them."""
    for k in range(count):
        own[:NUMBERS, k * size : (k + 1) * size] = numbers[:, start : start + size]


@njit(nogil=True)
def _gather(x: Any, b: int, count: int, t: int, start: int, size: int, row: Any) -> None:  # noqa: ANN401
    """Put neighbouring neurons of several samples side by side."""
    for k in range(count):
        source, target = x[b + k, t, start : start + size], row[k * size : (k + 1) * size]
        for n in range(size):
            target[n] = source[n]


@njit(nogil=True)
def _scatter(row: Any, x: Any, b: int, count: int, t: int, start: int, size: int) -> None:  # noqa: ANN401
    """Undo `_gather`."""
    for k in range(count):
        source, target = row[k * size : (k + 1) * size], x[b + k, t, start : start + size]
        for n in range(size):
            target[n] = source[n]


@njit(nogil=True)
def _add(values: Any, sums: Any, size: int) -> None:  # noqa: ANN401
    for n in range(size):
        sums[n] += values[n]
