"""A fixed graph as a chip sees it: layers of neurons, and the synapses between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain import ir
from toolchain.errors import DoesNotFitError, TargetError
from toolchain.fixedpoint import DECAY_UNITY, SignMode
from toolchain.ir import Graph, Pooling, Stage, Window
from toolchain.ir.footprint import check_node
from toolchain.ir.matrix import Matrix, values_of
from toolchain.ir.types import size_of
from toolchain.passes import RetimeDelays

IMAGE: Final = 3
_SYNAPSE: Final = 24
"""Bytes of a synapse while it is composed with others."""


@final
@dataclass(frozen=True, eq=False)
class ChipLayer:
    """Neurons of one kind: a population, or the stateless neurons of a pooling.

    Attributes:
        name: Of the node.
        shape: `[N]`, or `[C, H, W]`.
        decays: Number of the pair of decays of every neuron, flattened; the same number means the same pair.
        thresholds: Threshold mantissa of every neuron, flattened.
    """

    name: str
    shape: tuple[int, ...]
    decays: NDArray[np.int64] = field(repr=False)
    thresholds: NDArray[np.int64] = field(repr=False)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return size_of(self.shape)

    @property
    def is_image(self) -> bool:
        """Whether its neurons form feature maps."""
        return len(self.shape) == IMAGE

    @cached_property
    def mixed(self) -> bool:
        """Whether its neurons differ in their parameters."""
        return len(np.unique(self.decays)) > 1 or len(np.unique(self.thresholds)) > 1


@final
@dataclass(frozen=True, eq=False)
class MatrixLink:
    """Synapses of their own between two layers.

    Attributes:
        name: Of the connection.
        source: Layer or input.
        target: Layer.
        outside: Whether the source is an input.
        weights: Those that are not zero, `[targets, sources]`.
        bits: Width of a weight without what all of them leave unused.
        exponent: Weight exponent.
        delay: Largest number of steps that a synapse waits, beyond the one that all take.
    """

    name: str
    source: str
    target: str
    outside: bool
    weights: csr_array = field(repr=False)
    bits: int
    exponent: int
    delay: int = 0


@final
@dataclass(frozen=True, eq=False)
class ConvolutionLink:
    """Synapses that share the weights of a kernel.

    Attributes:
        name: Of the connection.
        source: Layer or input.
        target: Layer.
        outside: Whether the source is an input.
        weights: `[out, in / groups, rows, columns]`.
        window: Its geometry.
        groups: Of channels.
        shape: `[C, H, W]` of the source.
        bits: Width of a weight without what all of them leave unused.
        exponent: Weight exponent.
        delay: Number of steps that the synapses wait, beyond the one that all take.
    """

    name: str
    source: str
    target: str
    outside: bool
    weights: NDArray[Any] = field(repr=False)
    window: Window
    groups: int
    shape: tuple[int, ...]
    bits: int
    exponent: int
    delay: int = 0


Link = MatrixLink | ConvolutionLink


@final
@dataclass(frozen=True)
class ChipNetwork:
    """Everything that has to find a place on a chip.

    Attributes:
        layers: In the order of the graph.
        links: Synapses in the chip's memory.
        hosted: Connections that the host computes, because the chip takes no graded input: their currents are
            written as biases. By name, with the number of neurons to write.
        inputs: Names of the inputs.
    """

    layers: tuple[ChipLayer, ...]
    links: tuple[Link, ...]
    hosted: dict[str, int]
    inputs: tuple[str, ...]

    def layer(self, name: str) -> ChipLayer:
        """Return a layer by name."""
        return next(layer for layer in self.layers if layer.name == name)

    def incoming(self, name: str) -> tuple[Link, ...]:
        """Return the links that end at a layer."""
        return tuple(link for link in self.links if link.target == name)

    def outgoing(self, name: str) -> tuple[Link, ...]:
        """Return the links that begin at a layer."""
        return tuple(link for link in self.links if link.source == name)


def chip_network(graph: Graph, *, graded: bool, max_delay: int) -> ChipNetwork:
    """Return what a chip has to hold.

    A max pooling is a layer of stateless neurons. A sum pooling is one on a chip with graded spikes;
    without, it is composed into what reads it. Waiting is done by the synapses.

    Args:
        graph: Fixed.
        graded: Whether spikes may carry integers.
        max_delay: Steps that a synapse may wait.

    Raises:
        TargetError: The graph is not in integers, or sums of overlapping windows would need graded spikes.
        DoesNotFitError: A delay is too long.
    """
    if graph.stage is not Stage.FIXED:
        raise TargetError("a chip runs integers; check the fixed graph of a build")
    reader = _Reader(graph, graded=graded, max_delay=max_delay)
    return reader.read()


@final
class _Reader:
    """Collects layers and links."""

    def __init__(self, graph: Graph, *, graded: bool, max_delay: int) -> None:
        self.graph, self.graded, self.max_delay = graph, graded, max_delay
        self.types = graph.types
        self.retimed = RetimeDelays()(graph)
        self.hosted: dict[str, int] = {}

    def read(self) -> ChipNetwork:
        layers: list[ChipLayer] = []
        links: list[Link] = []
        for node in self.graph:
            if isinstance(node, ir.FixedLif):
                layers.append(_population(node))
            elif isinstance(node, ir.MaxPool2d) or (isinstance(node, ir.SumPool2d) and self.graded):
                shape = self.types[node.name].shape
                nothing = np.zeros(size_of(shape), np.int64)
                layers.append(ChipLayer(node.name, shape, nothing, nothing))
                links.append(self.pooled(node))
        for node in self.graph.synapses:
            if isinstance(node, ir.FixedDense | ir.FixedConv2d):
                link = self.link(node)
                if link is not None:
                    links.append(link)
        return ChipNetwork(
            tuple(layers), tuple(links), self.hosted, tuple(node.name for node in self.graph.inputs)
        )

    def pooled(self, node: Pooling) -> ConvolutionLink:
        """Return the synapses of a pooling: one window of ones per channel."""
        source = self.origin(node)
        shape = self.types[source.name].shape
        ones = np.ones((shape[0], 1, *node.kernel), np.int32)
        bits, outside = 1, isinstance(source, ir.Input)
        delay = self.wait(node)
        self.check_delay(node.name, delay)
        return ConvolutionLink(
            f"{node.name}@pool",
            source.name,
            node.name,
            outside,
            ones,
            node.window,
            shape[0],
            shape,
            bits,
            0,
            delay,
        )

    def link(self, node: ir.FixedDense | ir.FixedConv2d) -> Link | None:
        """Return the synapses of a connection, or None if the host computes it."""
        (target,) = self.graph.readers(node.name)
        if not self.graded and self.graph.graded_input(node) is not None:
            self.hosted[node.name] = size_of(self.types[target.name].shape)
            return None
        source = self.origin(node)
        pool = source if isinstance(source, ir.SumPool2d) and not self.graded else None
        if pool is not None:
            source = self.origin(pool)
            if isinstance(source, ir.SumPool2d):
                raise TargetError(
                    f"'{node.name}' reads sums of sums ('{pool.name}' of '{source.name}'), which a chip "
                    "without graded spikes cannot hold: pool once with a larger window, or check loihi2"
                )
        delay = self.wait(node) + (0 if pool is None else self.wait(pool))
        outside = isinstance(source, ir.Input)
        bits = stored_bits(values_of(node.weights), node.sign_mode)
        if isinstance(node, ir.FixedDense):
            waits = 0 if node.delays is None else int(values_of(node.delays).max(initial=0))
            self.check_delay(node.name, delay + waits)
            weights = _sparse(node.weights)
            if pool is not None:
                seen = size_of(self.types[pool.name].shape) * pool.window.area
                needed = _SYNAPSE * (seen + weights.nnz * pool.window.area)
                check_node(node.name, f"together with the pooling '{pool.name}' it", needed)
                weights = csr_array(weights @ _pooling(pool.window, self.types[source.name].shape))
            return MatrixLink(
                node.name, source.name, target.name, outside, weights, bits, node.exponent, delay + waits
            )
        self.check_delay(node.name, delay)
        weights, window = node.weights, node.window
        if pool is not None:
            weights, window = _composed(node, pool)
        shape = self.types[source.name].shape
        return ConvolutionLink(
            node.name, source.name, target.name, outside, weights, window, node.groups, shape, bits,
            node.exponent, delay,
        )  # fmt: skip

    def origin(self, node: ir.FixedDense | ir.FixedConv2d | Pooling) -> Any:  # noqa: ANN401 - any source node
        """Return the node that sends what a reader gets."""
        return self.graph.source(node.inputs[0])[0]

    def wait(self, node: ir.FixedDense | ir.FixedConv2d | Pooling) -> int:
        """Return the steps that synapses wait beyond their own; inputs wait on the host."""
        wait = self.retimed[self.retimed[node.name].inputs[0]]
        outside = isinstance(self.origin(node), ir.Input)
        return wait.min_steps - 1 if isinstance(wait, ir.Delay) and not outside else 0

    def check_delay(self, name: str, delay: int) -> None:
        if delay > self.max_delay:
            mend = "shorten its delays, or put a population between"
            raise DoesNotFitError(name, "steps of delay", delay, self.max_delay, mend)


def stored_bits(weights: NDArray[Any], signs: SignMode) -> int:
    """Return the bits of a weight once a common power of two and unused range are left out.

    One bit is the sign if both signs occur.
    """
    values = np.unique(np.abs(weights.astype(np.int64)))
    values = values[values > 0]
    if not values.size:
        return 1
    common = int(np.bitwise_or.reduce(values))
    shift = (common & -common).bit_length() - 1
    magnitude = int(values.max() >> shift).bit_length()
    return magnitude + (1 if signs is SignMode.MIXED else 0)


def _population(node: ir.FixedLif) -> ChipLayer:
    decays = node.du.ravel().astype(np.int64) * DECAY_UNITY + node.dv.ravel()
    return ChipLayer(node.name, node.vth.shape, decays, node.vth.ravel().astype(np.int64))


def _sparse(weights: Matrix) -> csr_array:
    matrix = csr_array(weights, copy=True)
    matrix.eliminate_zeros()
    return matrix


def _composed(node: ir.FixedConv2d, pool: ir.SumPool2d) -> tuple[NDArray[Any], Window]:
    """Return one convolution that does what a sum pooling and a convolution do."""
    if pool.kernel != pool.stride or pool.padding != (0, 0) or node.window.dilation != (1, 1):
        raise TargetError(
            f"'{node.name}' reads sums of overlapping or padded windows ('{pool.name}'), which a chip "
            "without graded spikes cannot hold: pool with stride = kernel and no padding, or check loihi2"
        )
    needed = _SYNAPSE * node.weights.size * pool.window.area
    check_node(node.name, f"together with the pooling '{pool.name}' it", needed)
    weights = node.weights.repeat(pool.kernel[0], axis=2).repeat(pool.kernel[1], axis=3)
    scale = np.asarray(pool.kernel)
    stride, padding = (tuple(map(int, np.asarray(pair) * scale)) for pair in (node.stride, node.padding))
    kernel = (weights.shape[2], weights.shape[3])
    return weights, Window(kernel, (stride[0], stride[1]), (padding[0], padding[1]))


def _pooling(window: Window, shape: Sequence[int]) -> csr_array:
    """Return the ones of a pooling, `[targets, sources]`."""
    channels, height, width = shape
    marks = np.arange(1, size_of((channels, height, width)) + 1).reshape(channels, height, width)
    seen = np.stack([patch.ravel() for patch in window.patches(marks)], axis=1)
    rows, columns = np.nonzero(seen)
    ones = np.ones(rows.size, np.int64)
    return csr_array((ones, (rows, seen[rows, columns] - 1)), shape=(len(seen), marks.size))


def with_bits(network: ChipNetwork, most: int) -> ChipNetwork:
    """Return the network as if no weight had more than so many bits."""
    links = tuple(replace(link, bits=min(link.bits, most)) for link in network.links)
    return replace(network, links=links)
