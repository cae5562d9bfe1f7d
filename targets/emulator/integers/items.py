"""Elements of a network that runs in integers: populations with their connections, poolings, inputs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from targets.emulator.integers.convolutions import ConvolutionInput
from targets.emulator.integers.rules import (
    COUNTS,
    PLAIN,
    REMEMBERS,
    RESETS,
    FiringRule,
    NeuronParameters,
)
from targets.emulator.integers.streams import to_internal
from targets.emulator.integers.synapses import DenseLink
from toolchain import fixedpoint, ir
from toolchain.arrays import Array
from toolchain.ir import Pooling
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

    node: ir.FixedLif
    links: tuple[Link, ...]
    parameters: NeuronParameters = field(repr=False)
    rule: FiringRule

    @classmethod
    def of(cls, node: ir.FixedLif, links: tuple[Link, ...]) -> "CompiledPopulation":
        """Return a population with its connections."""
        unity, shape = fixedpoint.DECAY_UNITY, node.vth.shape
        threshold = np.left_shift(node.vth, fixedpoint.ALIGNMENT_BITS)
        arrays = (unity - 1 - node.du, unity - node.dv, threshold, node.bias, *_after_spikes(node))
        parameters = NeuronParameters(
            *(np.ascontiguousarray(to_internal(values, shape).ravel(), np.int32) for values in arrays)
        )
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


def _kind(node: ir.FixedLif) -> int:
    if node.max_spikes > 1:
        return COUNTS
    if node.refractory is not None or node.adaptation is not None:
        return REMEMBERS
    return PLAIN if node.reset is Reset.ZERO else RESETS


def _after_spikes(node: ir.FixedLif) -> tuple[Array, Array, Array, Array]:
    """Return the last four of `NeuronParameters`, in the shape of the population; empty where not needed."""
    kind, nothing, zero = _kind(node), node.vth[:0], np.zeros(node.vth.shape, np.int32)
    amount = zero if node.reset_amount is None else node.reset_amount
    change = -amount if node.reset is Reset.SUBTRACT else amount
    if kind < REMEMBERS:
        return nothing if kind == PLAIN else change, nothing, nothing, nothing
    refractory = zero if node.refractory is None else node.refractory
    if node.adaptation is None or node.adaptation_decay is None:
        return change, refractory, zero, zero
    return change, refractory, node.adaptation, fixedpoint.DECAY_UNITY - node.adaptation_decay


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
