"""Elements of a network: populations with their connections, poolings, delays of elements, inputs."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

import numpy as np

from targets.emulator.compiled.convolutions import ConvolutionInput
from targets.emulator.compiled.rules import (
    COUNTS,
    PLAIN,
    REMEMBERS,
    RESETS,
    FiringRule,
    NeuronParameters,
)
from targets.emulator.compiled.streams import to_internal
from targets.emulator.compiled.synapses import DenseLink
from toolchain import fixedpoint, ir
from toolchain.arrays import Array
from toolchain.ir import Pooling, Population
from toolchain.reset import Reset

Link = DenseLink | ConvolutionInput


@final
@dataclass(frozen=True, eq=False)
class CompiledPopulation:
    """A population and its connections.

    Attributes:
        node: The population in the graph.
        links: Connections that end at it.
        parameters: Parameters of its neurons, flat, channels last.
        rule: What is the same for all of them.
    """

    node: Population
    links: tuple[Link, ...]
    parameters: NeuronParameters = field(repr=False)
    rule: FiringRule

    @classmethod
    def of(cls, node: Population, links: tuple[Link, ...]) -> "CompiledPopulation":
        """Return a population with its connections."""
        shape = node.vth.shape
        arrays = (*_driving(node), *_after_spikes(node))
        # Numba compiles anew for arrays that cannot be written: copies are all of one type.
        parameters = NeuronParameters(*(to_internal(values, shape).flatten() for values in arrays))
        mask = -1 if node.reset in {Reset.SUBTRACT, Reset.NONE} else 0
        forgets = not parameters.keep_u.any()
        return cls(node, links, parameters, FiringRule(forgets, _kind(node), mask, node.max_spikes))

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.parameters.bias.size

    @property
    def remembers(self) -> bool:
        """Whether spikes leave behind more than a potential."""
        return self.rule.kind >= REMEMBERS


def _kind(node: Population) -> int:
    if node.max_spikes > 1:
        return COUNTS
    if node.refractory is not None or node.adaptation is not None:
        return REMEMBERS
    return PLAIN if node.reset is Reset.ZERO else RESETS


def _driving(node: Population) -> tuple[Array, Array, Array, Array]:
    """Return the first four of `NeuronParameters`, in the shape of the population."""
    if isinstance(node, ir.Lif):
        return 1 - node.du, 1 - node.dv, node.vth, node.bias
    unity = fixedpoint.DECAY_UNITY
    threshold = np.left_shift(node.vth, fixedpoint.ALIGNMENT_BITS)
    arrays = (unity - 1 - node.du, unity - node.dv, threshold, node.bias)
    keep_u, keep_v, level, bias = (array.astype(np.int32) for array in arrays)
    return keep_u, keep_v, level, bias


def _after_spikes(node: Population) -> tuple[Array, Array, Array, Array]:
    """Return the last four of `NeuronParameters`, in the shape of the population; empty where not needed."""
    kind, nothing, zero = _kind(node), node.bias[:0], np.zeros_like(node.bias)
    none = nothing.astype(np.int32)
    amount = zero if node.reset_amount is None else node.reset_amount
    change = -amount if node.reset is Reset.SUBTRACT else amount
    if kind < REMEMBERS:
        return nothing if kind == PLAIN else change, none, nothing, nothing
    refractory = zero.astype(np.int32) if node.refractory is None else node.refractory
    if node.adaptation is None or node.adaptation_decay is None:
        return change, refractory, zero, zero
    unity = 1 if isinstance(node, ir.Lif) else fixedpoint.DECAY_UNITY
    return change, refractory, node.adaptation, unity - node.adaptation_decay


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


@final
@dataclass(frozen=True, eq=False)
class DelayedNode:
    """A delay that differs from element to element, and the stream that it reads.

    Attributes:
        node: The delay in the graph.
        source: Name of the stream.
        steps: Delay of every element, flat, channels last.
    """

    node: ir.Delay
    source: str
    steps: Array = field(repr=False)

    @classmethod
    def of(cls, node: ir.Delay, source: str, wait: int) -> "DelayedNode":
        """Return a delay that reads a stream `wait` steps late."""
        steps = np.broadcast_to(np.asarray(node.steps), node.shape)
        return cls(node, source, to_internal(steps, node.shape).ravel() + wait)


Item = ir.Input | PooledNode | DelayedNode | CompiledPopulation


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
        """Whether this is a loop of populations over dense or sparse connections only, of single spikes."""
        populations = [item for item in self.items if isinstance(item, CompiledPopulation)]
        names = {item.node.name for item in populations}
        return (
            self.stride is not None
            and len(names) == len(self.items)
            and all(item.node.max_spikes == 1 for item in populations)
            and all(
                isinstance(link, DenseLink) or link.source not in names
                for item in populations
                for link in item.links
            )
            and all(parts_of(item, names) is not None for item in populations)
        )


class LinkParts(NamedTuple):
    """The connections of a population of a loop, in three parts.

    Attributes:
        early: Those from outside the loop that are added first.
        inner: Those within the loop.
        late: Those from outside that are added last, one delay of one connection after the other.
    """

    early: Sequence[Link]
    inner: Sequence[Link]
    late: Sequence[Link]


def parts_of(item: CompiledPopulation, loop: Container[str]) -> LinkParts | None:
    """Return the connections of a population that belongs to a loop.

    The order of integers does not matter. Real numbers are added in the order of the graph; None if it puts
    a connection from outside between two within.
    """
    inner = [link.source in loop for link in item.links]
    if isinstance(item.node, ir.FixedLif):
        within = [link for link in item.links if link.source in loop]
        return LinkParts([link for link in item.links if link.source not in loop], within, ())
    first, last = inner.index(True), len(inner) - inner[::-1].index(True)
    if not all(inner[first:last]):
        return None
    late = [each for link in item.links[last:] for each in link.by_delay()]
    return LinkParts(item.links[:first], item.links[first:last], late)


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
    dtype: type[np.integer[Any]] | type[np.float64]
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
        case DelayedNode():
            return ((item.source, int(item.steps.min()), int(item.steps.max())),)
        case CompiledPopulation():
            return tuple((link.source, link.earliest, link.latest) for link in item.links)
