"""A fixed graph made ready once: connections, populations, and the groups that must run step by step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import assert_never, final

import networkx as nx
import numpy as np

from targets.emulator.integers.convolutions import ConvolutionInput
from targets.emulator.integers.events import LoopPlan
from targets.emulator.integers.items import (
    CompiledPopulation,
    Item,
    ItemGroup,
    Link,
    PooledNode,
    StreamPlan,
    name_of,
    reads,
)
from targets.emulator.integers.synapses import DenseLink
from toolchain import ir
from toolchain.ir import EdgeKind, Graph, ValueType


@final
@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """A fixed graph made ready.

    Attributes:
        groups: Groups of items, in an order in which they can run.
        streams: Messages of every item, by name.
    """

    groups: tuple[ItemGroup, ...]
    streams: Mapping[str, StreamPlan]

    @classmethod
    def of(cls, graph: Graph) -> "CompiledNetwork":
        """Make a fixed graph ready.

        Delays vanish into the connections that read them.
        """
        types = graph.types
        items = {name_of(item): item for item in _items(graph, types)}
        groups = tuple(_groups(items))
        streams = {
            name: StreamPlan(types[name].shape, _stream_type(graph, item), _history(name, items.values()))
            for name, item in items.items()
        }
        return cls(groups, streams)

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
                source, delay = graph.source(node.inputs[0])
                yield PooledNode(node, source.name, delay)
            case ir.FixedLif():
                yield CompiledPopulation.of(node, tuple(_link(graph, types, name) for name in node.inputs))
            case ir.FixedDense() | ir.FixedConv2d() | ir.Delay() | ir.Output():
                pass  # populations read them, or the host does
            case ir.Dense() | ir.Conv2d() | ir.Lif():
                raise node.fail("is a float operation; this part of the emulator runs integers")
            case _:
                assert_never(node)


def _link(graph: Graph, types: Mapping[str, ValueType], name: str) -> Link:
    node = graph[name]
    source, delay = graph.source(node.inputs[0])
    shape, largest = types[source.name].shape, graph.largest_message(node)
    counts = graph.graded_input(node) is None
    match node:
        case ir.FixedDense():
            return DenseLink.of(node, source.name, shape, delay, largest, counts=counts)
        case ir.FixedConv2d():
            return ConvolutionInput.of(node, source.name, shape, delay, largest, counts=counts)
        case _:
            raise node.fail("is not an integer connection")


def _stream_type(graph: Graph, item: Item) -> type[np.integer]:
    if isinstance(item, ir.Input):
        return np.int32 if item.edge is EdgeKind.GRADED else np.uint8
    if isinstance(item, PooledNode):
        graded = graph.graded_input(item.node) is not None
        return np.int32 if graded or _largest_sum(graph, item) > np.iinfo(np.uint8).max else np.uint8
    return np.uint8


def _largest_sum(graph: Graph, item: PooledNode) -> int:
    """Return the largest sum that a pooling sends."""
    inner = graph.largest_message(item.node)
    return item.node.window.area * inner if isinstance(item.node, ir.SumPool2d) else inner


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
