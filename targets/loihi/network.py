"""A fixed graph as a chip sees it: layers of neurons, and the synapses between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.lava.plan import pooling_matrix
from toolchain import ir
from toolchain.fixedpoint import DECAY_UNITY, SignMode
from toolchain.ir import Graph, Pooling, Window
from toolchain.ir.footprint import check_node
from toolchain.ir.matrix import values_of
from toolchain.ir.types import size_of
from toolchain.neuron_rules import RESET_TO_ZERO
from toolchain.reset import LONGEST_REFRACTORY
from toolchain.target.acceptance import synapse_waits

IMAGE: Final = 3
_SYNAPSE: Final = 24
"""Bytes of a synapse while it is composed with others."""


@final
@dataclass(frozen=True, eq=False)
class ChipLayer:
    """Neurons of one kind: a population, or the stateless neurons of a pooling.

    Attributes:
        name: Name of the node.
        shape: `[N]`, or `[C, H, W]`.
        decays: Number of every neuron's decays and refractory period, flattened; equal numbers mean that all
            of them are equal.
        thresholds: Threshold mantissa of every neuron, flattened.
        beyond: What its spikes do beyond a reset to zero, in words.
        counts: Whether a message says how many spikes a neuron sent.
    """

    name: str
    shape: tuple[int, ...]
    decays: NDArray[np.int64] = field(repr=False)
    thresholds: NDArray[np.int64] = field(repr=False)
    beyond: tuple[str, ...] = ()
    counts: bool = False

    @property
    def size(self) -> int:
        """Number of neurons."""
        return size_of(self.shape)

    @property
    def is_image(self) -> bool:
        """Whether the neurons form feature maps."""
        return len(self.shape) == IMAGE

    @cached_property
    def mixed(self) -> bool:
        """Whether the neurons have parameters of their own: they differ, or hold more than those of a LIF."""
        return bool(self.beyond) or len(np.unique(self.decays)) > 1 or len(np.unique(self.thresholds)) > 1


@final
@dataclass(frozen=True, eq=False)
class MatrixLink:
    """Synapses between two layers, each with a weight of its own.

    Attributes:
        name: Name of the connection.
        source: Name of the layer or input that sends.
        target: Name of the layer that receives.
        outside: Whether the source is an input.
        weights: Weights that are not zero, `[targets, sources]`.
        bits: Bits of a weight, without those that no weight uses.
        exponent: Weight exponent.
        delay: Largest number of steps that a synapse waits, beyond the one step that all take.
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
        name: Name of the connection.
        source: Name of the layer or input that sends.
        target: Name of the layer that receives.
        outside: Whether the source is an input.
        weights: Kernels `[out, in / groups, rows, columns]`.
        window: Geometry of the kernel.
        groups: Number of groups of channels.
        shape: Shape `[C, H, W]` of the source.
        bits: Bits of a weight, without those that no weight uses.
        exponent: Weight exponent.
        delay: Number of steps that the synapses wait, beyond the one step that all take.
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
    """Everything that needs a place on a chip.

    Attributes:
        layers: Layers of neurons, in the order of the graph.
        links: Synapses in the chip's memory.
        hosted: Number of neurons to write, by name of a connection that the host computes because the chip
            takes no graded input; their currents are written as biases.
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


def chip_network(graph: Graph, *, graded: bool) -> ChipNetwork:
    """Return the layers and links that a chip has to hold.

    A max pooling becomes a layer of stateless neurons. So does a sum pooling on a chip with graded spikes; on
    other chips it is merged with the connection that reads it. Delays become delays of synapses.

    Args:
        graph: A fixed graph that the `Capabilities` of the chip admit.
        graded: Whether spikes may carry integers.
    """
    return _Reader(graph, graded=graded).read()


@final
class _Reader:
    """Collects the layers and links of a graph."""

    def __init__(self, graph: Graph, *, graded: bool) -> None:
        self.graph, self.graded = graph, graded
        self.types = graph.types
        self.waits = synapse_waits(graph)
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
        return ConvolutionLink(
            name=f"{node.name}@pool",
            source=source.name,
            target=node.name,
            outside=isinstance(source, ir.Input),
            weights=np.ones((shape[0], 1, *node.kernel), np.int32),
            window=node.window,
            groups=shape[0],
            shape=shape,
            bits=1,
            exponent=0,
            delay=self.waits[node.name],
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
        ends: dict[str, Any] = {
            "name": node.name,
            "source": source.name,
            "target": target.name,
            "outside": isinstance(source, ir.Input),
            "bits": stored_bits(values_of(node.weights), node.sign_mode),
            "exponent": node.exponent,
            "delay": self.waits[node.name] + (0 if pool is None else self.waits[pool.name]),
        }
        shape = self.types[source.name].shape
        if isinstance(node, ir.FixedDense):
            return MatrixLink(weights=self.matrix(node, pool, shape), **ends)
        weights, window = (node.weights, node.window) if pool is None else _merged_convolution(node, pool)
        return ConvolutionLink(weights=weights, window=window, groups=node.groups, shape=shape, **ends)

    def matrix(self, node: ir.FixedDense, pool: ir.SumPool2d | None, shape: Sequence[int]) -> csr_array:
        """Return the weights of a connection, merged with the pooling of `shape` that it reads, if any."""
        weights = csr_array(node.weights, copy=True)
        weights.eliminate_zeros()
        if pool is None:
            return weights
        pooled = size_of(self.types[pool.name].shape) * pool.window.area
        needed = _SYNAPSE * (pooled + weights.nnz * pool.window.area)
        check_node(node.name, f"together with the pooling '{pool.name}' it", needed)
        return csr_array(weights @ pooling_matrix(pool.window, shape, np.int64))

    def origin(self, node: ir.FixedDense | ir.FixedConv2d | Pooling) -> Any:  # noqa: ANN401 - any source node
        """Return the node whose messages a reader gets."""
        return self.graph.source(node.inputs[0])[0]


def stored_bits(weights: NDArray[Any], signs: SignMode) -> int:
    """Return the bits of a weight without a common power of two and unused range.

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
    # A profile of Loihi 1 holds both decays and the refractory period.
    profiles = node.du.ravel().astype(np.int64) * DECAY_UNITY + node.dv.ravel()
    if node.refractory is not None:
        profiles = profiles * (LONGEST_REFRACTORY + 1) + node.refractory.ravel()
    thresholds = node.vth.ravel().astype(np.int64)
    beyond = RESET_TO_ZERO.lacking(node)
    return ChipLayer(node.name, node.vth.shape, profiles, thresholds, beyond, node.max_spikes > 1)


def _merged_convolution(node: ir.FixedConv2d, pool: ir.SumPool2d) -> tuple[NDArray[Any], Window]:
    """Return one convolution that equals a sum pooling and a convolution behind it."""
    needed = _SYNAPSE * node.weights.size * pool.window.area
    check_node(node.name, f"together with the pooling '{pool.name}' it", needed)
    weights = node.weights.repeat(pool.kernel[0], axis=2).repeat(pool.kernel[1], axis=3)
    scale = np.asarray(pool.kernel)
    stride, padding = (tuple(map(int, np.asarray(pair) * scale)) for pair in (node.stride, node.padding))
    kernel = (weights.shape[2], weights.shape[3])
    return weights, Window(kernel, (stride[0], stride[1]), (padding[0], padding[1]))


def with_bits(network: ChipNetwork, most: int) -> ChipNetwork:
    """Return the network as if no weight had more than `most` bits."""
    links = tuple(replace(link, bits=min(link.bits, most)) for link in network.links)
    return replace(network, links=links)
