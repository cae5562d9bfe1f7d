"""The geometry that convolutions and poolings share: a window that moves over an image."""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Pair
from toolchain.ir.node import Node
from toolchain.ir.types import ValueType

_IMAGE: Final = 3
_LARGEST: Final = 2**31
"""All numbers of a geometry stay below, because libraries count windows in 32 bits."""


@final
@dataclass(frozen=True, slots=True)
class Window:
    """The geometry of a window; each pair is rows and columns, as in the features `C, H, W`.

    Attributes:
        kernel: Number of elements.
        stride: Distance from one position to the next.
        padding: Zeros added on both sides of the image.
        dilation: Distance between the elements.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @property
    def area(self) -> int:
        """Number of elements."""
        return self.kernel[0] * self.kernel[1]

    def positions(self, size: Pair) -> Pair:
        r"""Return how many positions fit an image: `floor((n + 2p - d (k - 1) - 1) / s) + 1`."""
        axes = zip(size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        rows, columns = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)
        return rows, columns

    def patches(self, x: NDArray[Any]) -> list[NDArray[Any]]:
        """Return, for each element of the window, the values that it covers at all positions.

        Args:
            x: Images, `[..., H, W]`.

        Returns:
            An array `[..., rows, columns]` for each element, row by row.
        """
        (top, left), (down, right) = self.padding, self.stride
        around = (*[(0, 0)] * (x.ndim - 2), (top, top), (left, left))
        padded = np.pad(x, around) if top or left else x
        rows, columns = self.positions((x.shape[-2], x.shape[-1]))
        patches: list[NDArray[Any]] = []
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                first, other = i * self.dilation[0], j * self.dilation[1]
                last, end = first + down * (rows - 1) + 1, other + right * (columns - 1) + 1
                patches.append(padded[..., first:last:down, other:end:right])
        return patches

    def over(self, node: Node, operand: ValueType, channels: int) -> tuple[int, int, int]:
        """Return the shape of `channels` feature maps over an operand, or raise if it does not fit."""
        for name in ("kernel", "stride", "padding", "dilation"):
            pair: tuple[int, ...] = getattr(self, name)
            least = 0 if name == "padding" else 1
            if len(pair) != 2 or not all(type(n) is int and n >= least for n in pair):
                raise node.fail(f"expected {name} as two whole numbers of {least} or more, got {pair}")
            if max(pair) >= _LARGEST:
                raise node.fail(f"expected {name} below 2^31, got {pair}")
        if len(operand.shape) != _IMAGE:
            raise node.fail(f"expected an image [C, H, W], got {operand}")
        rows, columns = self.positions((operand.shape[1], operand.shape[2]))
        if rows < 1 or columns < 1:
            raise node.fail(f"an image of {operand} is smaller than its window of {self.kernel}")
        return channels, rows, columns
