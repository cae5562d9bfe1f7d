"""What reaches every position of an image: sums of rows of weights, one row for every spike in its window.

Work goes with spikes: what is silent costs a look at eight bytes. A dense connection is the window of one
position over an image of one position.

Every sum is exact for all data and all shapes:

- In 16 bits no more than `limit` rows are added before the sum moves on to 32 bits: 256 rows of weights in
  -128 .. 127, or 128 rows of weights in -256 .. 255, cannot leave -2^15 .. 2^15 - 1. Where all weights of any
  target together cannot leave 16 bits, `limit` is 0 and there is nothing to move.
- Weights of one byte stand in pairs: a word holds `256 high + (low + 128)`. The sum `B` of the words shifted
  right by eight is the sum of the high weights. From the sum `A` of `n` words follows that of the low ones,
  `A - 256 B - 128 n`: modulo 2^16, which is exact because it fits 16 bits.
- In 32 bits sums, and products of messages and weights, count modulo 2^32. That is what the rules ask for:
  `fixedpoint.shift` reduces a sum modulo 2^32, and `fixedpoint.wrap_sum` modulo 2^24, which divides it.
"""

# ruff: noqa: PLR0917 - a compiled loop has no objects to group its arrays in
# pyright: reportUntypedFunctionDecorator=false, reportCallIssue=false
from typing import Any, Final

import numpy as np

from targets.emulator.integers.vectors import BLOCK, add_pairs, add_rows, add_scaled_rows, list_word
from toolchain.arrays import Array
from toolchain.compiled import njit

Window = tuple[int, int, int, int, int, int, int, int]
"""Rows and columns of kernel, stride, padding and dilation."""

HALF: Final = BLOCK // 2
PAIRED: Final = 0
"""Weights of one byte, two in a word; the low half of a block, and the high one."""
PLAIN: Final = 1
"""Weights of 16 bits."""
WEIGHED: Final = 2
"""The same, multiplied by messages."""
_IMAGES: Final = 8
_BYTES: Final = 8
ONES: Final = np.zeros((2**_BYTES, _BYTES), np.uint32)
"""For every pattern of eight bits the places of its ones."""
for _pattern in range(2**_BYTES):
    _set = [k for k in range(_BYTES) if _pattern >> k & 1]
    ONES[_pattern, : len(_set)] = _set


@njit(nogil=True, cache=True)
def _list_words(words: Array, ones: Array, ends: Array, places: Array) -> None:
    """List the spikes of images, eight channels a word; see `_list_counts`.

    Args:
        words: `[images, rows, columns, channels / 8]`, uint64, bytes of 0 or 1.
        ones: `ONES`.
        ends: Written.
        places: Written, with room for eight more.
    """
    found = pixel = 0
    images, rows, columns, count = words.shape
    for n in range(images):
        for y in range(rows):
            place = 0
            for x in range(columns):
                for k in range(count):
                    found = list_word(words[n, y, x, k], ones, place, places, found)
                    place += _BYTES
                pixel += 1
                ends[pixel] = found


@njit(nogil=True, cache=True)
def _list_counts(values: Array, first: int, last: int, span: int, ends: Array, places: Array) -> None:
    """List the spikes of the channels `first .. last - 1` of images; a number above 1 is so many spikes.

    Args:
        values: `[images, rows, columns, channels]`, uint8.
        first: Channel.
        last: Channel.
        span: Channels of a pixel in `places`.
        ends: Where the spikes of every pixel end in `places`, from index 1 on; written.
        places: `column * span + channel - first` of every spike, uint32; written.
    """
    found = pixel = 0
    images, rows, columns, _ = values.shape
    for n in range(images):
        for y in range(rows):
            for x in range(columns):
                base = x * span - first
                for c in range(first, last):
                    for _ in range(values[n, y, x, c]):
                        places[found] = base + c
                        found += 1
                pixel += 1
                ends[pixel] = found


@njit(nogil=True, cache=True)
def _list_messages(
    values: Array, first: int, last: int, span: int, ends: Array, places: Array, messages: Array
) -> None:
    """List what is not 0, with its value; see `_list_counts`."""
    found = pixel = 0
    images, rows, columns, _ = values.shape
    for n in range(images):
        for y in range(rows):
            for x in range(columns):
                base = x * span - first
                for c in range(first, last):
                    # Written always, kept if it is not 0: no branch to guess.
                    places[found], messages[found] = base + c, values[n, y, x, c]
                    found += values[n, y, x, c] != 0
                pixel += 1
                ends[pixel] = found


@njit(inline="always")
def _low(words: Any, high: Any, count: Any) -> Any:  # noqa: ANN401 - compiled for int16
    """Return the sum of the low weights of `count` pairs, modulo 2^16 between -2^15 and 2^15 - 1."""
    return np.int16(words - (high << 8) - (count << 7))


@njit(nogil=True, cache=True)
def _move(form: int, sums: Array, held: Array, wide: Array, position: int) -> None:
    """Add a sum of 16 bits to one of 32 and clear it."""
    count = held[position]
    for k in range(np.uint64(HALF)):
        low, high = sums[position, k], sums[position, HALF + k]
        wide[position, k] += _low(low, high, count) if form == PAIRED else low
        wide[position, HALF + k] += high
    for k in range(np.uint64(BLOCK)):
        sums[position, k] = 0
    held[position] = 0


@njit(nogil=True, cache=True)
def _add(
    form: int,
    limit: int,
    rows: Array,
    shift: int,
    places: Array,
    messages: Array,
    start: int,
    stop: int,
    sums: Array,
    held: Array,
    wide: Array,
    position: int,
) -> None:
    """Add the rows of some spikes to the sum of one position, no more than `limit` before it moves on."""
    if form == WEIGHED:
        add_scaled_rows(rows, shift, places, messages, start, stop, wide, position)
        return
    while start < stop:
        if limit and held[position] == limit:
            _move(form, sums, held, wide, position)
        end = min(stop, start + limit - held[position]) if limit else stop
        if form == PAIRED:
            add_pairs(rows, shift, places, start, end, sums, position)
        else:
            add_rows(rows, shift, places, start, end, sums, position)
        held[position] += end - start
        start = end


@njit(nogil=True, cache=True)
def _leave(form: int, sums: Array, held: Array, wide: Array, out: Array, place: int, first: int) -> None:
    """Write the sums of a row of positions to `out[place ..., first ...]`, a block of targets; clear them."""
    count = np.uint64(min(BLOCK, out.shape[1] - first))
    start = np.uint64(first)
    for position in range(len(sums)):
        if form != WEIGHED:
            _move(form, sums, held, wide, position)
        for k in range(count):
            out[place + position, start + k] = wide[position, k]
        for k in range(np.uint64(BLOCK)):
            wide[position, k] = 0


@njit(nogil=True, cache=True)
def _leave_pairs(sums: Array, held: Array, out: Array, place: int, first: int) -> None:
    """Do the same for pairs whose sums fit 16 bits."""
    low, high = np.uint64(first), np.uint64(first + HALF)
    targets = out.shape[1] - first
    for position in range(len(sums)):
        count = held[position]
        if targets >= BLOCK:
            # A loop of known length is a few vector instructions.
            for k in range(np.uint64(HALF)):
                highs = sums[position, HALF + k]
                out[place + position, low + k] = _low(sums[position, k], highs, count)
                out[place + position, high + k] = highs
        else:
            for k in range(np.uint64(min(targets, HALF))):
                out[place + position, low + k] = _low(sums[position, k], sums[position, HALF + k], count)
            for k in range(np.uint64(max(targets - HALF, 0))):
                out[place + position, high + k] = sums[position, HALF + k]
        for k in range(np.uint64(BLOCK)):
            sums[position, k] = 0
        held[position] = 0


@njit(nogil=True, cache=True)
def _list(
    form: int,
    x: Array,
    words: Array,
    ones: Array,
    first: int,
    last: int,
    span: int,
    ends: Array,
    places: Array,
    messages: Array,
) -> None:
    """List what images send, in the way that suits them; see `sum_windows`."""
    ends[0] = 0
    if form == WEIGHED:
        _list_messages(x, first, last, span, ends, places, messages)
    elif words.size and last - first == x.shape[3]:
        _list_words(words, ones, ends, places)
    else:
        _list_counts(x, first, last, span, ends, places)


@njit(nogil=True, cache=True)
def _sum_kernel_row(
    form: int,
    limit: int,
    ends: Array,
    pixel: int,
    width: int,
    places: Array,
    messages: Array,
    rows: Array,
    base: int,
    span: int,
    across: tuple[int, int, int, int],
    sums: Array,
    held: Array,
    wide: Array,
) -> None:
    """Add what one row of pixels brings through one row of the kernel to all positions of a row.

    Args:
        form: See `sum_windows`, as are `limit` and `span`.
        limit: Rows that may be added in 16 bits.
        ends: Where the spikes of every pixel end.
        pixel: The first of the row.
        width: Pixels of the row.
        places: Of all spikes.
        messages: Of all spikes, if they are weighed.
        rows: All weights, flat.
        base: Where the rows of this row of the kernel begin.
        span: Rows of one element of the kernel.
        across: Columns of the kernel, stride, padding and dilation.
        sums: `[positions, BLOCK]`, int16.
        held: How many rows each of them holds.
        wide: `[positions, BLOCK]`, int32.
    """
    kernel, stride, padding, dilation = across
    # Without dilation the pixels of a kernel row lie side by side, and so do their spikes: one run.
    runs, reach = (1, kernel) if dilation == 1 else (kernel, 1)
    plain = form == PAIRED and not limit
    for position in range(len(sums)):
        for run in range(runs):
            column = position * stride + run * dilation - padding
            left, right = max(column, 0), min(column + reach, width)
            if left >= right:
                continue
            start, stop, shift = ends[pixel + left], ends[pixel + right], base + (run - column) * span
            if plain:
                add_pairs(rows, shift, places, start, stop, sums, position)
                held[position] += stop - start
            else:
                _add(form, limit, rows, shift, places, messages, start, stop, sums, held, wide, position)


@njit(nogil=True, cache=True)
def sum_windows(
    x: Array,
    words: Array,
    ones: Array,
    rows: Array,
    channels: Array,
    window: Window,
    form: int,
    limit: int,
    out: Array,
) -> None:
    """Write what every position of every image gets.

    Args:
        x: `[images, rows, columns, channels]`: spikes or small counts in uint8, or messages in int32.
        words: The same as uint64, eight channels each, if `x` holds spikes and its channels come in eights;
            empty otherwise.
        ones: `ONES`.
        rows: `[blocks, kernel rows, kernel columns, span, BLOCK]`, int16: weights by source; pairs of them,
            and half as many, if `form` is `PAIRED`.
        channels: `[blocks, 2]`: the first channel that a block reads, and the one after its last; at most
            `span` of them.
        window: How the kernel moves.
        form: `PAIRED`, `PLAIN` or `WEIGHED`. Unless weighed, a number counts as so many spikes.
        limit: Rows that may be added in 16 bits; 0 if any number may, and if weighed.
        out: `[images, rows, columns, targets]`, int32, written.
    """
    kernel, kernel_x, stride, stride_x, padding, padding_x, dilation, dilation_x = window
    across = (kernel_x, stride_x, padding_x, dilation_x)
    images, height, width, _ = x.shape
    positions = out.shape[2]
    span, flat = rows.shape[3], rows.reshape(rows.size)
    plain = form == PAIRED and not limit
    flat_out = out.reshape(images * out.shape[1] * positions, out.shape[3])
    room = images * height * width * span + 1 if form == WEIGHED else np.int64(x.sum()) + _BYTES
    places, messages = np.empty(room, np.uint32), np.empty(room if form == WEIGHED else 0, np.int32)
    ends = np.empty(images * height * width + 1, np.int64)
    sums, wide = np.zeros((positions, BLOCK), np.int16), np.zeros((positions, BLOCK), np.int32)
    held = np.zeros(positions, np.int64)
    for block in range(len(rows)):
        first, last = channels[block]
        if block == 0 or first != channels[block - 1, 0] or last != channels[block - 1, 1]:
            _list(form, x, words, ones, first, last, span, ends, places, messages)
        for n in range(images):
            for y in range(out.shape[1]):
                for i in range(kernel):
                    row = y * stride + i * dilation - padding
                    if 0 <= row < height:
                        pixel = (n * height + row) * width
                        base = (block * kernel + i) * kernel_x * span
                        _sum_kernel_row(
                            form, limit, ends, pixel, width, places, messages, flat, base, span, across,
                            sums, held, wide,
                        )  # fmt: skip
                place = (n * out.shape[1] + y) * positions
                if plain:
                    _leave_pairs(sums, held, flat_out, place, block * BLOCK)
                else:
                    _leave(form, sums, held, wide, flat_out, place, block * BLOCK)


@njit(nogil=True, cache=True)
def sum_rows(x: Array, words: Array, ones: Array, rows: Array, form: int, limit: int, out: Array) -> None:
    """Write what every image of one pixel gets through a kernel of one element; see `sum_windows`.

    Args:
        x: `[images, 1, 1, channels]`.
        words: As of `sum_windows`.
        ones: Likewise.
        rows: `[blocks, 1, 1, channels, BLOCK]`, or pairs.
        form: As of `sum_windows`.
        limit: Likewise.
        out: `[images, targets]`, int32, written.
    """
    images, span = len(x), rows.shape[3]
    flat = rows.reshape(rows.size)
    room = images * span + 1 if form == WEIGHED else np.int64(x.sum()) + _BYTES
    places, messages = np.empty(room, np.uint32), np.empty(room if form == WEIGHED else 0, np.int32)
    ends = np.empty(images + 1, np.int64)
    _list(form, x, words, ones, 0, span, span, ends, places, messages)
    sums, wide, held = np.zeros((1, BLOCK), np.int16), np.zeros((1, BLOCK), np.int32), np.zeros(1, np.int64)
    plain = form == PAIRED and not limit
    # A few images at a time: their sums stay near, and the weights of a block are read once for all of them.
    for some in range(0, images, _IMAGES):
        for block in range(len(rows)):
            shift, first = block * span, block * BLOCK
            for n in range(some, min(some + _IMAGES, images)):
                start, stop = ends[n], ends[n + 1]
                if plain:
                    add_pairs(flat, shift, places, start, stop, sums, 0)
                    held[0] = stop - start
                    _leave_pairs(sums, held, out, n, first)
                else:
                    _add(form, limit, flat, shift, places, messages, start, stop, sums, held, wide, 0)
                    _leave(form, sums, held, wide, out, n, first)
