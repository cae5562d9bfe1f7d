"""A graph made ready once: connections, populations, and the groups that must run step by step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, assert_never, final

import networkx as nx
import numpy as np

from targets.emulator.compiled.convolutions import ConvolutionInput
from targets.emulator.compiled.events import LoopPlan
from targets.emulator.compiled.items import (
    CompiledPopulation,
    DelayedNode,
    Item,
    ItemGroup,
    Link,
    PooledNode,
    StreamPlan,
    name_of,
    reads,
)
from targets.emulator.compiled.rules import Number
from targets.emulator.compiled.synapses import DenseLink
from toolchain import ir
from toolchain.ir import EdgeKind, Graph, Stage, ValueType


@final
@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """A graph made ready.

    Attributes:
        number: What it computes in.
        groups: Groups of items, in an order in which they can run.
        streams: Messages of every item, by name.
    """

    number: Number
    groups: tuple[ItemGroup, ...]
    streams: Mapping[str, StreamPlan]

    @classmethod
    def of(cls, graph: Graph) -> "CompiledNetwork":
        """Make a graph ready.

        Delays vanish into the connections that read them, if they are the same for all elements.
        """
        types = graph.types
        items = {name_of(item): item for item in _items(graph, types)}
        groups = tuple(_groups(items))
        streams = {
            name: StreamPlan(types[name].shape, _stream_type(graph, item), _history(name, items.values()))
            for name, item in items.items()
        }
        return cls(np.int32 if graph.stage is Stage.FIXED else np.float64, groups, streams)

    @property
    def neurons(self) -> tuple[CompiledPopulation, ...]:
        """All populations."""
        return tuple(
            item for group in self.groups for item in group.items if isinstance(item, CompiledPopulation)
        )

    @cached_property
    def loops(self) -> Mapping[ItemGroup, LoopPlan]:
        """The loops over which time passes in one compiled call."""
        return {group: LoopPlan(group) for group in self.groups if group.is_event_loop}


def _items(graph: Graph, types: Mapping[str, ValueType]) -> Iterable[Item]:
    for node in graph:
        match node:
            case ir.Input():
                yield node
            case ir.SumPool2d() | ir.MaxPool2d():
                yield PooledNode(node, *_source(graph, node.inputs[0]))
            case ir.Lif() | ir.FixedLif():
                yield CompiledPopulation.of(node, tuple(_link(graph, types, name) for name in node.inputs))
            case ir.Delay() if not isinstance(node.steps, int):
                yield DelayedNode.of(node, *_source(graph, node.inputs[0]))
            case ir.Dense() | ir.Conv2d() | ir.FixedDense() | ir.FixedConv2d() | ir.Delay() | ir.Output():
                pass  # populations read them, or the host does
            case _:
                assert_never(node)


def _source(graph: Graph, name: str) -> tuple[str, int]:
    """Return the stream that a reader of a node reads, and how many steps late."""
    node, steps = graph[name], 0
    while isinstance(node, ir.Delay) and isinstance(node.steps, int):
        steps += node.steps
        node = graph[node.inputs[0]]
    return node.name, steps


def _link(graph: Graph, types: Mapping[str, ValueType], name: str) -> Link:
    node = graph[name]
    source, delay = _source(graph, node.inputs[0])
    shape, largest = types[source].shape, graph.largest_message(node)
    counts = graph.graded_input(node) is None
    match node:
        case ir.Dense() | ir.FixedDense():
            return DenseLink.of(node, source, shape, delay, largest, counts=counts)
        case ir.Conv2d() | ir.FixedConv2d():
            return ConvolutionInput.of(node, source, shape, delay, largest, counts=counts)
        case _:
            raise node.fail("is not a connection")


def _stream_type(graph: Graph, item: Item) -> type[np.integer[Any]] | type[np.float64]:
    message = np.int32 if graph.stage is Stage.FIXED else np.float64
    if isinstance(item, ir.Input):
        return message if item.edge is EdgeKind.GRADED else np.uint8
    if isinstance(item, CompiledPopulation):
        return np.uint8
    if graph.graded_input(item.node) is not None:
        return message
    largest = graph.largest_message(item.node)
    if isinstance(item.node, ir.SumPool2d):
        largest *= item.node.window.area
    return np.int32 if largest > np.iinfo(np.uint8).max else np.uint8


def _history(name: str, items: Iterable[Item]) -> int:
    return max((latest for item in items for source, _, latest in reads(item) if source == name), default=0)


def _groups(items: Mapping[str, Item]) -> Iterable[ItemGroup]:
    """Split the items into loops and single items, sources first."""
    order = {name: i for i, name in enumerate(items)}
    wiring = nx.DiGraph()
    wiring.add_nodes_from(items)
    for name, item in items.items():
        wiring.add_edges_from((source, name) for source, _, _ in reads(item))
    loops = nx.condensation(wiring)
    # Of the loops that could run next, the one that stands first in the graph is taken.
    ranks = {loop: min(order[name] for name in loops.nodes[loop]["members"]) for loop in loops}
    for loop in nx.lexicographical_topological_sort(loops, key=ranks.__getitem__):
        members: Sequence[str] = sorted(loops.nodes[loop]["members"], key=order.__getitem__)
        stride = min(
            (
                least
                for name in members
                for source, least, _ in reads(items[name])
                if source in members and order[source] >= order[name]
            ),
            default=None,
        )
        yield ItemGroup(tuple(items[name] for name in members), stride)
