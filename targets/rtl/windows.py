"""Convolutions and poolings: kernels once, and lists that say which positions a row and a column reach.

The weight of a kernel's element, and the sum that it is added to, lie at sums of three offsets: of the
channel, of the row and of the column of the pixel that spikes. So strides, paddings and dilations cost the
core no arithmetic but additions.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from targets.rtl.layout import IntVector, MessageSender
from targets.rtl.weights import stored_bytes
from toolchain import ir
from toolchain.ir import Pooling

Offsets = list[list[tuple[int, int]]]
"""For every coordinate, what is added to the places of weight and sum, for each position."""


@final
@dataclass(frozen=True)
class KernelWindow:
    """A convolution or pooling as the core walks it.

    Attributes:
        groups: Groups of weights of one element of a kernel.
        channels: For every channel of the sender, the first weight and the first sum, in groups.
        rows: Offsets of rows.
        columns: Offsets of columns.
        weights: Bytes of all kernels, `[groups, lanes]`; those of a pooling are shared by all poolings.
    """

    groups: int
    channels: IntVector
    rows: Offsets
    columns: Offsets
    weights: NDArray[np.int64]


def pooling_kernels(lanes: int) -> NDArray[np.int64]:
    """Return a weight of 1 in each lane, for all poolings, `[groups, lanes]`."""
    return np.eye(lanes, dtype=np.int64)


def window_of(node: ir.FixedConv2d | Pooling, sender: MessageSender, target_channels: int) -> KernelWindow:
    """Return the window of a convolution or pooling.

    Args:
        node: The node.
        sender: Sender of the feature maps that it reads.
        target_channels: Feature maps that it makes.
    """
    lanes = sender.lanes
    target_groups = -(-target_channels // lanes)
    if isinstance(node, ir.FixedConv2d):
        groups, channels, weights = _kernels(node, lanes, target_groups)
        across = groups
    else:
        every = np.arange(target_channels)
        groups, across = 1, 0
        channels, weights = np.stack([every % lanes, every // lanes], axis=1), pooling_kernels(lanes)
    _, height, width = sender.shape
    positions = node.window.positions((height, width))
    down = across * node.window.kernel[1]
    return KernelWindow(
        groups,
        channels,
        _offsets(node, 0, height, positions[0], (down, positions[1] * target_groups)),
        _offsets(node, 1, width, positions[1], (across, target_groups)),
        weights,
    )


def _kernels(
    node: ir.FixedConv2d, lanes: int, target_groups: int
) -> tuple[int, IntVector, NDArray[np.int64]]:
    """Return the groups of an element of a kernel, the places of all channels, and the weights.

    A kernel begins with the group that holds the first channel it reaches.
    """
    outputs, inputs, height, width = node.weights.shape
    per_group = outputs // node.groups
    reached = np.arange(node.groups) * per_group
    firsts = reached // lanes
    groups = int((-(-(reached + per_group) // lanes) - firsts).max())
    firsts = np.minimum(firsts, target_groups - groups)
    whole = np.zeros((node.groups, inputs, height, width, groups * lanes), np.int64)
    for group, first in enumerate(firsts.tolist()):
        start = group * per_group - first * lanes
        kernels = stored_bytes(node, node.weights[group * per_group : (group + 1) * per_group])
        whole[group, ..., start : start + per_group] = np.moveaxis(kernels, 0, -1)
    size = height * width * groups
    channels = np.arange(node.groups * inputs)
    return groups, np.stack([channels * size, np.repeat(firsts, inputs)], axis=1), whole.reshape(-1, lanes)


def _offsets(
    node: ir.FixedConv2d | Pooling, axis: int, extent: int, positions: int, factors: tuple[int, int]
) -> Offsets:
    window = node.window
    stride, padding, dilation = window.stride[axis], window.padding[axis], window.dilation[axis]
    lists: Offsets = []
    for coordinate in range(extent):
        reached: list[tuple[int, int]] = []
        for k in range(window.kernel[axis]):
            position, rest = divmod(coordinate + padding - k * dilation, stride)
            if not rest and 0 <= position < positions:
                reached.append((k * factors[0], position * factors[1]))
        lists.append(reached)
    return lists
