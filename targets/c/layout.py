"""Which messages a step keeps, for how long, and where each reader finds them.

What sends (inputs, populations, poolings) leaves its messages of the step: spikes as a list of those who
fired, counts and sums as such a list with values, and graded inputs as an array. Delays vanish into the
readers. One who reads what was sent a step ago finds it in the list itself where the sender's turn in this
step is still to come; for older messages the sender also keeps a ring of the last steps, of a bit a spike or
a number a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from targets.c.tables import smallest_type
from toolchain import ir
from toolchain.ir import EdgeKind, Graph, Pooling, Population
from toolchain.ir.matrix import delay_slots, values_of
from toolchain.ir.types import size_of

_IMAGE: Final = 3


class Way(Enum):
    """How a reader finds messages."""

    LISTED = "listed"
    """In the list of the sender."""
    RECALLED = "recalled"
    """As bits of the sender's ring, of which a list is made."""
    ALL = "all"
    """As an array of all values, zeros included: of a graded input, or in a sender's ring."""


@final
@dataclass(frozen=True)
class Sender:
    """A node that sends messages.

    Attributes:
        node: The node.
        shape: Shape of what it sends.
        values: Type of its values in C; None for spikes.
        limit: Largest magnitude of a value.
        longest: Longest wait of a reader that needs the ring; 0 if none does.
    """

    node: ir.Input | Population | Pooling
    shape: tuple[int, ...]
    values: str | None
    limit: int
    longest: int = 0

    @property
    def size(self) -> int:
        """How many elements send."""
        return size_of(self.shape)

    @property
    def is_input(self) -> bool:
        """Whether its messages come from outside."""
        return isinstance(self.node, ir.Input)

    @property
    def is_image(self) -> bool:
        """Whether its elements are feature maps."""
        return len(self.shape) == _IMAGE

    @property
    def slots(self) -> int:
        """Steps that its ring holds: one more than the longest wait."""
        return self.longest + 1 if self.longest else 0

    @property
    def slot_size(self) -> int:
        """Numbers of one step in its ring: bytes of eight spikes, or values."""
        return self.size if self.values else -(-self.size // 8)

    @property
    def order(self) -> NDArray[np.int64]:
        """For every element in the order in which C numbers them, its number in the graph.

        Images that the network computes are numbered by row, column and channel, so that a convolution adds
        to neighbours; images that enter keep their order.
        """
        numbers = np.arange(self.size)
        if self.is_input or not self.is_image:
            return numbers
        return np.moveaxis(numbers.reshape(self.shape), 0, -1).ravel()


@final
@dataclass(frozen=True)
class Arrival:
    """Messages that a connection or pooling reads in a step, all sent at once.

    Attributes:
        node: The connection or pooling.
        sender: Who sent them.
        steps: How many steps ago.
        way: How they are read.
        weights: Matrix of the synapses that read them, `[targets, sources]`; None for images.
    """

    node: ir.FixedDense | ir.FixedConv2d | Pooling
    sender: Sender
    steps: int
    way: Way
    weights: ir.Matrix | None = None


@final
@dataclass(frozen=True)
class SourceLayout:
    """The messages of a network.

    Attributes:
        senders: What sends, by name, in the order of the step.
        arrivals: What every population and pooling reads, by its name.
    """

    senders: Mapping[str, Sender]
    arrivals: Mapping[str, tuple[Arrival, ...]]


def lay_out(graph: Graph) -> SourceLayout:
    """Return the messages of a verified fixed graph.

    Raises:
        TargetError: A delay of no step reads a node that stands later.
    """
    senders = {
        node.name: _sender(graph, node) for node in graph if isinstance(node, ir.Input | Population | Pooling)
    }
    reads = {
        name: [read for each in _connections(graph, sender) for read in _reads(graph, each)]
        for name, sender in senders.items()
    }
    longest = dict.fromkeys(senders, 0)
    places = {name: place for place, name in enumerate(senders)}
    arrivals: dict[str, tuple[Arrival, ...]] = {}
    for reader, entries in reads.items():
        ways: list[Arrival] = []
        for node, source, steps, weights in entries:
            # A sender whose turn comes later, or is now, still has the list of the step before.
            age = int(places[source] >= places[reader] and not senders[source].is_input)
            way = _way(senders[source], steps - age)
            if steps > age:
                longest[source] = max(longest[source], steps)
            ways.append(Arrival(node, senders[source], steps, way, weights))
        arrivals[reader] = tuple(ways)
    return _with_rings(senders, arrivals, longest)


def _with_rings(
    senders: Mapping[str, Sender], arrivals: Mapping[str, tuple[Arrival, ...]], longest: Mapping[str, int]
) -> SourceLayout:
    full = {
        name: Sender(each.node, each.shape, each.values, each.limit, longest[name])
        for name, each in senders.items()
    }
    return SourceLayout(
        full,
        {
            reader: tuple(
                Arrival(each.node, full[each.sender.node.name], each.steps, each.way, each.weights)
                for each in ways
            )
            for reader, ways in arrivals.items()
        },
    )


def _way(sender: Sender, beyond: int) -> Way:
    if sender.values and (beyond or sender.is_input):
        return Way.ALL
    return Way.RECALLED if beyond else Way.LISTED


def _sender(graph: Graph, node: ir.Input | Population | Pooling) -> Sender:
    sent = graph.types[node.name]
    if sent.kind is EdgeKind.SPIKE:
        return Sender(node, sent.shape, None, 1)
    match node:
        case ir.Input():
            signed, limit = True, 2**node.bits - 1
        case ir.SumPool2d():
            signed = graph.graded_input(node) is not None
            limit = graph.largest_message(node) * node.window.area
        case _:
            signed, limit = False, 255
    number: Any = smallest_type(-limit if signed else 0, limit)
    return Sender(node, sent.shape, f"{np.dtype(number)}_t", limit)


def _connections(graph: Graph, sender: Sender) -> list[ir.FixedDense | ir.FixedConv2d | Pooling]:
    """Return the connections of a population, or the pooling itself."""
    if isinstance(sender.node, Pooling):
        return [sender.node]
    names = sender.node.inputs if isinstance(sender.node, Population) else ()
    nodes = [graph[name] for name in names]
    return [node for node in nodes if isinstance(node, ir.FixedDense | ir.FixedConv2d)]


Read = tuple[ir.FixedDense | ir.FixedConv2d | Pooling, str, int, ir.Matrix | None]
"""A connection, the name of its sender, the steps that messages wait, and the matrix of those that do."""


def _reads(graph: Graph, node: ir.FixedDense | ir.FixedConv2d | Pooling) -> list[Read]:
    """Return what a connection reads, for every delay; nothing where its weights are zero."""
    source, steps = graph.source(node.inputs[0])
    match node:
        case ir.FixedDense():
            slots = delay_slots(node.weights, node.delays)
            return [(node, source.name, steps + d, part) for d, part in slots if values_of(part).any()]
        case ir.FixedConv2d():
            return [(node, source.name, steps, None)] if node.weights.any() else []
        case _:
            return [(node, source.name, steps, None)]
