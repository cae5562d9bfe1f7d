"""Populations that feed each other: their loop over time is one compiled call.

Two loops give the same integers. One goes from spike to spike, sample by sample: few spikes, little work.
The other takes every synapse, for up to 64 samples at once: its work does not depend on activity. Which is
cheaper is decided anew every few steps by the spikes of the last ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, final

import numpy as np

from targets.emulator.integers.items import CompiledPopulation, ItemGroup
from targets.emulator.integers.lanes import run_lanes
from targets.emulator.integers.loops import run_loop
from targets.emulator.integers.synapses import DenseLink, Rows
from toolchain.arrays import Array
from toolchain.ir.matrix import columns_of, rows_of, values_of

_UNKEPT: Final = np.zeros((0, 0, 0), np.int32)
_FEW_LANES: Final = 32
MOST_LANES: Final = 64
"""Samples that a loop can run side by side: the bits of a word."""
_LANE_NS: Final = 0.45
_FEW: Final = 8
"""Below so many samples most lanes would be empty."""
_FIRST_LOOK: Final = 8
_LOOK_EVERY: Final = 64
_LANE_MAX: Final = np.iinfo(np.int16).max


@final
@dataclass(frozen=True, eq=False)
class Wires:
    """Synapses of all slots, one after the other.

    Attributes:
        slots: A row of numbers per connection and delay, ordered by target.
        indptr: Of all slots.
        indices: Neurons at the other end.
        weights: int16.
    """

    slots: Array
    indptr: Array = field(repr=False)
    indices: Array = field(repr=False)
    weights: Array = field(repr=False)


@final
@dataclass(frozen=True)
class Slot:
    """Synapses of one delay between two populations of a loop, by their place in it."""

    source: int
    target: int
    delay: int
    rows: Rows = field(repr=False)


@final
class LoopPlan:
    """The wiring of one loop, made ready once.

    Args:
        part: With `is_event_loop`.
    """

    def __init__(self, part: ItemGroup) -> None:
        self.members = tuple(item for item in part.items if isinstance(item, CompiledPopulation))
        self.names = frozenset(item.node.name for item in self.members)
        self.first = np.cumsum([0, *(item.size for item in self.members)])
        order = {item.node.name: i for i, item in enumerate(self.members)}
        self.slots = tuple(
            Slot(order[link.source], target, delay, rows)
            for target, item in enumerate(self.members)
            for link in item.links
            if isinstance(link, DenseLink) and link.source in order
            for delay, rows in link.slots
        )
        self.span = max(slot.delay for slot in self.slots) + 1
        self.parameters = tuple(
            np.concatenate([getattr(item, name) for item in self.members])
            for name in ("keep_u", "keep_v", "threshold", "bias")
        )

    @cached_property
    def by_source(self) -> Wires:
        """As the loop over events wants it."""
        table: list[tuple[int, ...]] = []
        pointer = place = 0
        for slot in self.slots:
            rows, right = slot.rows.listed, slot.rows.right
            table.append((slot.source, slot.target, slot.delay, int(rows.dense), right, pointer, place))
            pointer += rows.indptr.size
            place += rows.weights.size
        held = [slot.rows.listed for slot in self.slots]
        # Dense rows need no targets, but places in both arrays are counted alike.
        indices = [
            np.zeros(rows.weights.size, rows.indices.dtype) if rows.dense else rows.indices for rows in held
        ]
        return Wires(
            np.array(table, np.int64),
            np.concatenate([rows.indptr for rows in held]),
            np.concatenate(indices),
            np.concatenate([rows.weights for rows in held]),
        )

    @cached_property
    def by_target(self) -> Wires | None:
        """As the loop over lanes wants it; None if a sum could leave 16 bits."""
        table: list[tuple[int, ...]] = []
        parts: list[tuple[Array, Array, Array]] = []
        pointer = place = 0
        for slot in self.slots:
            matrix = slot.rows.plain
            targets, sources, values = rows_of(matrix), columns_of(matrix), values_of(matrix)
            size = slot.rows.shape[1]
            reach = np.bincount(targets, np.abs(values), size)
            if reach.max(initial=0) > _LANE_MAX:
                return None
            used = values != 0
            # Stored row by row, so already ordered by target.
            counts = np.bincount(targets[used], minlength=size)
            indptr = place + np.concatenate([[0], np.cumsum(counts)])
            parts.append((indptr, sources[used], values[used]))
            table.append((slot.source, slot.target, slot.delay, slot.rows.exponent, pointer))
            pointer += indptr.size
            place = int(indptr[-1])
        kind = np.uint16 if max(item.size for item in self.members) <= np.iinfo(np.uint16).max else np.uint32
        indptr, sources, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Wires(
            np.array(table, np.int64), indptr.astype(np.int64), sources.astype(kind), weights.astype(np.int16)
        )

    def prefers_lanes(self, recent: Array) -> bool:
        """Return whether all synapses for all samples at once cost less than the spikes of the last steps."""
        batch = recent.shape[1]
        if not _FEW <= batch <= MOST_LANES or self.by_target is None:
            return False
        ends = zip(self.first[:-1], self.first[1:], strict=True)
        spikes = [np.count_nonzero(recent[..., a:b]) / len(recent) for a, b in ends]
        by_events = sum(spikes[slot.source] * slot.rows.spike_ns for slot in self.slots)
        return bool(by_events > self.by_target.weights.size * _LANE_NS)


@final
class EventLoop:
    """State of one loop of populations.

    Args:
        plan: Its wiring.
        batch: Samples.
    """

    def __init__(self, plan: LoopPlan, batch: int) -> None:
        self.plan = plan
        self._u, self._v = (np.zeros((batch, int(plan.first[-1])), np.int32) for _ in range(2))
        self._recent = np.zeros((plan.span, *self._u.shape), np.uint8)

    def reset(self) -> None:
        """Return to rest."""
        for array in (self._u, self._v, self._recent):
            array[:] = 0

    def run(
        self, drives: Sequence[Array], spikes: Sequence[Array], kept: Mapping[str, tuple[str, ...]]
    ) -> list[tuple[Array, Array]]:
        """Advance over a block.

        Args:
            drives: What each population gets from outside, `[steps, batch, size]`, int32.
            spikes: Where its spikes go.
            kept: Quantities to keep.

        Returns:
            `u` and `v` of each population, empty if nobody keeps them.
        """
        plan = self.plan
        whole = np.concatenate(drives, axis=2)
        alone = len(plan.members) == 1
        fired = spikes[0] if alone else np.empty(whole.shape, np.uint8)
        u, v = (
            np.empty(whole.shape, np.int32)
            if any(quantity in kept.get(n, ()) for n in plan.names)
            else _UNKEPT
            for quantity in ("u", "v")
        )
        start = 0
        while start < len(whole):
            look = _LOOK_EVERY if self._recent.any() else _FIRST_LOOK
            stop = min(len(whole), start + look) if whole.shape[1] >= _FEW else len(whole)
            steps = slice(start, stop)
            self._advance(whole[steps], fired[steps], u[steps], v[steps])
            start = stop
        parts = [slice(a, b) for a, b in zip(plan.first[:-1], plan.first[1:], strict=True)]
        if not alone:
            for out, part in zip(spikes, parts, strict=True):
                out[:] = fired[:, :, part]
        return [(u[..., part], v[..., part]) for part in parts]

    def _advance(self, drive: Array, fired: Array, u: Array, v: Array) -> None:
        plan = self.plan
        lanes = plan.by_target if plan.prefers_lanes(self._recent) else None
        wires = lanes or plan.by_source
        arguments: list[Any] = [drive, plan.first, wires.slots, wires.indptr, wires.indices, wires.weights]
        arguments += [self._u, self._v, *plan.parameters, self._recent, fired, u, v]
        if lanes is None:
            run_loop(*arguments)
        else:
            run_lanes(np.zeros(0, np.uint32 if len(self._u) <= _FEW_LANES else np.uint64), *arguments)
        self._recent = np.concatenate([self._recent, fired])[-plan.span :]
