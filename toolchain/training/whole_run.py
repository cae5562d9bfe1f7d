"""A graph run over all steps at once: large products, compiled neurons, and loops where it feeds back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import networkx as nx
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toolchain import ir
from toolchain.ir import AnyNode, Graph
from toolchain.models.loops.lone_neurons import LoneNeurons, LonePass
from toolchain.models.memory_layout import channels_last
from toolchain.training.graph_connection import TrainedConnection
from toolchain.training.graph_loop import GraphLoop, loop_obstacle
from toolchain.training.graph_parts import GraphActivity, GraphParts
from toolchain.training.ruled_layers import numbers_of, row_of, slope_of
from toolchain.training.step_by_step import pool, run_steps

Loops = dict[tuple[str, torch.dtype], GraphLoop]
_FLOAT32_EXACT: Final = 2**24
_MAPS: Final = 5


@final
@dataclass(frozen=True)
class NodeGroup:
    """Nodes that feed back into one another, or a single node.

    Attributes:
        nodes: The nodes, in order.
        obstacle: Why the loops do not know them, as a clause; None if they do.
    """

    nodes: tuple[AnyNode, ...]
    obstacle: str | None

    @property
    def populations(self) -> tuple[ir.Lif, ...]:
        """Its populations, in order."""
        return tuple(node for node in self.nodes if isinstance(node, ir.Lif))


def groups_of(graph: Graph) -> tuple[NodeGroup, ...]:
    """Split a graph into groups of nodes that feed back into one another, and single nodes, sources first."""
    order = {node.name: i for i, node in enumerate(graph)}
    wiring = nx.DiGraph()
    wiring.add_nodes_from(order)
    wiring.add_edges_from((operand, node.name) for node in graph for operand in node.inputs)
    groups = nx.condensation(wiring)
    members = {
        group: tuple(graph.nodes[i] for i in sorted(order[name] for name in groups.nodes[group]["members"]))
        for group in groups
    }
    # Of the groups that could run next, the one that stands first in the graph is taken.
    in_turn = nx.lexicographical_topological_sort(groups, key=lambda group: order[members[group][0].name])
    parts = (members[group] for group in in_turn)
    return tuple(
        NodeGroup(nodes, loop_obstacle(graph, nodes) if len(nodes) > 1 else None)
        for nodes in parts
        if any(isinstance(node, ir.Lif) for node in nodes)
    )


@final
class WholeRun:
    """One run of a graph, population after population.

    Args:
        parts: What it computes with.
        entering: What enters, `[batch, time, *features]` by input.
        loops: Groups that were made ready before; new ones are added.
        compiled: Whether neurons, and what feeds back, run in compiled loops as far as these know them;
            otherwise step by step.
    """

    def __init__(
        self, parts: GraphParts, entering: Mapping[str, Tensor], loops: Loops, *, compiled: bool = True
    ) -> None:
        self._parts, self._loops, self._compiled = parts, loops, compiled
        self._done = GraphActivity({name: _laid_out(each) for name, each in entering.items()}, {}, {})
        first = next(iter(entering.values()))
        self._extent = (first.shape[0], first.shape[1])

    def run(self, groups: Sequence[NodeGroup]) -> GraphActivity:
        """Return what the nodes did; of poolings and delays, if others read them."""
        for group in groups:
            if not self._compiled or group.obstacle is not None:
                self._add(self._steps(group))
            elif len(group.nodes) == 1:
                self._add(self._lone(group.populations[0]))
            else:
                self._add(self._loop(group))
        return self._done

    def _add(self, activity: GraphActivity) -> None:
        self._done.sent.update(activity.sent)
        self._done.v.update(activity.v)
        self._done.u.update(activity.u)

    def _lone(self, node: ir.Lif) -> GraphActivity:
        neurons = self._parts.neurons[node.name]
        kind = neurons.threshold.dtype
        bias = self._parts.biases[node.name].to(kind).expand(node.vth.shape).reshape(-1)
        numbers = numbers_of(neurons, bias)
        shows = node.name in self._parts.shown
        population = LoneNeurons(
            numbers,
            row_of(neurons, kind),
            numbers.dtype.type(slope_of(neurons)),
            shows=shows,
            records=shows and self._parts.records,
        )
        a = self._current(node.inputs, kind)
        spikes, v, u = LonePass.apply(population, a, bias)  # type: ignore[misc]
        return GraphActivity(
            {node.name: spikes},
            {node.name: v} if population.shows else {},
            {node.name: u} if population.records else {},
        )

    def _loop(self, group: NodeGroup) -> GraphActivity:
        parts = self._parts
        kinds = [parts.neurons[node.name].threshold.dtype for node in group.populations]
        kinds += [parts.connections[node.name].kind for node in group.nodes if isinstance(node, ir.Dense)]
        key = (group.nodes[0].name, torch.float64 if torch.float64 in kinds else torch.float32)
        loop = self._loops.get(key)
        if loop is None:
            loop = self._loops[key] = GraphLoop(parts.graph, parts.connections, group.nodes, key[1])
        currents = {name: self._current(names, loop.kind) for name, names in loop.outer.items() if names}
        return loop.run(parts, currents, self._extent, [node.name for node in group.populations])

    def _steps(self, group: NodeGroup) -> GraphActivity:
        members = {node.name for node in group.nodes}
        outer = {name for node in group.nodes for name in node.inputs if name not in members}
        currents = {name: self._current([name], torch.float64) for name in sorted(outer)}
        wanted = [node.name for node in group.populations]
        return run_steps(self._parts, group.nodes, currents, wanted, self._extent)

    def _current(self, names: Sequence[str], kind: torch.dtype) -> Tensor:
        """Return the sum of the currents of some connections, `[batch, time, *features]`.

        Where there are several, it is formed in a type that is given: connections of several exponents may
        each be exact in float32 only alone.
        """
        total: Tensor | None = None
        for alike in self._alike(names):
            slots: dict[int, Tensor] = {}
            for connection in alike:
                for delay, weights in connection.slots():
                    slots[delay] = slots[delay] + weights if delay in slots else weights
            part = _spread(alike[0], slots, self._message(alike[0].node.inputs[0]))
            total = part if total is None else total.to(kind) + part.to(kind)
        if total is None:
            raise TypeError("a population without connections")
        return total

    def _alike(self, names: Sequence[str]) -> list[list[TrainedConnection]]:
        """Group connections whose weights may be added before they meet a message: half the products.

        They read the same messages in the same way, nothing is rounded between product and sum, and the sum
        is as exact as each of them.
        """
        groups: dict[tuple[object, ...], list[TrainedConnection]] = {}
        for name in names:
            connection = self._parts.connections[name]
            node = connection.node
            window = (node.window, node.groups) if isinstance(node, ir.Conv2d) else ()
            alone = () if connection.is_linear else (name,)
            groups.setdefault((*node.inputs, connection.kind, *window, *alone), []).append(connection)
        fitting: list[list[TrainedConnection]] = []
        for group in groups.values():
            reach = sum(each.reach for each in group) / 2.0 ** min(0, *(each.exponent for each in group))
            joins = group[0].kind is torch.float64 or reach < _FLOAT32_EXACT
            # On a GPU a convolution may round what has more than 11 bits.
            joins = joins and self._compiled
            fitting += [group] if joins else [[each] for each in group]
        return fitting

    def _message(self, name: str) -> Tensor:
        """Return what a node sends over all steps."""
        if name not in self._done.sent:
            node = self._parts.graph[name]
            operand = self._message(node.inputs[0])
            if isinstance(node, ir.Delay):
                self._done.sent[name] = _delayed(node, operand)
            elif isinstance(node, ir.SumPool2d | ir.MaxPool2d):
                self._done.sent[name] = pool(node, operand.flatten(0, 1)).unflatten(0, self._extent)
            else:
                raise TypeError(f"'{name}' sends no messages")
        return self._done.sent[name]


def _laid_out(stream: Tensor) -> Tensor:
    """Return a stream with the channels of its maps last in memory, as convolutions on a CPU want them."""
    if stream.dim() != _MAPS or stream.device.type != "cpu":
        return stream
    return channels_last(stream.flatten(0, 1)).unflatten(0, stream.shape[:2])


def _spread(connection: TrainedConnection, slots: Mapping[int, Tensor], stream: Tensor) -> Tensor:
    """Return the currents `[batch, time, *features]` that messages make: one product for each delay."""
    batch, steps = stream.shape[:2]
    total: Tensor | None = None
    for delay, weights in slots.items():
        if delay >= steps:
            continue
        early = stream[:, : steps - delay].flatten(0, 1)
        part = connection.conduct(early, weights).unflatten(0, (batch, steps - delay))
        part = part if delay == 0 else _late(part, delay)
        total = part if total is None else total + part
    if total is None:
        like = connection.conduct(torch.zeros_like(stream[:1, 0]), next(iter(slots.values())))
        total = like.new_zeros(batch, steps, *like.shape[1:])
    return total


def _late(x: Tensor, steps: int) -> Tensor:
    """Return a stream behind some silent steps."""
    return functional.pad(x, (*(0, 0) * (x.dim() - 2), steps, 0))


def _delayed(node: ir.Delay, stream: Tensor) -> Tensor:
    """Return what a delay lets out; nothing came before the first step."""
    length = stream.shape[1]
    if isinstance(node.steps, int):
        return _late(stream, node.steps)[:, :length] if node.steps else stream
    delayed = torch.zeros_like(stream)
    for steps in np.unique(node.steps).tolist():
        chosen = torch.from_numpy(node.steps == steps).to(stream.device)
        delayed = torch.where(chosen, _late(stream, steps)[:, :length] if steps else stream, delayed)
    return delayed
