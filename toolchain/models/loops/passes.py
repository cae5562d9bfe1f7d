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
    MOST,
    PLAIN,
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
from toolchain.models.loops.vectors import WIDE, add_wide_lines, sum_lines, turn


@njit(nogil=True)
def _update(a: Any, state: Any, sent: Any, potential: Any, numbers: Any, layer: Any) -> None:  # noqa: ANN401
    start, stop = layer[START], layer[STOP]
    if layer[PLAIN]:
        advance_plain(a, state, sent, potential, numbers, start, stop)
    else:
        advance_any(a, state, sent, potential, numbers, start, stop, layer[KEEPS], layer[MOST])


@njit(nogil=True)
def _send(sent: Any, a: Any, tail: Any, step: int, synapses: Any, layer: Any) -> None:  # noqa: ANN401
    """Bring the spikes of a layer to where they arrive; `a` and `tail` are flat."""
    here, words = np.uint64(step * sent.size), sent.view(np.uint64)
    stays = a.size - step * sent.size >= len(tail) + sent.size
    for word in range(layer[START] // 8, layer[STOP] // 8):
        if words[word] == 0:
            continue
        for n in range(8 * word, 8 * word + 8):
            if sent[n] == 0:
                continue
            count, listed = a.dtype.type(sent[n]), slice(synapses.first[n], synapses.first[n + 1])
            if stays:
                _bring(count, a, here, synapses.places[listed], synapses.weights[listed])
            else:
                _bring_far(count, a, tail, here, synapses.places[listed], synapses.weights[listed])
            for k in range(len(synapses.wide)):
                start, stop, reached, length, begin = synapses.wide[k]
                if start <= n < stop:
                    row = begin + (n - start) * length
                    target = step * sent.size + reached
                    arriving = a[target:] if target < a.size else tail[target - a.size :]
                    _add_row(count, synapses.rows[row : row + length], arriving)


@njit(nogil=True, fastmath={"contract"})
def _add_row(count: Any, row: Any, sums: Any) -> None:  # noqa: ANN401
    for n in range(len(row)):
        sums[n] += count * row[n]


@njit(nogil=True)
def _bring(count: Any, a: Any, here: Any, places: Any, weights: Any) -> None:  # noqa: ANN401
    # Unsigned numbers all along: Numba counts negative ones from the end, which takes time.
    for p in range(len(places)):
        a[here + places[p]] += count * weights[p]


@njit(nogil=True)
def _bring_far(count: Any, a: Any, tail: Any, here: Any, places: Any, weights: Any) -> None:  # noqa: ANN401
    size = np.uint64(a.size)
    for p in range(len(places)):
        place = here + places[p]
        if place < size:
            a[place] += count * weights[p]
        else:
            tail[place - size] += count * weights[p]


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
        a: Input `[B, T, N]`; what synapses bring is added to it.
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
    potential = np.empty(size, a.dtype)
    for b in range(begin, end):
        flat, rest = a[b].reshape(-1), tail[b].reshape(-1)
        for t in range(a.shape[1]):
            for k in range(len(layers)):
                _update(a[b, t], state[b], sent[b, t], potential, numbers, layers[k])
                _send(sent[b, t], flat, rest, t, synapses, layers[k])
            v_rows[b, t] = state[b, V, shown:stop]
            if u_rows.size:
                u_rows[b, t] = state[b, U, shown:stop]


@njit(nogil=True)
def _learn(sent: Any, by_a: Any, future: Any, step: int, by_synapses: Any) -> None:  # noqa: ANN401
    """Add to the gradient of every synapse whose source fired what its current would have changed."""
    here, words = np.uint64(step * sent.size), sent.view(np.uint64)
    stays = by_a.size - step * sent.size >= len(future) + sent.size
    for word in range(len(words)):
        if words[word] == 0:
            continue
        for n in range(8 * word, 8 * word + 8):
            if sent[n] == 0:
                continue
            count, listed = by_a.dtype.type(sent[n]), slice(by_synapses.first[n], by_synapses.first[n + 1])
            if stays:
                _fetch(count, by_a, here, by_synapses.places[listed], by_synapses.weights[listed])
            else:
                _fetch_far(count, by_a, future, here, by_synapses.places[listed], by_synapses.weights[listed])
            for k in range(len(by_synapses.wide)):
                start, stop, reached, length, begin = by_synapses.wide[k]
                if start <= n < stop:
                    row = begin + (n - start) * length
                    target = step * sent.size + reached
                    arriving = by_a[target:] if target < by_a.size else future[target - by_a.size :]
                    _add_row(count, arriving[:length], by_synapses.rows[row : row + length])


@njit(nogil=True)
def _fetch(count: Any, by_a: Any, here: Any, places: Any, by_weights: Any) -> None:  # noqa: ANN401
    for p in range(len(places)):
        by_weights[p] += count * by_a[here + places[p]]


@njit(nogil=True)
def _fetch_far(count: Any, by_a: Any, future: Any, here: Any, places: Any, by_weights: Any) -> None:  # noqa: ANN401
    size = np.uint64(by_a.size)
    for p in range(len(places)):
        place = here + places[p]
        by_weights[p] += count * (by_a[place] if place < size else future[place - size])


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
        a: Input with what synapses brought, `[B, T, N]`, as `advance` left it.
        state: States before the block, `[B, 4, N]`; it is run again, so they become those after it.
        sent: Spikes, uint8 `[B, T, N]`.
        by_spikes: Gradients with respect to the spikes of neurons from `heard` on, `[B, T, R]`.
        heard: First of those neurons.
        by_v: Those with respect to the potentials of neurons from `shown` on, `[B, T, R]`.
        shown: First of those neurons.
        later: Gradients with respect to the state after the block, `[B, 4, N]`; become those before it.
        by_a: Gets the gradients with respect to the input, `[B, T, N]`.
        future: Those of the steps after the block, `[B, D, N]`.
        lines: The same for this line of samples, `[D N L]`, becomes that of the steps from this block on.
        by_numbers: Gradients with respect to the numbers, `[8, N]`, added up.
        by_synapses: Gradients with respect to the weights of synapses, added up.
        numbers: Numbers of the neurons.
        layers: Table of the layers.
        slopes: Sharpness of the surrogate derivative of each layer.
        synapses: The synapses between them.
    """
    steps, size, lanes, count = a.shape[1], a.shape[2], lines.shape[1], end - begin
    # States of plain neurons before a step are not needed again.
    plain = layers[:, PLAIN].all()
    past = np.empty((count, 1 if plain else steps, STATES, size), a.dtype)
    potential = np.empty((count, steps, size), a.dtype)
    for b in range(begin, end):
        _rerun(a[b], state[b], past[b - begin], potential[b - begin], numbers, layers)
    window = np.zeros((steps * size + len(lines), lanes), a.dtype)
    window[steps * size :] = lines
    rows = np.empty((lanes, size), a.dtype)
    for back in range(steps):
        t = steps - 1 - back
        for k in range(len(layers) - 1, -1, -1):
            layer = layers[k]
            _listen(window, t * size, rows, layer, synapses)
            for b in range(begin, end):
                lane = b - begin
                _add_from(by_v[b, t], shown, later[b, V], layer)
                _add_from(by_spikes[b, t], heard, rows[lane], layer)
                before = past[lane, 0 if plain else t]
                _retreat(
                    rows[lane],
                    sent[b, t],
                    potential[lane, t],
                    before,
                    later[b],
                    by_a[b, t],
                    by_numbers,
                    numbers,
                    layer,
                    slopes[k],
                )
            _line_up(by_a, begin, end, t, window, layer)
        for b in range(begin, end):
            _learn(sent[b, t], by_a[b].reshape(-1), future[b].reshape(-1), t, by_synapses)
    lines[:] = window[: len(lines)]


@njit(nogil=True)
def _rerun(a: Any, state: Any, past: Any, potential: Any, numbers: Any, layers: Any) -> None:  # noqa: ANN401
    """Run a sample again, and note its potentials before every reset and its states before every step."""
    sent = np.empty(a.shape[1], np.uint8)
    for t in range(len(a)):
        if len(past) == len(a):
            past[t] = state
        for k in range(len(layers)):
            _update(a[t], state, sent, potential[t], numbers, layers[k])


@njit(nogil=True)
def _listen(
    window: Any,  # noqa: ANN401
    here: int,
    rows: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    synapses: Any,  # noqa: ANN401
) -> None:
    """Write to `rows`, `[samples, N]`, the gradients that the spikes of a layer get from their synapses."""
    lanes, size, wide = window.shape[1], rows.shape[1], synapses.wide
    lines, brought, all_rows = window.reshape(-1), np.empty(lanes * lanes, window.dtype), rows.reshape(-1)
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
    sent: Any,  # noqa: ANN401
    potential: Any,  # noqa: ANN401
    before: Any,  # noqa: ANN401
    later: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    by_numbers: Any,  # noqa: ANN401
    numbers: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    slope: Any,  # noqa: ANN401
) -> None:
    start, stop, surrogate = layer[START], layer[STOP], layer[SURROGATE]
    if layer[PLAIN]:
        retreat_plain(by_spikes, potential, later, by_a, numbers, start, stop, surrogate, slope)
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
            start,
            stop,
            layer[KEEPS],
            layer[MOST],
            surrogate,
            slope,
        )
