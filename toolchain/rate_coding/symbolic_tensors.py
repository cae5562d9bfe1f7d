"""Tensors of a classifier for one sample, whose every element is an element of a current.

Reshaping, transposing, slicing and the like move the numbers of elements and leave the current alone, so they
are exact whatever they do; what reads the tensor looks where its elements are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain.arrays import Floats, Pair
from toolchain.errors import FrontendError
from toolchain.ir import Window
from toolchain.ir.convolved_currents import convolved
from toolchain.ir.currents import (
    Branch,
    Current,
    Sent,
    check_size,
    check_window,
    identity,
    multiplied,
    summed,
)
from toolchain.ir.matrix import Matrix, targets_of
from toolchain.ir.types import size_of

Numbers = NDArray[np.int64]
_IMAGE: Final = 3
_FIRST: Final = ((slice(None), 0, 0), (0, slice(None), 0), (0, 0, slice(None)))
"""Where the channels, rows and columns of feature maps are read off."""


@final
@dataclass(frozen=True)
class SymbolicTensor:
    """A tensor for one sample.

    Attributes:
        current: Current that the elements are taken from.
        elements: Number of each element in the flattened current, in the tensor's shape `[1, ...]`.
        nonnegative: Whether no element can be negative.
    """

    current: Current
    elements: Numbers = field(repr=False)
    nonnegative: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor."""
        return self.elements.shape

    @property
    def in_order(self) -> bool:
        """Whether it holds all elements of the current in their order."""
        numbers = np.arange(size_of(self.current.shape))
        return np.array_equal(self.elements.ravel(), numbers)


def whole(current: Current, shape: Sequence[int], *, nonnegative: bool = False) -> SymbolicTensor:
    """Return all elements of a current, as they come, as a tensor of some shape."""
    return SymbolicTensor(current, np.arange(size_of(current.shape)).reshape(shape), nonnegative)


def sent_value(sent: Sent, shape: Sequence[int]) -> SymbolicTensor:
    """Return what a step gives as a tensor of some shape."""
    return whole(identity(sent.node, sent), shape)


def images(current: Current, rank: int, *, nonnegative: bool = False) -> SymbolicTensor:
    """Return feature maps as a tensor `[1, C, H, W]`, or of three axes where they are one row each."""
    return whole(current, (1, current.shape[0], *current.shape[5 - rank :]), nonnegative=nonnegative)


def feature_maps(name: str, value: SymbolicTensor) -> Current | None:
    """Return a tensor `[1, C, H, W]`, or `[1, C, L]`, as feature maps; None if it is not made of such."""
    current, elements = value.current, value.elements
    if len(current.shape) != _IMAGE or current.flat or elements.ndim not in {3, 4} or len(elements) != 1:
        return None
    numbers = elements.reshape(elements.shape[1], -1, elements.shape[-1])
    channels, rows, columns = (
        axis[place] for axis, place in zip(np.unravel_index(numbers, current.shape), _FIRST, strict=True)
    )
    grid = (channels[:, None, None] * current.shape[1] + rows[:, None]) * current.shape[2] + columns
    if not np.array_equal(grid, numbers):
        return None
    maps = _cut(name, _cut(name, current, 0, rows), 1, columns)
    if np.array_equal(channels, np.arange(current.shape[0])):
        return maps
    check_size(name, len(channels), current.shape[0])
    chosen = (channels[:, None] == np.arange(current.shape[0])).astype(np.float64)
    return convolved(name, maps, chosen[:, :, None, None], stride=(1, 1))


def _cut(name: str, current: Current, axis: int, places: Numbers) -> Current:
    """Return evenly spaced rows, or columns, of feature maps, by a kernel of one element."""
    extent = current.shape[1 + axis]
    if np.array_equal(places, np.arange(extent)):
        return current
    step = int(places[1] - places[0]) if len(places) > 1 else extent
    reach = extent - (len(places) - 1) * step
    if step < 1 or not np.array_equal(places, places[0] + step * np.arange(len(places))):
        raise FrontendError(f"'{name}' reads rows or columns in another order than they have")
    kernel = (np.arange(reach) == places[0]).astype(np.float64).reshape((-1, 1) if axis == 0 else (1, -1))
    kernels = np.broadcast_to(kernel, (current.shape[0], 1, *kernel.shape)).copy()
    stride = (step, 1) if axis == 0 else (1, step)
    return convolved(name, current, kernels, stride=stride, groups=len(kernels))


def flattened(name: str, value: SymbolicTensor) -> Current:
    """Return the elements of a tensor, in its order, as a current of dense connections."""
    current = value.current.dense()
    if value.in_order:
        return current
    size = value.elements.size
    chosen = csr_array(
        (np.ones(size), value.elements.ravel(), np.arange(size + 1)), shape=(size, current.shape[0])
    )
    return multiplied(name, current, chosen)


def convolve(
    name: str, maps: Current, kernels: Floats, *, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Current:
    """Return a convolution of feature maps: one connection, if they are those of a single step."""
    source = plain(maps)
    if source is None:
        return convolved(
            name, maps, kernels, stride=stride, padding=padding, dilation=dilation, groups=groups
        )
    window = Window((kernels.shape[2], kernels.shape[3]), stride, padding, dilation)
    rows, columns = window.positions((maps.shape[1], maps.shape[2]))
    check_size(name, len(kernels), rows, columns)
    check_window(name, maps.shape, window)
    branch = Branch(name, source, kernels, stride, padding, dilation, groups)
    return Current((branch,), np.zeros(len(kernels)), (len(kernels), rows, columns))


def linear(name: str, value: SymbolicTensor, matrix: Matrix, shape: Sequence[int]) -> SymbolicTensor:
    """Return a matrix times the elements of a tensor in its order, as a tensor of some shape."""
    source = plain(value.current)
    if source is not None and value.in_order:
        current = Current(
            (Branch(name, source, matrix),), np.zeros(targets_of(matrix)), (targets_of(matrix),)
        )
    else:
        current = multiplied(name, flattened(name, value), matrix)
    return whole(current, shape)


def plain(current: Current) -> Sent | None:
    """Return the step whose results a current carries, if it carries nothing else."""
    if len(current.branches) != 1 or current.bias.any():
        return None
    branch = current.branches[0]
    same = identity(branch.name, branch.source).branches[0]
    if branch.dense != same.dense or branch.weights.shape != same.weights.shape:
        return None
    apart: Any = branch.weights - same.weights
    as_it_is = (branch.stride, branch.padding, branch.groups) == (same.stride, same.padding, same.groups)
    return branch.source if as_it_is and not abs(apart).sum() else None


def affine(name: str, value: SymbolicTensor, factor: Floats, offset: Floats) -> SymbolicTensor:
    """Return `factor x + offset`, both broadcast with the tensor by NumPy's rules."""
    shape = np.broadcast_shapes(value.shape, factor.shape, offset.shape)
    value = broadcast(name, value, shape)
    current, elements = value.current, value.elements
    factors, offsets = np.ones(size_of(current.shape)), np.zeros(size_of(current.shape))
    factors[elements] = np.broadcast_to(factor, shape)
    offsets[elements] = np.broadcast_to(offset, shape)
    per_channel = [array.reshape(current.shape[0], -1) for array in (factors, offsets)]
    scaled, moved = (bool((maps == maps[:, :1]).all()) for maps in per_channel)
    if not scaled:
        current = current.dense()
        return replace(value, current=current.affine(factors, offsets), nonnegative=False)
    bias = per_channel[1][:, 0] if moved else offsets.reshape(current.shape)
    nonnegative = value.nonnegative and bool((factor >= 0).all() and (offset >= 0).all())
    return replace(value, current=current.affine(per_channel[0][:, 0], bias), nonnegative=nonnegative)


def scaled(name: str, value: SymbolicTensor, factor: Floats) -> SymbolicTensor:
    """Return a tensor times factors, broadcast by NumPy's rules."""
    return affine(name, value, factor, np.zeros(1))


def broadcast(name: str, value: SymbolicTensor, shape: tuple[int, ...]) -> SymbolicTensor:
    """Return a tensor of a larger shape, with its elements where NumPy's broadcasting puts them."""
    check_size(name, *shape)
    if len(shape) == value.elements.ndim and value.shape[:1] != shape[:1]:
        raise FrontendError(
            f"'{name}' makes a batch of {shape[0]} of one sample, so that samples would depend on each other"
        )
    value = replace(value, elements=np.broadcast_to(value.elements, shape))
    numbers = value.elements.ravel()
    if len(np.unique(numbers)) < len(numbers):
        return whole(flattened(name, value), shape, nonnegative=value.nonnegative)
    return value


def added(name: str, first: SymbolicTensor, second: SymbolicTensor) -> SymbolicTensor:
    """Return the sum of two tensors, broadcast by NumPy's rules."""
    shape = np.broadcast_shapes(first.shape, second.shape)
    parts = [broadcast(name, value, shape) for value in (first, second)]
    nonnegative = first.nonnegative and second.nonnegative
    same = np.array_equal(parts[0].elements, parts[1].elements)
    if same and parts[0].current.shape == parts[1].current.shape:
        current = joined(summed([part.current for part in parts]))
        return SymbolicTensor(current, parts[0].elements, nonnegative)
    maps = [current for part in parts if (current := feature_maps(name, part)) is not None]
    if len(maps) < len(parts) or maps[0].shape != maps[1].shape:
        maps = [flattened(name, part) for part in parts]
    return whole(joined(summed(maps)), shape, nonnegative=nonnegative)


def joined(current: Current) -> Current:
    """Return a current whose connections of the same source and geometry are added up into one."""
    by_source: dict[Any, Branch] = {}
    for branch in current.branches:
        source = (branch.source.node, np.asarray(branch.source.factor).tobytes())
        way = (branch.stride, branch.padding, branch.dilation, branch.groups, branch.weights.shape)
        key = (source, way)
        other = by_source.get(key)
        weights = branch.weights if other is None else cast("Any", other.weights) + branch.weights
        by_source[key] = replace(branch if other is None else other, weights=weights)
    return replace(current, branches=tuple(by_source.values()))


def concatenated(name: str, values: Sequence[SymbolicTensor], axis: int) -> SymbolicTensor:
    """Return tensors behind one another along an axis."""
    parts = [value.current for value in values]
    if len({part.shape[1:] for part in parts}) > 1 or any(len(part.shape) != _IMAGE for part in parts):
        parts = [part.dense() for part in parts]
    sizes = [size_of(part.shape) for part in parts]
    first = np.cumsum([0, *sizes])
    elements = np.concatenate(
        [value.elements + start for value, start in zip(values, first[:-1], strict=True)], axis=axis
    )
    nonnegative = all(value.nonnegative for value in values)
    return SymbolicTensor(stacked(name, parts), elements, nonnegative)


def stacked(name: str, parts: Sequence[Current]) -> Current:
    """Return the channels, or neurons, of several currents behind one another."""
    counts = [part.shape[0] for part in parts]
    shape = (sum(counts), *parts[0].shape[1:])
    check_size(name, *shape)
    branches: list[Branch] = []
    for part, start in zip(parts, np.cumsum([0, *counts])[:-1], strict=True):
        place = csr_array(
            (np.ones(part.shape[0]), (start + np.arange(part.shape[0]), np.arange(part.shape[0]))),
            shape=(shape[0], part.shape[0]),
        )
        if len(shape) == _IMAGE:
            check_size(name, shape[0], part.shape[0])
            spread = convolved(name, part, place.toarray()[:, :, None, None], stride=(1, 1))
        else:
            spread = multiplied(name, part, place)
        branches.extend(spread.branches)
    bias = np.concatenate([part.offsets for part in parts])
    return joined(Current(tuple(branches), bias, shape))
