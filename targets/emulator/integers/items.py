"""Elements of a network that runs in integers: populations with their connections, poolings, inputs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from targets.emulator.integers.convolutions import ConvolutionInput
from targets.emulator.integers.neurons import NeuronParameters
from targets.emulator.integers.streams import to_internal
from targets.emulator.integers.synapses import DenseLink
from toolchain import fixedpoint, ir
from toolchain.ir import Pooling

Link = DenseLink | ConvolutionInput


@final
@dataclass(frozen=True, eq=False)
class CompiledPopulation:
    """A population and its connections.

    Attributes:
        node: The population in the graph.
        links: Connections that end at it.
        parameters: Parameters of its neurons, flat, channels last.
    """

    node: ir.FixedLif
    links: tuple[Link, ...]
    parameters: NeuronParameters = field(repr=False)

    @classmethod
    def of(cls, node: ir.FixedLif, links: tuple[Link, ...]) -> "CompiledPopulation":
        """Return a population with its connections."""
        unity = fixedpoint.DECAY_UNITY
        threshold = np.left_shift(node.vth, fixedpoint.ALIGNMENT_BITS)
        arrays = (unity - 1 - node.du, unity - node.dv, threshold, node.bias)
        flat = (to_internal(values, node.vth.shape).ravel() for values in arrays)
        parameters = NeuronParameters(*(np.ascontiguousarray(values, np.int32) for values in flat))
        return cls(node, links, parameters)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.parameters.bias.size

    @property
    def forgets(self) -> bool:
        """Whether no neuron keeps any of its current for the next step."""
        return not self.parameters.keep_u.any()


@final
@dataclass(frozen=True)
class PooledNode:
    """A pooling and the stream that it reads.

    Attributes:
        node: The pooling in the graph.
        source: Name of the stream.
        delay: Delay in steps.
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
        items: The items, in an order in which they can run.
        stride: Steps that may pass before an item reads its own past; None if there is no loop.
    """

    items: tuple[Item, ...]
    stride: int | None

    @property
    def is_event_loop(self) -> bool:
        """Whether this is a loop of populations over dense or sparse connections only."""
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
    """Messages of one item.

    Attributes:
        shape: Features of one step.
        dtype: Type that holds a message.
        history: Steps into the past that some reader needs.
    """

    shape: tuple[int, ...]
    dtype: type[np.integer[Any]]
    history: int


def name_of(item: Item) -> str:
    """Return the name of an item's node."""
    return item.name if isinstance(item, ir.Input) else item.node.name


def reads(item: Item) -> Iterable[tuple[str, int, int]]:
    """Return the name, the smallest and the largest delay of every stream that an item reads."""
    match item:
        case ir.Input():
            return ()
        case PooledNode():
            return ((item.source, item.delay, item.delay),)
        case CompiledPopulation():
            return tuple((link.source, _smallest_delay(link), link.latest) for link in item.links)


def _smallest_delay(link: Link) -> int:
    return link.delay if isinstance(link, ConvolutionInput) else min(delay for delay, _ in link.slots)
