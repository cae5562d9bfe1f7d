"""Pooling: the same in real numbers and in integers, since spikes are counted or joined, not weighed."""

from dataclasses import dataclass
from typing import ClassVar, final

from toolchain.ir.node import Node
from toolchain.ir.types import EdgeKind, ValueType
from toolchain.ir.windows import Pair, Window


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SumPool2d(Node):
    r"""Sum over a window, per channel. The sum of spikes is a graded message of `0 .. k_h k_w`.

    An average is a sum whose factor `1 / (k_h k_w)` sits in the weights that read it.

    Attributes:
        kernel: Rows and columns of the window.
        stride: Of its positions.
        padding: Zeros on both sides.
    """

    kind: ClassVar[str] = "sum_pool2d"

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    @property
    def window(self) -> Window:
        """Its geometry."""
        return Window(self.kernel, self.stride, self.padding)

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return graded feature maps."""
        operand = self.only(operands)
        if operand.kind is EdgeKind.CURRENT:
            raise self.fail("pools spikes or graded values, not currents")
        return ValueType(self.window.over(self, operand, operand.shape[0]), EdgeKind.GRADED)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool2d(Node):
    """Largest value of a window of spikes, per channel: 1 if any of them is (an OR).

    Attributes:
        kernel: Rows and columns of the window.
        stride: Of its positions.
        padding: Silent elements on both sides.
    """

    kind: ClassVar[str] = "max_pool2d"

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    @property
    def window(self) -> Window:
        """Its geometry."""
        return Window(self.kernel, self.stride, self.padding)

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return spikes of feature maps."""
        operand = self.only(operands)
        if operand.kind is not EdgeKind.SPIKE:
            raise self.fail(f"takes the maximum of spikes, got {operand}")
        return ValueType(self.window.over(self, operand, operand.shape[0]), EdgeKind.SPIKE)
