"""Messages of a node, step by step: those of a block, and those of the past that some reader still needs."""

from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from targets.emulator.compiled.images import transpose_bytes, transpose_numbers
from toolchain.arrays import Array

_IMAGE: Final = 3
_WORD: Final = 8


def internal_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return `(H, W, C)` for feature maps `(C, H, W)`: channels of one position lie side by side."""
    return (*shape[1:], shape[0]) if len(shape) == _IMAGE else shape


def to_internal(values: Array, shape: tuple[int, ...]) -> Array:
    """Return `[..., *shape]` with channels last."""
    return np.moveaxis(values, -_IMAGE, -1) if len(shape) == _IMAGE else values


def enter(values: Array, shape: tuple[int, ...], rows: Array) -> None:
    """Write `[batch, steps, *shape]` of the graph to `[steps, batch, size]` of the internal order."""
    if len(shape) == _IMAGE:
        channels, places = shape[0], shape[1] * shape[2]
        _exchange(
            values.reshape(*values.shape[:2], channels, places),
            rows.reshape(*rows.shape[:2], places, channels),
        )
    else:
        rows[:] = np.swapaxes(values.reshape(*values.shape[:2], -1), 0, 1)


def by_place(out: Array, shape: tuple[int, ...]) -> Array:
    """View `[batch, steps, *shape]` as `[batch, steps, channels, places]`; one channel if no image."""
    channels = shape[0] if len(shape) == _IMAGE else 1
    return out.reshape(*out.shape[:2], channels, int(np.prod(shape)) // channels)


def leave(rows: Array, shape: tuple[int, ...], out: Array) -> None:
    """Write `[steps, batch, size]` of the internal order to `[batch, steps, *shape]` of the graph."""
    if len(shape) == _IMAGE:
        target = by_place(out, shape)
        _exchange(rows.reshape(*rows.shape[:2], target.shape[3], target.shape[2]), target)
    else:
        out[:] = np.swapaxes(rows, 0, 1).reshape(out.shape)


def _exchange(x: Array, out: Array) -> None:
    """Write `out[j, i] = x[i, j].T`; single bytes are exchanged eight by eight."""
    if x.itemsize == out.itemsize == 1 and not x.shape[2] % _WORD and not x.shape[3] % _WORD:
        transpose_bytes(np.ascontiguousarray(x).view(np.uint64), out.view(np.uint64))
    else:
        transpose_numbers(x, out)


def internal_order(shape: tuple[int, ...]) -> NDArray[np.int64] | None:
    """Return, per element of the internal order, its place in the order C, H, W; None if they agree."""
    if len(shape) != _IMAGE:
        return None
    return to_internal(np.arange(np.prod(shape)).reshape(shape), shape).ravel()


@final
class Stream:
    """Messages of one node.

    Args:
        shape: Features of one step, in the order of the graph.
        dtype: uint8 for spikes and small counts, int32 or float64 for messages.
        history: Steps before the block that readers with a delay need.
        steps: Steps of the longest block.
        batch: Number of samples.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: type[np.generic], history: int, steps: int, batch: int
    ) -> None:
        self.shape = shape
        self.history = history
        self.constant = False
        """Whether the block holds one step again and again."""
        self._messages = np.zeros((history + steps, batch, int(np.prod(shape))), dtype)

    def rows(self, start: int, stop: int, delay: int = 0) -> Array:
        """Return messages `[steps, batch, size]`, sent `delay` steps before the steps of the block."""
        first = self.history - delay
        return self._messages[first + start : first + stop]

    def images(self, start: int, stop: int, delay: int = 0) -> Array:
        """Return the same as `[steps * batch, H, W, C]`."""
        return self.rows(start, stop, delay).reshape(-1, *internal_shape(self.shape))

    def roll(self, steps: int) -> None:
        """Move on to the next block: the end of this one becomes history."""
        if self.history:
            self._messages[: self.history] = self._messages[steps : steps + self.history].copy()

    def clear(self) -> None:
        """Return to silence."""
        self._messages[:] = 0


Streams = dict[str, Stream]
