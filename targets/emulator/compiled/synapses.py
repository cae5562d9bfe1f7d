"""Dense and sparse connections: whole rows if a source reaches many targets, otherwise single targets.

Both ways go from spike to spike and are exact, so the cheaper one is chosen once for each connection.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, final

import numpy as np
from scipy.sparse import csr_array

from targets.emulator.compiled.loops import SynapseList, add_events, add_messages, add_scaled
from targets.emulator.compiled.streams import Streams, internal_order
from targets.emulator.compiled.vectors import BLOCK, REGISTER_BLOCKS
from targets.emulator.compiled.weight_blocks import POINT, WeightBlocks
from targets.emulator.compiled.workspace import Workspace
from toolchain import fixedpoint, ir
from toolchain.arrays import Array
from toolchain.ir.matrix import Matrix, columns_of, delay_slots, rows_of, sources_of, targets_of, values_of

_BLOCK_SHARE: Final = 1 / 32
"""From this density on, adding whole rows in vectors costs less than jumping from target to target."""
_REAL_BLOCK_SHARE: Final = 1 / 8
"""The same of real weights, of which a register holds a quarter as many."""
_DENSE_SHARE: Final = 1 / 8
"""The same within a loop of populations, where rows are not laid out in blocks."""

# Nanoseconds on one core (AVX-512, 3.5 GHz). Only their ratios matter, and only for speed.
_EVENT_NS: Final = 0.45
_ROW_ELEMENT_NS: Final = 0.06


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """The synapses of one connection and one delay.

    Attributes:
        plain: Matrix of the graph, `[targets, sources]`: int32 before the exponent, or float64.
        exponent: Power of two of the connection; 0 in real numbers.
        largest: Largest magnitude of a message; of real messages only whether it is 1 matters.
        counts: Whether messages are never negative.
    """

    plain: Matrix = field(repr=False)
    exponent: int
    largest: int
    counts: bool = True

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Number of sources and of targets."""
        return sources_of(self.plain), targets_of(self.plain)

    @property
    def right(self) -> int:
        """Bits that a negative exponent drops from the sum."""
        return max(-self.exponent, 0)

    @cached_property
    def is_real(self) -> bool:
        """Whether weights are real numbers, whose sums depend on their order."""
        return values_of(self.plain).dtype == np.float64

    @cached_property
    def synapses(self) -> int:
        """Number of weights that are not 0."""
        return int(np.count_nonzero(values_of(self.plain)))

    @cached_property
    def listed(self) -> SynapseList:
        """The weights by source."""
        sources, targets = self.shape
        dense = self.synapses >= _DENSE_SHARE * sources * targets
        if dense:
            indptr, indices = np.zeros(1, np.int64), np.zeros(0, np.int64)
            weights = np.ascontiguousarray(self._whole.T).ravel()
        else:
            used = values_of(self.plain) != 0
            places = (columns_of(self.plain)[used], rows_of(self.plain)[used])
            by_source = csr_array((values_of(self.plain)[used], places), shape=self.shape)
            indptr, indices, weights = by_source.indptr, by_source.indices, by_source.data
        if not self.is_real:
            weights = np.left_shift(weights, max(self.exponent, 0)).astype(np.int16)
        return SynapseList(dense, indptr.astype(np.int64), indices.astype(_index_type(targets)), weights)

    @cached_property
    def blocks(self) -> WeightBlocks:
        """The weights in blocks: a window of one position over an image of one position."""
        weights = self._whole[:, :, None, None]
        return WeightBlocks.of(weights, 1, POINT, largest=self.largest, counts=self.counts)

    @cached_property
    def prefers_blocks(self) -> bool:
        """Whether a source reaches so many targets that adding whole rows costs less."""
        sources, targets = self.shape
        share, lanes = (_REAL_BLOCK_SHARE, REGISTER_BLOCKS[0]) if self.is_real else (_BLOCK_SHARE, BLOCK)
        return self.synapses >= share * sources * -(-targets // lanes) * lanes

    @property
    def is_product(self) -> bool:
        """Whether its current is one product, times a factor."""
        return self.prefers_blocks and not self.right

    @property
    def spike_ns(self) -> float:
        """Approximate cost of one spike within a loop of populations, in nanoseconds."""
        sources, targets = self.shape
        listed = self.listed
        return (
            targets * _ROW_ELEMENT_NS if listed.dense else listed.weights.size / max(sources, 1) * _EVENT_NS
        )

    def add(self, x: Array, out: Array, workspace: Workspace) -> None:
        """Add to `out`, `[rows, targets]`, the currents of messages `x`, `[rows, sources]`."""
        if self.prefers_blocks:
            self.add_blocks(x, out, workspace)
        elif self.is_real:
            self.add_listed(x, out)
        elif x.dtype == np.uint8:
            self.add_events(x, out)
        else:
            self.add_messages(x, out)

    def product(self, x: Array, workspace: Workspace) -> Array:
        """Return sums of whole rows, without gain and exponent; see `WeightBlocks.product`."""
        return self.blocks.product(x[:, None, None, :], (1, 1), workspace).reshape(len(x), self.shape[1])

    def add_blocks(self, x: Array, out: Array, workspace: Workspace) -> None:
        """Add whole rows; integers modulo 2^32, which is what `fixedpoint.shift` reduces a sum by."""
        product = self.product(x, workspace)
        if self.right:
            out += (product * np.int32(self.blocks.gain)) >> np.int32(self.right)
        else:
            add_scaled(product, self.blocks.gain << self.exponent, out)

    def add_listed(self, x: Array, out: Array) -> None:
        """Add the currents of real weights one by one, whatever is sent."""
        add_messages(x, out, self.listed)

    def add_events(self, x: Array, out: Array) -> None:
        """Add the currents of spikes or small counts, weight by weight."""
        add_events(x, out, self.listed, self.right, self.largest > 1)

    def add_messages(self, x: Array, out: Array) -> None:
        """Add the currents of graded integers of any sign."""
        product = self.plain.astype(np.int64) @ x.T.astype(np.int64)
        out += fixedpoint.shift(product.T, self.exponent)

    @property
    def _whole(self) -> Array:
        return self.plain.toarray() if isinstance(self.plain, csr_array) else self.plain


@final
@dataclass(frozen=True)
class DenseLink:
    """A dense or sparse connection to a population.

    Attributes:
        source: Name of the stream that it reads.
        slots: Delays in steps, each with the synapses of that delay.
    """

    source: str
    slots: tuple[tuple[int, Rows], ...]

    @classmethod
    def of(
        cls,
        node: ir.Dense | ir.FixedDense,
        source: str,
        shape: tuple[int, ...],
        wait: int,
        largest: int,
        *,
        counts: bool,
    ) -> "DenseLink":
        """Return a connection that reads a stream of features `shape`, `wait` steps late.

        Args:
            node: The connection in the graph.
            source: Name of the stream.
            shape: Features of the stream.
            wait: Delay in steps, on top of those of the synapses.
            largest: Largest magnitude of a message.
            counts: Whether messages are never negative.
        """
        order, exponent = internal_order(shape), node.exponent if isinstance(node, ir.FixedDense) else 0
        slots: list[tuple[int, Rows]] = []
        # A matrix without a synapse has no delays either.
        for delay, matrix in delay_slots(node.weights, node.delays) or [(0, node.weights)]:
            ordered = matrix if order is None else matrix[:, order]
            slots.append((wait + delay, Rows(ordered, exponent, largest, counts)))
        return cls(source, tuple(slots))

    def by_delay(self) -> tuple["DenseLink", ...]:
        """Return a connection for each delay."""
        return tuple(DenseLink(self.source, (slot,)) for slot in self.slots)

    @property
    def earliest(self) -> int:
        """The smallest delay."""
        return min(delay for delay, _ in self.slots)

    @property
    def latest(self) -> int:
        """The largest delay."""
        return max(delay for delay, _ in self.slots)

    @property
    def is_product(self) -> bool:
        """Whether its current is one product per block, times a factor."""
        return len(self.slots) == 1 and self.slots[0][1].is_product

    @property
    def gain(self) -> int:
        """The factor of the product."""
        _, rows = self.slots[0]
        return rows.blocks.gain << rows.exponent

    def product(self, streams: Streams, start: int, stop: int, workspace: Workspace) -> Array:
        """Return sums `[steps, batch, targets]` without `gain`; see `WeightBlocks.product`."""
        delay, rows = self.slots[0]
        x = streams[self.source].rows(start, stop, delay)
        return rows.product(x.reshape(-1, rows.shape[0]), workspace).reshape(*x.shape[:2], rows.shape[1])

    def add(self, streams: Streams, start: int, stop: int, out: Array, workspace: Workspace) -> None:
        """Add the currents of some steps of the block to `out`, `[steps, batch, targets]`."""
        for delay, rows in self.slots:
            x = streams[self.source].rows(start, stop, delay)
            rows.add(x.reshape(-1, rows.shape[0]), out.reshape(-1, rows.shape[1]), workspace)


def _index_type(targets: int) -> type[np.unsignedinteger[Any]]:
    return np.uint16 if targets <= np.iinfo(np.uint16).max + 1 else np.uint32
