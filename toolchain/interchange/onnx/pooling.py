"""The poolings of ONNX, and sums and means along axes."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.sparse import csr_array, eye_array, kron

from toolchain.arrays import Floats
from toolchain.interchange.onnx.linear import windowed
from toolchain.interchange.onnx.operators import Operator
from toolchain.interchange.onnx.translation import Translation, Translator
from toolchain.ir import Window
from toolchain.ir.currents import Current, check_size
from toolchain.rate_coding.symbolic_tensors import SymbolicTensor, affine, feature_maps, images, linear, whole
from toolchain.rate_coding.window_placement import WindowPlacement

_ZERO: Final = np.zeros(1)


def average_pool(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a mean over windows."""
    value = _images(t, operator)
    axes = value.elements.ndim - 2
    placement = operator.placed(operator.kernel(axes), value.shape[2:])
    size = (1, *value.shape[2:])[-2:]
    inside = _counted(size, placement)
    area = math.prod(placement.kernel)
    if operator.integer("count_include_pad", 0):
        if operator.integer("ceil_mode", 0) and placement.padded:
            raise operator.refuse("its last windows reach over the edge, and how they count is not settled")
        inside = np.full_like(inside, area)
    if not inside.all():
        raise operator.refuse("some of its windows see nothing of the image")
    return replace(_sums(t, operator, value, placement, 1 / inside), nonnegative=value.nonnegative)


def global_average(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate the mean of every feature map."""
    value = _images(t, operator)
    size = (1, *value.shape[2:])[-2:]
    placement = WindowPlacement((size[0], size[1]), (1, 1), (1, 1), ((0, 0), (0, 0)))
    factor = np.full((1, 1), 1 / math.prod(size))
    return replace(_sums(t, operator, value, placement, factor), nonnegative=value.nonnegative)


def max_pool(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate the largest of every window."""
    if len(operator.outputs) > 1 and operator.outputs[1] in t.readers:
        raise operator.refuse("where the largest stands is read, but only how large it is can be kept")
    value = _images(t, operator)
    return _largest(
        t, operator, value, operator.placed(operator.kernel(value.elements.ndim - 2), value.shape[2:])
    )


def global_max(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate the largest of every feature map."""
    value = _images(t, operator)
    size = (1, *value.shape[2:])[-2:]
    return _largest(t, operator, value, WindowPlacement((size[0], size[1]), (1, 1), (1, 1), ((0, 0), (0, 0))))


def reduce_mean(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a mean along axes."""
    return _reduced(t, operator, mean=True)


def reduce_sum(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate a sum along axes."""
    return _reduced(t, operator, mean=False)


def _images(t: Translation, operator: Operator) -> SymbolicTensor:
    value = t.read(operator)
    if value.elements.ndim not in {3, 4}:
        raise operator.refuse(f"it reads {list(value.shape)}, expected feature maps of one or two dimensions")
    return value


def _counted(size: tuple[int, ...], placement: WindowPlacement) -> Floats:
    """Return how many elements of an image every window sees, `[rows, columns]`."""
    (top, bottom), (left, right) = placement.pads
    check_size("pooling", size[0] + top + bottom, size[1] + left + right)
    image = np.pad(np.ones(size), placement.pads)
    window = Window(placement.kernel, placement.stride, (0, 0), placement.dilation)
    rows, columns = window.positions((image.shape[0], image.shape[1]))
    if rows < 1 or columns < 1:
        return np.zeros((1, 1))
    return np.add.reduce(window.patches(image))


def _sums(
    t: Translation, operator: Operator, value: SymbolicTensor, placement: WindowPlacement, factor: Floats
) -> SymbolicTensor:
    """Return sums over windows times factors per position."""
    maps = feature_maps(operator.name, value)
    even = bool((factor == factor[0, 0]).all())
    factor = factor[:1, :1] if even else factor
    sums: Current | None = None
    if maps is not None and placement.symmetric:
        padding = (placement.pads[0][0], placement.pads[1][0])
        window = Window(placement.kernel, placement.stride, padding, placement.dilation)
        sums = t.layers.window_sum(operator.name, maps, window, factor)
    if sums is not None:
        return images(sums, value.elements.ndim)
    channels = value.shape[1]
    kernels = np.ones((channels, 1, *placement.kernel))
    tensor = windowed(t, operator, value, kernels, placement, channels)
    return affine(operator.name, tensor, factor.reshape(factor.shape[4 - value.elements.ndim :]), _ZERO)


def _largest(
    t: Translation, operator: Operator, value: SymbolicTensor, placement: WindowPlacement
) -> SymbolicTensor:
    maps = feature_maps(operator.name, value)
    if maps is None:
        raise operator.refuse("it reads feature maps that are not those of one layer as they come")
    if not _counted(maps.shape[1:], placement).all():
        raise operator.refuse("some of its windows see nothing of the image")
    source = replace(whole(maps, (1, *maps.shape)), nonnegative=value.nonnegative)
    readers = t.readers.get(operator.outputs[0], [])
    if readers and all(reader.kind == "Relu" for reader in readers):
        # The largest of positive parts is the positive part of the largest.
        source = t.layers.positive(readers[0].name, source)
    if placement.padded and not source.nonnegative:
        raise operator.refuse("it pads what may be negative, so that zeros could win; put Relu before it")
    pooled = t.layers.max_pool(operator.name, source, source.current, placement)
    return images(pooled.current, value.elements.ndim, nonnegative=pooled.nonnegative)


def _reduced(t: Translation, operator: Operator, *, mean: bool) -> SymbolicTensor:
    value = t.read(operator)
    rank = value.elements.ndim
    given = operator.integers("axes")
    if given is None:
        stored = t.optional(operator, 1)
        given = None if stored is None else tuple(int(axis) for axis in stored.ravel())
    if not given:
        if operator.integer("noop_with_empty_axes", 0):
            return value
        given = tuple(range(rank))
    if any(not -rank <= axis < rank for axis in given):
        raise operator.refuse(f"it reduces axes {list(given)} of {list(value.shape)}")
    axes = sorted({axis % rank for axis in given})
    remaining = [axis for axis in range(rank) if axis not in axes]
    size = math.prod(value.shape[axis] for axis in axes)
    moved = replace(value, elements=value.elements.transpose(remaining + axes))
    factor = 1 / size if mean else 1.0
    shape = [value.shape[axis] if axis in remaining else 1 for axis in range(rank)]
    if not operator.integer("keepdims", 1):
        shape = [value.shape[axis] for axis in remaining]
    reduced = _reduced_maps(t, operator, moved, len(axes), factor)
    if reduced is None:
        rows = value.elements.size // size
        check_size(operator.name, value.elements.size)
        matrix = csr_array(kron(eye_array(rows), np.full((1, size), factor), format="csr"))
        reduced = linear(operator.name, moved, matrix, (rows,))
    return replace(reduced, elements=reduced.elements.reshape(shape), nonnegative=value.nonnegative)


def _reduced_maps(
    t: Translation, operator: Operator, value: SymbolicTensor, axes: int, factor: float
) -> SymbolicTensor | None:
    """Return whole feature maps summed, if that is what the last axes are."""
    if axes not in {1, 2} or value.elements.ndim != axes + 2 or feature_maps(operator.name, value) is None:
        return None
    size = (1, *value.shape[2:])[-2:]
    placement = WindowPlacement((size[0], size[1]), (1, 1), (1, 1), ((0, 0), (0, 0)))
    return _sums(t, operator, value, placement, np.full((1, 1), factor))


POOLING: Final[Mapping[str, Translator]] = {
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average,
    "GlobalMaxPool": global_max,
    "MaxPool": max_pool,
    "ReduceMean": reduce_mean,
    "ReduceSum": reduce_sum,
}
