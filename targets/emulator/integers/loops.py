"""The compiled loops: neurons, events, loops of populations, pooling. No objects, only arrays.

Arrays of a block are `[steps, batch, size]`, C-contiguous. All arithmetic is int32, as in Lava.
"""

# ruff: noqa: PLR0917 - a compiled loop has no objects to group its arrays in
from typing import Any, Final

import numpy as np

from toolchain import fixedpoint
from toolchain.arrays import Array
from toolchain.compiled import njit

ALIGNMENT: Final = np.int32(fixedpoint.ALIGNMENT_BITS)
_DECAY_BITS: Final = np.uint32(fixedpoint.DECAY_BITS)
_LOW_BITS: Final = np.uint32(fixedpoint.DECAY_UNITY - 1)
_SIGN: Final = np.int32(31)
_HALF: Final = np.int32(fixedpoint.STATE_LIMIT)
_FULL: Final = np.int32(2 * fixedpoint.STATE_LIMIT)
_EVERY_SECOND: Final = np.uint64(0x00FF00FF00FF00FF)
_EVERY_OTHER_PAIR: Final = np.uint64(0x0000FFFF0000FFFF)
_LOW_HALF: Final = np.uint64(0x00000000FFFFFFFF)
_CHUNK: Final = 2048
"""Neurons whose state stays in the nearest cache while the steps of a block pass."""


@njit(inline="always")
def decayed(x: Any, keep: Any) -> Any:  # noqa: ANN401 - compiled for int32
    """Return `sign(x) * ((|x| * keep) >> 12)` without 64-bit products: `|x|` is split at bit 12."""
    sign = x >> _SIGN
    magnitude = np.uint32((x ^ sign) - sign)
    kept = np.uint32(keep)
    scaled = np.int32((magnitude >> _DECAY_BITS) * kept + (((magnitude & _LOW_BITS) * kept) >> _DECAY_BITS))
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
    return min(max(total, np.int32(1 - _HALF)), np.int32(_HALF - 1))


@njit(nogil=True, cache=True)
def _update(
    a: Array,
    factor: Any,  # noqa: ANN401 - compiled for int32
    u: Array,
    v: Array,
    keep_u: Array,
    keep_v: Array,
    threshold: Array,
    bias: Array,
    forgets: bool,  # noqa: FBT001
    fired: Array,
) -> None:
    """Advance some neurons of one sample by one step; see `fixedpoint.lif_step`."""
    for i in range(fired.size):
        current = np.int32(np.int32(a[i] * factor) << ALIGNMENT)
        if not forgets:
            current = np.int32(current + decayed(u[i], keep_u[i]))
        current = wrapped(current)
        u[i] = current
        potential = potential_of(v[i], keep_v[i], current, bias[i])
        spike = potential > threshold[i]
        v[i] = np.int32(0) if spike else potential
        fired[i] = spike


@njit(nogil=True, cache=True)
def advance_neurons(
    a: Array,
    gain: int,
    u: Array,
    v: Array,
    keep_u: Array,
    keep_v: Array,
    threshold: Array,
    bias: Array,
    forgets: bool,  # noqa: FBT001
    spikes: Array,
    kept_u: Array,
    kept_v: Array,
) -> None:
    """Advance a population over the steps of a block; see `fixedpoint.lif_step`.

    One pass over memory: every number of `a` is read once, every spike written once, and the state
    of a chunk of neurons stays in the cache for all steps.

    Args:
        a: Synaptic input, int32; one step of it serves all steps.
        gain: Its factor.
        u: Current `[batch, size]`, updated in place; may be empty if the population forgets it at once.
        v: Potential, updated in place.
        keep_u: `4096 - (du + 1)`.
        keep_v: `4096 - dv`.
        threshold: `vth << 6`.
        bias: Added to `v`.
        forgets: Whether `keep_u` is 0 everywhere.
        spikes: uint8, written.
        kept_u: Record `[steps, batch, size]`, written unless empty.
        kept_v: Likewise.
    """
    steps, batch, size = spikes.shape
    factor = np.int32(gain)
    passing = np.zeros(min(size, _CHUNK), np.int32)
    for b in range(batch):
        for first in range(0, size, _CHUNK):
            last = min(size, first + _CHUNK)
            ub = passing[: last - first] if forgets else u[b, first:last]
            vb = v[b, first:last]
            ku, kv = keep_u[first:last], keep_v[first:last]
            limit, added = threshold[first:last], bias[first:last]
            for t in range(steps):
                at = a[t if a.shape[0] > 1 else 0, b, first:last]
                _update(at, factor, ub, vb, ku, kv, limit, added, forgets, spikes[t, b, first:last])
                if kept_u.size:
                    kept_u[t, b, first:last] = ub
                if kept_v.size:
                    kept_v[t, b, first:last] = vb


@njit(nogil=True, cache=True)
def _add_rows(
    a: Array,
    sources: Array,
    dense: bool,  # noqa: FBT001
    indptr: Array,
    indices: Array,
    weights: Array,
) -> None:
    """Add to `a` what one spike of each of the `sources` brings."""
    if dense:
        for j in sources:
            row = weights[j * a.size : (j + 1) * a.size]
            for i in range(a.size):
                a[i] += row[i]
    else:
        for j in sources:
            # Unsigned places need no look whether they count from the end: a third of the time.
            for p in range(np.uint64(indptr[j]), np.uint64(indptr[j + 1])):
                a[indices[p]] += weights[p]


@njit(nogil=True, cache=True)
def _drop_bits(total: Array, right: int, a: Array) -> None:
    """Add `total >> right` to `a` and clear it."""
    for i in range(a.size):
        a[i] += total[i] >> np.int32(right)
        total[i] = 0


@njit(nogil=True, cache=True)
def _list_spikes(fired: Array, events: Array) -> int:
    """Write the indices of the neurons that fired; return how many."""
    found = 0
    for i in range(fired.size):
        # Written always, kept if it fired: no branch to guess.
        events[found] = i
        found += fired[i]
    return found


@njit(nogil=True, cache=True)
def add_events(
    x: Array,
    out: Array,
    dense: bool,  # noqa: FBT001
    indptr: Array,
    indices: Array,
    weights: Array,
    right: int,
    counts: bool,  # noqa: FBT001
) -> None:
    """Add to `out` the weights of every source that spikes: work goes with spikes times fan-out.

    Args:
        x: Spikes `[rows, sources]`, uint8; a number above 1 counts as so many spikes.
        out: `[rows, targets]`, int32.
        dense: Whether `weights` holds whole rows `[sources * targets]`; otherwise CSR by source.
        indptr: `[sources + 1]`.
        indices: Targets.
        weights: int16, with a positive exponent folded in.
        right: Bits that a negative exponent drops from the sum.
        counts: Whether `x` may hold more than 1.
    """
    rows, sources = x.shape
    total = np.zeros(out.shape[1] if right else 0, np.int32)
    events = np.empty(sources, np.int32)
    for row in range(rows):
        seen, a = x[row], out[row]
        goal = total if right else a
        most = seen.max() if counts else 1
        # A number above 1 is so many spikes: one round for each.
        for already in range(most):
            found = 0
            for j in range(sources):
                events[found] = j
                found += seen[j] > already
            _add_rows(goal, events[:found], dense, indptr, indices, weights)
        if right:
            _drop_bits(total, right, a)


@njit(nogil=True, cache=True)
def run_loop(
    drive: Array,
    first: Array,
    slots: Array,
    indptr: Array,
    indices: Array,
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
    """Advance populations that feed each other over the steps of a block, event by event.

    The populations stand one after the other in arrays of `size` neurons.

    Args:
        drive: What comes from outside the loop, `[steps, batch, size]`, int32; destroyed.
        first: Where each population begins, `[populations + 1]`.
        slots: Per connection and delay, ordered by target: source, target, delay, whether dense, bits to
            drop, where its `indptr` and its `weights` begin.
        indptr: Of all slots, one after the other; positions count from the slot's first weight.
        indices: Targets within the target population; as long as `weights`.
        weights: int16.
        u: Current `[batch, size]`, updated in place, as is `v`.
        v: Potential.
        keep_u: As in `advance_neurons`, all populations one after the other.
        keep_v: Likewise.
        threshold: Likewise.
        bias: Likewise.
        recent: Spikes of the steps before the block, `[span, batch, size]`, the latest last.
        spikes: Written.
        kept_u: Record, written unless empty.
        kept_v: Likewise.
    """
    steps, batch, size = drive.shape
    span, populations = len(recent), first.size - 1
    total = np.zeros(size, np.int32)
    # The indices of the last spikes, within each population, from its `first` on; and how many there are.
    events = np.empty((span, size), np.int32)
    counts = np.empty((span, populations), np.int32)
    for b in range(batch):
        ub, vb = u[b], v[b]
        for then in range(span):
            for population in range(populations):
                start, stop = first[population], first[population + 1]
                counts[then, population] = _list_spikes(recent[then, b, start:stop], events[then, start:stop])
        for t in range(steps):
            a, fired = drive[t, b], spikes[t, b]
            now = t % span
            slot = 0
            for population in range(populations):
                start, stop = first[population], first[population + 1]
                while slot < len(slots) and slots[slot, 1] == population:
                    source, delay, right = slots[slot, 0], slots[slot, 2], slots[slot, 4]
                    place = slots[slot, 6]
                    then, base = (t - delay) % span, first[source]
                    sent = events[then, base : base + counts[then, source]]
                    _add_rows(
                        total[: stop - start] if right else a[start:stop],
                        sent,
                        slots[slot, 3] == 1,
                        indptr[slots[slot, 5] :],
                        indices[place:],
                        weights[place:],
                    )
                    if right:
                        _drop_bits(total, right, a[start:stop])
                    slot += 1
                _update(
                    a[start:stop],
                    np.int32(1),
                    ub[start:stop],
                    vb[start:stop],
                    keep_u[start:stop],
                    keep_v[start:stop],
                    threshold[start:stop],
                    bias[start:stop],
                    False,  # noqa: FBT003
                    fired[start:stop],
                )
                counts[now, population] = _list_spikes(fired[start:stop], events[now, start:stop])
            if kept_u.size:
                kept_u[t, b] = ub
            if kept_v.size:
                kept_v[t, b] = vb


@njit(nogil=True, cache=True)
def add_scaled(product: Array, gain: int, out: Array) -> None:
    """Add `gain * product`, int32, to `out`."""
    factor = np.int32(gain)
    for row in range(len(product)):
        seen, a = product[row], out[row]
        for i in range(seen.size):
            a[i] += seen[i] * factor


@njit(nogil=True, cache=True)
def pool(x: Array, out: Array, window: tuple[int, int, int, int, int, int], is_sum: bool) -> None:  # noqa: FBT001
    """Sum `[images, rows, columns, channels]` over windows, or say whether any element is set.

    Args:
        x: Spikes or messages.
        out: Written.
        window: Rows and columns of kernel, stride and padding.
        is_sum: Otherwise an OR.
    """
    kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x = window
    for n in range(len(x)):
        for y in range(out.shape[1]):
            for column in range(out.shape[2]):
                total = out[n, y, column]
                total[:] = 0
                for i in range(
                    max(0, pad_y - y * stride_y), min(kernel_y, x.shape[1] + pad_y - y * stride_y)
                ):
                    for j in range(
                        max(0, pad_x - column * stride_x),
                        min(kernel_x, x.shape[2] + pad_x - column * stride_x),
                    ):
                        seen = x[n, y * stride_y + i - pad_y, column * stride_x + j - pad_x]
                        for c in range(total.size):
                            total[c] = total[c] + seen[c] if is_sum else total[c] | seen[c]


@njit(inline="always")
def _exchanged(a: Any, b: Any, mask: Any, bits: int) -> Any:  # noqa: ANN401 - compiled for uint64
    """Return two words after the high bytes of `a` under the mask changed places with the low ones of `b`."""
    count = np.uint64(bits)
    moved = ((a >> count) ^ b) & mask
    return a ^ (moved << count), b ^ moved


@njit(nogil=True, cache=True)
def transpose_bytes(x: Array, out: Array) -> None:
    """Exchange the first two and the last two axes: `out[j, i] = x[i, j].T`, for single bytes.

    Eight rows of eight bytes are turned in registers, as eight words.

    Args:
        x: `[A, B, rows, columns / 8]`, uint64: eight columns each.
        out: `[B, A, columns, rows / 8]`, written.
    """
    outer, inner, rows, words = x.shape
    for n in range(outer):
        for m in range(inner):
            for r in range(rows // 8):
                for c in range(words):
                    seen = x[n, m, 8 * r : 8 * r + 8, c]
                    a, b = _exchanged(seen[0], seen[1], _EVERY_SECOND, 8)
                    d, e = _exchanged(seen[2], seen[3], _EVERY_SECOND, 8)
                    f, g = _exchanged(seen[4], seen[5], _EVERY_SECOND, 8)
                    h, k = _exchanged(seen[6], seen[7], _EVERY_SECOND, 8)
                    a, d = _exchanged(a, d, _EVERY_OTHER_PAIR, 16)
                    b, e = _exchanged(b, e, _EVERY_OTHER_PAIR, 16)
                    f, h = _exchanged(f, h, _EVERY_OTHER_PAIR, 16)
                    g, k = _exchanged(g, k, _EVERY_OTHER_PAIR, 16)
                    a, f = _exchanged(a, f, _LOW_HALF, 32)
                    b, g = _exchanged(b, g, _LOW_HALF, 32)
                    d, h = _exchanged(d, h, _LOW_HALF, 32)
                    e, k = _exchanged(e, k, _LOW_HALF, 32)
                    turned = out[m, n, 8 * c : 8 * c + 8, r]
                    turned[0], turned[1], turned[2], turned[3] = a, b, d, e
                    turned[4], turned[5], turned[6], turned[7] = f, g, h, k
