"""What a network that runs in integers is made of: populations with their connections, poolings, inputs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from targets.emulator.integers.convolutions import ConvolutionInput
from targets.emulator.integers.streams import to_internal
from targets.emulator.integers.synapses import DenseLink
from toolchain import fixedpoint, ir
from toolchain.arrays import Array
from toolchain.ir import Pooling

Link = DenseLink | ConvolutionInput


@final
@dataclass(frozen=True, eq=False)
class CompiledPopulation:
    """A population and what it reads; parameters flat, channels last, aligned as the loops want them.

    Attributes:
        node: Of the graph.
        links: Its connections.
        keep_u: `4096 - (du + 1)`, `[size]`, int32, as are the others.
        keep_v: `4096 - dv`.
        threshold: `vth << 6`.
        bias: Added to the potential at every step.
    """

    node: ir.FixedLif
    links: tuple[Link, ...]
    keep_u: Array = field(repr=False)
    keep_v: Array = field(repr=False)
    threshold: Array = field(repr=False)
    bias: Array = field(repr=False)

    @classmethod
    def of(cls, node: ir.FixedLif, links: tuple[Link, ...]) -> "CompiledPopulation":
        """Return a population with its connections."""
        unity = fixedpoint.DECAY_UNITY
        return cls(
            node,
            links,
            *(
                np.ascontiguousarray(to_internal(values, node.vth.shape).ravel(), np.int32)
                for values in (
                    unity - 1 - node.du,
                    unity - node.dv,
                    np.left_shift(node.vth, fixedpoint.ALIGNMENT_BITS),
                    node.bias,
                )
            ),
        )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.bias.size

    @property
    def forgets(self) -> bool:
        """Whether no neuron keeps any current: then there is no current to hold."""
        return not self.keep_u.any()


@final
@dataclass(frozen=True)
class PooledNode:
    """A pooling and what it reads.

    Attributes:
        node: Of the graph.
        source: Name of the stream.
        delay: In steps.
    """

    node: Pooling
    source: str
    delay: int


Item = ir.Input | PooledNode | CompiledPopulation


@final
@dataclass(frozen=True, eq=False)
class ItemGroup:
    """Items that run together: one alone over a whole block, or a loop a few steps at a time.

    Attributes:
        items: In an order in which they can run.
        stride: Steps that may pass before an item must hear of its own past; None if there is no loop.
    """

    items: tuple[Item, ...]
    stride: int | None

    @property
    def is_event_loop(self) -> bool:
        """Whether it is a loop of populations over dense or sparse connections only."""
        names = {item.node.name for item in self.items if isinstance(item, CompiledPopulation)}
        return (
            self.stride is not None
            and len(names) == len(self.items)
            and all(
                isinstance(link, DenseLink) or link.source not in names
                for item in self.items
                if isinstance(item, CompiledPopulation)
                for link in item.links
            )
        )


@final
@dataclass(frozen=True)
class StreamPlan:
    """What one item sends: its shape, the type that holds it, and how far back somebody reads."""

    shape: tuple[int, ...]
    dtype: type[np.integer[Any]]
    history: int


def name_of(item: Item) -> str:
    """Return the name of an item's node."""
    return item.name if isinstance(item, ir.Input) else item.node.name


def reads(item: Item) -> Iterable[tuple[str, int, int]]:
    """Return, for everything an item reads, the stream and the least and largest delay."""
    match item:
        case ir.Input():
            return ()
        case PooledNode():
            return ((item.source, item.delay, item.delay),)
        case CompiledPopulation():
            return tuple((link.source, _least(link), link.latest) for link in item.links)


def _least(link: Link) -> int:
    return link.delay if isinstance(link, ConvolutionInput) else min(delay for delay, _ in link.slots)
