"""Sums of rows of real weights: those of the reference, bit for bit.

The weights that meet in a target are added in the order of the reference: row after row of the kernel,
element after element of a row, channel after channel. What sends nothing is left out, a whole row of pixels
at once.
"""

# pyright: reportUntypedFunctionDecorator=false, reportCallIssue=false
from typing import Final, NamedTuple

import numpy as np

from targets.emulator.compiled.spike_lists import (
    WEIGHED,
    ImageMessages,
    SpikeList,
    list_messages,
    room_for_spikes,
)
from targets.emulator.compiled.vectors import (
    REAL_BLOCKS,
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

_NARROW, _MIDDLE, _ = REAL_BLOCKS
_IMAGES: Final = 8


class _RealRows(NamedTuple):
    """Weights as the innermost loops read them: flat rows, and `form`, `span` and `lanes` of `WeightRows`."""

    rows: Array
    form: int
    span: int
    lanes: int


class _Grid(NamedTuple):
    """Where the windows of images lie.

    Attributes:
        height: Rows of an image.
        width: Columns of an image.
        rows: Rows of targets.
        columns: Columns of targets.
        blocks: Blocks of targets at every position.
        window: How the kernel moves.
    """

    height: int
    width: int
    rows: int
    columns: int
    blocks: int
    window: Window


@njit(inline="always")
def _add(
    weights: _RealRows, first: int, spikes: SpikeList, start: int, stop: int, out: Array, place: int
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
def _sum_image(weights: _RealRows, block: int, spikes: SpikeList, n: int, grid: _Grid, out: Array) -> None:
    """Add what image `n` brings to one block of targets at every position."""
    height, width, rows, columns, blocks, window = grid
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
def sum_real_windows(images: ImageMessages, weights: WeightRows, window: Window, out: Array) -> None:
    """Write the sums of every position of every image to `out`, `[images, rows, columns, blocks * lanes]`.

    Args:
        images: Messages of the images.
        weights: Weights by source.
        window: How the kernel moves.
        out: Sums, float64, written; whole blocks of targets.
    """
    count, height, width, _ = images.values.shape
    blocks = len(weights.rows)
    grid = _Grid(height, width, out.shape[1], out.shape[2], blocks, window)
    span, form, channels, lanes = weights.rows.shape[3], weights.form, weights.channels, weights.lanes
    flat = _RealRows(weights.rows.reshape(weights.rows.size), form, span, lanes)
    sums, size = out.reshape(out.size), out.size // max(count, 1)
    spikes = room_for_spikes(images.values, span, form, np.float64)
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
def sum_real_rows(images: ImageMessages, weights: WeightRows, out: Array) -> None:
    """Write the sums of images of one pixel through a kernel of one element; see `sum_real_windows`.

    Args:
        images: Messages `[images, 1, 1, channels]`.
        weights: Weights by source, `[blocks, 1, 1, channels, lanes]`.
        out: Sums `[images, blocks * lanes]`, float64, written.
    """
    count, blocks = len(images.values), len(weights.rows)
    span, form = weights.rows.shape[3], weights.form
    flat = _RealRows(weights.rows.reshape(weights.rows.size), form, span, weights.lanes)
    sums = out.reshape(out.size)
    sums[:] = 0
    spikes = room_for_spikes(images.values, span, form, np.float64)
    list_messages(form, images, 0, span, span, spikes)
    # A few images at a time: the weights of a block are read once for all of them.
    for some in range(0, count, _IMAGES):
        for block in range(blocks):
            for n in range(some, min(some + _IMAGES, count)):
                _add(flat, block * span, spikes, spikes.ends[n], spikes.ends[n + 1], sums, n * blocks + block)
