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
from toolchain.models.loops.vectors import ROW_BYTES, add_rows, add_to_rows
from toolchain.threads import in_threads, parts

_DENSE_FROM: Final = 0.5
"""Share of values that are not zero from which on PyTorch's product is faster."""

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
        counts = np.count_nonzero(x.numpy(), axis=2)
        if counts.sum() <= _DENSE_FROM * x.numel():
            return EventProduct(x.numpy(), weight, delay, target, counts)
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

    def __init__(self, x: Numbers, weight: Tensor, delay: int, target: int, counts: Numbers) -> None:
        self._steps, self._targets = x.shape[1], len(weight)
        self._delay, self._target = delay, target
        width = row_length(weight.dtype)
        self._blocks = -(-self._targets // width)
        self._first = np.zeros(counts.size + 1, np.int64)
        np.cumsum(counts, out=self._first[1:])
        self._places = np.empty(self._first[-1], np.uint32)
        self._values = np.empty(self._first[-1], x.dtype)
        rows = x.reshape(-1, x.shape[2])
        in_threads(
            lambda part: _list_events(rows, self._first, self._places, self._values, *part),
            parts(len(rows)),
            torch.get_num_threads(),
        )
        wide = _padded(weight, self._blocks * width)
        self._rows = wide.reshape(self._blocks, width, -1).transpose(1, 2).contiguous().numpy()

    def add_to(self, a: Tensor, start: int) -> None:
        """See `Product`."""
        late, source = arrival(self._delay, start)
        if late >= a.shape[1]:
            return
        sums = a.numpy()
        in_threads(
            lambda part: _add_products(
                self._first,
                self._steps,
                source,
                late,
                self._places,
                self._values,
                self._rows,
                sums,
                target=self._target,
                begin=part[0],
                end=part[1],
            ),
            parts(len(sums)),
            torch.get_num_threads(),
        )

    def no_gradient(self) -> Tensor:
        """See `Product`."""
        return torch.zeros(self._rows.shape, dtype=torch.from_numpy(self._rows).dtype)

    def learn(self, gradient: Tensor, by_a: Tensor, start: int) -> None:
        """See `Product`."""
        late, source = arrival(self._delay, start)
        if late >= by_a.shape[1]:
            return
        sums, gradients = gradient.numpy(), by_a.numpy()
        in_threads(
            lambda part: _add_gradients(
                self._first,
                self._steps,
                source,
                late,
                self._places,
                self._values,
                sums,
                gradients,
                target=self._target,
                begin=part[0],
                end=part[1],
            ),
            parts(self._blocks, self._blocks),
            torch.get_num_threads(),
        )

    def gradient(self, gradient: Tensor) -> Tensor:
        """See `Product`."""
        return gradient.transpose(1, 2).reshape(-1, gradient.shape[1])[: self._targets]


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
