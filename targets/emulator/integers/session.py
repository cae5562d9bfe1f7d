"""A batch in the middle of a run, in integers: it advances by blocks of steps, group by group."""

from collections.abc import Mapping
from typing import final

import numpy as np

from targets.emulator.integers.events import EventLoop
from targets.emulator.integers.images import pool
from targets.emulator.integers.items import CompiledPopulation, Item, ItemGroup, PooledNode, name_of
from targets.emulator.integers.network import CompiledNetwork
from targets.emulator.integers.neurons import advance_neurons
from targets.emulator.integers.rules import NO_RECORD, StateRecord, rest
from targets.emulator.integers.streams import Stream, enter, leave
from targets.emulator.integers.workspace import Workspace
from toolchain import ir
from toolchain.arrays import Array
from toolchain.execution.clipping import ClippedInput, ClippingTally
from toolchain.execution.stimulus import fit_step
from toolchain.fixedpoint import encode_graded
from toolchain.ir import EdgeKind
from toolchain.target.records import Records


@final
class IntegerSession:
    """A batch in the middle of a run.

    Args:
        network: A fixed graph made ready.
        batch: Number of samples that advance together.
        steps: Steps of the longest block.
        workspace: Memory and cores to work with; new memory and one core if None.
    """

    def __init__(
        self, network: CompiledNetwork, batch: int, steps: int = 1, workspace: Workspace | None = None
    ) -> None:
        self._network = network
        self._workspace = workspace or Workspace()
        self._batch = batch
        self._inputs = [
            item for group in network.groups for item in group.items if isinstance(item, ir.Input)
        ]
        self._clipping = ClippingTally(self._inputs)
        self._streams = {
            name: Stream(plan.shape, plan.dtype, plan.history, steps, batch)
            for name, plan in network.streams.items()
        }
        self._loops = {group: EventLoop(plan, batch) for group, plan in network.loops.items()}
        in_loops = {name_of(item) for group in self._loops for item in group.items}
        self._states = {
            neurons.node.name: rest(
                batch, neurons.size, forgets=neurons.rule.forgets, remembers=neurons.remembers
            )
            for neurons in network.neurons
            if neurons.node.name not in in_loops
        }

    @property
    def clipped(self) -> tuple[ClippedInput, ...]:
        """Inputs that `step` had to clip since the last reset."""
        return self._clipping.clipped

    def reset(self) -> None:
        """Return to rest: no state, nothing in flight."""
        self._clipping.reset()
        for stream in self._streams.values():
            stream.clear()
        for loop in self._loops.values():
            loop.reset()
        for state in self._states.values():
            for array in state:
                array[:] = 0

    def step(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Advance one step.

        Args:
            values: `[batch, *features]` per input, in the model's units.

        Returns:
            Spikes per population `[batch, *features]`: bool, or uint8 where a neuron may send several.
        """
        quantities = {neurons.node.name: ("spikes",) for neurons in self._network.neurons}
        fitted = fit_step(self._inputs, values, self._batch)
        self._clipping.add(fitted)
        block = self.advance({name: array[:, None] for name, array in fitted.items()}, quantities)
        return {name: spikes[:, 0].copy() for name, spikes in block["spikes"].items()}

    def advance(self, values: Mapping[str, Array], quantities: Mapping[str, tuple[str, ...]]) -> Records:
        """Advance over a block of steps.

        Args:
            values: `[batch, steps, *features]` per input, in the model's units.
            quantities: Quantities to record of each population.

        Returns:
            Records `[batch, steps, *features]`, some of them views that are valid until the next block.
        """
        steps = next(iter(values.values())).shape[1]
        records: Records = {"spikes": {}, "v": {}, "u": {}}
        for group in self._network.groups:
            if group in self._loops:
                populations = self._run_event_loop(group, steps, quantities)
            else:
                populations = self._run_group(group, steps, values, quantities)
            for item, state in populations:
                self._record(item, steps, state, quantities.get(item.node.name, ()), records)
        for stream in self._streams.values():
            stream.roll(steps)
        return records

    def _run_group(
        self,
        group: ItemGroup,
        steps: int,
        values: Mapping[str, Array],
        quantities: Mapping[str, tuple[str, ...]],
    ) -> list[tuple[CompiledPopulation, StateRecord]]:
        """Run items over a block; return the recorded states of the populations among them."""
        stride = steps if group.stride is None else group.stride
        states = {
            item.node.name: self._record_of(item, steps, quantities.get(item.node.name, ()))
            for item in group.items
            if isinstance(item, CompiledPopulation)
        }
        for start in range(0, steps, stride):
            for item in group.items:
                self._run(item, start, min(start + stride, steps), values, states)
        return [
            (item, states[item.node.name]) for item in group.items if isinstance(item, CompiledPopulation)
        ]

    def _record_of(self, item: CompiledPopulation, steps: int, quantities: tuple[str, ...]) -> StateRecord:
        """Return room for the recorded states of a block."""
        shape = (steps, self._batch, item.size)
        return StateRecord(
            *(np.empty(shape, np.int32) if name in quantities else NO_RECORD for name in ("u", "v"))
        )

    def _run(
        self,
        item: Item,
        start: int,
        stop: int,
        values: Mapping[str, Array],
        states: Mapping[str, StateRecord],
    ) -> None:
        match item:
            case ir.Input():
                self._enter(item, values[item.name][:, start:stop], start, stop)
            case PooledNode():
                self._pool(item, start, stop)
            case CompiledPopulation():
                self._fire(item, start, stop, states[item.node.name])

    def _enter(self, node: ir.Input, value: Array, start: int, stop: int) -> None:
        stream = self._streams[node.name]
        graded = node.edge is EdgeKind.GRADED
        # Direct coding gives the same picture at every step: it is encoded once, and convolved once.
        stream.constant = graded and stop - start > 1 and bool((value[:, 1:] == value[:, :1]).all())
        if graded:
            value = encode_graded(value[:, :1] if stream.constant else value, node.scale, node.bits)
        rows = stream.rows(start, stop)
        if stream.constant:
            enter(value, node.shape, rows[:1])
            rows[1:] = rows[:1]
        else:
            enter(value, node.shape, rows)

    def _pool(self, item: PooledNode, start: int, stop: int) -> None:
        node, source, out = item.node, self._streams[item.source], self._streams[item.node.name]
        window = (*node.kernel, *node.stride, *node.padding)
        images = source.images(start, stop, item.delay)
        pool(images, out.images(start, stop), window, isinstance(node, ir.SumPool2d))

    def _fire(self, item: CompiledPopulation, start: int, stop: int, record: StateRecord) -> None:
        a, gain = self.currents(item, start, stop)
        name = item.node.name
        spikes = self._streams[name].rows(start, stop)
        part = StateRecord(record.u[start:stop], record.v[start:stop])
        advance_neurons(a, gain, self._states[name], item.parameters, item.rule, spikes, part)

    def currents(
        self, item: CompiledPopulation, start: int, stop: int, within: frozenset[str] = frozenset()
    ) -> tuple[Array, int]:
        """Return the summed input of a population and a factor, leaving out what comes from `within`.

        The sum is valid until the next call.
        """
        links = [link for link in item.links if link.source not in within] if within else item.links
        if len(links) == 1 and links[0].is_product:
            return links[0].product(self._streams, start, stop, self._workspace), links[0].gain
        total = self._workspace.room("total", (stop - start, self._batch, item.size))
        total[:] = 0
        for link in links:
            link.add(self._streams, start, stop, total, self._workspace)
        return total, 1

    def _run_event_loop(
        self, group: ItemGroup, steps: int, quantities: Mapping[str, tuple[str, ...]]
    ) -> list[tuple[CompiledPopulation, StateRecord]]:
        """Run a loop of populations over a block; return their recorded states."""
        loop = self._loops[group]
        members = loop.plan.members
        drives: list[Array] = []
        for item in members:
            a, gain = self.currents(item, 0, steps, loop.plan.names)
            whole = a * np.int32(gain)
            drives.append(np.broadcast_to(whole, (steps, *whole.shape[1:])))
        spikes = [self._streams[item.node.name].rows(0, steps) for item in members]
        return list(zip(members, loop.run(drives, spikes, quantities), strict=True))

    def _record(
        self,
        item: CompiledPopulation,
        steps: int,
        state: StateRecord,
        quantities: tuple[str, ...],
        records: Records,
    ) -> None:
        name, shape = item.node.name, item.node.vth.shape
        spikes = self._streams[name].rows(0, steps)
        if item.node.max_spikes == 1:
            spikes = spikes.view(np.bool_)
        for quantity, values in (("spikes", spikes), ("u", state.u), ("v", state.v)):
            if quantity in quantities:
                records[quantity][name] = leave(values, shape)
