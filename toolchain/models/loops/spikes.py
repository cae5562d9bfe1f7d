"""What a spike does along the synapses of its neuron: it brings currents, and their gradients come back.

Places are counted from the row of the step in which the spike is sent; see `passes`.
"""

# pyright: reportCallIssue=false
from typing import Any

import numpy as np

from toolchain.compiled import njit
from toolchain.models.loops.neurons import START, STOP
from toolchain.models.loops.ownership import unowned
from toolchain.models.loops.synapses import Synapses


@njit(nogil=True)
def without_owner(synapses: Any) -> Any:  # noqa: ANN401
    """Return synapses whose arrays are no owners; see `ownership`."""
    return Synapses(
        unowned(synapses.first),
        unowned(synapses.places),
        unowned(synapses.weights),
        unowned(synapses.wide),
        unowned(synapses.rows),
    )


@njit(nogil=True)
def send(sent: Any, a: Any, tail: Any, step: int, synapses: Any, layer: Any) -> None:  # noqa: ANN401
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


@njit(nogil=True)
def learn(sent: Any, by_a: Any, future: Any, step: int, by_synapses: Any) -> None:  # noqa: ANN401
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
