"""The parameters of NIR's nodes, checked: numbers, weights, windows (rows, then columns) and delays."""

from typing import Final

import nir
import numpy as np

from toolchain.arrays import Floats, Ints, Pair
from toolchain.errors import FrontendError
from toolchain.ir.windows import Window

Windowed = nir.Conv1d | nir.Conv2d | nir.SumPool2d | nir.AvgPool2d

_ROUNDING: Final = 1e-6
"""Share of a step: more than single precision loses, less than anybody means."""
_LARGEST_EXTENT: Final = 2**31


def numbers(name: str, parameter: str, values: object) -> Floats:
    """Return a parameter of a node as finite real numbers.

    Raises:
        FrontendError: It holds something else.
    """
    try:
        array = np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:
        raise FrontendError(f"node '{name}': {parameter} cannot be read as numbers: {error}") from None
    if not array.size:
        raise FrontendError(f"node '{name}': expected numbers as {parameter}, got none")
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise FrontendError(f"node '{name}': expected finite numbers as {parameter}, got {array.dtype}")
    return array.astype(np.float64)


def whole_numbers(name: str, parameter: str, values: object) -> tuple[int, ...]:
    """Return a parameter of a node as whole numbers.

    Raises:
        FrontendError: It holds something else.
    """
    array = numbers(name, parameter, values).ravel()
    if (array != np.rint(array)).any():
        raise FrontendError(f"node '{name}': expected whole numbers as {parameter}, got {values}")
    return tuple(int(number) for number in array)


def matrix_of(name: str, node: nir.Affine | nir.Linear) -> Floats:
    """Return the weights of a linear node, `[targets, sources]`.

    Raises:
        FrontendError: They are no matrix.
    """
    weights = numbers(name, "weight", node.weight)
    if weights.ndim != 2 or not weights.size:
        raise FrontendError(f"node '{name}' has weights {weights.shape}, expected a matrix")
    return weights


def steps_of(name: str, node: nir.Delay, dt: float) -> Ints:
    """Return a delay in steps, of the shape in the file.

    Raises:
        FrontendError: It is negative, or no whole number of steps.
    """
    delay = numbers(name, "delay", node.delay) / dt
    whole = np.rint(delay)
    wrong = (np.abs(delay - whole) > _ROUNDING * np.maximum(1, whole)) | (whole < 0)
    if wrong.any():
        raise FrontendError(
            f"delay '{name}' is {delay[wrong][0]:g} steps of {dt:g} s, expected whole ones",
            "state the step as `dt`",
        )
    return whole.astype(np.int64)


def kernels_of(name: str, node: nir.Conv1d | nir.Conv2d) -> Floats:
    """Return the kernels `[out, in / groups, rows, columns]`; those of a line have one row.

    Raises:
        FrontendError: They have another number of dimensions, or no groups of that number.
    """
    kernels = numbers(name, "weight", node.weight)
    line = isinstance(node, nir.Conv1d)
    if kernels.ndim != (3 if line else 4) or not kernels.size:
        raise FrontendError(f"node '{name}' has weights {kernels.shape}, expected kernels of every channel")
    groups = groups_of(name, node)
    if kernels.shape[0] % groups:
        raise FrontendError(f"node '{name}' has {kernels.shape[0]} output channels in {groups} groups")
    return kernels[:, :, None, :] if line else kernels


def groups_of(name: str, node: nir.Conv1d | nir.Conv2d) -> int:
    """Return the number of groups."""
    groups = numbers(name, "groups", node.groups)
    if groups.size != 1 or groups.ravel()[0] < 1:
        raise FrontendError(f"node '{name}' has {groups} groups, expected 1 or more")
    return int(groups.ravel()[0])


def window_of(name: str, node: Windowed) -> Window:
    """Return the window of a node.

    Raises:
        FrontendError: A value is not a whole number of its least size, or pads one side more.
    """
    if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        kernel = _pair(name, node.kernel_size, least=1)
        return Window(kernel, _pair(name, node.stride, least=1), _pair(name, node.padding, least=0))
    line = isinstance(node, nir.Conv1d)
    rows, columns = kernels_of(name, node).shape[2:]
    dilation = _pair(name, node.dilation, least=1, line=line)
    stride = _pair(name, node.stride, least=1, line=line)
    padding = _padding(name, node, (rows, columns), stride, dilation)
    return Window((rows, columns), stride, padding, dilation)


def _pair(name: str, value: object, *, least: int, line: bool = False) -> Pair:
    """Return one or two whole numbers as rows and columns; a line has one row."""
    extents = whole_numbers(name, "its window", value)
    if len(extents) not in ({1} if line else {1, 2}) or min(extents) < least:
        raise FrontendError(f"node '{name}': expected whole numbers of {least} or more, got {value}")
    if max(extents) > _LARGEST_EXTENT:
        raise FrontendError(f"node '{name}': {value} is larger than any image")
    return (least, extents[0]) if line else (extents[0], extents[-1])


def _padding(name: str, node: nir.Conv1d | nir.Conv2d, kernel: Pair, stride: Pair, dilation: Pair) -> Pair:
    """Return the zeros on both sides; frameworks differ in `same` behind a stride, which some refuse."""
    if not isinstance(node.padding, str):
        return _pair(name, node.padding, least=0, line=isinstance(node, nir.Conv1d))
    if node.padding == "valid":
        return (0, 0)
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if node.padding != "same" or any(extent % 2 for extent in total) or max(stride) > 1:
        raise FrontendError(
            f"convolution '{name}' has padding '{node.padding}', expected 'valid', or 'same' of an odd "
            "window without stride, the only one that is the same on both sides everywhere; state the zeros"
        )
    return total[0] // 2, total[1] // 2
