"""Where a window stands on an image, with padding that may differ before and behind."""

from dataclasses import dataclass
from typing import final

from toolchain.arrays import Pair


@final
@dataclass(frozen=True)
class WindowPlacement:
    """Where a window stands on an image, rows first.

    Attributes:
        kernel: Extents of the window.
        stride: Distance between positions.
        dilation: Distance between elements of the window.
        pads: Padding before and behind, per axis.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: tuple[Pair, Pair]

    @property
    def spans(self) -> Pair:
        """How far the window reaches."""
        (h, w), (row, column) = self.kernel, self.dilation
        return row * (h - 1) + 1, column * (w - 1) + 1

    @property
    def symmetric(self) -> bool:
        """Whether as much is padded before as behind."""
        return all(begin == end for begin, end in self.pads)

    @property
    def padded(self) -> bool:
        """Whether anything is padded."""
        return any(begin or end for begin, end in self.pads)
