"""The compiled loops of a convolution of few weights, forward and backward; a dense layer is one of a pixel.

Samples are taken a chunk at a time, and each of its channels is laid out as one row: its images with their
margins, one behind the other. There, a weight at any place of the kernel reads the same row, shifted by a
fixed number of places, so that it costs one multiplication and addition of rows that stay in the nearest
caches. Four weights at a time share the row that their sum goes to. What is computed where an image ends and
the next begins belongs to no pixel, and is left behind.
"""

from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array, Ints
from toolchain.compiled import njit


class WeightLists(NamedTuple):
    """The weights that are present, ordered by one end of theirs.

    Attributes:
        first: Where the weights of each row at that end begin, int64 `[rows + 1]`.
        others: Row at the other end of each.
        shifts: Where that row is read from, for the first place of the row at this end.
        values: The weights.
    """

    first: Ints
    others: Ints
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


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _add(rows: Array, lists: WeightLists, s: int, result: Array) -> None:
    """Add the row of a weight to a result."""
    other, shift, w = lists.others[s], lists.shifts[s], lists.values[s]
    a = rows[other, shift : shift + result.size]
    for k in range(result.size):
        result[k] += w * a[k]


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _add_four(rows: Array, lists: WeightLists, s: int, result: Array) -> None:
    """Add the rows of four weights from `s` on to a result, which is read and written once for all."""
    others, shifts, size = lists.others, lists.shifts, result.size
    a = rows[others[s], shifts[s] : shifts[s] + size]
    b = rows[others[s + 1], shifts[s + 1] : shifts[s + 1] + size]
    c = rows[others[s + 2], shifts[s + 2] : shifts[s + 2] + size]
    d = rows[others[s + 3], shifts[s + 3] : shifts[s + 3] + size]
    w, x, y, z = lists.values[s], lists.values[s + 1], lists.values[s + 2], lists.values[s + 3]
    for k in range(size):
        result[k] += (w * a[k] + x * b[k]) + (y * c[k] + z * d[k])


@njit(nogil=True, cache=True)
def _gather(rows: Array, lists: WeightLists, places: int, results: Array) -> None:
    """Form the sums of all rows at this end."""
    for i in range(len(lists.first) - 1):
        result = results[i, :places]
        result[:] = 0
        s, stop = lists.first[i], lists.first[i + 1]
        while s + 4 <= stop:
            _add_four(rows, lists, s, result)
            s += 4
        while s < stop:
            _add(rows, lists, s, result)
            s += 1


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _product(rows: Array, lists: WeightLists, s: int, row: Array) -> float:
    other, shift = lists.others[s], lists.shifts[s]
    a, total = rows[other, shift : shift + row.size], row.dtype.type(0)
    for k in range(row.size):
        total += a[k] * row[k]
    return total


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _add_four_products(rows: Array, lists: WeightLists, s: int, row: Array, sums: Array) -> None:
    """Add the products of four rows with one, which is read once for all."""
    others, shifts, size = lists.others, lists.shifts, row.size
    a = rows[others[s], shifts[s] : shifts[s] + size]
    b = rows[others[s + 1], shifts[s + 1] : shifts[s + 1] + size]
    c = rows[others[s + 2], shifts[s + 2] : shifts[s + 2] + size]
    d = rows[others[s + 3], shifts[s + 3] : shifts[s + 3] + size]
    w = x = y = z = row.dtype.type(0)
    for k in range(size):
        w += a[k] * row[k]
        x += b[k] * row[k]
        y += c[k] * row[k]
        z += d[k] * row[k]
    sums[s] += w
    sums[s + 1] += x
    sums[s + 2] += y
    sums[s + 3] += z


@njit(nogil=True, cache=True)
def _learn(rows: Array, lists: WeightLists, above: Array, places: tuple[int, int], sums: Array) -> None:
    """Add the gradients of all weights, from rows of what came in and places of what is wanted."""
    for i in range(len(above)):
        row, s, stop = above[i, places[0] : places[1]], lists.first[i], lists.first[i + 1]
        while s + 4 <= stop:
            _add_four_products(rows, lists, s, row, sums)
            s += 4
        while s < stop:
            sums[s] += _product(rows, lists, s, row)
            s += 1


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
    plane, longest = shape.rows * shape.columns, shape.longest
    entering = np.zeros((x.shape[1], size * plane + longest), x.dtype)
    leaving = np.empty((result.shape[1], size * plane + longest), x.dtype)
    inner = PlaneShape(0, 0, shape.rows, shape.columns, longest)
    for n in range(start, stop, size):
        places = min(size, stop - n) * plane
        _lay_out(x, n, entering[:, : places + longest], shape)
        _gather(entering, lists, places, leaving)
        _take_back(leaving[:, : places + longest], n, result, inner)


@njit(nogil=True, cache=True)
def run_sparse_back(
    x: Array,
    lists: tuple[WeightLists, WeightLists],
    shape: PlaneShape,
    part: tuple[int, int, int],
    wanted: Array,
    gradient: Array,
    by_weight: Array,
) -> None:
    """Compute the gradients of some samples; see `run_sparse`.

    Args:
        x: What entered.
        lists: The weights by target, as for `run_sparse`, and by source.
        shape: As for `run_sparse`.
        part: Likewise.
        wanted: Gradients of what came out, `[N, O, H', W']`.
        gradient: Gets those of what entered; of no samples if nobody wants them.
        by_weight: Gets the sums of those of the weights over the samples, added to what stands there.
    """
    start, stop, size = part
    plane, longest = shape.rows * shape.columns, shape.longest
    by_target, by_source = lists
    entering = np.zeros((x.shape[1], size * plane + longest), x.dtype)
    back = np.empty((x.shape[1] if len(gradient) else 0, size * plane + longest), x.dtype)
    # What is wanted stands behind as many zeros as a shift may go back.
    above = np.zeros((wanted.shape[1], longest + size * plane + longest), x.dtype)
    inner = PlaneShape(0, 0, shape.rows, shape.columns, longest)
    for n in range(start, stop, size):
        places = min(size, stop - n) * plane
        _lay_out(x, n, entering[:, : places + longest], shape)
        _lay_out(wanted, n, above[:, longest : places + 2 * longest], inner)
        _learn(entering, by_target, above, (longest, places + longest), by_weight)
        if len(gradient):
            _gather(above, by_source, places, back)
            _take_back(back[:, : places + longest], n, gradient, shape)
