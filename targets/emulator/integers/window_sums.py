"""What reaches every position of an image: sums of rows of weights, one row for every spike in its window.

Work goes with spikes: what is silent costs a look at eight bytes. A dense connection is the window of one
position over an image of one position.

Every sum is exact for all data and all shapes:

- In 16 bits no more than `limit` rows are added before the sum moves on to 32 bits: 256 rows of weights in
  -128 .. 127, or 128 rows of weights in -255 .. 255, cannot leave -2^15 .. 2^15 - 1. Where all weights of any
  target together cannot leave 16 bits, `limit` is 0 and there is nothing to move.
- In 32 bits sums, and products of messages and weights, count modulo 2^32. That is what the rules ask for:
  `fixedpoint.shift` reduces a sum modulo 2^32, and `fixedpoint.wrap_sum` modulo 2^24, which divides it.
"""

# ruff: noqa: PLR0917 - a compiled loop has no objects to group its arrays in
# pyright: reportUntypedFunctionDecorator=false, reportCallIssue=false
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from targets.emulator.integers.vectors import BLOCK, add_rows, add_scaled_rows
from toolchain.compiled import njit

Array = NDArray[Any]
Window = tuple[int, int, int, int, int, int, int, int]
"""Rows and columns of kernel, stride, padding and dilation."""

_BYTES: Final = 8
_PLACES: Final = np.uint64(0x0001020304050607)
"""Multiplied with 256^k it has k in its highest byte."""
_HIGHEST_BYTE: Final = np.uint64(56)


@njit(nogil=True, cache=True)
def _list_words(words: Array, ends: Array, places: Array) -> None:
    """List the spikes of whole pixels, eight channels a word; see `_list_spikes`.

    Args:
        words: `[rows, columns, channels / 8]`, uint64, bytes of 0 or 1.
        ends: Written.
        places: Written.
    """
    found = 0
    rows, columns, count = words.shape
    for y in range(rows):
        place = np.uint32(0)
        for column in range(columns):
            for k in range(count):
                word = words[y, column, k]
                while word:
                    lowest = word & (~word + np.uint64(1))
                    places[found] = place + np.uint32((lowest * _PLACES) >> _HIGHEST_BYTE)
                    word ^= lowest
                    found += 1
                place += np.uint32(_BYTES)
            ends[y * columns + column + 1] = found


@njit(nogil=True, cache=True)
def _list_spikes(x: Array, first: int, last: int, span: int, ends: Array, places: Array) -> None:
    """List the spikes of the channels `first .. last - 1` of an image; a number above 1 counts as so many.

    Args:
        x: `[rows, columns, channels]`, uint8.
        first: Channel.
        last: Channel.
        span: Channels of a pixel in `places`.
        ends: For every pixel where its spikes end in `places`, from index 1 on; written.
        places: `column * span + channel - first` of every spike, row by row, uint32; written.
    """
    found = 0
    rows, columns, _ = x.shape
    for y in range(rows):
        for column in range(columns):
            pixel, base = x[y, column], column * span - first
            for c in range(first, last):
                for _ in range(pixel[c]):
                    places[found] = base + c
                    found += 1
            ends[y * columns + column + 1] = found


@njit(nogil=True, cache=True)
def _list_messages(
    x: Array, first: int, last: int, span: int, ends: Array, places: Array, messages: Array
) -> None:
    """List what is not 0, with its value; see `_list_spikes`."""
    found = 0
    rows, columns, _ = x.shape
    for y in range(rows):
        for column in range(columns):
            pixel, base = x[y, column], column * span - first
            for c in range(first, last):
                # Written always, kept if it is not 0: no branch to guess.
                places[found] = base + c
                messages[found] = pixel[c]
                found += pixel[c] != 0
            ends[y * columns + column + 1] = found


@njit(nogil=True, cache=True)
def _move(sums: Array, wide: Array) -> None:
    """Add a sum of 16 bits to one of 32 and clear it."""
    for k in range(np.uint64(BLOCK)):
        wide[k] += sums[k]
        sums[k] = 0


@njit(nogil=True, cache=True)
def _add_run(
    rows: Array,
    shift: int,
    places: Array,
    start: int,
    stop: int,
    sums: Array,
    position: int,
    limit: int,
    held: Array,
    wide: Array,
) -> None:
    """Add the rows of some spikes to the sum of one position, no more than `limit` before it moves on."""
    while start < stop:
        if held[position] == limit:
            _move(sums[position], wide[position])
            held[position] = 0
        end = min(stop, start + limit - held[position])
        add_rows(rows, shift, places, start, end, sums, position)
        held[position] += end - start
        start = end


@njit(inline="always")
def _leave(sums: Array, out: Array) -> None:
    """Write one sum of `BLOCK` lanes to as many targets as there are, and clear it."""
    if out.size == BLOCK:
        # A loop of known length is a few vector instructions.
        for k in range(np.uint64(BLOCK)):
            out[k] = sums[k]
    else:
        for k in range(np.uint64(out.size)):
            out[k] = sums[k]
    for k in range(np.uint64(BLOCK)):
        sums[k] = 0


@njit(nogil=True, cache=True)
def _list_images(
    x: Array,
    words: Array,
    first: int,
    last: int,
    span: int,
    weighs: bool,  # noqa: FBT001
    ends: Array,
    places: Array,
    messages: Array,
) -> None:
    """List what every image sends, one image after the other; see `sum_windows`."""
    found = 0
    for n in range(len(x)):
        ends[n, 0] = 0
        if weighs:
            _list_messages(x[n], first, last, span, ends[n], places[found:], messages[found:])
        elif words.size and last - first == x.shape[3]:
            _list_words(words[n], ends[n], places[found:])
        else:
            _list_spikes(x[n], first, last, span, ends[n], places[found:])
        count = ends[n, -1]
        ends[n] += found
        found += count


@njit(nogil=True, cache=True)
def _sum_kernel_row(
    ends: Array,
    places: Array,
    messages: Array,
    rows: Array,
    base: int,
    span: int,
    across: tuple[int, int, int, int],
    limit: int,
    weighs: bool,  # noqa: FBT001
    sums: Array,
    held: Array,
    wide: Array,
) -> None:
    """Add what one row of pixels brings through one row of the kernel to all positions above it.

    Args:
        ends: Where the spikes of the pixels begin, and where the last ones end, `[columns + 1]`.
        places: Of all spikes.
        messages: Of all spikes, if `weighs`.
        rows: All weights, flat.
        base: Where the rows of this row of the kernel begin.
        span: Rows of one element of the kernel.
        across: Columns of the kernel, stride, padding and dilation.
        limit: See `sum_windows`, as are the others.
        weighs: Whether rows are multiplied.
        sums: `[positions, BLOCK]`, int16.
        held: Rows in each of them.
        wide: `[positions, BLOCK]`, int32.
    """
    kernel, stride, padding, dilation = across
    width = ends.size - 1
    # Without dilation the pixels of a kernel row lie side by side, and so do their spikes: one run.
    runs, reach = (1, kernel) if dilation == 1 else (kernel, 1)
    for position in range(len(sums)):
        for run in range(runs):
            column = position * stride + run * dilation - padding
            left, right = max(column, 0), min(column + reach, width)
            if left >= right:
                continue
            start, stop, shift = ends[left], ends[right], base + (run - column) * span
            if weighs:
                add_scaled_rows(rows, shift, places, messages, start, stop, wide, position)
            elif limit:
                _add_run(rows, shift, places, start, stop, sums, position, limit, held, wide)
            else:
                add_rows(rows, shift, places, start, stop, sums, position)


@njit(nogil=True, cache=True)
def _leave_positions(
    sums: Array,
    held: Array,
    wide: Array,
    limit: int,
    weighs: bool,  # noqa: FBT001
    out: Array,
) -> None:
    """Write the sums of all positions of a row to `out`, `[positions, targets]`, and clear them."""
    for position in range(len(out)):
        if limit:
            _move(sums[position], wide[position])
            held[position] = 0
        if limit or weighs:
            _leave(wide[position], out[position])
        else:
            _leave(sums[position], out[position])


@njit(nogil=True, cache=True)
def sum_windows(
    x: Array,
    words: Array,
    rows: Array,
    channels: Array,
    window: Window,
    limit: int,
    weighs: bool,  # noqa: FBT001
    out: Array,
) -> None:
    """Write what every position of every image gets.

    Args:
        x: `[images, rows, columns, channels]`: spikes or small counts in uint8, or messages in int32.
        words: The same as uint64, eight channels each, if `x` holds spikes and its channels come in eights;
            empty otherwise.
        rows: `[blocks, kernel rows, kernel columns, span, BLOCK]`, int8 or int16: weights by source.
        channels: `[blocks, 2]`: the first channel that a block reads, and the one after its last; at most
            `span` of them.
        window: How the kernel moves.
        limit: Rows that may be added in 16 bits; 0 if any number may, and if `weighs`.
        weighs: Whether rows are multiplied by messages; otherwise a number counts as so many spikes.
        out: `[images, rows, columns, targets]`, int32, written.
    """
    kernel, kernel_x, stride, stride_x, padding, padding_x, dilation, dilation_x = window
    across = (kernel_x, stride_x, padding_x, dilation_x)
    images, height, width, _ = x.shape
    span, flat = rows.shape[3], rows.reshape(rows.size)
    room = images * height * width * span + 1 if weighs else np.int64(x.sum())
    places, messages = np.empty(room, np.uint32), np.empty(room if weighs else 0, np.int32)
    ends = np.empty((images, height * width + 1), np.int64)
    sums, wide = np.zeros((out.shape[2], BLOCK), np.int16), np.zeros((out.shape[2], BLOCK), np.int32)
    held = np.zeros(out.shape[2], np.int64)
    for block in range(len(rows)):
        first, last = channels[block]
        if block == 0 or first != channels[block - 1, 0] or last != channels[block - 1, 1]:
            _list_images(x, words, first, last, span, weighs, ends, places, messages)
        for n in range(images):
            for y in range(out.shape[1]):
                for i in range(kernel):
                    row = y * stride + i * dilation - padding
                    if 0 <= row < height:
                        _sum_kernel_row(
                            ends[n, row * width : (row + 1) * width + 1],
                            places,
                            messages,
                            flat,
                            (block * kernel + i) * kernel_x * span,
                            span,
                            across,
                            limit,
                            weighs,
                            sums,
                            held,
                            wide,
                        )
                _leave_positions(
                    sums, held, wide, limit, weighs, out[n, y, :, block * BLOCK : (block + 1) * BLOCK]
                )


@njit(nogil=True, cache=True)
def sum_rows(
    x: Array,
    words: Array,
    rows: Array,
    limit: int,
    weighs: bool,  # noqa: FBT001
    out: Array,
) -> None:
    """Write what every image of one pixel gets through a kernel of one element; see `sum_windows`.

    Args:
        x: `[images, 1, 1, channels]`.
        words: As of `sum_windows`.
        rows: `[blocks, 1, 1, channels, BLOCK]`.
        limit: As of `sum_windows`.
        weighs: Likewise.
        out: `[images, targets]`, int32, written.
    """
    images, span = len(x), rows.shape[3]
    flat = rows.reshape(rows.size)
    room = images * span + 1 if weighs else np.int64(x.sum())
    places = np.empty(room, np.uint32)
    messages = np.empty(room if weighs else 0, np.int32)
    ends = np.empty((images, 2), np.int64)
    _list_images(x, words, 0, span, span, weighs, ends, places, messages)
    sums, wide, held = np.zeros((1, BLOCK), np.int16), np.zeros((1, BLOCK), np.int32), np.zeros(1, np.int64)
    for block in range(len(rows)):
        first, last, shift = block * BLOCK, min((block + 1) * BLOCK, out.shape[1]), block * span
        for n in range(images):
            start, stop = ends[n, 0], ends[n, 1]
            if weighs:
                add_scaled_rows(flat, shift, places, messages, start, stop, wide, 0)
            elif limit:
                _add_run(flat, shift, places, start, stop, sums, 0, limit, held, wide)
            else:
                add_rows(flat, shift, places, start, stop, sums, 0)
            _leave_positions(sums, held, wide, limit, weighs, out[n : n + 1, first:last])
