"""Convolutions: sums over windows of images, those of integers modulo 2^24 as Lava sends them."""

from dataclasses import dataclass, field
from math import prod
from typing import Final, final

import numpy as np

from targets.emulator.compiled.loops import add_scaled
from targets.emulator.compiled.streams import Streams
from targets.emulator.compiled.weight_blocks import WeightBlocks
from targets.emulator.compiled.workspace import Workspace
from toolchain import fixedpoint, ir
from toolchain.arrays import Array

_MASK: Final = np.int32(2 * fixedpoint.STATE_LIMIT - 1)
_HALF: Final = np.int32(fixedpoint.STATE_LIMIT)


@final
@dataclass(frozen=True, eq=False)
class ConvolutionInput:
    """A convolution to a population.

    Attributes:
        source: Name of the stream that it reads.
        delay: Delay in steps.
        blocks: Its weights.
        size: Rows and columns of the result.
        gain: Factor that was taken out of the weights, times two to the power of the exponent.
        wraps: Whether a sum can leave 24 bits.
    """

    source: str
    delay: int
    blocks: WeightBlocks = field(repr=False)
    size: tuple[int, int]
    gain: int
    wraps: bool

    @classmethod
    def of(
        cls,
        node: ir.Conv2d | ir.FixedConv2d,
        source: str,
        shape: tuple[int, ...],
        wait: int,
        largest: int,
        *,
        counts: bool,
    ) -> "ConvolutionInput":
        """Return a convolution that reads a stream of features `shape`, `wait` steps late.

        Args:
            node: The convolution in the graph.
            source: Name of the stream.
            shape: Channels, rows and columns of the stream.
            wait: Delay in steps.
            largest: Largest magnitude of a message.
            counts: Whether messages are never negative.
        """
        window = (*node.window.kernel, *node.stride, *node.padding, *node.dilation)
        blocks = WeightBlocks.of(node.weights, node.groups, window, largest=largest, counts=counts)
        gain, wraps = 1, False
        if isinstance(node, ir.FixedConv2d):
            reach = int(np.abs(node.weights).sum(axis=(1, 2, 3), dtype=np.int64).max(initial=0)) * largest
            gain, wraps = blocks.gain << node.exponent, reach << node.exponent >= fixedpoint.STATE_LIMIT
        size = node.window.positions((shape[1], shape[2]))
        return cls(source, wait, blocks, size, gain, wraps)

    @property
    def is_product(self) -> bool:
        """Whether its current is one product per block, times a factor."""
        return not self.wraps

    def by_delay(self) -> tuple["ConvolutionInput", ...]:
        """Return a connection for each delay: this one."""
        return (self,)

    @property
    def earliest(self) -> int:
        """The smallest delay."""
        return self.delay

    @property
    def latest(self) -> int:
        """The largest delay."""
        return self.delay

    def product(self, streams: Streams, start: int, stop: int, workspace: Workspace) -> Array:
        """Return sums `[steps, batch, size]`, to be multiplied with `gain`.

        Integers are exact modulo 2^32, and exact if the convolution does not wrap. They are valid until the
        next product. There is only one step if the source sends the same messages at every step.
        """
        stream = streams[self.source]
        if stream.constant and self.delay == 0:
            stop = start + 1
        images = stream.images(start, stop, self.delay)
        product = self.blocks.product(images, self.size, workspace)
        steps = stop - start
        return product.reshape(steps, len(images) // steps, prod(product.shape[1:]))

    def add(self, streams: Streams, start: int, stop: int, out: Array, workspace: Workspace) -> None:
        """Add the currents of some steps of the block to `out`, `[steps, batch, size]`."""
        product = self.product(streams, start, stop, workspace)
        gain = self.gain
        if self.wraps:
            # As in `fixedpoint.wrap_sum`, whose modulus divides 2^32: what 32 bits lost does not matter.
            product = ((product * np.int32(gain) + _HALF) & _MASK) - _HALF
            gain = 1
        if len(product) == len(out):
            add_scaled(product.reshape(-1, out.shape[-1]), gain, out.reshape(-1, out.shape[-1]))
        else:
            for step in out:
                add_scaled(product[0], gain, step)
