"""A batch in the middle of a run, in integers: blocks of steps, part by part."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, final

import numpy as np

from targets.emulator.integers.events import EventLoop
from targets.emulator.integers.items import CompiledPopulation, ItemGroup, PooledNode, name_of
from targets.emulator.integers.loops import advance_neurons, pool
from targets.emulator.integers.network import CompiledNetwork
from targets.emulator.integers.streams import Stream, enter, leave
from targets.emulator.integers.workspace import Workspace
from toolchain import ir
from toolchain.arrays import Array
from toolchain.execution.clipping import ClippedInput, ClippingTally
from toolchain.execution.stimulus import fit_step
from toolchain.fixedpoint import encode_graded
from toolchain.ir import EdgeKind
from toolchain.target.records import Records

_UNKEPT: Final = np.zeros((0, 0, 0), np.int32)


@final
@dataclass(frozen=True, eq=False)
class State:
    """Current and potential of a population, `[batch, size]`, int32; no current where none is kept."""

    u: Array
    v: Array

    @classmethod
    def at_rest(cls, neurons: CompiledPopulation, batch: int) -> "State":
        """Return the state of a population at rest."""
        kept = 0 if neurons.forgets else neurons.size
        return cls(np.zeros((batch, kept), np.int32), np.zeros((batch, neurons.size), np.int32))


@final
class IntegerSession:
    """A batch in the middle of a run.

    Args:
        network: Of a fixed graph.
        batch: Samples that advance together.
        steps: Longest block.
        workspace: Where to work; a new one if None.
    """

    def __init__(
        self, network: CompiledNetwork, batch: int, steps: int = 1, workspace: Workspace | None = None
    ) -> None:
        self._network = network
        self._workspace = workspace or Workspace()
        self._batch = batch
        self._inputs = [item for part in network.parts for item in part.items if isinstance(item, ir.Input)]
        self._clipping = ClippingTally(self._inputs)
        self._streams = {
            name: Stream(plan.shape, plan.dtype, plan.history, steps, batch)
            for name, plan in network.streams.items()
        }
        self._loops = {part: EventLoop(plan, batch) for part, plan in network.loops.items()}
        in_loops = {name_of(item) for part in self._loops for item in part.items}
        self._states = {
            neurons.node.name: State.at_rest(neurons, batch)
            for neurons in network.neurons
            if neurons.node.name not in in_loops
        }

    @property
    def clipped(self) -> tuple[ClippedInput, ...]:
        """What was clipped of the values that `step` was given since the last reset."""
        return self._clipping.clipped

    def reset(self) -> None:
        """Return to rest: no state, nothing in flight."""
        self._clipping.reset()
        for stream in self._streams.values():
            stream.clear()
        for loop in self._loops.values():
            loop.reset()
        for state in self._states.values():
            state.u[:] = 0
            state.v[:] = 0

    def step(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Advance one step.

        Args:
            values: `[batch, *features]` per input, in the model's units.

        Returns:
            Spikes per population, bool `[batch, *features]`.
        """
        kept = {neurons.node.name: ("spikes",) for neurons in self._network.neurons}
        fitted = fit_step(self._inputs, values, self._batch)
        self._clipping.add(fitted)
        block = self.advance({name: array[:, None] for name, array in fitted.items()}, kept)
        return {name: spikes[:, 0].copy() for name, spikes in block["spikes"].items()}

    def advance(self, values: Mapping[str, Array], kept: Mapping[str, tuple[str, ...]]) -> Records:
        """Advance over a block of steps.

        Args:
            values: `[batch, steps, *features]` per input, in the model's units.
            kept: The quantities to keep of each population.

        Returns:
            Records `[batch, steps, *features]`, some of them views that are valid until the next block.
        """
        steps = next(iter(values.values())).shape[1]
        records: Records = {"spikes": {}, "v": {}, "u": {}}
        for part in self._network.parts:
            if part in self._loops:
                self._run_event_loop(part, steps, kept, records)
                continue
            stride = steps if part.stride is None else part.stride
            held = {name_of(item): self._room(item, steps, kept) for item in part.items}
            for start in range(0, steps, stride):
                stop = min(start + stride, steps)
                for item in part.items:
                    self._run(item, start, stop, values, held[name_of(item)])
            for item in part.items:
                if isinstance(item, CompiledPopulation):
                    self._keep(item, steps, held[item.node.name], kept, records)
        for stream in self._streams.values():
            stream.roll(steps)
        return records

    def _room(
        self,
        item: ir.Input | PooledNode | CompiledPopulation,
        steps: int,
        kept: Mapping[str, tuple[str, ...]],
    ) -> tuple[Array, Array]:
        """Return where `u` and `v` of a block are written, if they are."""
        if not isinstance(item, CompiledPopulation):
            return _UNKEPT, _UNKEPT
        make = partial(np.empty, (steps, self._batch, item.size), np.int32)
        quantities = kept.get(item.node.name, ())
        return tuple(make() if quantity in quantities else _UNKEPT for quantity in ("u", "v"))  # pyright: ignore[reportReturnType] - two of them

    def _run(
        self,
        item: ir.Input | PooledNode | CompiledPopulation,
        start: int,
        stop: int,
        values: Mapping[str, Array],
        held: tuple[Array, Array],
    ) -> None:
        match item:
            case ir.Input():
                self._enter(item, values[item.name][:, start:stop], start, stop)
            case PooledNode():
                self._pool(item, start, stop)
            case CompiledPopulation():
                self._fire(item, start, stop, held)

    def _enter(self, node: ir.Input, value: Array, start: int, stop: int) -> None:
        stream = self._streams[node.name]
        graded = node.edge is EdgeKind.GRADED
        # Direct coding gives the same picture at every step: encoded once, and convolved once.
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
        pool(
            source.images(start, stop, item.delay),
            out.images(start, stop),
            window,
            isinstance(node, ir.SumPool2d),
        )

    def _fire(self, item: CompiledPopulation, start: int, stop: int, held: tuple[Array, Array]) -> None:
        a, gain = self.currents(item, start, stop)
        state = self._states[item.node.name]
        kept_u, kept_v = (array[start:stop] for array in held)
        advance_neurons(
            a,
            gain,
            state.u,
            state.v,
            item.keep_u,
            item.keep_v,
            item.threshold,
            item.bias,
            item.forgets,
            self._streams[item.node.name].rows(start, stop),
            kept_u,
            kept_v,
        )

    def currents(
        self, item: CompiledPopulation, start: int, stop: int, within: frozenset[str] = frozenset()
    ) -> tuple[Array, int]:
        """Return the summed input of a population and a factor, leaving out what comes from `within`.

        It is valid until the next call.
        """
        links = [link for link in item.links if link.source not in within]
        if len(links) == 1 and links[0].is_product:
            return links[0].product(self._streams, start, stop, self._workspace), links[0].gain
        total = self._workspace.room("total", (stop - start, self._batch, item.size))
        total[:] = 0
        for link in links:
            link.add(self._streams, start, stop, total, self._workspace)
        return total, 1

    def _run_event_loop(
        self, part: ItemGroup, steps: int, kept: Mapping[str, tuple[str, ...]], records: Records
    ) -> None:
        loop = self._loops[part]
        drives: list[Array] = []
        for item in loop.plan.members:
            a, gain = self.currents(item, 0, steps, loop.plan.names)
            whole = a * np.int32(gain)
            drives.append(np.broadcast_to(whole, (steps, *whole.shape[1:])))
        held = loop.run(
            drives, [self._streams[item.node.name].rows(0, steps) for item in loop.plan.members], kept
        )
        for item, room in zip(loop.plan.members, held, strict=True):
            self._keep(item, steps, room, kept, records)

    def _keep(
        self,
        item: CompiledPopulation,
        steps: int,
        held: tuple[Array, Array],
        kept: Mapping[str, tuple[str, ...]],
        records: Records,
    ) -> None:
        name, shape = item.node.name, item.node.vth.shape
        spikes = self._streams[name].rows(0, steps).view(np.bool_)
        for quantity, values in (("spikes", spikes), ("u", held[0]), ("v", held[1])):
            if quantity in kept.get(name, ()):
                records[quantity][name] = leave(values, shape)
