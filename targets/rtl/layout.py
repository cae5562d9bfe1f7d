"""Which messages a network sends, how they are coded, where they wait, and who reads them when.

Neurons of feature maps are numbered by row, column and channel, with channels filled up to a multiple of the
lanes, so that all lanes share the addresses of a convolution. What is sent is a code; of feature maps that a
window reads it has bit fields for row, column and channel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.ir import EdgeKind, Graph, Pooling, Population
from toolchain.ir.matrix import delay_slots, values_of
from toolchain.ir.types import size_of

IntVector = NDArray[np.int64]
Reader = ir.FixedDense | ir.FixedConv2d | Pooling
_IMAGE: Final = 3


@final
@dataclass(frozen=True)
class MessageSender:
    """A node that sends messages.

    Attributes:
        node: The node.
        shape: Shape of what it sends.
        lanes: Lanes of the core.
        windowed: Whether a convolution or pooling reads it, so that codes have bit fields.
        slots: Lists that its ring holds.
    """

    node: ir.Input | Population | Pooling
    shape: tuple[int, ...]
    lanes: int
    windowed: bool = False
    slots: int = 1

    @property
    def size(self) -> int:
        """How many elements send."""
        return size_of(self.shape)

    @property
    def is_input(self) -> bool:
        """Whether its messages come from outside."""
        return isinstance(self.node, ir.Input)

    @property
    def channels(self) -> int:
        """Feature maps, or all elements where there are none."""
        return self.shape[0] if len(self.shape) == _IMAGE else self.size

    @property
    def channel_groups(self) -> int:
        """Groups of neurons of one pixel."""
        return -(-self.channels // self.lanes)

    @property
    def groups(self) -> int:
        """Groups of neurons."""
        return self.size // self.channels * self.channel_groups

    @property
    def channel_bits(self) -> int:
        """Bits of a channel in a code."""
        return (self.channel_groups * self.lanes - 1).bit_length()

    @property
    def column_bits(self) -> int:
        """Bits of a column in a code."""
        return (self.shape[2] - 1).bit_length() if len(self.shape) == _IMAGE else 0

    @property
    def stride(self) -> int:
        """Words of one of its lists: their number, and room for all."""
        return self.size + 1

    @cached_property
    def places(self) -> IntVector:
        """For every element in the order of the graph, the number of its neuron: the lane is its rest."""
        return self._numbered(self.channel_groups * self.lanes, self.shape[-1])

    @cached_property
    def codes(self) -> IntVector:
        """For every element in the order of the graph, its code."""
        if not self.windowed:
            return self.places
        return self._numbered(1 << self.channel_bits, 1 << self.column_bits)

    @property
    def jumps(self) -> tuple[int, int, int, int]:
        """What a sweep counts codes by: groups of a pixel, pixels of a row, and jumps after each."""
        if not self.windowed:
            return 0, 0, 0, 0
        pixel, columns = (1 << self.channel_bits) // self.lanes, self.shape[2]
        return (
            self.channel_groups,
            columns,
            pixel - self.channel_groups,
            ((1 << self.column_bits) - columns) * pixel,
        )

    def _numbered(self, pixel: int, row: int) -> IntVector:
        if len(self.shape) != _IMAGE:
            return np.arange(self.size)
        channel, y, x = np.indices(self.shape)
        return ((y * row + x) * pixel + channel).ravel()


@final
@dataclass(frozen=True)
class MessageReading:
    """Messages that a connection or pooling reads in a step, all sent at once.

    Attributes:
        node: The connection or pooling.
        sender: Name of their sender.
        steps: How many steps ago.
        weights: Matrix of the synapses that read them, `[targets, sources]`; None for images.
    """

    node: Reader
    sender: str
    steps: int
    weights: ir.Matrix | None = None


@final
@dataclass(frozen=True)
class MessageLayout:
    """The messages of a network.

    Attributes:
        senders: What sends, by name: inputs first, then in the order of the step.
        readings: What every population and pooling reads, by its name.
    """

    senders: Mapping[str, MessageSender]
    readings: Mapping[str, tuple[MessageReading, ...]]


def lay_out_messages(graph: Graph, lanes: int) -> MessageLayout:
    """Return the messages of a verified fixed graph.

    Args:
        graph: The network.
        lanes: Lanes of the core.

    Raises:
        TargetError: A delay of no step reads a node that stands later.
    """
    turns = [node for node in graph if isinstance(node, Population | Pooling)]
    senders = {
        node.name: MessageSender(node, graph.types[node.name].shape, lanes)
        for node in (*graph.inputs, *turns)
    }
    readings = {node.name: tuple(_readings(graph, node)) for node in turns}
    # Inputs are there before anybody's turn.
    place = {node.name: i for i, node in enumerate(turns)} | {node.name: -1 for node in graph.inputs}
    for name, reads in readings.items():
        for reading in reads:
            sender = senders[reading.sender]
            slots = _slots(reading, later=place[reading.sender] >= place[name])
            senders[reading.sender] = replace(
                sender,
                slots=max(sender.slots, slots),
                windowed=sender.windowed or not isinstance(reading.node, ir.FixedDense),
            )
    return MessageLayout(senders, readings)


def _slots(reading: MessageReading, *, later: bool) -> int:
    """Return how many lists a sender needs for a reader; who comes before it still has the last one."""
    return reading.steps - later + 1


def _readings(graph: Graph, node: Population | Pooling) -> Sequence[MessageReading]:
    if not isinstance(node, Population):
        return [_whole(graph, node)]
    readings: list[MessageReading] = []
    for name in node.inputs:
        match graph[name]:
            case ir.FixedDense() as dense:
                source, steps = graph.source(dense.inputs[0])
                readings += [
                    MessageReading(dense, source.name, steps + d, part)
                    for d, part in delay_slots(dense.weights, dense.delays)
                    if values_of(part).any()
                ]
            case ir.FixedConv2d() as convolution if convolution.weights.any():
                readings.append(_whole(graph, convolution))
            case _:
                pass
    return readings


def _whole(graph: Graph, node: ir.FixedConv2d | Pooling) -> MessageReading:
    source, steps = graph.source(node.inputs[0])
    return MessageReading(node, source.name, steps)


def sends_values(graph: Graph, sender: MessageSender) -> bool:
    """Return whether messages carry more than that there is one."""
    return graph.types[sender.node.name].kind is not EdgeKind.SPIKE
