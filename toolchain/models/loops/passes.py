"""A block of steps forward and backward: neurons, and the synapses between them as lists by source.

Several layers are one row of neurons, in the order in which they are computed within a step. A synapse
brings a current to a place `delay * N + target` counted from the row of the step in which its source fires;
what lies behind the block goes to `tail`, whose first row is the first step after the block. Backward,
gradients of that time come from `future`, in the same order.

Forward, samples are independent and only spikes are followed. Backward, every neuron has a gradient at every
step, so samples go side by side: `LINE_BYTES` of them are a line, and each synapse moves a line at a time.
"""

# pyright: reportCallIssue=false
# ruff: noqa: PLR0917 - compiled loops take plain arrays
from typing import Any

import numpy as np

from toolchain.compiled import njit
from toolchain.models.loops.neurons import (
    KEEPS,
    KIND,
    MOST,
    PLAIN,
    PORT,
    REMEMBERS,
    RULED,
    START,
    STATES,
    STOP,
    SURROGATE,
    U,
    V,
    advance_any,
    advance_plain,
    retreat_any,
    retreat_plain,
)
from toolchain.models.loops.ownership import keep, unowned
from toolchain.models.loops.ruled_neurons import advance_ruled, collect, hand_back, retreat_ruled
from toolchain.models.loops.spikes import learn, send, without_owner
from toolchain.models.loops.vectors import WIDE, add_wide_lines, sum_lines, turn


@njit(nogil=True)
def _update(a: Any, state: Any, sent: Any, potential: Any, numbers: Any, layer: Any) -> None:  # noqa: ANN401
    """Advance a layer by a step; potentials replace the input where they are all that the way back needs."""
    start, stop = layer[START], layer[STOP]
    if layer[KIND] == PLAIN:
        advance_plain(a, state, sent, numbers, start, stop)
    elif layer[KIND] == RULED:
        advance_ruled(a, state, sent, potential, numbers, layer, start, stop)
        if not layer[REMEMBERS]:
            a[start:stop] = potential[start:stop]
    else:
        advance_any(a, state, sent, potential, numbers, start, stop, keeps=layer[KEEPS], most=layer[MOST])


@njit(nogil=True, cache=True)
def advance(
    begin: int,
    end: int,
    a: Any,  # noqa: ANN401 - arrays, as in all passes
    tail: Any,  # noqa: ANN401
    state: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    v_rows: Any,  # noqa: ANN401
    u_rows: Any,  # noqa: ANN401
    shown: int,
    numbers: Any,  # noqa: ANN401
    layers: Any,  # noqa: ANN401
    synapses: Any,  # noqa: ANN401
) -> None:
    """Run samples over a block of steps.

    Args:
        begin: First sample.
        end: Sample behind the last.
        a: Input `[B, T, N]`; what synapses bring is added to it. Of layers that remember nothing it becomes
            the potentials before the reset.
        tail: What they bring after the block, `[B, D, N]`.
        state: States `[B, 4, N]`, changed in place.
        sent: Gets the spikes, uint8 `[B, T, N]`.
        v_rows: Gets the potentials after the reset of neurons from `shown` on, `[B, T, R]`.
        u_rows: Gets their currents, `[B, T, R]`; of size 0 if nobody asks.
        shown: First neuron of those two.
        numbers: Numbers of the neurons, see `neurons`, `[8, N]`.
        layers: Table of the layers, see `neurons`.
        synapses: The synapses between them, see `Synapses`.
    """
    size, stop = a.shape[2], shown + v_rows.shape[2]
    own = np.empty(size, a.dtype)
    a, tail, state, sent, potential = unowned(a), unowned(tail), unowned(state), unowned(sent), unowned(own)
    v_rows, u_rows, numbers, layers = unowned(v_rows), unowned(u_rows), unowned(numbers), unowned(layers)
    synapses = without_owner(synapses)
    for b in range(begin, end):
        flat, rest = a[b].reshape(-1), tail[b].reshape(-1)
        for t in range(a.shape[1]):
            for k in range(len(layers)):
                if layers[k, KIND] == PORT:
                    collect(a[b, t], layers[k])
                    continue
                _update(a[b, t], state[b], sent[b, t], potential, numbers, layers[k])
                send(sent[b, t], flat, rest, t, synapses, layers[k])
            v_rows[b, t] = state[b, V, shown:stop]
            if u_rows.size:
                u_rows[b, t] = state[b, U, shown:stop]
    keep(own)


@njit(nogil=True, cache=True)
def retreat(
    begin: int,
    end: int,
    a: Any,  # noqa: ANN401
    state: Any,  # noqa: ANN401
    sent: Any,  # noqa: ANN401
    by_spikes: Any,  # noqa: ANN401
    heard: int,
    by_v: Any,  # noqa: ANN401
    shown: int,
    later: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    future: Any,  # noqa: ANN401
    lines: Any,  # noqa: ANN401
    window: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    brought: Any,  # noqa: ANN401
    by_numbers: Any,  # noqa: ANN401
    by_synapses: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layers: Any,  # noqa: ANN401
    slopes: Any,  # noqa: ANN401
    synapses: Any,  # noqa: ANN401
) -> None:
    """Take the gradients of at most a line of samples back over a block of steps.

    Args:
        begin: First sample.
        end: Sample behind the last.
        a: Input with what synapses brought, or potentials, `[B, T, N]`, as `advance` left it.
        state: States before the block, `[B, 4, N]`, which become those after it: layers that remember more
            than potentials run again. Of no neurons if there are none.
        sent: Spikes, uint8 `[B, T, N]`.
        by_spikes: Gradients with respect to the spikes of neurons from `heard` on, `[B, T, R]`.
        heard: First of those neurons.
        by_v: Those with respect to the potentials of neurons from `shown` on, `[B, T, R]`.
        shown: First of those neurons.
        later: Gradients with respect to the state after the block, `[B, 4, N]`; become those before it.
        by_a: Gets the gradients with respect to the input, `[B, T, N]`.
        future: Those of the steps after the block, `[B, D, N]`.
        lines: The same for this line of samples, `[D N L]`, becomes that of the steps from this block on.
        window: Memory for gradients of the block and after it in lines, `[(T + D) N, L]` or more.
        rows: Memory for gradients of a step, `[L, N]`.
        brought: Memory for a square of numbers, `[L L]`.
        by_numbers: Gradients with respect to the numbers, `[8, N]`, added up.
        by_synapses: Gradients with respect to the weights of synapses, added up.
        numbers: Numbers of the neurons.
        layers: Table of the layers.
        slopes: Sharpness of the surrogate derivative of each layer.
        synapses: The synapses between them.
    """
    steps, size = a.shape[1], a.shape[2]
    remembers = layers[:, REMEMBERS].any()
    all_past = np.empty((end - begin, steps if remembers else 1, STATES, size if remembers else 0), a.dtype)
    potentials = np.empty((end - begin, steps if remembers else 1, size), a.dtype)
    past, potential, rows, window = unowned(all_past), unowned(potentials), unowned(rows), unowned(window)
    a, state, sent, lines = unowned(a), unowned(state), unowned(sent), unowned(lines)
    brought, by_spikes = unowned(brought), unowned(by_spikes)
    by_v, later, by_a = unowned(by_v), unowned(later), unowned(by_a)
    future, by_numbers = unowned(future), unowned(by_numbers)
    numbers, layers, slopes = unowned(numbers), unowned(layers), unowned(slopes)
    synapses, by_synapses = without_owner(synapses), without_owner(by_synapses)
    if remembers:
        for b in range(begin, end):
            _rerun(a[b], state[b], past[b - begin], potential[b - begin], numbers, layers)
    behind, flat = steps * size * lines.shape[1], window.reshape(-1)
    # As one row each: a copy of many short ones takes far longer.
    flat[behind : behind + lines.size] = lines.reshape(-1)
    for back in range(steps):
        t = steps - 1 - back
        for k in range(len(layers) - 1, -1, -1):
            layer, noted = layers[k], t if remembers else 0
            if layer[KIND] == PORT:
                for b in range(begin, end):
                    hand_back(by_a[b, t], layer)
                _line_up(by_a, begin, end, t, window, layer)
                continue
            _listen(window, t * size, rows, brought, layer, synapses)
            for b in range(begin, end):
                row, driven = rows[b - begin], _before_reset(a[b, t], potential[b - begin, noted], layer)
                _add_from(by_v[b, t], shown, later[b, V], layer)
                _add_from(by_spikes[b, t], heard, row, layer)
                did = sent[b, t], driven, past[b - begin, noted]
                _retreat(row, did, later[b], by_a[b, t], by_numbers, numbers, layer, slopes[k])
            _line_up(by_a, begin, end, t, window, layer)
        for b in range(begin, end):
            learn(sent[b, t], by_a[b].reshape(-1), future[b].reshape(-1), t, by_synapses)
    lines.reshape(-1)[:] = flat[: lines.size]
    keep(all_past)
    keep(potentials)


@njit(nogil=True)
def _before_reset(a: Any, noted: Any, layer: Any) -> Any:  # noqa: ANN401
    """Return potentials of a layer before the reset; its way back may overwrite them unless it is plain."""
    if layer[KIND] == PLAIN:
        return a
    if not layer[REMEMBERS]:
        noted[layer[START] : layer[STOP]] = a[layer[START] : layer[STOP]]
    return noted


@njit(nogil=True)
def _rerun(a: Any, state: Any, past: Any, potential: Any, numbers: Any, layers: Any) -> None:  # noqa: ANN401
    """Run layers of a sample again, and note potentials before every reset and states before every step."""
    own = np.empty(a.shape[1], np.uint8)
    sent = unowned(own)
    for t in range(len(a)):
        past[t] = state
        for k in range(len(layers)):
            if layers[k, REMEMBERS]:
                _update(a[t], state, sent, potential[t], numbers, layers[k])
    keep(own)


@njit(nogil=True)
def _listen(
    window: Any,  # noqa: ANN401
    here: int,
    rows: Any,  # noqa: ANN401
    brought: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    synapses: Any,  # noqa: ANN401
) -> None:
    """Write to `rows`, `[samples, N]`, the gradients that the spikes of a layer get from their synapses."""
    lanes, size, wide = window.shape[1], rows.shape[1], synapses.wide
    lines, all_rows = window.reshape(-1), rows.reshape(-1)
    # As many neurons at a time as a line has samples: that square stays in the cache while it is turned.
    for low in range(layer[START], layer[STOP], lanes):
        for n in range(low, low + lanes):
            start, stop = synapses.first[n], synapses.first[n + 1]
            sum_lines(lines, here, synapses.places, synapses.weights, start, stop, brought, n - low)
        for k in range(len(wide)):
            start, stop, reached, length, begin = wide[k]
            for n in range(max(low, start), min(low + lanes, stop), WIDE):
                row = begin + (n - start) * length
                add_wide_lines(lines, here + reached, synapses.rows, row, length, brought, n - low)
        turn(brought, 0, lanes, all_rows, low, size)


@njit(nogil=True)
def _line_up(by_a: Any, begin: int, end: int, t: int, window: Any, layer: Any) -> None:  # noqa: ANN401
    """Put the gradients of a layer's input at a step, `[B, T, N]`, into lines."""
    lanes, size = window.shape[1], by_a.shape[2]
    numbers, lines = by_a.reshape(-1), window.reshape(-1)
    if end - begin == lanes:
        for n in range(layer[START], layer[STOP], lanes):
            start, stride = (begin * by_a.shape[1] + t) * size + n, by_a.shape[1] * size
            turn(numbers, start, stride, lines, (t * size + n) * lanes, lanes)
        return
    for n in range(layer[START], layer[STOP]):
        for b in range(begin, end):
            window[t * size + n, b - begin] = by_a[b, t, n]


@njit(nogil=True)
def _add_from(values: Any, start: int, row: Any, layer: Any) -> None:  # noqa: ANN401
    """Add values of the neurons from `start` on to a row of all, as far as they are of this layer."""
    for n in range(max(layer[START], start), min(layer[STOP], start + len(values))):
        row[n] += values[n - start]


@njit(nogil=True)
def _retreat(
    by_spikes: Any,  # noqa: ANN401
    did: Any,  # noqa: ANN401
    later: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    by_numbers: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    slope: Any,  # noqa: ANN401
) -> None:
    """Take the gradients of a layer one step back; `did` are spikes, potentials, and the state before."""
    sent, potential, before = did
    start, stop, surrogate = layer[START], layer[STOP], layer[SURROGATE]
    if layer[KIND] == PLAIN:
        retreat_plain(by_spikes, potential, later, by_a, numbers, start, stop, surrogate, slope=slope)
    elif layer[KIND] == RULED:
        retreat_ruled(
            by_spikes,
            sent,
            potential,
            before,
            later,
            by_a,
            by_numbers,
            numbers,
            layer=layer,
            slope=slope,
            start=start,
            stop=stop,
        )
    else:
        retreat_any(
            by_spikes,
            sent,
            potential,
            before,
            later,
            by_a,
            by_numbers,
            numbers,
            start=start,
            stop=stop,
            keeps=layer[KEEPS],
            most=layer[MOST],
            surrogate=surrogate,
            slope=slope,
        )
