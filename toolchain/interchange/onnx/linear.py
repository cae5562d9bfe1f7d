"""The linear operators of ONNX: convolutions, dense layers, norms, sums, and arithmetic with constants."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Final

import numpy as np
from scipy.sparse import csr_array, eye_array, kron

from toolchain.arrays import Floats
from toolchain.interchange.onnx.operators import Operator
from toolchain.interchange.onnx.translation import Translation, Translator
from toolchain.ir.convolved_currents import may_pad
from toolchain.ir.currents import check_size
from toolchain.rate_coding.symbolic_tensors import (
    SymbolicTensor,
    added,
    affine,
    concatenated,
    convolve,
    feature_maps,
    linear,
    scaled,
    whole,
)
from toolchain.rate_coding.window_placement import WindowPlacement

_ONE: Final = np.ones(1)
_ZERO: Final = np.zeros(1)
INFERRING: Final = 7
"""First opset whose norms and dropouts infer unless they are told to train."""


def convolution(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a convolution of one or two dimensions."""
    value, kernels = t.read(operator), t.constant(operator, 1)
    groups, axes = operator.integer("group", 1), kernels.ndim - 2
    if axes not in {1, 2} or value.elements.ndim != kernels.ndim:
        raise operator.refuse(
            f"it reads {list(value.shape)} with weights {list(kernels.shape)}, expected a convolution of one "
            "or two dimensions"
        )
    fits = groups >= 1 and len(kernels) % groups == 0 and kernels.shape[1] * groups == value.shape[1]
    if not fits or 0 in kernels.shape:
        raise operator.refuse(
            f"it has weights {list(kernels.shape)} in {groups} groups, but reads {list(value.shape)}"
        )
    placement = operator.placed(kernels.shape[2:], value.shape[2:])
    kernels = kernels.reshape(*kernels.shape[:2], *placement.kernel)
    maps = windowed(t, operator, value, kernels, placement, groups)
    bias = t.optional(operator, 2)
    if bias is None:
        return maps
    if bias.size != len(kernels):
        raise operator.refuse(f"it has {bias.size} biases for {len(kernels)} channels")
    return affine(operator.name, maps, _ONE, bias.reshape(-1, *[1] * axes))


def windowed(
    t: Translation,
    operator: Operator,
    value: SymbolicTensor,
    kernels: Floats,
    placement: WindowPlacement,
    groups: int,
) -> SymbolicTensor:
    """Return a convolution of feature maps with kernels `[O, C / groups, h, w]`, padded on any side."""
    maps = feature_maps(operator.name, value)
    shape = (1, len(kernels), *_positions(operator, value, placement)[4 - value.elements.ndim :])
    if maps is None:
        if math.prod(value.shape[2:]) == math.prod(shape[2:]) == 1:
            return linear(operator.name, value, _at_one_position(kernels, placement, groups), shape)
        raise operator.refuse(
            "it reads feature maps that are not those of one layer as they come: they were moved, cut or "
            "scaled element by element before it"
        )
    for branch in maps.branches:
        branch.source.channels(operator.name)
    kernels, padding, dilation = padded(kernels, placement, maps.shape[1:])
    if not may_pad(maps, padding):
        maps = t.layers.halves(
            operator.name, whole(maps, (1, *maps.shape), nonnegative=value.nonnegative)
        ).current
    current = convolve(
        operator.name,
        maps,
        kernels,
        stride=placement.stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    return whole(current, shape)


def _positions(operator: Operator, value: SymbolicTensor, placement: WindowPlacement) -> tuple[int, int]:
    size = (1, *value.shape[2:])[-2:]
    extents = zip(size, placement.pads, placement.spans, placement.stride, strict=True)
    rows, columns = ((n + t + b - span) // s + 1 for n, (t, b), span, s in extents)
    if rows < 1 or columns < 1:
        raise operator.refuse(
            f"its window {list(placement.kernel)} is larger than what it reads, {list(size)}"
        )
    check_size(operator.name, rows, columns)
    return rows, columns


def _at_one_position(kernels: Floats, placement: WindowPlacement, groups: int) -> Floats:
    """Return what a convolution does to maps of a single element: a matrix `[O, C]`."""
    matrix = np.zeros((len(kernels), groups, kernels.shape[1]))
    places = [
        divmod(begin, step) for (begin, _), step in zip(placement.pads, placement.dilation, strict=True)
    ]
    if all(
        rest == 0 and place < extent for (place, rest), extent in zip(places, placement.kernel, strict=True)
    ):
        group = np.arange(len(kernels)) // (len(kernels) // groups)
        matrix[np.arange(len(kernels)), group] = kernels[:, :, places[0][0], places[1][0]]
    return matrix.reshape(len(kernels), -1)


def padded(
    kernels: Floats, placement: WindowPlacement, size: tuple[int, ...]
) -> tuple[Floats, tuple[int, int], tuple[int, int]]:
    """Return kernels, enlarged by zeros on one side, that give the same with equal padding on both sides.

    Args:
        kernels: Kernels `[O, C, h, w]`.
        placement: Placement of the window, with any padding.
        size: Rows and columns of the image.

    Returns:
        Kernels, padding and dilation.
    """
    padding, dilation = [0, 0], list(placement.dilation)
    for axis in (0, 1):
        (begin, end), span = placement.pads[axis], placement.spans[axis]
        step, stride = placement.dilation[axis], placement.stride[axis]
        padding[axis] = most = max(begin, end)
        before, behind = most - begin, most - end
        wanted = (size[axis] + begin + end - span) // stride
        if (size[axis] + 2 * most - before - span) // stride == wanted:
            behind = 0
        if not (before or behind):
            continue
        if before % step or behind % step:
            apart = np.zeros((*kernels.shape[: 2 + axis], span, *kernels.shape[3 + axis :]))
            apart[(slice(None),) * (2 + axis) + (slice(None, None, step),)] = kernels
            kernels, step = apart, 1
            dilation[axis] = 1
        zeros = [(0, 0)] * 4
        zeros[2 + axis] = (before // step, behind // step)
        check_size("padding", kernels.size, before + behind + 1)
        kernels = np.pad(kernels, zeros)
    return kernels, (padding[0], padding[1]), (dilation[0], dilation[1])


def pad(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a padding of images by a constant."""
    value = t.read(operator)
    if operator.text("mode", "constant") != "constant":
        raise operator.refuse(f"it pads by '{operator.text('mode', '')}', expected a constant")
    rank, axes = value.elements.ndim, t.optional(operator, 3)
    numbers = operator.integers("pads") or operator.integers("paddings")
    if numbers is None:
        numbers = tuple(int(extent) for extent in t.constant(operator, 1).ravel())
    padded_axes = list(range(rank)) if axes is None else [int(axis) % rank for axis in axes.ravel()]
    if len(numbers) != 2 * len(padded_axes):
        raise operator.refuse(
            f"it pads {list(numbers)}, expected two numbers per axis of {list(value.shape)}"
        )
    pads = {axis: (numbers[i], numbers[i + len(padded_axes)]) for i, axis in enumerate(padded_axes)}
    pads = {axis: extents for axis, extents in pads.items() if any(extents)}
    if not pads:
        return value
    if min(pads) < 2 or rank not in {3, 4} or min(map(min, pads.values())) < 0:
        raise operator.refuse(
            f"it pads {list(numbers)} of {list(value.shape)}, expected more rows and columns"
        )
    fill = t.optional(operator, 2)
    level = operator.real("value", 0.0) if fill is None else float(fill.ravel()[0])
    around = ((0, 0),) * (4 - rank) + tuple(pads.get(axis, (0, 0)) for axis in range(2, rank))
    placement = WindowPlacement((1, 1), (1, 1), (1, 1), (around[0], around[1]))
    channels = value.shape[1]
    enlarged = windowed(t, operator, value, np.ones((channels, 1, 1, 1)), placement, channels)
    edge = np.full(enlarged.shape[2:], level)
    edge[
        tuple(
            slice(pads.get(a, (0, 0))[0], n - pads.get(a, (0, 0))[1])
            for a, n in enumerate(enlarged.shape[2:], 2)
        )
    ] = 0
    if level:
        enlarged = affine(operator.name, enlarged, _ONE, edge)
    return replace(enlarged, nonnegative=value.nonnegative and level >= 0)


def gemm(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a dense layer."""
    value, weights = t.read(operator), t.constant(operator, 1)
    if weights.ndim != 2 or value.elements.ndim != 2:
        raise operator.refuse(
            f"it multiplies {list(value.shape)} with {list(weights.shape)}, expected matrices"
        )
    if operator.integer("transA", 0):
        value = replace(value, elements=value.elements.T)
    matrix = weights.T if operator.integer("transB", 0) else weights
    product = multiplied_by(operator, value, operator.real("alpha", 1.0) * matrix)
    bias = t.optional(operator, 2)
    if bias is None:
        return product
    return _affine(operator, product, _ONE, operator.real("beta", 1.0) * bias)


def matmul(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a matrix product with constant weights on either side."""
    if operator.reads(0) in t.constants:
        # A x = (x^T A^T)^T
        weights, value = _matrix(operator, t.constant(operator, 0)), t.read(operator, 1)
        if value.elements.ndim < 2:
            raise operator.refuse(f"it multiplies {list(weights.shape)} with {list(value.shape)}")
        swapped = replace(value, elements=value.elements.swapaxes(-1, -2))
        product = multiplied_by(operator, swapped, weights.T)
        return replace(product, elements=product.elements.swapaxes(-1, -2))
    if operator.reads(1) not in t.constants:
        raise operator.refuse("activations are multiplied with activations, but rates only add up")
    return multiplied_by(operator, t.read(operator), _matrix(operator, t.constant(operator, 1)))


def _matrix(operator: Operator, weights: Floats) -> Floats:
    if weights.ndim < 2 or math.prod(weights.shape[:-2]) != 1:
        raise operator.refuse(f"it multiplies with weights {list(weights.shape)}, expected a matrix")
    return weights.reshape(weights.shape[-2:])


def multiplied_by(operator: Operator, value: SymbolicTensor, weights: Floats) -> SymbolicTensor:
    """Return a tensor `[..., K]` times a matrix `[K, M]`."""
    inputs, outputs = weights.shape
    if value.shape[-1] != inputs or 0 in weights.shape:
        raise operator.refuse(f"it reads {list(value.shape)} with weights {list(weights.shape)}")
    shape = (*value.shape[:-1], outputs)
    rows = math.prod(shape[:-1])
    check_size(operator.name, rows, *weights.shape)
    matrix = np.ascontiguousarray(weights.T)
    if rows == 1:
        return linear(operator.name, value, matrix, shape)
    blocks = csr_array(kron(eye_array(rows), csr_array(matrix), format="csr"))
    return linear(operator.name, value, blocks, shape)


def norm(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a batch norm as it infers: one factor and one offset per channel."""
    value = t.read(operator)
    trained = operator.opset >= INFERRING or operator.integer("is_test", 0)
    if operator.integer("training_mode", 0) or not operator.integer("spatial", 1) or not trained:
        raise operator.refuse("it takes its statistics from the samples; export the model for inference")
    gamma, beta, mean, variance = (t.constant(operator, place).ravel() for place in (1, 2, 3, 4))
    channels = value.shape[1] if value.elements.ndim > 1 else 1
    shifted = variance + operator.real("epsilon", 1e-5)
    if {gamma.size, beta.size, mean.size, variance.size} != {channels} or (shifted <= 0).any():
        raise operator.refuse(f"it does not fit the {channels} channels of {list(value.shape)}")
    factor = gamma / np.sqrt(shifted)
    spread = (-1, *[1] * (value.elements.ndim - 2))
    return affine(operator.name, value, factor.reshape(spread), (beta - mean * factor).reshape(spread))


def add(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a sum of any number of tensors and constants."""
    values = t.depending(operator)
    offsets = [t.constant(operator, i) for i, name in enumerate(operator.inputs) if name in t.constants]
    total = reduce(lambda first, second: _added(operator, first, second), values)
    for offset in offsets:
        total = _affine(operator, total, _ONE, offset)
    return total


def mean(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate the mean of several tensors."""
    return scaled(operator.name, add(t, operator), np.array([1 / len(operator.inputs)]))


def subtract(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a difference."""
    if operator.reads(0) in t.constants:
        return _affine(operator, t.read(operator, 1), -_ONE, t.constant(operator, 0))
    if operator.reads(1) in t.constants:
        return _affine(operator, t.read(operator), _ONE, -t.constant(operator, 1))
    return _added(operator, t.read(operator), scaled(operator.name, t.read(operator, 1), -_ONE))


def multiply(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a product with a constant."""
    fixed = [place for place in (0, 1) if operator.reads(place) in t.constants]
    if not fixed:
        raise operator.refuse("activations are multiplied with activations, but rates only add up")
    return _affine(operator, t.read(operator, 1 - fixed[0]), t.constant(operator, fixed[0]), _ZERO)


def divide(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a division by a constant."""
    if operator.reads(1) not in t.constants:
        raise operator.refuse("it divides by activations, but rates only add up")
    divisor = t.constant(operator, 1)
    if not divisor.all():
        raise operator.refuse("it divides by zero")
    return _affine(operator, t.read(operator), 1 / divisor, _ZERO)


def negate(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a change of sign."""
    return scaled(operator.name, t.read(operator), -_ONE)


def _added(operator: Operator, first: SymbolicTensor, second: SymbolicTensor) -> SymbolicTensor:
    try:
        return added(operator.name, first, second)
    except ValueError:
        raise operator.refuse(f"it adds {list(first.shape)} and {list(second.shape)}") from None


def _affine(operator: Operator, value: SymbolicTensor, factor: Floats, offset: Floats) -> SymbolicTensor:
    rank = value.elements.ndim
    factor, offset = operator.aligned(factor, rank), operator.aligned(offset, rank)
    try:
        return affine(operator.name, value, factor, offset)
    except ValueError:
        shape = max(factor.shape, offset.shape, key=math.prod)
        raise operator.refuse(f"it joins {list(value.shape)} with a constant of {list(shape)}") from None


def concatenate(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate tensors behind one another; a constant among them is refused."""
    values = [t.read(operator, place) for place in range(len(operator.inputs))]
    try:
        return concatenated(operator.name, values, operator.integer("axis", 1))
    except ValueError as error:
        shapes = [list(value.shape) for value in values]
        raise operator.refuse(
            f"it joins {shapes} along axis {operator.integer('axis', 1)}: {error}"
        ) from None


LINEAR: Final[Mapping[str, Translator]] = {
    "Add": add,
    "BatchNormalization": norm,
    "Concat": concatenate,
    "Conv": convolution,
    "Div": divide,
    "Gemm": gemm,
    "MatMul": matmul,
    "Mean": mean,
    "Mul": multiply,
    "Neg": negate,
    "Pad": pad,
    "Sub": subtract,
    "Sum": add,
}
