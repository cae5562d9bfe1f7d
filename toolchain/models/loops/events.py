"""What is not zero in a stream: by step for sums of currents, by channel for gradients of weights.

A product adds rows of numbers that events name to sums. Few rows at a time are added, so that they stay in
the first cache: for currents the weights of a group of channels, for gradients those of a tile of steps.
"""

# pyright: reportCallIssue=false
# ruff: noqa: PLR0917 - compiled loops take plain arrays
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray

from toolchain.compiled import njit
from toolchain.models.loops.vectors import lowest, which_of_64
from toolchain.threads import in_threads, parts

Numbers = NDArray[Any]
GROUP: Final = 128
"""Channels of a group: rows of weights that the first cache holds; a multiple of 64."""
TILE: Final = 128
"""Rows of a tile, at most 256."""
_FEW_CHANNELS: Final = 2**16
"""Channels that 16 bits can name."""


class SortedEvents(NamedTuple):
    """Events of a block of steps by tile, and by channel within a tile: a run are those of one channel.

    Row r of a block of `count` steps is step `r % count` of sample `r // count`.

    Attributes:
        tiles: Where the runs of each tile begin, and their number, int64 `[tiles + 1]`.
        channels: Channel of each run, int64.
        begins: Where the events of each run begin, and their number, int64 `[runs + 1]`.
        rows: Row of each event, counted from the first one of its tile, uint8.
        values: Value of each event; None if all are 1.
    """

    tiles: Numbers
    channels: Numbers
    begins: Numbers
    rows: Numbers
    values: Numbers | None


@final
@dataclass(frozen=True)
class StreamEvents:
    """Events of a stream by step.

    Attributes:
        shape: Its shape, `[B, T, channels]`.
        first: Where the events of each group of channels begin at each step, and their number, int64
            `[B T groups + 1]`.
        places: Channel of each event, unsigned.
        values: Value of each event; None if all are 1.
    """

    shape: tuple[int, int, int]
    first: Numbers
    places: Numbers
    values: Numbers | None

    @classmethod
    def of(cls, x: Numbers, most: float) -> "StreamEvents | None":
        """Return the events of a stream; None if a larger share of it than `most` is not zero."""
        rows = x.reshape(x.shape[0] * x.shape[1], x.shape[2])
        channels, groups = rows.shape[1], _groups_of(rows.shape[1])
        kind = np.uint16 if channels <= _FEW_CHANNELS else np.uint32
        first = np.zeros(len(rows) * groups + 1, np.int64)
        if not channels:
            return cls((x.shape[0], x.shape[1], 0), first, np.zeros(0, kind), None)
        cut = parts(len(rows))
        # Memory that is never written to is never taken.
        rooms = [np.empty((end - begin) * channels + 1, kind) for begin, end in cut]

        def work(k: int) -> tuple[int, int]:
            return _list_events(rows, first, rooms[k], *cut[k])

        listed = in_threads(work, range(len(cut)), torch.get_num_threads())
        shape, count = (x.shape[0], x.shape[1], channels), sum(events for events, _ in listed)
        if count > most * x.size:
            return None
        np.cumsum(first, out=first)
        places = np.concatenate([room[:events] for room, (events, _) in zip(rooms, listed, strict=True)])
        if count == sum(ones for _, ones in listed):
            return cls(shape, first, places, None)
        row = np.repeat(np.arange(len(rows)), np.diff(first[::groups]))
        return cls(shape, first, places, rows[row, places])

    @property
    def groups(self) -> int:
        """Number of groups of channels; one where there are no channels."""
        return _groups_of(self.shape[2])

    def by_channel(self, source: int, count: int) -> SortedEvents:
        """Return the events of the `count` steps from `source` on, sorted by channel in each tile."""
        tiles, steps, rows = -(-self.shape[0] * count // TILE), self.shape[1], self.shape[0] * count
        cut, lengths = parts(tiles), np.zeros((tiles, self.shape[2]), np.int32)
        stream = self.first[:: self.groups], self.places, steps, source, count
        in_threads(lambda part: _measure(stream, rows, lengths, *part), cut, torch.get_num_threads())
        first, total = np.zeros((2, tiles + 1), np.int64)
        np.cumsum(np.count_nonzero(lengths, axis=1), out=first[1:])
        np.cumsum(lengths.sum(axis=1), out=total[1:])
        runs, size = int(first[-1]), int(total[-1])
        ordered = SortedEvents(
            first,
            np.empty(runs, np.int64),
            np.append(np.empty(runs, np.int64), size),
            np.empty(size, np.uint8),
            None if self.values is None else np.empty(size, self.values.dtype),
        )
        in_threads(
            lambda part: _sort(stream, self.values, rows, lengths, ordered, total, *part),
            cut,
            torch.get_num_threads(),
        )
        return ordered


def _groups_of(channels: int) -> int:
    return max(-(-channels // GROUP), 1)


@njit(nogil=True, cache=True)
def _list_events(rows: Any, first: Any, places: Any, begin: int, end: int) -> Any:  # noqa: ANN401 - arrays
    """List the events of the rows `begin .. end - 1`, and count those of each group to `first[1:]`.

    Returns:
        Their number, and how many of them are 1.
    """
    flat, channels = rows.reshape(-1), rows.shape[1]
    groups, count, ones = -(-channels // GROUP), 0, 0
    for r in range(begin, end):
        for low in range(0, channels, 64):
            before = count
            if low + 64 <= channels:
                bits = which_of_64(flat, r * channels + low)
                while bits:
                    c = low + lowest(bits)
                    bits &= bits - np.uint64(1)
                    places[count] = c
                    ones += rows[r, c] == 1
                    count += 1
            else:
                for c in range(low, channels):
                    # Without a branch: the next one overwrites what is no event.
                    places[count] = c
                    ones += rows[r, c] == 1
                    count += rows[r, c] != 0
            first[r * groups + low // GROUP + 1] += count - before
    return count, ones


@njit(nogil=True)
def _events_of(r: int, stream: Any) -> Any:  # noqa: ANN401
    """Return where the events of a row of a block begin and end."""
    first, _, steps, source, count = stream
    step = (r // count) * steps + source + r % count
    return first[step], first[step + 1]


@njit(nogil=True, cache=True)
def _measure(stream: Any, rows: int, lengths: Any, begin: int, end: int) -> None:  # noqa: ANN401
    """Count the events of each channel in the tiles `begin .. end - 1`."""
    places = stream[1]
    for tile in range(begin, end):
        for r in range(tile * TILE, min(tile * TILE + TILE, rows)):
            start, stop = _events_of(r, stream)
            for p in range(start, stop):
                lengths[tile, places[p]] += 1


@njit(nogil=True, cache=True)
def _sort(
    stream: Any,  # noqa: ANN401
    values: Any,  # noqa: ANN401
    rows: int,
    lengths: Any,  # noqa: ANN401
    ordered: Any,  # noqa: ANN401
    total: Any,  # noqa: ANN401
    begin: int,
    end: int,
) -> None:
    """Sort the events of some tiles, those of a tile from `total[tile]` on; `lengths` become their ends."""
    places = stream[1]
    for tile in range(begin, end):
        run, at, ends = ordered.tiles[tile], total[tile], lengths[tile]
        for channel in range(len(ends)):
            length = ends[channel]
            # Counted from the first event of the tile: 32 bits are enough for them.
            ends[channel] = at - total[tile]
            if length > 0:
                ordered.channels[run], ordered.begins[run] = channel, at
                run += 1
                at += length
        for r in range(tile * TILE, min(tile * TILE + TILE, rows)):
            start, stop = _events_of(r, stream)
            for p in range(start, stop):
                place = total[tile] + ends[places[p]]
                ordered.rows[place] = r - tile * TILE
                if values is not None:
                    ordered.values[place] = values[p]
                ends[places[p]] += 1
