"""Products of what enters with dense weights, at the cost of what is not zero.

Weights lie in blocks of targets, a row of `ROW_BYTES` for each source, so that a block stays in the cache
while all events add their rows to the sums of its targets. Where most values are not zero, and on every
device that is no CPU, PyTorch's product is used instead.
"""

# pyright: reportCallIssue=false
# ruff: noqa: PLR0917 - compiled loops take plain arrays
from typing import Any, Final, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.compiled import njit
from toolchain.models.loops.events import TILE, StreamEvents
from toolchain.models.loops.vectors import ROW_BYTES, add_rows, fetch_row
from toolchain.threads import PARTS, in_threads, parts

_DENSE_FROM: Final = 0.5
"""Share of values that are not zero from which on PyTorch's product is faster."""
_AHEAD: Final = 8
"""Rows that are copied while the next one is fetched."""

Numbers = NDArray[Any]


def row_length(dtype: torch.dtype) -> int:
    """Return how many numbers of a type are one row."""
    return ROW_BYTES // dtype.itemsize


class Product(Protocol):
    """A stream that enters, and the dense weights that it meets."""

    def add_to(self, a: Tensor, start: int) -> None:
        """Add the currents of the steps from `start` on to `a`, `[B, T, N]`."""
        ...

    def no_gradient(self) -> Tensor:
        """Return a place for the gradient of the weights, zero."""
        ...

    def learn(self, gradient: Tensor, by_a: Tensor, start: int) -> None:
        """Add to a gradient that `no_gradient` returned what a block of steps from `start` on brings.

        Args:
            gradient: The gradient so far.
            by_a: Gradient with respect to the currents, `[B, T, N]`.
            start: First step of the block.
        """
        ...

    def gradient(self, gradient: Tensor) -> Tensor:
        """Return a gradient in the order of the weights."""
        ...


def product_of(x: Tensor, weight: Tensor, delay: int, target: int) -> Product:
    """Return the cheapest product.

    Args:
        x: Values `[B, T, sources]`.
        weight: Weights `[targets, sources]`.
        delay: Steps that a value takes.
        target: First neuron that is reached, a multiple of `row_length`.
    """
    x, weight = x.contiguous(), weight.detach()
    if x.device.type == "cpu":
        events = StreamEvents.of(x.numpy(), _DENSE_FROM)
        if events is not None:
            return EventProduct(events, weight, delay, target)
    return MatrixProduct(x, weight, delay, target)


def arrival(delay: int, start: int) -> tuple[int, int]:
    """Return the first step of a block that a delayed stream reaches, and the step of the stream.

    Args:
        delay: Steps that it takes.
        start: First step of the block.
    """
    late = max(delay - start, 0)
    return late, start + late - delay


@final
class MatrixProduct:
    """PyTorch's product; see `Product` and `product_of`."""

    def __init__(self, x: Tensor, weight: Tensor, delay: int, target: int) -> None:
        self._x, self._weight = x, weight
        self._delay, self._targets = delay, slice(target, target + len(weight))

    def add_to(self, a: Tensor, start: int) -> None:
        """See `Product`."""
        steps = a.shape[1]
        late, source = arrival(self._delay, start)
        if late < steps:
            a[:, late:, self._targets] += self._x[:, source : source + steps - late] @ self._weight.T

    def no_gradient(self) -> Tensor:
        """See `Product`."""
        return torch.zeros_like(self._weight)

    def learn(self, gradient: Tensor, by_a: Tensor, start: int) -> None:
        """See `Product`."""
        steps = by_a.shape[1]
        late, source = arrival(self._delay, start)
        if late < steps:
            part = by_a[:, late:, self._targets].flatten(0, 1)
            gradient += part.T @ self._x[:, source : source + steps - late].flatten(0, 1)

    def gradient(self, gradient: Tensor) -> Tensor:
        """See `Product`."""
        return gradient


@final
class EventProduct:
    """Compiled loops over what is not zero; see `Product` and `product_of`."""

    def __init__(self, events: StreamEvents, weight: Tensor, delay: int, target: int) -> None:
        self._events, self._targets = events, len(weight)
        self._delay, self._target = delay, target
        width = row_length(weight.dtype)
        self._blocks = -(-self._targets // width)
        wide = _padded(weight, self._blocks * width)
        self._rows = wide.reshape(self._blocks, width, weight.shape[1]).transpose(1, 2).contiguous().numpy()

    def add_to(self, a: Tensor, start: int) -> None:
        """See `Product`."""
        late, source = arrival(self._delay, start)
        if late >= a.shape[1] or not len(self._events.places):
            return
        sums, events = a.numpy(), self._events
        samples = parts(len(sums), max(PARTS // self._blocks, 1))
        in_threads(
            lambda item: _add_products(
                (events.first, events.groups, events.shape[1], source, late),
                events.places,
                events.values,
                self._rows,
                sums,
                self._target,
                *item,
            ),
            [(block, *some) for block in range(self._blocks) for some in samples],
            torch.get_num_threads(),
        )

    def no_gradient(self) -> Tensor:
        """See `Product`."""
        return torch.zeros(self._rows.shape, dtype=torch.from_numpy(self._rows).dtype)

    def learn(self, gradient: Tensor, by_a: Tensor, start: int) -> None:
        """See `Product`."""
        late, source = arrival(self._delay, start)
        if late >= by_a.shape[1] or not len(self._events.places):
            return
        events = self._events.by_channel(source, by_a.shape[1] - late)
        sums, gradients = gradient.numpy(), by_a.numpy()
        in_threads(
            lambda block: _add_gradients(events, late, sums, gradients, self._target, block),
            range(self._blocks),
            torch.get_num_threads(),
        )

    def gradient(self, gradient: Tensor) -> Tensor:
        """See `Product`."""
        blocks, sources, width = gradient.shape
        return gradient.transpose(1, 2).reshape(blocks * width, sources)[: self._targets]


def _padded(weight: Tensor, rows: int) -> Tensor:
    """Return weights with rows of zeros below."""
    return torch.nn.functional.pad(weight, (0, 0, 0, rows - len(weight)))


@njit(nogil=True, cache=True)
def _add_products(
    stream: Any,  # noqa: ANN401 - arrays
    places: Any,  # noqa: ANN401
    values: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    a: Any,  # noqa: ANN401
    target: int,
    block: int,
    begin: int,
    end: int,
) -> None:
    """Add to currents `a[b, late ...]` of a block of targets the products of events with weights.

    Args:
        stream: `first` of the events, their groups and steps, the first step that is read, and `late`, the
            first that is reached.
        places: Channel of each event.
        values: Value of each.
        rows: Weights `[blocks, channels, width]`.
        a: Currents `[B, T, N]`.
        target: First neuron.
        block: Block of targets.
        begin: First sample.
        end: Sample behind the last.
    """
    first, groups, steps, source, late = stream
    flat, sums, width = rows.reshape(-1), a.reshape(-1), rows.shape[2]
    for group in range(groups):
        for b in range(begin, end):
            for t in range(late, a.shape[1]):
                r = (b * steps + source + t - late) * groups + group
                position = ((b * a.shape[1] + t) * a.shape[2] + target) // width + block
                add_rows(flat, block * rows.shape[1], places, values, first[r], first[r + 1], sums, position)


@njit(nogil=True, cache=True)
def _add_gradients(events: Any, late: int, rows: Any, by_a: Any, target: int, block: int) -> None:  # noqa: ANN401
    """Add to the gradients of the weights in a block: `_add_products` backwards.

    Args:
        events: Events of the steps that arrived.
        late: First step that they reached.
        rows: Gradients with respect to weights `[blocks, channels, width]`.
        by_a: Gradients with respect to currents `[B, T, N]`.
        target: First neuron.
        block: Block of targets.
    """
    sums, width, count = rows.reshape(-1), rows.shape[2], by_a.shape[1] - late
    tile = np.empty((TILE, width), by_a.dtype)
    flat, gradients = tile.reshape(-1), by_a.reshape(-1)
    size, first, last = by_a.shape[2] // width, target // width + block, len(by_a) * count - 1
    for k in range(len(events.tiles) - 1):
        # Side by side they have places of their own in the cache; where they were, all may have the same.
        for row in range(k * TILE, min(k * TILE + TILE, last + 1)):
            ahead = min(row + _AHEAD, last)
            fetch_row(gradients, (ahead // count * by_a.shape[1] + late + ahead % count) * size + first)
            at = ((row // count * by_a.shape[1] + late + row % count) * size + first) * width
            tile[row - k * TILE] = gradients[at : at + width]
        for run in range(events.tiles[k], events.tiles[k + 1]):
            position = block * rows.shape[1] + events.channels[run]
            start, stop = events.begins[run], events.begins[run + 1]
            add_rows(flat, 0, events.rows, events.values, start, stop, sums, position)
