"""A batch in the middle of a run: it advances by blocks of steps, group by group."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np

from targets.emulator.compiled.events import EventLoop
from targets.emulator.compiled.images import pool
from targets.emulator.compiled.items import (
    CompiledPopulation,
    DelayedNode,
    Item,
    ItemGroup,
    Link,
    PooledNode,
    name_of,
)
from targets.emulator.compiled.network import CompiledNetwork
from targets.emulator.compiled.neurons import advance_neurons
from targets.emulator.compiled.rules import GraphRecord, rest
from targets.emulator.compiled.streams import Stream, by_place, enter, leave
from targets.emulator.compiled.workspace import Workspace
from toolchain import ir
from toolchain.arrays import Array
from toolchain.execution.clipping import ClippedInput, ClippingTally
from toolchain.execution.stimulus import fit_step
from toolchain.fixedpoint import encode_graded
from toolchain.ir import EdgeKind
from toolchain.target.records import Records


@final
class CompiledSession:
    """A batch in the middle of a run.

    Args:
        network: A graph made ready.
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
        # Real numbers are clipped nowhere.
        self._clipping = ClippingTally(self._inputs if network.number is np.int32 else ())
        self._streams = {
            name: Stream(plan.shape, plan.dtype, plan.history, steps, batch)
            for name, plan in network.streams.items()
        }
        self._nothing = np.empty((0, 0, 0, 0), network.number)
        self._loops = {group: EventLoop(plan, batch) for group, plan in network.loops.items()}
        in_loops = {name_of(item) for group in self._loops for item in group.items}
        self._states = {
            neurons.node.name: rest(
                batch,
                neurons.size,
                network.number,
                forgets=neurons.rule.forgets,
                remembers=neurons.remembers,
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
        fitted = fit_step(self._inputs, values, self._batch)
        self._clipping.add(fitted)
        spikes = {
            item.node.name: np.empty(
                (self._batch, 1, *item.node.vth.shape), np.bool_ if item.node.max_spikes == 1 else np.uint8
            )
            for item in self._network.neurons
        }
        self.advance({name: array[:, None] for name, array in fitted.items()}, {"spikes": spikes})
        return {name: array[:, 0] for name, array in spikes.items()}

    def advance(self, values: Mapping[str, Array], records: Records) -> None:
        """Advance over a block of steps.

        Args:
            values: `[batch, steps, *features]` per input, in the model's units.
            records: Room for what is recorded, `[batch, steps, *features]` by quantity and population,
                written.
        """
        steps = next(iter(values.values())).shape[1]
        for group in self._network.groups:
            if group in self._loops:
                self._run_event_loop(group, steps, records)
            else:
                self._run_group(group, steps, values, records)
        for item in self._network.neurons:
            name, shape = item.node.name, item.node.vth.shape
            if name in records.get("spikes", {}):
                leave(self._streams[name].rows(0, steps), shape, records["spikes"][name].view(np.uint8))
        for stream in self._streams.values():
            stream.roll(steps)

    def _run_group(
        self,
        group: ItemGroup,
        steps: int,
        values: Mapping[str, Array],
        records: Records,
    ) -> None:
        """Run items over a block."""
        stride = steps if group.stride is None else group.stride
        for start in range(0, steps, stride):
            for item in group.items:
                self._run(item, start, min(start + stride, steps), values, records)

    def _run(
        self,
        item: Item,
        start: int,
        stop: int,
        values: Mapping[str, Array],
        records: Records,
    ) -> None:
        match item:
            case ir.Input():
                self._enter(item, values[item.name][:, start:stop], start, stop)
            case PooledNode():
                self._pool(item, start, stop)
            case DelayedNode():
                self._delay(item, start, stop)
            case CompiledPopulation():
                self._fire(item, start, stop, records)

    def _enter(self, node: ir.Input, value: Array, start: int, stop: int) -> None:
        stream = self._streams[node.name]
        graded = node.edge is EdgeKind.GRADED
        # Direct coding gives the same picture at every step: it is encoded once, and convolved once.
        stream.constant = graded and stop - start > 1 and bool((value[:, 1:] == value[:, :1]).all())
        if stream.constant:
            value = value[:, :1]
        if graded and self._network.number is np.int32:
            value = encode_graded(value, node.scale, node.bits)
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

    def _delay(self, item: DelayedNode, start: int, stop: int) -> None:
        out = self._streams[item.node.name].rows(start, stop)
        for steps in np.unique(item.steps):
            waits = item.steps == steps
            out[:, :, waits] = self._streams[item.source].rows(start, stop, int(steps))[:, :, waits]

    def _fire(self, item: CompiledPopulation, start: int, stop: int, records: Records) -> None:
        a, gain = self._currents(item, item.links, start, stop)
        name, shape = item.node.name, item.node.vth.shape
        nothing = np.empty((0, 0, 0, 0), self._network.number)
        record = (records.get(quantity, {}).get(name) for quantity in ("u", "v"))
        own = GraphRecord(
            *(nothing if out is None else by_place(out, shape)[:, start:stop] for out in record)
        )
        spikes = self._streams[name].rows(start, stop)
        advance_neurons(a, gain, self._states[name], item.parameters, item.rule, spikes, own)

    def _currents(
        self, item: CompiledPopulation, links: Sequence[Link], start: int, stop: int
    ) -> tuple[Array, int]:
        """Return the summed input of a population through some of its connections, and a factor.

        The sum is valid until the next call.
        """
        if len(links) == 1 and links[0].is_product:
            return links[0].product(self._streams, start, stop, self._workspace), links[0].gain
        shape = (stop - start, self._batch, item.size)
        total = self._workspace.room("total", shape, self._network.number)
        total[:] = 0
        for link in links:
            link.add(self._streams, start, stop, total, self._workspace)
        return total, 1

    def _run_event_loop(self, group: ItemGroup, steps: int, records: Records) -> None:
        """Run a loop of populations over a block."""
        loop = self._loops[group]
        members = loop.plan.members
        early: list[Array] = []
        late: list[list[Array]] = []
        for item, parts in zip(members, loop.plan.links, strict=True):
            early.append(self._drive(item, parts.early, steps))
            late.append([self._drive(item, [link], steps) for link in parts.late])
        spikes = [self._streams[item.node.name].rows(0, steps) for item in members]
        recorded = {quantity for quantity, arrays in records.items() if loop.plan.names & arrays.keys()}
        states = loop.run(early, late, spikes, recorded)
        for item, state in zip(members, states, strict=True):
            for quantity, values in (("u", state.u), ("v", state.v)):
                if item.node.name in records.get(quantity, {}):
                    leave(values, item.node.vth.shape, records[quantity][item.node.name])

    def _drive(self, item: CompiledPopulation, links: Sequence[Link], steps: int) -> Array:
        """Return the input of a population through some of its connections in every step of a block."""
        a, gain = self._currents(item, links, 0, steps)
        whole = a * self._network.number(gain)
        return np.broadcast_to(whole, (steps, *whole.shape[1:]))
