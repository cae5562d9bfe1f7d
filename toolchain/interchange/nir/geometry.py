"""Windows of NIR's convolutions and poolings, checked: rows first, then columns."""

import nir
import numpy as np

from toolchain.arrays import Floats, Pair
from toolchain.errors import FrontendError
from toolchain.interchange.nir.neurons import numbers
from toolchain.ir.windows import Window

Windowed = nir.Conv1d | nir.Conv2d | nir.SumPool2d | nir.AvgPool2d


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
    found = numbers(name, "its window", value).ravel()
    if (
        found.size not in ({1} if line else {1, 2})
        or (found != np.rint(found)).any()
        or (found < least).any()
    ):
        raise FrontendError(f"node '{name}': expected whole numbers of {least} or more, got {value}")
    if (found > 2**31).any():
        raise FrontendError(f"node '{name}': {value} is larger than any image")
    return (least, int(found[0])) if line else (int(found[0]), int(found[-1]))


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
