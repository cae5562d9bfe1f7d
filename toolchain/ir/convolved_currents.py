"""A convolution of a current that is a sum of convolutions: still one connection per source, exactly."""

import math
from dataclasses import replace
from typing import Final, cast

import numpy as np

from toolchain.arrays import Floats, Pair
from toolchain.errors import FrontendError
from toolchain.ir.currents import Branch, Current, check_size, check_window
from toolchain.ir.windows import Window

_IMAGE: Final = 3


def convolved(
    name: str,
    value: Current,
    kernels: Floats,
    *,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Current:
    r"""Return a convolution, or pooling, of a current: one convolution per branch.

    With kernels `W` at distance `d` and stride `s` before, `V` at distance `e` and stride `r` after, the
    product has stride `r s` and the elements

    .. math:: U_{o,i,\, s e j + d k} = \sum_m V_{o,m,j} W_{m,i,k}

    The second convolution may pad only where the first has a single element and pads nothing: its zeros stand
    around the first one's result, not around what the first one reads. The constant then differs at the
    edges.

    Raises:
        FrontendError: A branch is dense, the sizes differ, or what is padded reads more than one element.
    """
    if len(value.shape) != _IMAGE or value.flat or not all(not branch.dense for branch in value.branches):
        raise FrontendError(f"'{name}' reads flat values, expected feature maps [C, H, W]")
    if kernels.shape[1] * groups != value.shape[0]:
        raise FrontendError(f"'{name}' reads {kernels.shape[1] * groups} channels, but {value.shape[0]} come")
    window = Window((kernels.shape[2], kernels.shape[3]), stride, padding, dilation)
    rows, columns = window.positions((value.shape[1], value.shape[2]))
    if rows < 1 or columns < 1:
        raise FrontendError(f"'{name}' has a window larger than the {value.shape} that it reads")
    check_size(name, len(kernels), rows, columns)
    check_window(name, value.shape, window)
    if not may_pad(value, padding):
        raise FrontendError(f"'{name}' pads what is itself a convolution; put neurons between them")
    branches = tuple(_merged(name, branch, kernels, window, groups) for branch in value.branches)
    return Current(branches, _constant(value, kernels, window, groups), (len(kernels), rows, columns))


def may_pad(value: Current, padding: Pair) -> bool:
    """Return whether zeros around a current are the same as zeros around the sources of its branches."""
    return all(
        extent == 1 and inner == 0
        for branch in value.branches
        for extent, inner, outer in zip(
            cast("Floats", branch.weights).shape[2:], branch.padding, padding, strict=True
        )
        if outer
    )


def correlated(x: Floats, kernels: Floats, window: Window, groups: int) -> Floats:
    """Return the convolution of feature maps `[batch, C, H, W]` with kernels `[O, C / groups, h, w]`."""
    rows, columns = window.positions((x.shape[2], x.shape[3]))
    grouped = kernels.reshape(groups, -1, kernels.shape[1], window.area)
    total = np.zeros((len(x), groups, grouped.shape[1], rows * columns))
    for place, patch in enumerate(window.patches(x)):
        sources = patch.reshape(len(x), groups, kernels.shape[1], rows * columns)
        total += grouped[:, :, :, place] @ sources
    return total.reshape(len(x), len(kernels), rows, columns)


def _constant(value: Current, kernels: Floats, window: Window, groups: int) -> Floats:
    if not value.bias.any():
        return np.zeros(len(kernels))
    if value.bias.ndim == 1 and window.padding == (0, 0):
        grouped = kernels.sum(axis=(2, 3)).reshape(groups, -1, kernels.shape[1])
        return (grouped @ value.bias.reshape(groups, -1, 1)).ravel()
    return correlated(value.offsets[None], kernels, window, groups)[0]


def _merged(name: str, branch: Branch, kernels: Floats, window: Window, groups: int) -> Branch:
    """Return one convolution that does what a branch and then a convolution do."""
    common = math.gcd(groups, branch.groups)
    outer = _regrouped(name, kernels, groups, common)
    inner = _regrouped(name, cast("Floats", branch.weights), branch.groups, common)
    (down, right), (row, column) = branch.stride, window.dilation
    apart, near = (down * row, right * column), branch.dilation
    dilation = (1, 1)
    # Where one of the two has a single element, those of the other stay as far apart as they are.
    if outer.shape[2:] == (1, 1):
        apart, near, dilation = (1, 1), (1, 1), near
    elif inner.shape[2:] == (1, 1):
        apart, near, dilation = (1, 1), (1, 1), apart
    (top, left), (more, further) = branch.padding, window.padding
    return replace(
        branch,
        name=f"{branch.name}.{name}",
        weights=_composed(name, outer, inner, apart, near, common),
        stride=(down * window.stride[0], right * window.stride[1]),
        padding=(top + down * more, left + right * further),
        dilation=dilation,
        groups=common,
    )


def _regrouped(name: str, kernels: Floats, groups: int, fewer: int) -> Floats:
    """Return kernels as those of fewer groups, zero outside their own."""
    if groups == fewer:
        return kernels
    ratio = groups // fewer
    check_size(name, kernels.size, ratio)
    parts = kernels.reshape(fewer, ratio, len(kernels) // groups, *kernels.shape[1:])
    whole = np.zeros((*parts.shape[:3], ratio, *parts.shape[3:]))
    for place in range(ratio):
        whole[:, place, :, place] = parts[:, place]
    return whole.reshape(len(kernels), ratio * kernels.shape[1], *kernels.shape[2:])


def _composed(name: str, outer: Floats, inner: Floats, apart: Pair, dilation: Pair, groups: int) -> Floats:
    reach = [
        a * (j - 1) + d * (k - 1) + 1
        for a, j, d, k in zip(apart, outer.shape[2:], dilation, inner.shape[2:], strict=True)
    ]
    check_size(name, outer.shape[0], inner.shape[1], *reach)
    after = outer.reshape(groups, -1, *outer.shape[1:])
    before = inner.reshape(groups, -1, *inner.shape[1:])
    weights = np.zeros((groups, after.shape[1], inner.shape[1], *reach))
    for j in np.ndindex(outer.shape[2:]):
        for k in np.ndindex(inner.shape[2:]):
            row, column = (a * m + d * n for a, m, d, n in zip(apart, j, dilation, k, strict=True))
            weights[..., row, column] += after[..., j[0], j[1]] @ before[..., k[0], k[1]]
    return weights.reshape(outer.shape[0], inner.shape[1], *reach)
