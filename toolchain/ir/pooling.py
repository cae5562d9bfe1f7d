"""Poolings, the same in real numbers and in integers: they count or join spikes without weights."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, final

import numpy as np

from toolchain.arrays import Array, Pair
from toolchain.ir.node import Node
from toolchain.ir.types import EdgeKind, ValueType
from toolchain.ir.windows import Window


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool2d(Node, ABC):
    """A window over feature maps, per channel.

    Attributes:
        kernel: Rows and columns of the window.
        stride: Distance from one position to the next.
        padding: Silent elements on both sides; fewer than the window has, so that it covers an element
            everywhere.
    """

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    @property
    def window(self) -> Window:
        """The geometry of the window."""
        return Window(self.kernel, self.stride, self.padding)

    @abstractmethod
    def pool(self, x: Array) -> Array:
        """Return the pooled values of feature maps `[..., C, H, W]`."""

    def pooled(self, operand: ValueType) -> tuple[int, int, int]:
        """Return the shape of the pooled maps, or raise if the window does not fit."""
        shape = self.window.over(self, operand, operand.shape[0])
        if any(pad >= extent for pad, extent in zip(self.padding, self.kernel, strict=True)):
            raise self.fail(
                f"expected a padding smaller than the window of {self.kernel}, got {self.padding}"
            )
        return shape


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SumPool2d(Pool2d):
    r"""Sum over a window. The sum of spikes is a graded message of `0 .. k_h k_w`.

    An average is a sum whose factor `1 / (k_h k_w)` sits in the weights that read it.
    """

    kind: ClassVar[str] = "sum_pool2d"

    def pool(self, x: Array) -> Array:
        """Return the sums, of spikes as int32."""
        return reduce(np.add, self.window.patches(x.astype(np.result_type(x, np.int32), copy=False)))

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return graded feature maps."""
        operand = self.only(operands)
        if operand.kind is EdgeKind.CURRENT:
            raise self.fail("pools spikes or graded values, not currents")
        return ValueType(self.pooled(operand), EdgeKind.GRADED)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool2d(Pool2d):
    """Largest value of a window of spikes: 1 if any of them is (an OR)."""

    kind: ClassVar[str] = "max_pool2d"

    def pool(self, x: Array) -> Array:
        """Return whether any element of each window is a spike."""
        return reduce(np.logical_or, self.window.patches(x.astype(bool, copy=False)))

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return spikes of feature maps."""
        operand = self.only(operands)
        if operand.kind is not EdgeKind.SPIKE:
            raise self.fail(f"takes the maximum of spikes, got {operand}")
        return ValueType(self.pooled(operand), EdgeKind.SPIKE)
