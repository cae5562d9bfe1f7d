"""Slices of layers, as cores hold them, and the sources that reach them."""

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from targets.loihi.network import ChipLayer, ConvolutionLink, MatrixLink
from toolchain.arrays import Ints

Counts = NDArray[np.int32]


@final
@dataclass(frozen=True, slots=True)
class Box:
    """A range of channels, rows and columns of an image layer; ends are exclusive."""

    channels: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def size(self) -> int:
        """Number of neurons."""
        (c, c_end), (y, y_end), (x, x_end) = self.channels, self.rows, self.columns
        return (c_end - c) * (y_end - y) * (x_end - x)

    def neurons(self, shape: tuple[int, ...]) -> Ints:
        """Return the flat indices of its neurons, in the order C, H, W."""
        c, y, x = (np.arange(*pair) for pair in (self.channels, self.rows, self.columns))
        flat = (c[:, None, None] * shape[1] + y[:, None]) * shape[2] + x
        return flat.ravel()


@final
@dataclass(frozen=True, eq=False)
class NeuronSlice:
    """Neurons of one layer on one core.

    Attributes:
        layer: Name of the layer.
        indices: Flat indices of the neurons, rising.
        box: Place of the neurons in an image layer; None for other layers.
    """

    layer: str
    indices: Ints = field(repr=False)
    box: Box | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.indices)


def whole(layer: ChipLayer) -> NeuronSlice:
    """Return all neurons of a layer."""
    if not layer.is_image:
        return NeuronSlice(layer.name, np.arange(layer.size))
    channels, height, width = layer.shape
    return boxed(layer, Box((0, channels), (0, height), (0, width)))


def boxed(layer: ChipLayer, box: Box) -> NeuronSlice:
    """Return the neurons of a box."""
    return NeuronSlice(layer.name, box.neurons(layer.shape), box)


@final
@dataclass(frozen=True)
class Columns:
    """The synapses of a matrix that end in a slice, per axon that reaches it.

    Attributes:
        sources: Sources of the axons.
        targets: Number of synapses of each axon.
        spans: Number of targets from the first to the last of each axon, zeros included.
        gap: Largest number of targets skipped between two synapses of an axon.
        highest: Largest index of a target on the core.
    """

    sources: Ints
    targets: Ints
    spans: Ints
    gap: int
    highest: int


def columns_into(link: MatrixLink, neurons: NeuronSlice) -> Columns:
    """Return the axons that reach a slice through a matrix."""
    columns: Any = csc_array(link.weights[neurons.indices])
    columns.sort_indices()
    counts = np.diff(columns.indptr)
    sources = np.flatnonzero(counts)
    if not sources.size:
        none = np.zeros(0, np.int64)
        return Columns(none, none, none, 0, 0)
    starts, ends = columns.indptr[:-1][sources], columns.indptr[1:][sources] - 1
    steps = np.diff(columns.indices) - 1
    inside = np.ones(len(steps), bool)
    inside[ends[:-1]] = False
    gap = int(steps[inside].max(initial=0))
    spans = columns.indices[ends] - columns.indices[starts] + 1
    return Columns(
        sources, counts[sources].astype(np.int64), spans.astype(np.int64), gap, int(columns.indices.max())
    )


def fan_out(link: MatrixLink | ConvolutionLink, neurons: NeuronSlice) -> Counts:
    """Return how many synapses of a link go from each element of its source to a slice.

    A synapse of a convolution also counts if its weight is zero, because it is stored.
    """
    if isinstance(link, MatrixLink):
        rows: Any = csr_array(link.weights[neurons.indices])
        return np.bincount(rows.indices, minlength=rows.shape[1]).astype(np.int32)
    counts = channel_fan_out(link, neurons)[:, None, None]
    down, along = (covered(link, box_of(neurons), axis) for axis in (0, 1))
    return (counts * down.sum(axis=1)[:, None] * along.sum(axis=1)).astype(np.int32).ravel()


def channel_fan_out(link: ConvolutionLink, neurons: NeuronSlice) -> Ints:
    """Return how many channels of a slice every source channel reaches."""
    start, end = box_of(neurons).channels
    per_group = link.weights.shape[0] // link.groups
    first = np.arange(link.groups) * per_group
    reached = np.minimum(first + per_group, end) - np.maximum(first, start)
    return np.repeat(np.maximum(reached, 0), link.weights.shape[1])


def covered(link: ConvolutionLink, box: Box, axis: int) -> NDArray[np.bool_]:
    """Return which elements of the kernel carry each source row (axis 0) or column (1) into a box.

    Returns:
        `[rows or columns of the source, of the kernel]`.
    """
    window = link.window
    start, end = (box.rows, box.columns)[axis]
    kernel = np.arange(window.kernel[axis]) * window.dilation[axis]
    shifted = np.arange(link.shape[1 + axis])[:, None] + window.padding[axis] - kernel
    target = shifted // window.stride[axis]
    return (shifted % window.stride[axis] == 0) & (target >= start) & (target < end)


def box_of(neurons: NeuronSlice) -> Box:
    """Return the box of a slice of an image layer."""
    if neurons.box is None:
        raise TypeError(f"a slice of '{neurons.layer}' has no feature maps")
    return neurons.box
