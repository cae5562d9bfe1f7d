r"""Functions beyond ReLU that layers of ReLU compute exactly: all that consist of straight lines.

.. math::
    \min(\max(x, a), b) = a + r(x - a) - r(x - b), \qquad \max(x, y) = y + r(x - y), \qquad
    x = r(x) - r(-x)

with `r` the positive part: clipping, leaky and parametric ReLU, the absolute value, the larger of two, and so
the largest of a window.
"""

from dataclasses import dataclass, field, replace
from typing import Final, cast, final

import numpy as np

from toolchain.arrays import Floats
from toolchain.ir import Window
from toolchain.ir.convolved_currents import convolved, correlated, may_pad
from toolchain.ir.currents import Current, Sent
from toolchain.rate_coding.activation_network import INPUT, Rectified, WindowSum
from toolchain.rate_coding.symbolic_tensors import (
    SymbolicTensor,
    added,
    affine,
    feature_maps,
    flattened,
    scaled,
    sent_value,
    whole,
)
from toolchain.rate_coding.window_placement import WindowPlacement

_ONE: Final = np.ones(1)


@final
@dataclass
class RectifiedLayers:
    """Collects the steps of a network.

    Attributes:
        steps: Layers and sums in the order in which they run.
        notes: Sentences for the user on what was rewritten.
    """

    steps: list[Rectified | WindowSum] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _taken: set[str] = field(default_factory=lambda: {INPUT, "readout", "output"})

    def name(self, wanted: str) -> str:
        """Return a name that no step has, as a name may be written in a graph."""
        base = graph_name(wanted)
        name, number = base, 2
        while name in self._taken:
            name, number = f"{base}.{number}", number + 1
        self._taken.add(name)
        return name

    def positive(self, name: str, value: SymbolicTensor) -> SymbolicTensor:
        """Return the positive part of a tensor: a layer."""
        if value.nonnegative:
            return value
        current, elements = value.current, value.elements
        if not _covers(value):
            maps = feature_maps(name, value)
            current = flattened(name, value) if maps is None else maps
            elements = np.arange(elements.size).reshape(elements.shape)
        step = Rectified(self.name(name), current)
        self.steps.append(step)
        sent = sent_value(Sent(step.name, step.shape, spikes=True), step.shape)
        return SymbolicTensor(sent.current, elements, nonnegative=True)

    def clipped(self, name: str, value: SymbolicTensor, low: float, high: float) -> SymbolicTensor:
        """Return a tensor cut below and above, either of which may be infinite."""
        cut = value
        if np.isfinite(low) and not (low <= 0 and value.nonnegative):
            cut = shifted(name, self.positive(name, shifted(name, value, -low)), low)
        if np.isfinite(high):
            above = self.positive(f"{name}.above", shifted(name, value, -high))
            cut = added(name, cut, scaled(name, above, -_ONE))
        # A sum that is cut from below by a layer cannot be negative, although its parts are.
        return replace(cut, nonnegative=(value.nonnegative or low >= 0) and high >= 0)

    def leaky(self, name: str, value: SymbolicTensor, slope: Floats) -> SymbolicTensor:
        """Return a tensor whose negative elements are multiplied by a slope."""
        if value.nonnegative:
            return value
        below = self.positive(f"{name}.negative", scaled(name, value, -_ONE))
        result = added(name, self.positive(name, value), scaled(name, below, -slope))
        return replace(result, nonnegative=bool((slope <= 0).all()))

    def halves(self, name: str, value: SymbolicTensor) -> SymbolicTensor:
        """Return a tensor as outputs of layers: its positive part minus its negative part, if any."""
        if value.nonnegative:
            return self.positive(name, replace(value, nonnegative=False))
        self.notes.append(
            f"'{name}' pads what may be negative: what it reads comes from two layers, the positive and the "
            "negative part"
        )
        return self.leaky(f"{name}.input", value, _ONE)

    def maximum(self, name: str, first: SymbolicTensor, second: SymbolicTensor) -> SymbolicTensor:
        """Return the larger of two tensors."""
        apart = added(name, first, scaled(name, second, -_ONE))
        larger = added(name, self.positive(name, apart), second)
        return replace(larger, nonnegative=first.nonnegative or second.nonnegative)

    def max_pool(
        self, name: str, value: SymbolicTensor, maps: Current, placement: WindowPlacement
    ) -> SymbolicTensor:
        """Return the largest of each window, two by two, columns before rows.

        Args:
            name: Name of the operator.
            value: Tensor that it reads; padded only if it cannot be negative.
            maps: The same tensor as feature maps.
            placement: Placement of the window.
        """
        pooled = replace(whole(maps, (1, *maps.shape)), nonnegative=value.nonnegative)
        for axis in (1, 0):
            pooled = self._largest(name, pooled, axis, placement)
        return pooled

    def _largest(
        self, name: str, value: SymbolicTensor, axis: int, placement: WindowPlacement
    ) -> SymbolicTensor:
        kernel, stride = placement.kernel[axis], placement.stride[axis]
        begin, end = placement.pads[axis]
        if kernel == 1 and stride == 1 and not (begin or end):
            return value
        padding = [0, 0]
        padding[axis] = max(begin, end)
        if not may_pad(value.current, (padding[0], padding[1])):
            value = self.halves(name, value)
        first, behind = padding[axis] - begin, padding[axis] - end
        reach = first + placement.spans[axis] + behind
        parts: list[SymbolicTensor] = []
        for place in range(kernel):
            kernels = np.zeros((value.current.shape[0], 1, reach))
            kernels[:, :, first + place * placement.dilation[axis]] = 1
            maps = convolved(
                name,
                value.current,
                np.expand_dims(kernels, 3 - axis),
                stride=(stride, 1) if axis == 0 else (1, stride),
                padding=(padding[0], padding[1]),
                groups=len(kernels),
            )
            parts.append(whole(maps, (1, *maps.shape), nonnegative=value.nonnegative))
        while len(parts) > 1:
            pairs = [self.maximum(name, *pair) for pair in zip(parts[::2], parts[1::2], strict=False)]
            parts = pairs + parts[2 * len(pairs) :]
        return parts[0]

    def window_sum(self, name: str, current: Current, window: Window, factor: Floats) -> Current | None:
        """Return sums over windows times a factor per position, taken from sums of each source.

        Returns:
            The current, or None if its branches read more than one element each.
        """
        single = all(
            cast("Floats", branch.weights).shape[2:] == (1, 1)
            and branch.stride == (1, 1)
            and branch.padding == (0, 0)
            for branch in current.branches
        )
        if not single or window.dilation != (1, 1):
            return None
        sums: dict[str, WindowSum] = {}
        branches = []
        for branch in current.branches:
            source = branch.source
            if source.node not in sums:
                sums[source.node] = WindowSum(self.name(name), source, window)
                self.steps.append(sums[source.node])
            step = sums[source.node]
            factors = source.channels(name)[:, None, None] * factor
            sent = Sent(step.name, step.shape, spikes=False, factor=factors)
            branches.append(replace(branch, source=sent, dilation=(1, 1)))
        ones = np.ones((1, 1, *window.kernel))
        padded = current.offsets[:, None]
        bias = correlated(padded, ones, window, 1)[:, 0] * factor
        return Current(tuple(branches), bias, bias.shape)


def graph_name(text: str) -> str:
    """Return a text as a name may be written in a graph."""
    letters = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_.-") else "_" for letter in text
    )
    return letters.lstrip(".-")[:80] or "node"


def _covers(value: SymbolicTensor) -> bool:
    """Return whether a tensor has every element of its current once."""
    numbers = value.elements.ravel()
    size = int(np.prod(value.current.shape))
    return len(numbers) == size and len(np.unique(numbers)) == size


def shifted(name: str, value: SymbolicTensor, offset: float) -> SymbolicTensor:
    """Return a tensor plus a number."""
    return value if offset == 0 else affine(name, value, _ONE, np.array([offset]))
