"""Populations that feed each other: their loop over time is one compiled call.

Two loops give the same integers; real numbers take the first. One goes from spike to spike, sample by sample:
few spikes, little work. The other takes every synapse, for up to 64 samples at once: its work does not depend
on activity. Which one is cheaper is decided anew every few steps from the spikes of the last ones.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, final

import numpy as np

from targets.emulator.compiled.items import CompiledPopulation, ItemGroup, parts_of
from targets.emulator.compiled.lanes import LaneSpikes, run_lanes
from targets.emulator.compiled.loops import LoopNeurons, LoopSynapses, SlotTable, run_loop
from targets.emulator.compiled.rules import NeuronParameters, Number, StateRecord, rest
from targets.emulator.compiled.synapses import DenseLink, Rows
from toolchain.arrays import Array
from toolchain.ir.matrix import columns_of, rows_of, values_of

_FEW_LANES: Final = 32
MOST_LANES: Final = 64
"""Samples that a loop can run side by side: the bits of a word."""
_LANE_NS: Final = 0.45
"""Nanoseconds of one synapse for all lanes; only its ratio to `Rows.spike_ns` matters."""
_FEW_SAMPLES: Final = 8
"""Below so many samples most lanes would be empty."""
_FIRST_BLOCK: Final = 8
"""Steps after which the loop is chosen anew, as long as nothing has spiked."""
_BLOCK: Final = 64
"""Steps after which the loop is chosen anew later on."""
_LANE_MAX: Final = np.iinfo(np.int16).max


@final
@dataclass(frozen=True)
class Slot:
    """Synapses of one delay between two populations of a loop.

    Attributes:
        source: Place of the population that sends.
        target: Place of the population that receives.
        delay: Steps from a spike to its effect.
        rows: The synapses.
    """

    source: int
    target: int
    delay: int
    rows: Rows = field(repr=False)


@final
class LoopPlan:
    """The wiring of one loop, made ready once.

    Args:
        group: Items that form a loop; `is_event_loop` holds.
    """

    def __init__(self, group: ItemGroup) -> None:
        self.members = tuple(item for item in group.items if isinstance(item, CompiledPopulation))
        self.names = frozenset(item.node.name for item in self.members)
        self.first = np.cumsum([0, *(item.size for item in self.members)])
        every = (parts_of(item, self.names) for item in self.members)
        self.links = tuple(parts for parts in every if parts is not None)
        order = {item.node.name: i for i, item in enumerate(self.members)}
        self.slots = tuple(
            Slot(order[link.source], target, delay, rows)
            for target in range(len(self.members))
            for link in self.links[target].inner
            if isinstance(link, DenseLink)
            for delay, rows in link.slots
        )
        self.span = max(slot.delay for slot in self.slots) + 1
        self.parameters = _joined([item.parameters for item in self.members])
        self.number: Number = np.int32 if self.parameters.bias.dtype == np.int32 else np.float64
        self.rules = np.array([item.rule for item in self.members], np.int64)

    @property
    def parts(self) -> list[slice]:
        """Where the neurons of each population stand."""
        return [slice(a, b) for a, b in zip(self.first[:-1], self.first[1:], strict=True)]

    @cached_property
    def by_source(self) -> LoopSynapses:
        """Synapses as the loop over events reads them."""
        lists = [slot.rows.listed for slot in self.slots]
        weights = [synapses.weights for synapses in lists]
        # Dense rows need no targets, but places in both arrays are counted alike.
        indices = [
            np.zeros(synapses.weights.size, synapses.indices.dtype) if synapses.dense else synapses.indices
            for synapses in lists
        ]
        table = self._table(
            dense=[synapses.dense for synapses in lists],
            left=[0] * len(lists),
            pointer=_starts([synapses.indptr for synapses in lists]),
            place=_starts(weights),
        )
        indptr = np.concatenate([synapses.indptr for synapses in lists])
        return self._synapses(table, indptr, np.concatenate(indices), np.concatenate(weights))

    @cached_property
    def by_target(self) -> LoopSynapses | None:
        """Synapses as the loop over lanes reads them; None if a sum could leave 16 bits, or is real."""
        if self.number is np.float64:
            return None
        slots: list[tuple[Array, Array, Array]] = []
        place = 0
        for slot in self.slots:
            matrix = slot.rows.plain
            targets, sources, values = rows_of(matrix), columns_of(matrix), values_of(matrix)
            size = slot.rows.shape[1]
            if np.bincount(targets, np.abs(values), size).max(initial=0) > _LANE_MAX:
                return None
            used = values != 0
            # They are stored row by row, and so ordered by target already.
            counts = np.bincount(targets[used], minlength=size)
            indptr = place + np.concatenate([[0], np.cumsum(counts)])
            slots.append((indptr, sources[used], values[used]))
            place = int(indptr[-1])
        count = len(self.slots)
        table = self._table(
            dense=[False] * count,
            left=[max(slot.rows.exponent, 0) for slot in self.slots],
            pointer=_starts([indptr for indptr, _, _ in slots]),
            place=[0] * count,
        )
        index = np.uint16 if max(item.size for item in self.members) <= np.iinfo(np.uint16).max else np.uint32
        indptr, sources, weights = (np.concatenate(column) for column in zip(*slots, strict=True))
        return self._synapses(table, indptr.astype(np.int64), sources.astype(index), weights.astype(np.int16))

    def _table(
        self, *, dense: Sequence[bool], left: Sequence[int], pointer: Sequence[int], place: Sequence[int]
    ) -> SlotTable:
        source, delay = [slot.source for slot in self.slots], [slot.delay for slot in self.slots]
        right = [slot.rows.right for slot in self.slots]
        apart = [slot.rows.right > 0 or slot.rows.is_real for slot in self.slots]
        columns = (source, delay, dense, left, right, apart, pointer, place)
        return SlotTable(*(np.array(column, np.int64) for column in columns))

    def _synapses(self, table: SlotTable, indptr: Array, indices: Array, weights: Array) -> LoopSynapses:
        targets = [slot.target for slot in self.slots]
        first_slot = np.searchsorted(targets, np.arange(len(self.members) + 1))
        return LoopSynapses(self.first, first_slot, table, indptr, indices, weights)

    def prefers_lanes(self, recent: Array) -> bool:
        """Return whether all synapses for all samples at once cost less than the spikes of the last steps."""
        batch = recent.shape[1]
        if not _FEW_SAMPLES <= batch <= MOST_LANES or self.by_target is None:
            return False
        spikes = [np.count_nonzero(recent[..., part]) / len(recent) for part in self.parts]
        by_events = sum(spikes[slot.source] * slot.rows.spike_ns for slot in self.slots)
        return bool(by_events > self.by_target.weights.size * _LANE_NS)


def _joined(parameters: Sequence[NeuronParameters]) -> NeuronParameters:
    """Return the parameters of all neurons; what only some populations need is zero for the others."""
    sizes = [of_population.bias.size for of_population in parameters]
    return NeuronParameters(
        *(
            np.concatenate(
                [
                    array if array.size or not any(map(np.size, column)) else np.zeros(size, array.dtype)
                    for array, size in zip(column, sizes, strict=True)
                ]
            )
            for column in zip(*parameters, strict=True)
        )
    )


def _starts(arrays: Sequence[Array]) -> list[int]:
    """Return where each of some arrays begins if they stand one after the other."""
    return np.cumsum([0, *(array.size for array in arrays)])[:-1].tolist()


@final
class EventLoop:
    """State of one loop of populations.

    Args:
        plan: Wiring of the loop.
        batch: Number of samples.
    """

    def __init__(self, plan: LoopPlan, batch: int) -> None:
        self.plan = plan
        remembers = any(item.remembers for item in plan.members)
        self._state = rest(batch, int(plan.first[-1]), plan.number, forgets=False, remembers=remembers)
        self._recent = np.zeros((plan.span, *self._state.u.shape), np.uint8)

    def reset(self) -> None:
        """Return to rest."""
        for array in (*self._state, self._recent):
            array[:] = 0

    def run(
        self,
        drives: Sequence[Array],
        late: Sequence[Sequence[Array]],
        spikes: Sequence[Array],
        recorded: Container[str],
    ) -> list[StateRecord]:
        """Advance over a block.

        Args:
            drives: Input of each population from outside the loop, `[steps, batch, size]`.
            late: The parts of it that are added after the input from the loop, one after the other.
            spikes: Spikes of each population, written.
            recorded: What to record of the state, of `u` and `v`.

        Returns:
            The recorded state of each population.
        """
        plan = self.plan
        whole = np.concatenate(drives, axis=2)
        steps, batch, _ = whole.shape
        alone = len(plan.members) == 1
        fired = spikes[0] if alone else np.empty(whole.shape, np.uint8)
        record = StateRecord(
            *(np.empty(whole.shape if name in recorded else (0, 0, 0), plan.number) for name in ("u", "v"))
        )
        added = _side_by_side(late, drives)
        start = 0
        while start < steps:
            stride = _BLOCK if self._recent.any() else _FIRST_BLOCK
            stop = min(steps, start + stride) if batch >= _FEW_SAMPLES and plan.number is np.int32 else steps
            part = slice(start, stop)
            own = StateRecord(record.u[part], record.v[part])
            self._advance(whole[part], added[:, part], fired[part], own)
            start = stop
        if not alone:
            for out, part in zip(spikes, plan.parts, strict=True):
                out[:] = fired[:, :, part]
        return [StateRecord(record.u[..., part], record.v[..., part]) for part in plan.parts]

    def _advance(self, drive: Array, late: Array, fired: Array, record: StateRecord) -> None:
        plan, recent = self.plan, self._recent
        neurons = LoopNeurons(plan.parameters, plan.rules, self._state)
        lanes = plan.by_target if plan.prefers_lanes(recent) else None
        if lanes is None:
            run_loop(drive, late, plan.by_source, neurons, recent, fired, record)
        else:
            _, batch, size = drive.shape
            words = np.zeros((plan.span, size), np.uint32 if batch <= _FEW_LANES else np.uint64)
            run_lanes(drive, lanes, neurons, LaneSpikes(recent, words), fired, record)
        self._recent = np.concatenate([recent, fired])[-plan.span :]


def _side_by_side(late: Sequence[Sequence[Array]], drives: Sequence[Array]) -> Array:
    """Return the late parts of all populations, `[parts, steps, batch, size]`, zero where one has fewer."""
    parts = max(map(len, late))
    first = np.cumsum([0, *(drive.shape[2] for drive in drives)])
    added = np.zeros((parts, *drives[0].shape[:2], first[-1]), drives[0].dtype)
    for start, of_population in zip(first[:-1], late, strict=True):
        for k, part in enumerate(of_population):
            added[k, :, :, start : start + part.shape[2]] = part
    return added
