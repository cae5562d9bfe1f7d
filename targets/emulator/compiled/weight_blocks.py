"""Weights in the layout that `window_sums` reads: the row of a source holds a block of its targets."""

from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from targets.emulator.compiled.register_sums import sum_in_registers, sum_rows_in_registers
from targets.emulator.compiled.spike_lists import PAIRED, PLAIN, WEIGHED, ImageMessages
from targets.emulator.compiled.vectors import BLOCK, REGISTER_BLOCKS
from targets.emulator.compiled.window_sums import WeightRows, Window, sum_rows, sum_windows
from targets.emulator.compiled.workspace import Workspace
from toolchain.arrays import Array

POINT: Final[Window] = (1, 1, 1, 1, 0, 0, 1, 1)
"""A kernel of one element: over an image of one pixel it is a dense connection."""
_SUM_MAX: Final = 2**15 - 1
_SUM_BYTES: Final = 256
"""Rows of -128 .. 127 whose sum always fits 16 bits."""
_SUM_WORDS: Final = 128
"""Rows of -256 .. 255 whose sum always fits 16 bits."""
_BYTE: Final = np.iinfo(np.int8)
_MOST_REPEATS: Final = 16
"""Counts up to here are so many spikes; larger ones are multiplied."""
_TOGETHER: Final = 2**18
"""Elements of images whose spikes are listed together, so that the lists stay near."""
_WORTH_A_THREAD: Final = 2**20
"""Rows that could be added, below which a second thread costs more than it brings."""
_WORD: Final = 8


@final
@dataclass(frozen=True, eq=False)
class WeightBlocks:
    """Weights in the layout of `window_sums.sum_windows`.

    Attributes:
        weights: Weights by source.
        gain: 2 if all weights are even and were halved, otherwise 1.
        targets: Number of channels or neurons that are reached.
        window: How the kernel moves.
        binary: Whether every message is 0 or 1.
    """

    weights: WeightRows = field(repr=False)
    gain: int
    targets: int
    window: Window
    binary: bool

    @classmethod
    def of(cls, weights: Array, groups: int, window: Window, *, largest: int, counts: bool) -> "WeightBlocks":
        """Lay out the weights of a convolution, or of a dense connection with a kernel of one element.

        Args:
            weights: `[targets, sources / groups, kernel rows, kernel columns]`: float64, or whole numbers
                within -256 .. 255.
            groups: Number of groups of channels.
            window: How the kernel moves.
            largest: Largest magnitude of a message.
            counts: Whether messages are never negative.
        """
        binary = counts and largest == 1
        if weights.dtype == np.float64:
            return cls._as_wide_as_sums(weights, groups, window, weighed=not binary, binary=binary)
        gain = 1 if (weights & 1).any() else 2
        halved = (weights // gain).astype(np.int16)
        weighed = not counts or largest > _MOST_REPEATS
        if len(weights) <= REGISTER_BLOCKS[-1]:
            wide = halved.astype(np.int32)
            return cls._as_wide_as_sums(wide, groups, window, weighed=weighed, binary=binary, gain=gain)
        narrow = halved.size == 0 or (_BYTE.min <= halved.min() and halved.max() <= _BYTE.max)
        form = WEIGHED if weighed else PAIRED if narrow else PLAIN
        channels = _channels(len(weights), weights.shape[1], groups, BLOCK)
        rows = _in_rows(halved, groups, channels, BLOCK)
        limit = 0 if weighed else _limit(halved, largest, narrow=narrow)
        by_source = WeightRows(_pairs(rows) if form == PAIRED else rows, channels, form, limit, BLOCK)
        return cls(by_source, gain, len(weights), window, binary)

    @classmethod
    def _as_wide_as_sums(
        cls, weights: Array, groups: int, window: Window, *, weighed: bool, binary: bool, gain: int = 1
    ) -> "WeightBlocks":
        lanes = _lanes(len(weights))
        channels = _channels(len(weights), weights.shape[1], groups, lanes)
        rows = _in_rows(weights, groups, channels, lanes)
        by_source = WeightRows(rows, channels, WEIGHED if weighed else PLAIN, 0, lanes)
        return cls(by_source, gain, len(weights), window, binary)

    @cached_property
    def _is_dense(self) -> bool:
        """Whether images of one pixel meet a dense connection: without groups all blocks read all sources."""
        channels = self.weights.channels
        return self.window == POINT and bool((channels == channels[:1]).all())

    def product(self, images: Array, size: tuple[int, int], workspace: Workspace) -> Array:
        """Return the sums `[images, *size, targets]`: integers modulo 2^32, to be multiplied with `gain`.

        They are valid until the next product of the same workspace.

        Args:
            images: Messages `[images, rows, columns, channels]`: uint8, int32 or float64.
            size: Rows and columns of the result.
            workspace: Memory and cores to work with.
        """
        sums_rows, sums_windows, wide = sum_rows, sum_windows, self.targets
        if self.weights.lanes != BLOCK:
            # Sums in registers are written as whole blocks.
            sums_rows, sums_windows = sum_rows_in_registers, sum_in_registers
            wide = len(self.weights.rows) * self.weights.lanes
        number = np.float64 if self.weights.rows.dtype == np.float64 else np.int32
        out = workspace.room("product", (len(images), *size, wide), number)
        if not out.size or not images.size:
            out[:] = 0
            return out[..., : self.targets]
        words = self._words(images)
        dense = self._is_dense and images.shape[1:3] == (1, 1)

        def work(part: slice) -> None:
            messages, sums = ImageMessages(images[part], words[part]), out[part]
            if dense:
                sums_rows(messages, self.weights, sums.reshape(len(sums), -1))
            else:
                sums_windows(messages, self.weights, self.window, sums)

        elements = prod(images.shape[1:])
        rows = elements * len(self.weights.rows) * self.window[0] * self.window[1]
        workspace.split(work, len(images), most=_TOGETHER // elements, least=_WORTH_A_THREAD // rows)
        return out if wide == self.targets else np.ascontiguousarray(out[..., : self.targets])

    def _words(self, images: Array) -> Array:
        """Return spikes eight by eight; see `ImageMessages`."""
        if self.binary and images.shape[-1] % _WORD == 0:
            return images.view(np.uint64)
        if self.binary and prod(images.shape[1:]) % _WORD == 0:
            return images.reshape(len(images), 1, 1, -1).view(np.uint64)
        return np.zeros((len(images), 0, 0, 0), np.uint64)


def _lanes(targets: int) -> int:
    """Return how many targets a block of a register has: so that it is full, or else as large as needed."""
    full = (width for width in reversed(REGISTER_BLOCKS) if targets % width == 0)
    enough = (width for width in REGISTER_BLOCKS if targets <= width)
    return next(full, next(enough, REGISTER_BLOCKS[-1]))


def _channels(targets: int, sources: int, groups: int, lanes: int) -> NDArray[np.int64]:
    """Return for every block the first channel that it reads and the one after the last, `[blocks, 2]`."""
    starts = np.arange(0, targets, lanes)
    ends = np.minimum(starts + lanes, targets)
    of_group = targets // groups
    return np.stack([starts // of_group * sources, ((ends - 1) // of_group + 1) * sources], axis=1)


def _in_rows(weights: Array, groups: int, channels: NDArray[np.int64], lanes: int) -> Array:
    """Return rows `[blocks, kernel rows, kernel columns, span, lanes]`, zero where a target reads nothing."""
    targets, sources, *kernel = weights.shape
    span = int((channels[:, 1] - channels[:, 0]).max(initial=sources))
    rows = np.zeros((len(channels), lanes, span, *kernel), weights.dtype)
    flat = rows.reshape(len(channels) * lanes, span, *kernel)
    if groups == 1:
        flat[:targets] = weights
    else:
        for target in range(targets):
            first = target * groups // targets * sources - channels[target // lanes, 0]
            flat[target, first : first + sources] = weights[target]
    return np.ascontiguousarray(np.moveaxis(rows, (1, 2), (4, 3)))


def _pairs(rows: Array) -> Array:
    """Return two weights of one byte in a word: `256 high + (low + 128)`, the halves of a block."""
    low, high = np.split(rows, 2, axis=-1)
    return np.left_shift(high, 8) + (low + np.int16(128))


def _limit(weights: Array, largest: int, *, narrow: bool) -> int:
    """Return how many rows 16 bits can always add, or 0 if they hold every sum of these weights."""
    reach = max(
        int(np.maximum(sign * weights.astype(np.int64), 0).sum(axis=(1, 2, 3)).max(initial=0))
        for sign in (1, -1)
    )
    if reach * largest <= _SUM_MAX:
        return 0
    return _SUM_BYTES if narrow else _SUM_WORDS
