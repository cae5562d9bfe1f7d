"""Convolutions of integers: as bytes where they fit and are exact, in wide enough floats elsewhere."""

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from targets.emulator.integers.byte_kernels import (
    BYTE_MAX,
    Convolve,
    Geometry,
    as_bytes,
    convolves_exactly,
    pack_convolution,
)
from targets.emulator.integers.loops import add_scaled
from targets.emulator.integers.streams import Streams
from targets.emulator.integers.synapses import FLOAT32_EXACT, exact_type
from toolchain import fixedpoint
from toolchain.ir import FixedConv2d

Array = NDArray[Any]


@final
@dataclass(frozen=True, eq=False)
class ConvolutionLink:
    """A convolution as a population reads it.

    Attributes:
        source: Name of the stream.
        delay: In steps.
        geometry: Of the kernel.
        gain: Factor taken out of the weights, with the exponent.
        weights: What is left of them, in a floating-point type in which every partial sum is exact.
        packed: The same as bytes, or None.
        wraps: Whether a sum can leave 24 bits.
    """

    source: str
    delay: int
    geometry: Geometry
    gain: int
    weights: Tensor = field(repr=False)
    packed: Convolve | None = field(repr=False)
    wraps: bool

    @classmethod
    def of(
        cls, node: FixedConv2d, source: str, wait: int, largest: int, *, counts: bool
    ) -> "ConvolutionLink":
        """Return a convolution that reads a stream `wait` steps late.

        Args:
            node: The convolution.
            source: Name of the stream.
            wait: Its delay.
            largest: Largest message.
            counts: Whether messages are never negative.
        """
        geometry = Geometry(node.stride, node.padding, node.dilation, node.groups)
        reach = int(np.abs(node.weights).sum(axis=(1, 2, 3), dtype=np.int64).max(initial=0)) * largest
        halved = as_bytes(node.weights)
        weights, gain = (node.weights, 1) if halved is None else halved
        fits = halved is not None and counts and largest <= BYTE_MAX and reach < FLOAT32_EXACT
        return cls(
            source,
            wait,
            geometry,
            gain << node.exponent,
            torch.from_numpy(np.array(weights))
            .to(exact_type(node.weights, largest))
            .contiguous(memory_format=torch.channels_last),
            pack_convolution(weights, geometry) if fits else None,
            reach << node.exponent >= fixedpoint.STATE_LIMIT,
        )

    @property
    def latest(self) -> int:
        """The largest delay."""
        return self.delay

    def product(self, streams: Streams, start: int, stop: int) -> Array:
        """Return whole numbers `[steps, batch, size]`, to be multiplied with `gain`.

        One step only if the source sends the same at every step.
        """
        stream = streams[self.source]
        if stream.constant and self.delay == 0:
            stop = start + 1
        images = torch.from_numpy(stream.images(start, stop, self.delay)).permute(0, 3, 1, 2)
        product = self._convolve(images).permute(0, 2, 3, 1)
        return product.numpy().reshape(stop - start, -1, int(np.prod(product.shape[1:])))

    def _convolve(self, images: Tensor) -> Tensor:
        shape, threads = tuple(images.shape), torch.get_num_threads()
        if self.packed is not None and convolves_exactly(
            shape, tuple(self.weights.shape), self.geometry, threads
        ):
            return self.packed(images)
        product = self.geometry.convolve(images.to(self.weights.dtype), self.weights)
        # A fused transform may round the last bit of a sum; sums are whole and far below the limit.
        return product.round_().contiguous(memory_format=torch.channels_last)

    def add(self, streams: Streams, start: int, stop: int, out: Array) -> None:
        """Add the currents of some steps of the block to `out`, `[steps, batch, size]`."""
        product = self.product(streams, start, stop)
        gain = self.gain
        if self.wraps or product.dtype == np.float64:
            product = fixedpoint.wrap_sum(product.astype(np.int64) * gain)
            gain = 1
        if len(product) == len(out):
            add_scaled(product.reshape(-1, out.shape[-1]), gain, out.reshape(-1, out.shape[-1]))
        else:
            for step in out:
                add_scaled(product[0], gain, step)
