"""The compiled loops of a convolution of few weights, forward and backward; a dense layer is one of a pixel.

Samples are taken a chunk at a time, and each of its channels is laid out as one row: its images with their
margins, one behind the other. There, a weight at any place of the kernel reads the same row, shifted by a
fixed number of places, so that it costs one multiplication and addition of rows that stay in the nearest
caches. What is computed where an image ends and the next begins belongs to no pixel, and is left behind.
"""

from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array, Ints
from toolchain.compiled import njit


class WeightLists(NamedTuple):
    """The weights that are present, ordered by target.

    Attributes:
        first: Where the weights of each target begin, int64 `[O + 1]`.
        sources: Source of each.
        shifts: How far its row is shifted.
        values: The weights.
    """

    first: Ints
    sources: Ints
    shifts: Ints
    values: Array


class PlaneShape(NamedTuple):
    """Sizes of the images of a sample.

    Attributes:
        top: Rows of zeros above what enters.
        left: Columns of zeros to its left.
        rows: Rows of what enters, with all margins.
        columns: Columns of that.
        longest: Longest shift.
    """

    top: int
    left: int
    rows: int
    columns: int
    longest: int


@njit(nogil=True, cache=True)
def _lay_out(x: Array, start: int, rows: Array, shape: PlaneShape) -> None:
    """Write samples from `start` on into rows `[C, places]`, whose margins stay as they are."""
    _, channels, height, width = x.shape
    plane = shape.rows * shape.columns
    for n in range((rows.shape[1] - shape.longest) // plane):
        for i in range(height):
            begin = n * plane + (i + shape.top) * shape.columns + shape.left
            for j in range(width):
                for c in range(channels):
                    rows[c, begin + j] = x[start + n, c, i, j]


@njit(nogil=True, cache=True)
def _take_back(rows: Array, start: int, x: Array, shape: PlaneShape) -> None:
    """Write rows into samples from `start` on, without the margins."""
    _, channels, height, width = x.shape
    plane = shape.rows * shape.columns
    for n in range((rows.shape[1] - shape.longest) // plane):
        for i in range(height):
            begin = n * plane + (i + shape.top) * shape.columns + shape.left
            for j in range(width):
                for c in range(channels):
                    x[start + n, c, i, j] = rows[c, begin + j]


@njit(nogil=True, cache=True, fastmath={"contract"})
def _add(row: Array, weight: float, result: Array) -> None:
    for k in range(result.size):
        result[k] += weight * row[k]


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _product(one: Array, other: Array) -> float:
    total = one.dtype.type(0)
    for k in range(one.size):
        total += one[k] * other[k]
    return total


@njit(nogil=True, cache=True)
def run_sparse(
    x: Array,
    lists: WeightLists,
    shape: PlaneShape,
    part: tuple[int, int, int],
    result: Array,
) -> None:
    """Compute some samples.

    Args:
        x: What enters, `[N, C, H, W]`.
        lists: The weights that are present.
        shape: Sizes of the images.
        part: First sample, the one behind the last, and samples of a chunk.
        result: Gets what comes out, `[N, O, H', W']`.
    """
    start, stop, size = part
    plane, targets = shape.rows * shape.columns, result.shape[1]
    entering = np.zeros((x.shape[1], size * plane + shape.longest), x.dtype)
    leaving = np.empty((targets, size * plane + shape.longest), x.dtype)
    inner = PlaneShape(0, 0, shape.rows, shape.columns, shape.longest)
    for n in range(start, stop, size):
        places = min(size, stop - n) * plane
        _lay_out(x, n, entering[:, : places + shape.longest], shape)
        for o in range(targets):
            row = leaving[o, :places]
            row[:] = 0
            for s in range(lists.first[o], lists.first[o + 1]):
                shift = lists.shifts[s]
                _add(entering[lists.sources[s], shift : shift + places], lists.values[s], row)
        _take_back(leaving[:, : places + shape.longest], n, result, inner)


@njit(nogil=True, cache=True)
def run_sparse_back(
    x: Array,
    lists: WeightLists,
    shape: PlaneShape,
    part: tuple[int, int, int],
    wanted: Array,
    gradient: Array,
    by_weight: Array,
) -> None:
    """Compute the gradients of some samples; see `run_sparse`.

    Args:
        x: What entered.
        lists: As for `run_sparse`.
        shape: Likewise.
        part: Likewise.
        wanted: Gradients of what came out, `[N, O, H', W']`.
        gradient: Gets those of what entered; of no samples if nobody wants them.
        by_weight: Gets the sums of those of the weights over the samples, added to what stands there.
    """
    start, stop, size = part
    plane, targets = shape.rows * shape.columns, wanted.shape[1]
    entering = np.zeros((x.shape[1], size * plane + shape.longest), x.dtype)
    back = np.zeros((x.shape[1] if len(gradient) else 0, size * plane + shape.longest), x.dtype)
    leaving = np.zeros((targets, size * plane + shape.longest), x.dtype)
    inner = PlaneShape(0, 0, shape.rows, shape.columns, shape.longest)
    for n in range(start, stop, size):
        places = min(size, stop - n) * plane
        _lay_out(x, n, entering[:, : places + shape.longest], shape)
        _lay_out(wanted, n, leaving[:, : places + shape.longest], inner)
        back[:] = 0
        for o in range(targets):
            row = leaving[o, :places]
            for s in range(lists.first[o], lists.first[o + 1]):
                source, shift = lists.sources[s], lists.shifts[s]
                by_weight[s] += _product(entering[source, shift : shift + places], row)
                if len(gradient):
                    _add(row, lists.values[s], back[source, shift : shift + places])
        if len(gradient):
            _take_back(back[:, : places + shape.longest], n, gradient, shape)
