"""Currents between two layers of neurons: sums of connections, each with weights on what a node sends.

Networks of other frameworks have linear layers, norms, poolings and sums between their neurons, in any
order. Here they become connections of a graph, exactly, or an error says why they cannot.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain.arrays import Floats, Pair
from toolchain.errors import FrontendError
from toolchain.ir import Conv2d, Dense
from toolchain.ir.matrix import Matrix, columns_of, rows_of, sources_of, targets_of, values_of, with_values
from toolchain.ir.windows import Window

LARGEST: Final = 2**24
"""The most values that are made for one node; a few bytes of a file can ask for more."""
_IMAGE: Final = 3
_MATRIX: Final = 2


@final
@dataclass(frozen=True)
class Sent:
    """The values that a node of the graph sends: spikes, pooled spikes or the input.

    Attributes:
        node: Name of the node.
        shape: Shape of one step.
        spikes: Whether the values are spikes; graded values otherwise.
        factor: Factor of all values, or of each: `1 / area` for an average.
        flat: Whether the values were flattened.
    """

    node: str
    shape: tuple[int, ...]
    spikes: bool
    factor: float | Floats = 1.0
    flat: bool = False

    @property
    def features(self) -> tuple[int, ...]:
        """The shape in which the next module gets it."""
        return (int(np.prod(self.shape)),) if self.flat else self.shape

    @property
    def plain(self) -> bool:
        """Whether its factor is 1."""
        return bool(np.all(np.asarray(self.factor) == 1))

    def scaled(self, factor: Floats) -> "Sent":
        """Return the same values with another factor: one for all, or one for each feature."""
        if factor.size > 1 and factor.size == np.prod(self.shape):
            factor = factor.reshape(self.shape)
        return replace(self, factor=self.factor * factor)

    def elements(self) -> Floats:
        """Return the factor of every element, flattened."""
        return np.broadcast_to(np.asarray(self.factor, np.float64), self.shape).ravel()

    def channels(self, reader: str) -> Floats:
        """Return the factor of every channel of feature maps.

        Raises:
            FrontendError: It differs within a feature map.
        """
        maps = self.elements().reshape(self.shape[0], -1)
        if (maps != maps[:, :1]).any():
            raise FrontendError(
                f"connection '{reader}' reads values that are scaled differently within a feature map; "
                "scale per channel"
            )
        return maps[:, 0]


@final
@dataclass(frozen=True)
class Branch:
    """One connection of a current: weights on what a node sends.

    Attributes:
        name: Name of the connection.
        source: The values that it weighs.
        weights: A matrix `[targets, sources]`, or the kernels of a convolution.
        stride: Distance from one position of the kernel to the next.
        padding: Zeros on both sides of the image.
        dilation: Distance between the elements of the kernel.
        groups: Number of groups of channels.
    """

    name: str
    source: Sent
    weights: Matrix = field(repr=False)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def dense(self) -> bool:
        """Whether its weights are a matrix, not the kernels of a convolution."""
        return len(cast("tuple[int, ...]", self.weights.shape)) == _MATRIX

    @property
    def window(self) -> Window:
        """The window of a convolution."""
        rows, columns = cast("Floats", self.weights).shape[2:]
        return Window((rows, columns), self.stride, self.padding, self.dilation)

    def scaled(self, factor: Floats) -> "Branch":
        """Return the branch with a factor for every output channel, or target neuron."""
        return replace(
            self, weights=with_values(self.weights, values_of(self.weights) * self._spread(factor))
        )

    def _spread(self, factor: Floats) -> Floats:
        if self.dense:
            return factor[rows_of(self.weights)]
        return np.repeat(factor, values_of(self.weights).size // factor.size)

    def node(self, name: str) -> Conv2d | Dense:
        """Return the connection of the graph."""
        if self.dense:
            weights = self.weights
            if not self.source.plain:
                factors = self.source.elements()[columns_of(weights)]
                weights = with_values(weights, values_of(weights) * factors)
            return Dense(name=name, inputs=(self.source.node,), weights=weights)
        return Conv2d(
            name=name,
            inputs=(self.source.node,),
            weights=self._kernels(),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def unrolled(self) -> "Branch":
        """Return a convolution as a sparse matrix over flattened feature maps: a row per position.

        Raises:
            FrontendError: It would hold too many weights.
        """
        if self.dense:
            return self
        kernels, window, shape = cast("Floats", self.weights), self.window, self.source.shape
        area = math.prod(window.positions((shape[1], shape[2])))
        elements = kernels.reshape(*kernels.shape[:2], -1)
        output, channel, place = np.nonzero(elements)
        check_size(self.name, len(output), area)
        check_window(self.name, shape, window)
        # Sources are numbered from 1, so that 0 is outside of the image.
        numbered = np.arange(1, math.prod(shape) + 1).reshape(shape)
        patches = np.stack([patch.reshape(shape[0], area) for patch in window.patches(numbered)])
        group = output // (len(kernels) // self.groups)
        columns = patches[place, group * kernels.shape[1] + channel].ravel()
        rows = (output[:, None] * area + np.arange(area)).ravel()
        values = np.repeat(elements[output, channel, place], area)
        inside = columns > 0
        matrix = csr_array(
            (values[inside], (rows[inside], columns[inside] - 1)),
            shape=(len(kernels) * area, math.prod(shape)),
        )
        return Branch(self.name, self.source, matrix)

    def _kernels(self) -> Floats:
        kernels = cast("Floats", self.weights)
        if isinstance(self.source.factor, float):
            return kernels * self.source.factor
        channels = self.source.channels(self.name).reshape(self.groups, 1, -1, 1, 1)
        return (kernels.reshape(self.groups, -1, *kernels.shape[1:]) * channels).reshape(kernels.shape)


@final
@dataclass(frozen=True)
class Current:
    """A sum of connections plus a constant, as it reaches neurons.

    Attributes:
        branches: The connections.
        bias: Constant of each channel or target neuron, `[C]`; or of each element, in the current's shape.
        shape: Shape of one step.
        flat: Whether the current was flattened.
    """

    branches: tuple[Branch, ...]
    bias: Floats = field(repr=False)
    shape: tuple[int, ...]
    flat: bool = False

    @property
    def features(self) -> tuple[int, ...]:
        """The shape in which the next module gets it."""
        return (int(np.prod(self.shape)),) if self.flat else self.shape

    @property
    def offsets(self) -> Floats:
        """The constant of every element, in the current's shape."""
        return self._spread(self.bias)

    def affine(self, factor: Floats, offset: Floats) -> "Current":
        """Return `factor x + offset`: factors per channel, offsets per channel or per element."""
        per_channel = self.bias.ndim == offset.ndim == 1
        bias, added = (self.bias, offset) if per_channel else (self._spread(self.bias), self._spread(offset))
        branches = tuple(branch.scaled(factor) for branch in self.branches)
        factors = factor.reshape(-1, *[1] * (bias.ndim - 1))
        return replace(self, branches=branches, bias=bias * factors + added)

    def _spread(self, values: Floats) -> Floats:
        if values.shape == self.shape:
            return values
        return np.broadcast_to(values.reshape(-1, *[1] * (len(self.shape) - 1)), self.shape)

    def dense(self) -> "Current":
        """Return the same current, flat: every convolution as the sparse matrix that it is."""
        if len(self.shape) == 1:
            return self
        branches = tuple(branch.unrolled() for branch in self.branches)
        bias = self.offsets.ravel()
        return Current(branches, bias, bias.shape)

    def channels(self, values: Floats, reader: str) -> Floats:
        """Return values of the features per channel: one for all, or equal within every feature map.

        Raises:
            FrontendError: They do not fit, or differ within a feature map.
        """
        maps = spread(values, self.shape, f"the scale of '{reader}'").reshape(self.shape[0], -1)
        if (maps != maps[:, :1]).any():
            raise FrontendError(
                f"'{reader}' scales its input differently within a feature map, but a convolution shares its "
                "weights there; use one value per channel"
            )
        return maps[:, 0]


def check_size(reader: str, *extents: int) -> None:
    """Raise before memory is taken for more values than a network here can have.

    Raises:
        FrontendError: Names the node.
    """
    size = math.prod(extents)
    if size > LARGEST:
        raise FrontendError(f"'{reader}' asks for {size} values; more than {LARGEST} are not made")


def check_window(reader: str, shape: Sequence[int], window: Window) -> None:
    """Raise before feature maps are padded for a window, if that makes more values than a network can have.

    Raises:
        FrontendError: Names the node.
    """
    channels, height, width = shape
    (top, left) = window.padding
    check_size(reader, channels, height + 2 * top, width + 2 * left)


def spread(values: Floats, shape: tuple[int, ...], reader: str) -> Floats:
    """Return parameters for every neuron of a shape: one for all, or as NumPy broadcasts.

    Axes of one element may stand in front of the shape: a batch of one.

    Raises:
        FrontendError: They do not fit the shape.
    """
    array = np.asarray(values, np.float64)
    if array.size == 1:
        return np.full(shape, array.ravel()[0])
    while array.ndim > len(shape) and len(array) == 1:
        array = array[0]
    fits = zip(array.shape[::-1], shape[::-1], strict=False)
    if array.ndim <= len(shape) and all(own in {1, extent} for own, extent in fits):
        return np.broadcast_to(array, shape)
    raise FrontendError(
        f"{reader} has shape {np.shape(values)}, but is for {shape}; expected one value, one per element, or "
        "a shape that NumPy broadcasts to it"
    )


def identity(name: str, source: Sent) -> Current:
    """Return the current that carries each value to a target of its own."""
    zero = np.zeros(source.shape[0])
    if source.flat or len(source.shape) != _IMAGE:
        size = int(np.prod(source.shape))
        eye = csr_array((np.ones(size), np.arange(size), np.arange(size + 1)), shape=(size, size))
        return Current((Branch(name, source, eye),), np.zeros(size), (size,))
    channels = source.shape[0]
    return Current((Branch(name, source, np.ones((channels, 1, 1, 1)), groups=channels),), zero, source.shape)


def summed(values: Sequence[Current]) -> Current:
    """Return the sum of currents: the branches of all.

    Where feature maps that were flattened are added to values that never were, convolutions become matrices.
    """
    shapes = {value.features for value in values}
    if len(shapes) > 1:
        raise FrontendError(f"a sum reads currents of different shapes: {sorted(shapes)}")
    if len({value.shape for value in values}) > 1:
        values = [value.dense() for value in values]
    branches = tuple(branch for value in values for branch in value.branches)
    per_channel = all(value.bias.ndim == 1 for value in values)
    bias = np.sum([value.bias if per_channel else value.offsets for value in values], axis=0)
    return Current(branches, bias, values[0].shape, values[0].flat)


def selected(value: Current, index: NDArray[np.int64]) -> Current:
    """Return some channels of a current."""
    if any(branch.groups != 1 for branch in value.branches):
        raise FrontendError("channels of a grouped convolution cannot be selected")
    branches = tuple(replace(branch, weights=cast("Any", branch.weights)[index]) for branch in value.branches)
    return Current(branches, value.bias[index], (len(index), *value.shape[1:]))


def multiplied(name: str, value: Current, matrix: Matrix) -> Current:
    """Return a matrix times a current of dense branches: two linear layers are one.

    Raises:
        FrontendError: A branch is a convolution, or the sizes differ.
    """
    if value.features != (sources_of(matrix),):
        raise FrontendError(f"'{name}' reads {matrix.shape} weights, but {value.features} come")
    if not all(branch.dense for branch in value.branches):
        raise FrontendError(
            f"'{name}' reads a convolution without neurons in between, which would undo its sharing of "
            "weights; put neurons between them"
        )
    branches: list[Branch] = []
    for branch in value.branches:
        check_size(name, targets_of(matrix), sources_of(branch.weights))
        product = cast("Any", matrix) @ cast("Any", branch.weights)
        branches.append(replace(branch, name=f"{branch.name}.{name}", weights=product))
    return Current(tuple(branches), np.asarray(matrix @ value.bias), (targets_of(matrix),))
