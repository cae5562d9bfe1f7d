"""Many samples at once: one bit of a word is one sample, one lane of a vector register its sum.

A spike is a bit. For a synapse from `j` to `i` the word of `j` says which lanes of the sum of `i` get its
weight: one masked addition per synapse for 32 or 64 samples, whatever the activity.

A sum has 16 bits, which `LoopPlan.by_target` proves to be enough for every choice of spikes: the magnitudes
of all weights of a target add up to less than 2^15.
"""

# ruff: noqa: PLR0917 - a compiled loop has no objects to group its arrays in
# pyright: reportUntypedFunctionDecorator=false, reportCallIssue=false
from typing import Final

import numpy as np

from targets.emulator.integers.loops import ALIGNMENT, decayed, potential_of, transpose_bytes, wrapped
from targets.emulator.integers.vectors import pack_row, sum_lanes
from toolchain.arrays import Array
from toolchain.compiled import njit

_TILE: Final = 8


@njit(nogil=True, cache=True)
def _update(
    a: Array, u: Array, v: Array, keep_u: Array, keep_v: Array, threshold: Array, bias: Array, fired: Array
) -> None:
    """Advance some neurons of every sample by one step; see `fixedpoint.lif_step`."""
    for i in range(a.shape[0]):
        ku, kv, limit, added = keep_u[i], keep_v[i], threshold[i], bias[i]
        for k in range(a.shape[1]):
            current = wrapped(np.int32(decayed(u[i, k], ku) + np.int32(a[i, k] << ALIGNMENT)))
            u[i, k] = current
            potential = potential_of(v[i, k], kv, current, added)
            spike = potential > limit
            v[i, k] = np.int32(0) if spike else potential
            fired[i, k] = spike


@njit(nogil=True, cache=True)
def turn(x: Array, out: Array) -> None:
    """Write `out[:, : len(x)] = x.T`, eight rows at a time: every line of memory is used whole."""
    rows, columns = x.shape
    whole = rows // _TILE * _TILE
    for r in range(0, whole, _TILE):
        for c in range(columns):
            held = out[c]
            held[r], held[r + 1], held[r + 2], held[r + 3] = x[r, c], x[r + 1, c], x[r + 2, c], x[r + 3, c]
            held[r + 4], held[r + 5] = x[r + 4, c], x[r + 5, c]
            held[r + 6], held[r + 7] = x[r + 6, c], x[r + 7, c]
    for r in range(whole, rows):
        for c in range(columns):
            out[c, r] = x[r, c]


@njit(nogil=True, cache=True)
def _pack_all(flags: Array, words: Array) -> None:
    """Write one word per row of `flags`, a bit for every byte that is not 0."""
    for i in range(words.size):
        pack_row(flags, words, i)


@njit(nogil=True, cache=True)
def _sum_slot(
    sent: Array, sources: Array, weights: Array, indptr: Array, exponent: int, total: Array, a: Array
) -> None:
    """Add to `a`, `[targets, width]`, what the synapses of one slot bring."""
    left, right = np.int32(max(exponent, 0)), np.int32(max(-exponent, 0))
    for i in range(a.shape[0]):
        sum_lanes(sent, sources, weights, indptr[i], indptr[i + 1], total)
        for k in range(a.shape[1]):
            a[i, k] += np.int32(np.int32(np.int32(total[k]) >> right) << left)


@njit(nogil=True, cache=True)
def run_lanes(
    empty: Array,
    drive: Array,
    first: Array,
    slots: Array,
    indptr: Array,
    sources: Array,
    weights: Array,
    u: Array,
    v: Array,
    keep_u: Array,
    keep_v: Array,
    threshold: Array,
    bias: Array,
    recent: Array,
    spikes: Array,
    kept_u: Array,
    kept_v: Array,
) -> None:
    """Advance populations that feed each other over the steps of a block, all samples side by side.

    Args:
        empty: `[0]` of uint32 or uint64: a word has a bit for every sample.
        drive: What comes from outside the loop, `[steps, batch, size]`, int32.
        first: Where each population begins, `[populations + 1]`.
        slots: Per connection and delay, ordered by target: source, target, delay, exponent, where its
            `indptr` begins.
        indptr: By target, of all slots; positions count from the first synapse of all.
        sources: Within the source population.
        weights: int16, before the exponent; no sum of a target leaves 16 bits.
        u: Current `[batch, size]`, updated in place, as is `v`.
        v: Potential.
        keep_u: As in `loops.advance_neurons`, all populations one after the other.
        keep_v: Likewise.
        threshold: Likewise.
        bias: Likewise.
        recent: Spikes of the steps before the block, `[span, batch, size]`, the latest last.
        spikes: `[steps, batch, size]`, written.
        kept_u: Record, written unless empty.
        kept_v: Likewise.
    """
    steps, batch, size = drive.shape
    span, width = len(recent), empty.itemsize * 8
    # Bytes are turned eight by eight: neurons are filled up.
    padded = (size + 7) // 8 * 8
    a = np.zeros((size, width), np.int32)
    fired, turned = np.zeros((padded, width), np.uint8), np.zeros((width, padded), np.uint8)
    fired_words = fired.view(np.uint64).reshape(1, 1, padded, width // 8)
    turned_words = turned.view(np.uint64).reshape(1, 1, width, padded // 8)
    total = np.zeros(width, np.int16)
    ut, vt = np.zeros((size, width), np.int32), np.zeros((size, width), np.int32)
    turn(u, ut)
    turn(v, vt)
    words = np.zeros((span, size), empty.dtype)
    for then in range(span):
        turn(recent[then], fired)
        _pack_all(fired[:size], words[then])
    for t in range(steps):
        turn(drive[t], a)
        now = t % span
        slot = 0
        for population in range(first.size - 1):
            start, stop = first[population], first[population + 1]
            while slot < len(slots) and slots[slot, 1] == population:
                source, delay, exponent, place = (
                    slots[slot, 0],
                    slots[slot, 2],
                    slots[slot, 3],
                    slots[slot, 4],
                )
                sent = words[(t - delay) % span, first[source] : first[source + 1]]
                _sum_slot(sent, sources, weights, indptr[place:], exponent, total, a[start:stop])
                slot += 1
            part = slice(start, stop)
            _update(
                a[part],
                ut[part],
                vt[part],
                keep_u[part],
                keep_v[part],
                threshold[part],
                bias[part],
                fired[part],
            )
            _pack_all(fired[part], words[now, part])
        transpose_bytes(fired_words, turned_words)
        spikes[t] = turned[:batch, :size]
        if kept_u.size:
            turn(ut[:, :batch], kept_u[t])
        if kept_v.size:
            turn(vt[:, :batch], kept_v[t])
    turn(ut[:, :batch], u)
    turn(vt[:, :batch], v)
