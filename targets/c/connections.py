"""Connections and poolings as C computes them: their tables, their geometry, and who reads them how."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from targets.c.fanout import Fanout, FanoutForm, fan_out, stored_weights
from targets.c.layout import Arrival, Sender, SourceLayout, Way
from targets.c.tables import ConstTable
from toolchain import ir
from toolchain.errors import TargetError
from toolchain.fixedpoint import STATE_LIMIT
from toolchain.ir import Pooling, Window
from toolchain.ir.matrix import rows_of, targets_of, values_of

_WORD: Final = 2**31
_VECTOR: Final = 8
"""Channels from which on it pays to add up the spikes of a pixel in numbers of 16 bits."""


@final
@dataclass(frozen=True)
class ConnectionCode:
    """A connection, or a pooling, which is one whose weights are all 1.

    Attributes:
        name: Identifier.
        node: The node.
        sender: What it reads.
        ways: How it is read, each in a function of its own.
        waits: How long what it reads has waited; several if its synapses differ.
        tables: Its constant tables.
        shift: Bits by which what a synapse brings is shifted to the left.
        adds: `+=`, or `-=` for weights that are stored as magnitudes.
        drops: Bits that a sum loses once it is complete, rounded down; 0 for none.
        wraps: Whether a sum wraps at 24 bits.
        fanout: The synapses of a matrix.
    """

    name: str
    node: ir.FixedDense | ir.FixedConv2d | Pooling
    sender: Sender
    ways: tuple[Way, ...]
    waits: tuple[int, ...]
    tables: tuple[ConstTable, ...]
    shift: int = 0
    adds: str = "+="
    drops: int = 0
    wraps: bool = False
    fanout: Fanout | None = None

    @property
    def kind(self) -> str:
        """What its function looks like."""
        match self.node:
            case ir.FixedDense():
                return "dense"
            case ir.FixedConv2d():
                return "convolution"
            case _:
                return "pooling"

    @property
    def form(self) -> FanoutForm | None:
        """How its tables tell targets."""
        return None if self.fanout is None else self.fanout.form

    @property
    def apart(self) -> bool:
        """Whether its sums are made apart from those of others, since they change once they are complete."""
        return bool(self.drops or self.wraps)

    @property
    def window(self) -> Window:
        """Its geometry on images."""
        if isinstance(self.node, ir.FixedDense):
            raise TypeError("a matrix has no window")
        return self.node.window

    @property
    def positions(self) -> tuple[int, int]:
        """Rows and columns of the feature maps that it makes."""
        _, height, width = self.sender.shape
        return self.window.positions((height, width))

    @property
    def per_group(self) -> int:
        """Output channels that an input channel reaches."""
        node = self.node
        return len(node.weights) // node.groups if isinstance(node, ir.FixedConv2d) else 1

    @property
    def channels(self) -> int:
        """Output channels."""
        node = self.node
        return len(node.weights) if isinstance(node, ir.FixedConv2d) else self.sender.shape[0]

    @property
    def group_size(self) -> int:
        """Input channels of a group."""
        node = self.node
        return node.weights.shape[1] if isinstance(node, ir.FixedConv2d) else 1

    @property
    def reach(self) -> int:
        """Largest magnitude of its sums."""
        node = self.node
        if isinstance(node, ir.FixedDense):
            total = np.bincount(rows_of(node.weights), np.abs(values_of(node.weights).astype(np.int64)))
            return int(total.max()) * self.sender.limit << max(node.exponent, 0)
        return convolved_reach(node, self.sender) if isinstance(node, ir.FixedConv2d) else self.sender.limit

    @property
    def row_type(self) -> str:
        """The type of 16 bits in which weights are added up before they are shifted."""
        return "int16_t" if self.tables[0].values.dtype == np.int8 else "uint16_t"

    @property
    def by_pixel(self) -> bool:
        """Whether 16 bits hold the sums of all channels of a pixel, whose spikes follow one another."""
        if not isinstance(self.node, ir.FixedConv2d) or self.sender.values or self.sender.is_input:
            return False
        if self.node.groups > 1 or self.per_group < _VECTOR:
            return False
        weights = self.tables[0].values
        largest = int(np.abs(weights.astype(np.int64)).max())
        return largest * self.sender.shape[0] <= np.iinfo(self.row_type.removesuffix("_t")).max

    @property
    def size(self) -> int:
        """Number of targets."""
        node = self.node
        if isinstance(node, ir.FixedDense):
            return targets_of(node.weights)
        rows, columns = self.positions
        return self.channels * rows * columns


def connect(layout: SourceLayout, names: dict[str, str]) -> dict[str, ConnectionCode]:
    """Return the connections that bring anything, by the names of their nodes.

    Raises:
        TargetError: The geometry of an image takes more than 31 bits.
    """
    read: dict[str, list[Arrival]] = {}
    ways: dict[str, set[Way]] = {}
    for arrivals in layout.arrivals.values():
        for name in dict.fromkeys(arrival.node.name for arrival in arrivals):
            # Of two populations that read one connection, both find the same delays in it.
            read[name] = [arrival for arrival in arrivals if arrival.node.name == name]
            ways.setdefault(name, set()).update(_function(arrival.way) for arrival in read[name])
    return {
        name: _connection(names[name], arrivals, tuple(way for way in Way if way in ways[name]))
        for name, arrivals in read.items()
    }


def _function(way: Way) -> Way:
    """Return the way of the function that reads messages: a list is a list, wherever it comes from."""
    return Way.ALL if way is Way.ALL else Way.LISTED


def _connection(name: str, arrivals: Sequence[Arrival], ways: tuple[Way, ...]) -> ConnectionCode:
    node, sender = arrivals[0].node, arrivals[0].sender
    waits = tuple(arrival.steps for arrival in arrivals)
    match node:
        case ir.FixedDense():
            fanout = fan_out(name, node, arrivals)
            _, bits, adds = stored_weights(node, np.zeros(1, np.int32))
            return ConnectionCode(
                name,
                node,
                sender,
                ways,
                waits,
                fanout.tables,
                shift=bits + max(node.exponent, 0),
                adds=adds,
                drops=max(-node.exponent, 0),
                fanout=fanout,
            )
        case ir.FixedConv2d():
            _check_geometry(node, sender)
            return _convolution(name, node, sender, ways, waits)
        case _:
            _check_geometry(node, sender)
            return ConnectionCode(name, node, sender, ways, waits, ())


def _convolution(
    name: str, node: ir.FixedConv2d, sender: Sender, ways: tuple[Way, ...], waits: tuple[int, ...]
) -> ConnectionCode:
    outputs, inputs, rows, columns = node.weights.shape
    weights, bits, adds = stored_weights(node, node.weights)
    by_input = weights.reshape(node.groups, outputs // node.groups, inputs, rows, columns)
    kernels = np.ascontiguousarray(by_input.transpose(0, 2, 3, 4, 1))
    meaning = "weights, by input channel, row, column and output channel"
    return ConnectionCode(
        name,
        node,
        sender,
        ways,
        waits,
        (ConstTable(f"{name}_weights", meaning, kernels.ravel()),),
        shift=bits + node.exponent,
        adds=adds,
        wraps=convolved_reach(node, sender) >= STATE_LIMIT,
    )


def convolved_reach(node: ir.FixedConv2d, sender: Sender) -> int:
    """Return the largest magnitude of the sums of a convolution."""
    total = np.abs(node.weights).sum(axis=(1, 2, 3), dtype=np.int64).max()
    return int(total) * sender.limit << node.exponent


def _check_geometry(node: ir.FixedConv2d | Pooling, sender: Sender) -> None:
    """Raise unless all coordinates, padding included, fit 31 bits."""
    window = node.window
    for extent, padding in zip(sender.shape[1:], window.padding, strict=True):
        if extent + 2 * padding >= _WORD:
            raise TargetError(
                f"node '{node.name}' pads {extent} elements with {padding}: more than 2^31 together"
            )
