"""A fixed graph made ready once: links, populations, and the parts that must run step by step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import assert_never, final

import networkx as nx
import numpy as np

from targets.emulator.integers.convolutions import ConvolutionLink
from targets.emulator.integers.events import LoopPlan
from targets.emulator.integers.items import Item, Link, Neurons, Part, PooledNode, StreamPlan, name_of, reads
from targets.emulator.integers.synapses import DenseLink
from toolchain.ir import (
    Conv2d,
    Delay,
    Dense,
    EdgeKind,
    FixedConv2d,
    FixedDense,
    FixedLif,
    Graph,
    Input,
    Lif,
    MaxPool2d,
    Output,
    SumPool2d,
    ValueType,
    verify,
)


@final
@dataclass(frozen=True, eq=False)
class Network:
    """A fixed graph made ready.

    Attributes:
        parts: In an order in which they can run.
        streams: What every item sends, by name.
    """

    parts: tuple[Part, ...]
    streams: Mapping[str, StreamPlan]

    @classmethod
    def of(cls, graph: Graph) -> "Network":
        """Make a fixed graph ready.

        Delays vanish into the connections that read them.
        """
        types = verify(graph)
        items = {name_of(item): item for item in _items(graph, types)}
        parts = tuple(_parts(items))
        streams = {
            name: StreamPlan(types[name].shape, _stream_type(graph, item), _history(name, items.values()))
            for name, item in items.items()
        }
        return cls(parts, streams)

    @property
    def neurons(self) -> tuple[Neurons, ...]:
        """All populations."""
        return tuple(item for part in self.parts for item in part.items if isinstance(item, Neurons))

    @cached_property
    def loops(self) -> Mapping[Part, LoopPlan]:
        """The loops that are one compiled call."""
        return {part: LoopPlan(part) for part in self.parts if part.is_event_loop}


def _items(graph: Graph, types: Mapping[str, ValueType]) -> Iterable[Item]:
    for node in graph:
        match node:
            case Input():
                yield node
            case SumPool2d() | MaxPool2d():
                source, delay = graph.source(node.inputs[0])
                yield PooledNode(node, source.name, delay)
            case FixedLif():
                yield Neurons.of(node, tuple(_link(graph, types, name) for name in node.inputs))
            case FixedDense() | FixedConv2d() | Delay() | Output():
                pass  # read by populations, or by the host
            case Dense() | Conv2d() | Lif():
                raise node.fail("is a float operation; this part of the emulator runs integers")
            case _:
                assert_never(node)


def _link(graph: Graph, types: Mapping[str, ValueType], name: str) -> Link:
    node = graph[name]
    source, delay = graph.source(node.inputs[0])
    shape, largest = types[source.name].shape, graph.largest_message(node)
    counts = graph.graded_input(node) is None
    match node:
        case FixedDense():
            return DenseLink.of(node, source.name, shape, delay, largest, counts=counts)
        case FixedConv2d():
            return ConvolutionLink.of(node, source.name, shape, delay, largest, counts=counts)
        case _:
            raise node.fail("is not an integer connection")


def _stream_type(graph: Graph, item: Item) -> type[np.integer]:
    if isinstance(item, Input):
        return np.int32 if item.edge is EdgeKind.GRADED else np.uint8
    if isinstance(item, PooledNode):
        graded = graph.graded_input(item.node) is not None
        return np.int32 if graded or _message(graph, item) > np.iinfo(np.uint8).max else np.uint8
    return np.uint8


def _message(graph: Graph, item: PooledNode) -> int:
    """Return the largest sum that a pooling sends."""
    inner = graph.largest_message(item.node)
    return item.node.window.area * inner if isinstance(item.node, SumPool2d) else inner


def _history(name: str, items: Iterable[Item]) -> int:
    return max((latest for item in items for source, _, latest in reads(item) if source == name), default=0)


def _parts(items: Mapping[str, Item]) -> Iterable[Part]:
    """Split the items into loops and single ones, sources first."""
    order = {name: i for i, name in enumerate(items)}
    wiring = nx.DiGraph()
    wiring.add_nodes_from(items)
    for name, item in items.items():
        wiring.add_edges_from((source, name) for source, _, _ in reads(item))
    loops = nx.condensation(wiring)
    # Among those that could run next, the one that stands first in the graph.
    ranks = {part: min(order[name] for name in loops.nodes[part]["members"]) for part in loops}
    for part in nx.lexicographical_topological_sort(loops, key=ranks.__getitem__):
        members: Sequence[str] = sorted(loops.nodes[part]["members"], key=order.__getitem__)
        stride = min(
            (
                least
                for name in members
                for source, least, _ in reads(items[name])
                if source in members and order[source] >= order[name]
            ),
            default=None,
        )
        yield Part(tuple(items[name] for name in members), stride)
