"""The compiled loops over images: pooling, and the exchange of axes."""

from typing import Any, Final

import numpy as np

from toolchain.arrays import Array
from toolchain.compiled import njit

_EVERY_SECOND: Final = np.uint64(0x00FF00FF00FF00FF)
_EVERY_OTHER_PAIR: Final = np.uint64(0x0000FFFF0000FFFF)
_TILE: Final = 8
_LOW_HALF: Final = np.uint64(0x00000000FFFFFFFF)


@njit(nogil=True, cache=True)
def pool(x: Array, out: Array, window: tuple[int, int, int, int, int, int], is_sum: bool) -> None:  # noqa: FBT001
    """Sum `[images, rows, columns, channels]` over windows, or say whether any element is set.

    Args:
        x: Spikes or messages; real ones are added row after row of the window.
        out: Result, written.
        window: Rows and columns of kernel, stride and padding.
        is_sum: Whether to sum; otherwise the result is an OR.
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
                        values = x[n, y * stride_y + i - pad_y, column * stride_x + j - pad_x]
                        for c in range(total.size):
                            total[c] = total[c] + values[c] if is_sum else max(total[c], values[c])


@njit(inline="always")
def _exchanged(a: Any, b: Any, mask: Any, bits: int) -> Any:  # noqa: ANN401 - compiled for uint64
    """Return two words after the high bytes of `a` under the mask are exchanged with the low ones of `b`."""
    count = np.uint64(bits)
    moved = ((a >> count) ^ b) & mask
    return a ^ (moved << count), b ^ moved


@njit(nogil=True, cache=True)
def transpose_bytes(x: Array, out: Array) -> None:
    """Exchange the first two and the last two axes: `out[j, i] = x[i, j].T`, for single bytes.

    Eight rows of eight bytes are transposed in registers, as eight words.

    Args:
        x: Words of eight columns, `[A, B, rows, columns / 8]`, uint64.
        out: Words of eight rows, `[B, A, columns, rows / 8]`, written.
    """
    outer, inner, rows, words = x.shape
    for n in range(outer):
        for m in range(inner):
            for r in range(rows // 8):
                for c in range(words):
                    values = x[n, m, 8 * r : 8 * r + 8, c]
                    a, b = _exchanged(values[0], values[1], _EVERY_SECOND, 8)
                    d, e = _exchanged(values[2], values[3], _EVERY_SECOND, 8)
                    f, g = _exchanged(values[4], values[5], _EVERY_SECOND, 8)
                    h, k = _exchanged(values[6], values[7], _EVERY_SECOND, 8)
                    a, d = _exchanged(a, d, _EVERY_OTHER_PAIR, 16)
                    b, e = _exchanged(b, e, _EVERY_OTHER_PAIR, 16)
                    f, h = _exchanged(f, h, _EVERY_OTHER_PAIR, 16)
                    g, k = _exchanged(g, k, _EVERY_OTHER_PAIR, 16)
                    a, f = _exchanged(a, f, _LOW_HALF, 32)
                    b, g = _exchanged(b, g, _LOW_HALF, 32)
                    d, h = _exchanged(d, h, _LOW_HALF, 32)
                    e, k = _exchanged(e, k, _LOW_HALF, 32)
                    transposed = out[m, n, 8 * c : 8 * c + 8, r]
                    transposed[0], transposed[1], transposed[2], transposed[3] = a, b, d, e
                    transposed[4], transposed[5], transposed[6], transposed[7] = f, g, h, k


@njit(nogil=True, cache=True)
def transpose_into(x: Array, out: Array) -> None:
    """Write `out[:, : len(x)] = x.T`, eight rows at a time, so that every line of memory is used whole."""
    rows, columns = x.shape
    whole = rows // _TILE * _TILE
    for r in range(0, whole, _TILE):
        for c in range(columns):
            row = out[c]
            row[r], row[r + 1], row[r + 2], row[r + 3] = x[r, c], x[r + 1, c], x[r + 2, c], x[r + 3, c]
            row[r + 4], row[r + 5] = x[r + 4, c], x[r + 5, c]
            row[r + 6], row[r + 7] = x[r + 6, c], x[r + 7, c]
    for r in range(whole, rows):
        for c in range(columns):
            out[c, r] = x[r, c]


@njit(nogil=True, cache=True)
def transpose_numbers(x: Array, out: Array) -> None:
    """Exchange the first two and the last two axes, as `transpose_bytes` does, for numbers of any size."""
    for n in range(len(x)):
        for m in range(x.shape[1]):
            transpose_into(x[n, m], out[m, n])
