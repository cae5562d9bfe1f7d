"""Dense and sparse connections: events where few neurons fire, a matrix product where many do.

Both are exact, so the cheaper one may be taken anew for every block, by the spikes counted in it.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.emulator.integers.byte_kernels import BYTE_MAX, as_bytes, multiplies_exactly, multiply_bytes
from targets.emulator.integers.loops import add_events, add_scaled
from targets.emulator.integers.streams import Streams, internal_order
from toolchain import fixedpoint
from toolchain.ir import FixedDense
from toolchain.ir.matrix import Matrix, columns_of, delay_slots, rows_of, sources_of, targets_of, values_of

Array = NDArray[Any]

FLOAT32_EXACT: Final = 2**24
"""Whole numbers below this are exact in float32, and so is every partial sum of a product."""
_PRODUCT_ELEMENTS: Final = 2**24
"""Matrices of up to this many elements may be multiplied whole."""
_DENSE_SHARE: Final = 1 / 8
"""From this density on, adding a whole row in vectors costs less than jumping from target to target."""

# Nanoseconds on one core (AVX-512, 3.5 GHz). Only their ratios matter, and only for speed.
_EVENT_NS: Final = 0.45
_ROW_ELEMENT_NS: Final = 0.06
_LOOK_NS: Final = 0.7
_PRODUCT_NS: Final = 0.004
_SUM_NS: Final = 0.5


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """The synapses of one connection and one delay, by source.

    Attributes:
        dense: Whether `weights` holds whole rows; otherwise CSR.
        indptr: `[sources + 1]`; unused if dense.
        indices: Targets; empty if dense.
        weights: int16, with a positive exponent folded in.
        right: Bits that a negative exponent drops from the sum.
        shape: Sources, targets.
        plain: The matrix as it came, `[targets, sources]`, before the exponent.
        exponent: Of the connection.
        largest: Largest message a source can send.
    """

    dense: bool
    indptr: Array = field(repr=False)
    indices: Array = field(repr=False)
    weights: Array = field(repr=False)
    right: int
    shape: tuple[int, int]
    plain: Matrix = field(repr=False)
    exponent: int
    largest: int

    @classmethod
    def of(cls, matrix: Matrix, exponent: int, largest: int) -> "Rows":
        """Return the rows of a matrix `[targets, sources]`."""
        shape = (sources_of(matrix), targets_of(matrix))
        values = values_of(matrix)
        used = values != 0
        dense = int(np.count_nonzero(used)) >= _DENSE_SHARE * shape[0] * shape[1]
        if dense:
            indptr, indices = np.zeros(1, np.int64), np.zeros(0, np.int64)
            weights = np.ascontiguousarray(_whole(matrix).T).ravel()
        else:
            places = (columns_of(matrix)[used], rows_of(matrix)[used])
            by_source = csr_array((values[used], places), shape=shape)
            indptr, indices, weights = by_source.indptr, by_source.indices, by_source.data
        return cls(
            dense,
            indptr.astype(np.int64),
            indices.astype(_index_type(shape[1])),
            np.left_shift(weights, max(exponent, 0)).astype(np.int16),
            max(-exponent, 0),
            shape,
            matrix,
            exponent,
            largest,
        )

    @property
    def spike_ns(self) -> float:
        """What one spike costs, about, in nanoseconds."""
        sources, targets = self.shape
        return targets * _ROW_ELEMENT_NS if self.dense else self.weights.size / max(sources, 1) * _EVENT_NS

    def add(self, x: Array, out: Array) -> None:
        """Add what messages `x`, `[rows, sources]`, bring to `out`, `[rows, targets]`, int32."""
        if x.dtype != np.uint8:
            self._add_messages(x, out)
        elif self._prefers_product(x):
            self._add_product(x, out)
        else:
            add_events(
                x, out, self.dense, self.indptr, self.indices, self.weights, self.right, self.largest > 1
            )

    def _prefers_product(self, x: Array) -> bool:
        sources, targets = self.shape
        if sources * targets > _PRODUCT_ELEMENTS:
            return False
        events = int(x.sum(dtype=np.int64)) if self.largest > 1 else int(np.count_nonzero(x))
        by_events = x.size * _LOOK_NS + events * self.spike_ns
        return by_events > len(x) * targets * (sources * _PRODUCT_NS + _SUM_NS)

    @cached_property
    def _floats(self) -> torch.Tensor:
        """The matrix `[sources, targets]` in the narrowest floating-point type that multiplies exactly."""
        whole = _whole(self.plain)
        return torch.from_numpy(whole.T.copy()).to(exact_type(whole, self.largest))

    @cached_property
    def _bytes(self) -> tuple[torch.Tensor, int] | None:
        """The matrix `[sources, targets]` in int8 and the factor taken out; None if that is not possible."""
        halved = as_bytes(_whole(self.plain))
        if halved is None or self.largest > BYTE_MAX:
            return None
        return torch.from_numpy(halved[0].T.copy()), halved[1]

    def _add_product(self, x: Array, out: Array) -> None:
        if self._bytes is None or not multiplies_exactly(*x.shape, out.shape[1], torch.get_num_threads()):
            out += fixedpoint.shift(self._multiplied(x), self.exponent)
            return
        matrix, gain = self._bytes
        product = multiply_bytes(torch.from_numpy(x.view(np.int8)), matrix).numpy()
        if self.right:
            out += (product * np.int32(gain)) >> np.int32(self.right)
        else:
            add_scaled(product, gain << self.exponent, out)

    def _add_messages(self, x: Array, out: Array) -> None:
        """Graded messages of up to 24 bits, positive or negative."""
        sources, targets = self.shape
        if isinstance(self.plain, csr_array) and sources * targets > _PRODUCT_ELEMENTS:
            product = (self.plain.astype(np.int64) @ x.T.astype(np.int64)).T
        else:
            product = self._multiplied(x)
        out += fixedpoint.shift(product, self.exponent)

    def _multiplied(self, x: Array) -> NDArray[np.int64]:
        matrix = self._floats
        return (torch.from_numpy(x).to(matrix.dtype) @ matrix).numpy().astype(np.int64)


@final
@dataclass(frozen=True)
class DenseLink:
    """A dense or sparse connection as a population reads it.

    Attributes:
        source: Name of the stream.
        slots: Delay in steps, and the synapses of that delay.
    """

    source: str
    slots: tuple[tuple[int, Rows], ...]

    @classmethod
    def of(
        cls, node: FixedDense, source: str, shape: tuple[int, ...], wait: int, largest: int
    ) -> "DenseLink":
        """Return a connection that reads a stream of features `shape`, `wait` steps late."""
        order = internal_order(shape)
        slots: list[tuple[int, Rows]] = []
        # A matrix without a synapse has no delays either.
        for delay, matrix in delay_slots(node.weights, node.delays) or [(0, node.weights)]:
            held = matrix if order is None else matrix[:, order]
            slots.append((wait + delay, Rows.of(held, node.exponent, largest)))
        return cls(source, tuple(slots))

    @property
    def latest(self) -> int:
        """The largest delay."""
        return max(delay for delay, _ in self.slots)

    def add(self, streams: Streams, start: int, stop: int, out: Array) -> None:
        """Add the currents of some steps of the block to `out`, `[steps, batch, targets]`."""
        for delay, rows in self.slots:
            x = streams[self.source].rows(start, stop, delay)
            rows.add(x.reshape(-1, rows.shape[0]), out.reshape(-1, rows.shape[1]))


def _whole(matrix: Matrix) -> Array:
    return matrix.toarray() if isinstance(matrix, csr_array) else matrix


def exact_type(weights: Array, message: float) -> torch.dtype:
    """Return the narrowest floating-point type in which every partial sum is exact."""
    reach = float(np.abs(weights.reshape(len(weights), -1)).sum(axis=1, dtype=np.float64).max(initial=0.0))
    return torch.float32 if reach * message < FLOAT32_EXACT else torch.float64


def _index_type(targets: int) -> type[np.unsignedinteger[Any]]:
    return np.uint16 if targets <= np.iinfo(np.uint16).max + 1 else np.uint32
