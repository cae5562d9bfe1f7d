"""Convolutions of integers through oneDNN: int8 where weights and messages fit, floating point otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from targets.emulator.integers.loops import add_scaled
from targets.emulator.integers.streams import Streams
from targets.emulator.integers.synapses import BYTE_MAX, as_bytes, exact_type
from toolchain import fixedpoint
from toolchain.ir import FixedConv2d

Array = NDArray[Any]
Convolve = Callable[[Tensor], Tensor]
_TRIAL_ROOM: Final = 3


@final
@dataclass(frozen=True)
class ConvolutionLink:
    """A convolution as a population reads it.

    Attributes:
        source: Name of the stream.
        delay: In steps.
        convolve: From uint8 or int32 images `[N, C, H, W]`, channels last, to whole numbers.
        gain: Factor taken out of the weights, with the exponent.
        wraps: Whether a sum can leave 24 bits.
    """

    source: str
    delay: int
    convolve: Convolve = field(repr=False)
    gain: int
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
        reach = int(np.abs(node.weights).sum(axis=(1, 2, 3), dtype=np.int64).max(initial=0)) * largest
        wraps = reach << node.exponent >= fixedpoint.STATE_LIMIT
        halved = as_bytes(node.weights)
        if halved is not None and counts and largest <= BYTE_MAX and reach < 2**24:
            weights, gain = halved
            convolve = byte_convolution(weights, node)
            if convolve is not None:
                return cls(source, wait, convolve, gain << node.exponent, wraps)
        dtype = exact_type(node.weights, largest)
        return cls(source, wait, _float_convolution(node, dtype), 1 << node.exponent, wraps)

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
        product = self.convolve(images).permute(0, 2, 3, 1)
        return product.numpy().reshape(stop - start, -1, int(np.prod(product.shape[1:])))

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


def byte_convolution(weights: Array, node: FixedConv2d) -> Convolve | None:
    """Return oneDNN's convolution of uint8 images with int8 weights into float32, if it is there and exact.

    The operators are PyTorch's own for quantized models and not documented, so they are tried on the very
    weights of a layer, against double precision, before they are trusted.
    """
    extents = [d * (k - 1) + _TRIAL_ROOM for d, k in zip(node.dilation, weights.shape[2:], strict=True)]
    channels = weights.shape[1] * node.groups
    trial = np.random.default_rng(0).integers(0, 2, (2, channels, *extents)).astype(np.uint8)
    trial[0] = BYTE_MAX if np.abs(weights).max(initial=0) else 1
    trial[0] = 1
    images = torch.from_numpy(trial).contiguous(memory_format=torch.channels_last)
    try:
        convolve = _onednn(torch.from_numpy(np.ascontiguousarray(weights)), node)
        got = convolve(images)
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return None
    geometry = (node.stride, node.padding, node.dilation, node.groups)
    expected = functional.conv2d(images.double(), torch.from_numpy(weights).double(), None, *geometry)
    return convolve if got.dtype is torch.float32 and torch.equal(got.double(), expected) else None


def _onednn(weights: Tensor, node: FixedConv2d) -> Convolve:
    ones, zeros = torch.ones(len(weights)), torch.zeros(len(weights), dtype=torch.int64)
    stride, padding, dilation = list(node.stride), list(node.padding), list(node.dilation)
    operators: Any = torch.ops.onednn
    packed = operators.qconv_prepack(weights, ones, 1.0, 0, stride, padding, dilation, node.groups, None)

    def convolve(x: Tensor) -> Tensor:
        return operators.qconv_pointwise(
            x, 1.0, 0, packed, ones, zeros, None, stride, padding, dilation, node.groups,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip

    return convolve


def _float_convolution(node: FixedConv2d, dtype: torch.dtype) -> Convolve:
    held = torch.from_numpy(np.array(node.weights)).to(dtype).contiguous(memory_format=torch.channels_last)

    def convolve(x: Tensor) -> Tensor:
        y = functional.conv2d(x.to(dtype), held, None, node.stride, node.padding, node.dilation, node.groups)
        # Sums may be rounded in their last bit by fused transforms; they are whole and far below the limit.
        return y.round_().contiguous(memory_format=torch.channels_last)

    return convolve
