"""Products of what enters with dense weights, at the cost of what is not zero.

Weights lie in blocks of targets, a row of `ROW_BYTES` for each source, so that a block stays in the cache
while all events add their rows to the sums of its targets. Where most values are not zero, PyTorch's product
is used instead.
"""

# ruff: noqa: PLR0917 - compiled loops take plain arrays
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.compiled import njit
from toolchain.models.loops.vectors import ROW_BYTES, add_rows, add_to_rows
from toolchain.threads import in_threads, parts

_DENSE_FROM: Final = 0.5
"""Share of values that are not zero from which on PyTorch's product is faster."""

Numbers = NDArray[Any]


def row_length(dtype: np.dtype[Any]) -> int:
    """Return how many numbers of a type are one row."""
    return ROW_BYTES // dtype.itemsize


@final
class EventProduct:
    """A stream that enters, and the dense weights that it meets.

    Args:
        x: Values `[B, T, sources]`.
        weight: Weights `[targets, sources]`.
        delay: Steps that a value takes.
        target: First neuron that is reached, a multiple of `row_length`.
    """

    def __init__(self, x: Tensor, weight: Tensor, delay: int, target: int) -> None:
        self.x, self.weight = x.contiguous(), weight
        self.delay, self.target = delay, target
        width = row_length(self.x.numpy().dtype)
        targets, sources = weight.shape
        self._blocks = -(-targets // width)
        values = self.x.numpy()
        counts = np.count_nonzero(values, axis=2)
        self._is_dense = counts.sum() > _DENSE_FROM * values.size
        if self._is_dense:
            return
        self._first = np.zeros(counts.size + 1, np.int64)
        np.cumsum(counts, out=self._first[1:])
        self._places = np.empty(self._first[-1], np.uint32)
        self._values = np.empty(self._first[-1], values.dtype)
        rows = values.reshape(-1, sources)
        in_threads(
            lambda part: _list_events(rows, self._first, self._places, self._values, *part),
            parts(len(rows)),
            torch.get_num_threads(),
        )
        wide = _padded(weight.detach(), self._blocks * width)
        self._rows = wide.reshape(self._blocks, width, sources).transpose(1, 2).contiguous().numpy()

    def add_to(self, a: Numbers, start: int) -> None:
        """Add the currents of the steps from `start` on to `a`, `[B, T, N]`."""
        steps = a.shape[1]
        late = max(self.delay - start, 0)
        if late >= steps:
            return
        source = start + late - self.delay
        if self._is_dense:
            product = self.x[:, source : source + steps - late] @ self.weight.detach().T
            torch.from_numpy(a)[:, late:, self.target : self.target + product.shape[2]] += product
            return
        in_threads(
            lambda part: _add_products(
                self._first,
                self.x.shape[1],
                source,
                late,
                self._places,
                self._values,
                self._rows,
                a,
                self.target,
                *part,
            ),
            parts(len(a)),
            torch.get_num_threads(),
        )

    def no_gradient(self) -> Numbers:
        """Return a place for the gradient of the weights, zero."""
        if self._is_dense:
            return np.zeros(tuple(self.weight.shape), self.x.numpy().dtype)
        return np.zeros_like(self._rows)

    def learn(self, gradient: Numbers, by_a: Numbers, start: int) -> None:
        """Add to a gradient that `no_gradient` returned what a block of steps from `start` on brings.

        Args:
            gradient: The gradient so far.
            by_a: Gradient with respect to the currents, `[B, T, N]`.
            start: First step of the block.
        """
        steps = by_a.shape[1]
        late = max(self.delay - start, 0)
        if late >= steps:
            return
        source = start + late - self.delay
        if self._is_dense:
            targets = len(self.weight)
            part = torch.from_numpy(by_a)[:, late:, self.target : self.target + targets].flatten(0, 1)
            gradient += (part.T @ self.x[:, source : source + steps - late].flatten(0, 1)).numpy()
            return
        in_threads(
            lambda part: _add_gradients(
                self._first,
                self.x.shape[1],
                source,
                late,
                self._places,
                self._values,
                gradient,
                by_a,
                self.target,
                *part,
            ),
            parts(self._blocks, self._blocks),
            torch.get_num_threads(),
        )

    def gradient(self, gradient: Numbers) -> Tensor:
        """Return a gradient in the order of the weights."""
        rows = torch.from_numpy(gradient)
        if self._is_dense:
            return rows
        return rows.transpose(1, 2).reshape(-1, rows.shape[1])[: len(self.weight)]


def _padded(weight: Tensor, rows: int) -> Tensor:
    """Return weights with rows of zeros below."""
    return torch.nn.functional.pad(weight, (0, 0, 0, rows - len(weight)))


@njit(nogil=True, cache=True)
def _list_events(x: Any, first: Any, places: Any, values: Any, begin: int, end: int) -> None:  # noqa: ANN401
    """List what is not zero in the rows `begin .. end - 1` of `x`, from `first[row]` on."""
    for r in range(begin, end):
        p = first[r]
        for c in range(x.shape[1]):
            if x[r, c] != 0:
                places[p] = c
                values[p] = x[r, c]
                p += 1


@njit(nogil=True, cache=True)
def _add_products(
    first: Any,  # noqa: ANN401 - arrays
    steps: int,
    source: int,
    late: int,
    places: Any,  # noqa: ANN401
    values: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    a: Any,  # noqa: ANN401
    target: int,
    begin: int,
    end: int,
) -> None:
    """Add to `a[b, late ...]`, from neuron `target` on, the products of the steps from `source` on.

    Args:
        first: Where the events of each of the `B * steps` rows begin.
        steps: Steps of the stream.
        source: First step that is read.
        late: First step that is reached.
        places: Channel of each event.
        values: Value of each event.
        rows: Weights `[blocks, sources, width]`.
        a: Currents `[B, T, N]`.
        target: First neuron.
        begin: First sample.
        end: Sample behind the last.
    """
    flat, sums, width = rows.reshape(-1), a.reshape(-1), rows.shape[2]
    for b in range(begin, end):
        for block in range(len(rows)):
            for t in range(late, a.shape[1]):
                r = b * steps + source + t - late
                position = ((b * a.shape[1] + t) * a.shape[2] + target) // width + block
                add_rows(flat, block * rows.shape[1], places, values, first[r], first[r + 1], sums, position)


@njit(nogil=True, cache=True)
def _add_gradients(
    first: Any,  # noqa: ANN401
    steps: int,
    source: int,
    late: int,
    places: Any,  # noqa: ANN401
    values: Any,  # noqa: ANN401
    rows: Any,  # noqa: ANN401
    by_a: Any,  # noqa: ANN401
    target: int,
    begin: int,
    end: int,
) -> None:
    """Add to the gradients of the weights in the blocks `begin .. end - 1`: `_add_products` backwards."""
    flat, gradients, width = rows.reshape(-1), by_a.reshape(-1), rows.shape[2]
    for block in range(begin, end):
        for b in range(len(by_a)):
            for t in range(late, by_a.shape[1]):
                r = b * steps + source + t - late
                position = ((b * by_a.shape[1] + t) * by_a.shape[2] + target) // width + block
                add_to_rows(
                    flat, block * rows.shape[1], places, values, first[r], first[r + 1], gradients, position
                )
