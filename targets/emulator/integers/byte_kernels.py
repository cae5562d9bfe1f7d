"""oneDNN's int8 kernels, as PyTorch carries them, used only where they have proved exact.

The operators are PyTorch's own for quantized models and not documented, and which kernel runs depends on the
shape of the data. Not all are right: with PyTorch 2.13 (oneDNN 3.12) sums are wrong where the result is one
column wide, the horizontal stride is 2 and there are several images. So every shape is tried once on random
bytes against double precision, which other code computes, before it is trusted; where it fails, and where the
operators are missing, the caller takes floating point.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Array = NDArray[Any]
Pair = tuple[int, int]
Convolve = Callable[[Tensor], Tensor]

BYTE_MAX: Final = 127
_FAILURES: Final = (AttributeError, RuntimeError, NotImplementedError, TypeError)
_PRODUCTS: Final[Any] = torch.ops.aten
_CONVOLUTIONS: Final[Any] = torch.ops.onednn


@final
@dataclass(frozen=True)
class Geometry:
    """How a kernel moves over images.

    Attributes:
        stride: Rows, columns.
        padding: Rows, columns.
        dilation: Rows, columns.
        groups: Of channels.
    """

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    def convolve(self, x: Tensor, weights: Tensor) -> Tensor:
        """Convolve in floating point."""
        return functional.conv2d(x, weights, None, self.stride, self.padding, self.dilation, self.groups)


def as_bytes(weights: Array) -> tuple[Array, int] | None:
    """Return weights as int8 and the factor that was taken out (1 or 2), or None if they do not fit.

    Weights of both signs are even, so that half of them lie in -127 .. 127.
    """
    gain = 2 if weights.size and not (weights & 1).any() else 1
    held = weights // gain
    return (held.astype(np.int8), gain) if np.abs(held).max(initial=0) <= BYTE_MAX else None


def multiply_bytes(x: Tensor, matrix: Tensor) -> Tensor:
    """Return the int32 product of int8 matrices."""
    product: Tensor = _PRODUCTS._int_mm(x, matrix)  # noqa: SLF001 - the public way is a quantized module
    return product


@cache
def multiplies_exactly(rows: int, inner: int, columns: int, threads: int) -> bool:
    """Whether products of this shape are exact; tried once per shape and number of threads."""
    del threads  # a kernel may be chosen by it
    rng = np.random.default_rng(0)
    left = torch.from_numpy(rng.integers(0, BYTE_MAX + 1, (rows, inner)).astype(np.int8))
    right = torch.from_numpy(rng.integers(-BYTE_MAX, BYTE_MAX + 1, (inner, columns)).astype(np.int8))
    try:
        product = multiply_bytes(left, right)
    except _FAILURES:
        return False
    return torch.equal(product.double(), left.double() @ right.double())


def pack_convolution(weights: Array, geometry: Geometry) -> Convolve | None:
    """Return oneDNN's convolution of uint8 images, channels last, into whole float32 numbers.

    Args:
        weights: int8 `[out, in / groups, rows, columns]`.
        geometry: Of the kernel.

    Returns:
        None if this PyTorch has no such operator.
    """
    ones, zeros = torch.ones(len(weights)), torch.zeros(len(weights), dtype=torch.int64)
    stride, padding, dilation = list(geometry.stride), list(geometry.padding), list(geometry.dilation)
    held = torch.from_numpy(np.ascontiguousarray(weights))
    try:
        packed = _CONVOLUTIONS.qconv_prepack(
            held, ones, 1.0, 0, stride, padding, dilation, geometry.groups, None
        )
    except _FAILURES:
        return None

    def convolve(x: Tensor) -> Tensor:
        return _CONVOLUTIONS.qconv_pointwise(
            x, 1.0, 0, packed, ones, zeros, None, stride, padding, dilation, geometry.groups,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip

    return convolve


@cache
def convolves_exactly(
    images: tuple[int, ...], weights: tuple[int, ...], geometry: Geometry, threads: int
) -> bool:
    """Whether convolutions of this shape are exact; tried once per shape and number of threads.

    Args:
        images: Shape `[N, C, H, W]`.
        weights: Shape `[out, in / groups, rows, columns]`.
        geometry: Of the kernel.
        threads: That PyTorch uses: a kernel may be chosen by it.
    """
    del threads
    rng = np.random.default_rng(0)
    kernel = rng.integers(-BYTE_MAX, BYTE_MAX + 1, weights).astype(np.int8)
    shown = torch.from_numpy(rng.integers(0, 2, images).astype(np.uint8))
    convolve = pack_convolution(kernel, geometry)
    if convolve is None:
        return False
    try:
        got = convolve(shown.contiguous(memory_format=torch.channels_last))
    except _FAILURES:
        return False
    expected = geometry.convolve(shown.double(), torch.from_numpy(kernel).double())
    return got.dtype is torch.float32 and torch.equal(got.double(), expected)
