"""Sums of rows of weights as wide as the result: real ones, and integers that reach few targets.

The weights that meet in a target are added in the order of the reference, to which real numbers owe that they
are equal bit for bit: row after row of the kernel, element after element of a row, channel after channel.
What sends nothing is left out, a whole row of pixels at once.

An image goes one of two ways, which add the same numbers in the same order. If many pixels send, every
position gathers the spikes of its window, and its sum stays in registers. If few do, every spike is sent to
the positions that it reaches: positions without a spike then cost nothing. Spikes are listed by row, column
and channel, so that those that meet in a position reach it in the order of the kernel.

Integers are added modulo 2^32, as in `window_sums`.
"""

# pyright: reportUntypedFunctionDecorator=false, reportCallIssue=false
from typing import Any, Final, NamedTuple

import numpy as np

from targets.emulator.compiled.spike_lists import (
    WEIGHED,
    ImageMessages,
    SpikeList,
    list_messages,
    room_for_spikes,
)
from targets.emulator.compiled.vectors import (
    REGISTER_BLOCKS,
    add_8,
    add_16,
    add_32,
    add_scaled_8,
    add_scaled_16,
    add_scaled_32,
)
from targets.emulator.compiled.window_sums import WeightRows, Window
from toolchain.arrays import Array
from toolchain.compiled import njit

_NARROW, _MIDDLE, _ = REGISTER_BLOCKS
_IMAGES: Final = 8
_FEW: Final = 2
"""Rows that spikes bring for each row of the kernel at each position, up to which sending costs less."""


class _WideRows(NamedTuple):
    """Weights as the innermost loops read them: flat rows, and `form`, `span` and `lanes` of `WeightRows`."""

    rows: Array
    form: int
    span: int
    lanes: int


class _Reach(NamedTuple):
    """Which positions each row, or each column, of an image reaches.

    Attributes:
        counts: How many there are.
        elements: Through which element of the kernel, `[extent, kernel]`.
        positions: Numbers of the positions, `[extent, kernel]`.
    """

    counts: Array
    elements: Array
    positions: Array


class _Grid(NamedTuple):
    """Where the windows of images lie.

    Attributes:
        height: Rows of an image.
        width: Columns of an image.
        rows: Rows of targets.
        columns: Columns of targets.
        blocks: Blocks of targets at every position.
        window: How the kernel moves.
        down: What rows reach.
        across: What columns reach.
    """

    height: int
    width: int
    rows: int
    columns: int
    blocks: int
    window: Window
    down: _Reach
    across: _Reach


@njit(nogil=True, cache=True)
def _reach(extent: int, count: int, kernel: int, stride: int, padding: int, dilation: int) -> _Reach:
    """Return what rows or columns reach, of `count` positions."""
    counts = np.zeros(extent, np.int64)
    elements, positions = np.empty((extent, kernel), np.int64), np.empty((extent, kernel), np.int64)
    for at in range(extent):
        for element in range(kernel):
            moved = at + padding - element * dilation
            if moved >= 0 and moved % stride == 0 and moved // stride < count:
                elements[at, counts[at]], positions[at, counts[at]] = element, moved // stride
                counts[at] += 1
    return _Reach(counts, elements, positions)


@njit(inline="always")
def _add(
    weights: _WideRows, first: int, spikes: SpikeList, start: int, stop: int, out: Array, place: int
) -> None:
    """Add to the sums `place` the rows of some spikes, one after the other.

    Args:
        weights: Weights by source, whose rows are flat.
        first: Row of weights from which the places of the spikes count.
        spikes: Spikes of all images.
        start: The first of the spikes that are added.
        stop: The one after the last.
        out: Sums, flat, in blocks of so many as a row has.
        place: The block of sums.
    """
    rows, lanes, places, messages = weights.rows, weights.lanes, spikes.places, spikes.messages
    if weights.form == WEIGHED:
        if lanes == _NARROW:
            add_scaled_8(rows, first, places, messages, start, stop, out, place)
        elif lanes == _MIDDLE:
            add_scaled_16(rows, first, places, messages, start, stop, out, place)
        else:
            add_scaled_32(rows, first, places, messages, start, stop, out, place)
    elif lanes == _NARROW:
        add_8(rows, first, places, messages, start, stop, out, place)
    elif lanes == _MIDDLE:
        add_16(rows, first, places, messages, start, stop, out, place)
    else:
        add_32(rows, first, places, messages, start, stop, out, place)


@njit(nogil=True, cache=True)
def _gather(weights: _WideRows, block: int, spikes: SpikeList, n: int, grid: _Grid, out: Array) -> None:
    """Add what image `n` brings to one block of targets, position after position."""
    height, width, rows, columns, blocks, window, _, _ = grid
    kernel, kernel_x, stride, stride_x, padding, padding_x, dilation, dilation_x = window
    ends, span = spikes.ends, weights.span
    # Without dilation the pixels of a kernel row lie side by side, and so do their spikes: one run.
    runs, reach = (1, kernel_x) if dilation_x == 1 else (kernel_x, 1)
    for y in range(rows):
        for i in range(kernel):
            row = y * stride + i * dilation - padding
            pixel = (n * height + row) * width
            if row < 0 or row >= height or ends[pixel] == ends[pixel + width]:
                continue
            base = (block * kernel + i) * kernel_x * span
            place = (n * rows + y) * columns
            for x in range(columns):
                for run in range(runs):
                    column = x * stride_x + run * dilation_x - padding_x
                    left, right = max(column, 0), min(column + reach, width)
                    if left < right and ends[pixel + left] < ends[pixel + right]:
                        start, stop = ends[pixel + left], ends[pixel + right]
                        first = base + (run - column) * span
                        _add(weights, first, spikes, start, stop, out, (place + x) * blocks + block)


@njit(nogil=True, cache=True)
def _send(weights: _WideRows, block: int, spikes: SpikeList, n: int, grid: _Grid, out: Array) -> None:
    """Add what image `n` brings to one block of targets, spike after spike."""
    height, width, rows, columns, blocks, window, down, across = grid
    ends, span, kernel, kernel_x = spikes.ends, weights.span, window[0], window[1]
    for row in range(height):
        pixel = (n * height + row) * width
        for spike in range(ends[pixel], ends[pixel + width]):
            column = spikes.places[spike] // np.uint32(span)
            for i in range(down.counts[row]):
                base = (block * kernel + down.elements[row, i]) * kernel_x
                place = (n * rows + down.positions[row, i]) * columns
                for j in range(across.counts[column]):
                    first = (base + across.elements[column, j] - np.int64(column)) * span
                    position = (place + across.positions[column, j]) * blocks + block
                    _add(weights, first, spikes, spike, spike + 1, out, position)


@njit(nogil=True, cache=True)
def _sum_image(weights: _WideRows, block: int, spikes: SpikeList, n: int, grid: _Grid, out: Array) -> None:
    """Add what image `n` brings to one block of targets in the way that costs less."""
    kernel, kernel_x, stride, stride_x = grid.window[:4]
    pixels = grid.height * grid.width
    sent = spikes.ends[(n + 1) * pixels] - spikes.ends[n * pixels]
    # A spike reaches so many positions, unless it is near an edge.
    if sent * kernel * kernel_x < _FEW * stride * stride_x * grid.rows * grid.columns * kernel:
        _send(weights, block, spikes, n, grid, out)
    else:
        _gather(weights, block, spikes, n, grid, out)


@njit(nogil=True, cache=True)
def sum_in_registers(images: ImageMessages, weights: WeightRows, window: Window, out: Array) -> None:
    """Write the sums of every position of every image to `out`, `[images, rows, columns, blocks * lanes]`.

    Args:
        images: Messages of the images.
        weights: Weights by source, of the type of the sums.
        window: How the kernel moves.
        out: Sums, float64 or int32, written; whole blocks of targets.
    """
    count, height, width, _ = images.values.shape
    blocks, (_, rows, columns, _) = len(weights.rows), out.shape
    down = _reach(height, rows, window[0], window[2], window[4], window[6])
    across = _reach(width, columns, window[1], window[3], window[5], window[7])
    grid = _Grid(height, width, rows, columns, blocks, window, down, across)
    span, form, channels, lanes = weights.rows.shape[3], weights.form, weights.channels, weights.lanes
    flat = _WideRows(weights.rows.reshape(weights.rows.size), form, span, lanes)
    sums, size = out.reshape(out.size), out.size // max(count, 1)
    spikes = room_for_spikes(images, span, form, out.dtype)
    stop = 0
    while stop < blocks:
        # Blocks that read the same channels share a list, and their sums stay near while an image passes.
        start, (first, last) = stop, channels[stop]
        while stop < blocks and channels[stop, 0] == first and channels[stop, 1] == last:
            stop += 1
        list_messages(form, images, first, last, span, spikes)
        for n in range(count):
            if start == 0:
                sums[n * size : (n + 1) * size] = 0
            for block in range(start, stop):
                _sum_image(flat, block, spikes, n, grid, sums)


@njit(nogil=True, cache=True)
def sum_rows_in_registers(images: ImageMessages, weights: WeightRows, out: Array) -> None:
    """Write the sums of images of one pixel through a kernel of one element; see `sum_in_registers`.

    Args:
        images: Messages `[images, 1, 1, channels]`.
        weights: Weights by source, `[blocks, 1, 1, channels, lanes]`.
        out: Sums `[images, blocks * lanes]`, written.
    """
    count, blocks = len(images.values), len(weights.rows)
    span, form = weights.rows.shape[3], weights.form
    flat = _WideRows(weights.rows.reshape(weights.rows.size), form, span, weights.lanes)
    sums = out.reshape(out.size)
    sums[:] = 0
    spikes = room_for_spikes(images, span, form, out.dtype)
    lowest: Any = np.int64(0)  # a plain 0 is a type of its own to Numba
    list_messages(form, images, lowest, span, span, spikes)
    # A few images at a time: the weights of a block are read once for all of them.
    for some in range(0, count, _IMAGES):
        for block in range(blocks):
            for n in range(some, min(some + _IMAGES, count)):
                _add(flat, block * span, spikes, spikes.ends[n], spikes.ends[n + 1], sums, n * blocks + block)
