"""Sums of rows of integer weights: every position of an image adds one row for every spike in its window.

The work grows with the number of spikes: eight silent channels cost one look at a word. A dense connection is
the window of one position over an image of one position.

Every sum is exact for all data and all shapes:

- In 16 bits no more than `limit` rows are added before the sum moves on to 32 bits: 256 rows of weights in
  -128 .. 127, or 128 rows of weights in -256 .. 255, cannot leave -2^15 .. 2^15 - 1. Where all weights of any
  target together cannot leave 16 bits, `limit` is 0 and there is nothing to move.
- Weights of one byte stand in pairs: a word holds `256 high + (low + 128)`. The sum `B` of the words shifted
  right by eight is the sum of the high weights. From the sum `A` of `n` words follows that of the low ones,
  `A - 256 B - 128 n`, modulo 2^16, which is exact because that sum fits 16 bits.
- In 32 bits sums, and products of messages and weights, count modulo 2^32. This is what the rules ask for:
  `fixedpoint.shift` reduces a sum modulo 2^32, and `fixedpoint.wrap_sum` modulo 2^24, which divides it.
"""

# pyright: reportUntypedFunctionDecorator=false, reportCallIssue=false
from typing import Any, Final, NamedTuple

import numpy as np

from targets.emulator.compiled.spike_lists import (
    PAIRED,
    WEIGHED,
    ImageMessages,
    SpikeList,
    list_messages,
    room_for_spikes,
)
from targets.emulator.compiled.vectors import BLOCK, add_pairs, add_rows, add_scaled_rows
from toolchain.arrays import Array
from toolchain.compiled import njit

Window = tuple[int, int, int, int, int, int, int, int]
"""Rows and columns of kernel, stride, padding and dilation."""

HALF: Final = BLOCK // 2
_IMAGES: Final = 8


class WeightRows(NamedTuple):
    """Weights by source, a block of targets in one row.

    Attributes:
        rows: `[blocks, kernel rows, kernel columns, span, lanes]`: int16, half as many pairs if `form` is
            `PAIRED`; or of the type of the sums, which `register_sums` adds.
        channels: `[blocks, 2]`: the first channel that a block reads, and the one after its last; at most
            `span` of them.
        form: `PAIRED`, `PLAIN` or `WEIGHED`. Unless weighed, a number counts as so many spikes.
        limit: Rows that may be added in 16 bits; 0 if any number may, if weighed, and in wider sums.
        lanes: Targets of a block: `BLOCK`, or one of `REGISTER_BLOCKS`.
    """

    rows: Array
    channels: Array
    form: int
    limit: int
    lanes: int


class _FlatRows(NamedTuple):
    """Weights as the innermost loops read them: flat rows, and `form`, `limit` and `span` of `WeightRows`."""

    rows: Array
    form: int
    limit: int
    span: int


class _Sums(NamedTuple):
    """Sums of a row of positions, a block of targets each.

    Attributes:
        narrow: `[positions, BLOCK]`, int16.
        counts: Number of rows that each narrow sum holds.
        wide: `[positions, BLOCK]`, int32.
    """

    narrow: Array
    counts: Array
    wide: Array


@njit(inline="always")
def _low(words: Any, high: Any, count: Any) -> Any:  # noqa: ANN401 - compiled for int16
    """Return the sum of the low weights of `count` pairs, modulo 2^16 between -2^15 and 2^15 - 1."""
    return np.int16(words - (high << 8) - (count << 7))


@njit(nogil=True, cache=True)
def _widen(form: int, sums: _Sums, position: int) -> None:
    """Add a sum of 16 bits to one of 32 bits and clear it."""
    narrow, counts, wide = sums
    count = counts[position]
    for k in range(np.uint64(HALF)):
        low, high = narrow[position, k], narrow[position, HALF + k]
        wide[position, k] += _low(low, high, count) if form == PAIRED else low
        wide[position, HALF + k] += high
    for k in range(np.uint64(BLOCK)):
        narrow[position, k] = 0
    counts[position] = 0


@njit(nogil=True, cache=True)
def _add(
    weights: _FlatRows, shift: int, spikes: SpikeList, start: int, stop: int, sums: _Sums, position: int
) -> None:
    """Add the rows of some spikes to the sum of one position, never more than `limit` in 16 bits."""
    rows, form, limit, _ = weights
    narrow, counts, wide = sums
    if form == WEIGHED:
        add_scaled_rows(rows, shift, spikes.places, spikes.messages, start, stop, wide, position)
        return
    while start < stop:
        if limit and counts[position] == limit:
            _widen(form, sums, position)
        end = min(stop, start + limit - counts[position]) if limit else stop
        if form == PAIRED:
            add_pairs(rows, shift, spikes.places, start, end, narrow, position)
        else:
            add_rows(rows, shift, spikes.places, start, end, narrow, position)
        counts[position] += end - start
        start = end


@njit(nogil=True, cache=True)
def _write(form: int, sums: _Sums, out: Array, place: int, first: int) -> None:
    """Write the sums of a row of positions to `out[place ..., first ...]`, a block of targets; clear them."""
    wide = sums.wide
    count = np.uint64(min(BLOCK, out.shape[1] - first))
    start = np.uint64(first)
    for position in range(len(wide)):
        if form != WEIGHED:
            _widen(form, sums, position)
        for k in range(count):
            out[place + position, start + k] = wide[position, k]
        for k in range(np.uint64(BLOCK)):
            wide[position, k] = 0


@njit(nogil=True, cache=True)
def _write_pairs(sums: _Sums, out: Array, place: int, first: int) -> None:
    """Do the same for pairs whose sums fit 16 bits."""
    narrow, counts = sums.narrow, sums.counts
    low, high = np.uint64(first), np.uint64(first + HALF)
    targets = out.shape[1] - first
    for position in range(len(narrow)):
        count = counts[position]
        if not count:
            out[place + position, first : first + min(targets, BLOCK)] = 0
            continue
        if targets >= BLOCK:
            # A loop of known length becomes a few vector instructions.
            for k in range(np.uint64(HALF)):
                highs = narrow[position, HALF + k]
                out[place + position, low + k] = _low(narrow[position, k], highs, count)
                out[place + position, high + k] = highs
        else:
            for k in range(np.uint64(min(targets, HALF))):
                out[place + position, low + k] = _low(narrow[position, k], narrow[position, HALF + k], count)
            for k in range(np.uint64(max(targets - HALF, 0))):
                out[place + position, high + k] = narrow[position, HALF + k]
        for k in range(np.uint64(BLOCK)):
            narrow[position, k] = 0
        counts[position] = 0


@njit(nogil=True, cache=True)
def _room_for_sums(positions: int) -> _Sums:
    shape = (positions, BLOCK)
    return _Sums(np.zeros(shape, np.int16), np.zeros(positions, np.int64), np.zeros(shape, np.int32))


@njit(nogil=True, cache=True)
def _sum_kernel_row(
    weights: _FlatRows,
    base: int,
    spikes: SpikeList,
    pixel: int,
    width: int,
    across: tuple[int, int, int, int],
    sums: _Sums,
) -> None:
    """Add what one row of pixels brings through one row of the kernel to all positions of a row.

    Args:
        weights: All weights.
        base: First of the rows of weights that belong to this row of the kernel.
        spikes: Spikes of all images.
        pixel: First pixel of the row.
        width: Number of pixels in the row.
        across: Columns of the kernel, stride, padding and dilation.
        sums: Sums of a row of positions.
    """
    kernel, stride, padding, dilation = across
    ends, span = spikes.ends, weights.span
    # Without dilation the pixels of a kernel row lie side by side, and so do their spikes: one run.
    runs, reach = (1, kernel) if dilation == 1 else (kernel, 1)
    plain = weights.form == PAIRED and not weights.limit
    for position in range(len(sums.narrow)):
        for run in range(runs):
            column = position * stride + run * dilation - padding
            left, right = max(column, 0), min(column + reach, width)
            if left >= right or ends[pixel + left] == ends[pixel + right]:
                continue
            start, stop, shift = ends[pixel + left], ends[pixel + right], base + (run - column) * span
            if plain:
                add_pairs(weights.rows, shift, spikes.places, start, stop, sums.narrow, position)
                sums.counts[position] += stop - start
            else:
                _add(weights, shift, spikes, start, stop, sums, position)


@njit(nogil=True, cache=True)
def sum_windows(images: ImageMessages, weights: WeightRows, window: Window, out: Array) -> None:
    """Write the sums of every position of every image to `out`, `[images, rows, columns, targets]`, int32.

    Args:
        images: Messages of the images.
        weights: Weights by source.
        window: How the kernel moves.
        out: Sums, written.
    """
    kernel, kernel_x, stride, stride_x, padding, padding_x, dilation, dilation_x = window
    across = (kernel_x, stride_x, padding_x, dilation_x)
    count, height, width, _ = images.values.shape
    _, rows_out, positions, targets = out.shape
    span, form, channels = weights.rows.shape[3], weights.form, weights.channels
    flat = _FlatRows(weights.rows.reshape(weights.rows.size), form, weights.limit, span)
    plain = form == PAIRED and not weights.limit
    flat_out = out.reshape(count * rows_out * positions, targets)
    spikes, sums = room_for_spikes(images, span, form, out.dtype), _room_for_sums(positions)
    for block in range(len(weights.rows)):
        first, last = channels[block]
        if block == 0 or first != channels[block - 1, 0] or last != channels[block - 1, 1]:
            list_messages(form, images, first, last, span, spikes)
        for n in range(count):
            for y in range(rows_out):
                for i in range(kernel):
                    row = y * stride + i * dilation - padding
                    pixel = (n * height + row) * width
                    if 0 <= row < height and spikes.ends[pixel] < spikes.ends[pixel + width]:
                        base = (block * kernel + i) * kernel_x * span
                        _sum_kernel_row(flat, base, spikes, pixel, width, across, sums)
                place = (n * rows_out + y) * positions
                if plain:
                    _write_pairs(sums, flat_out, place, block * BLOCK)
                else:
                    _write(form, sums, flat_out, place, block * BLOCK)


@njit(nogil=True, cache=True)
def sum_rows(images: ImageMessages, weights: WeightRows, out: Array) -> None:
    """Write the sums of images of one pixel through a kernel of one element; see `sum_windows`.

    Args:
        images: Messages `[images, 1, 1, channels]`.
        weights: Weights by source, `[blocks, 1, 1, channels, BLOCK]` or pairs.
        out: Sums `[images, targets]`, int32, written.
    """
    count, span, form = len(images.values), weights.rows.shape[3], weights.form
    flat = _FlatRows(weights.rows.reshape(weights.rows.size), form, weights.limit, span)
    spikes, sums = room_for_spikes(images, span, form, out.dtype), _room_for_sums(1)
    lowest: Any = np.int64(0)  # a plain 0 is a type of its own to Numba, and would be compiled apart
    list_messages(form, images, lowest, span, span, spikes)
    plain = form == PAIRED and not weights.limit
    # A few images at a time: their sums stay near, and the weights of a block are read once for all of them.
    for some in range(0, count, _IMAGES):
        for block in range(len(weights.rows)):
            shift, first = block * span, block * BLOCK
            for n in range(some, min(some + _IMAGES, count)):
                start, stop = spikes.ends[n], spikes.ends[n + 1]
                if plain:
                    add_pairs(flat.rows, shift, spikes.places, start, stop, sums.narrow, 0)
                    sums.counts[0] = stop - start
                    _write_pairs(sums, out, n, first)
                else:
                    _add(flat, shift, spikes, start, stop, sums, 0)
                    _write(form, sums, out, n, first)
