"""How far the membrane potentials of two executions differ."""

import math
from fractions import Fraction
from typing import Final, final

import numpy as np

from toolchain.arrays import Array, Floats
from toolchain.compiled import njit
from toolchain.fidelity.exact_sum import ExactSum, rounded
from toolchain.fidelity.metrics import flattened

_SUMS: Final = 4


@final
class MembraneError:
    r"""Root mean square difference of potentials, added part by part.

    .. math:: \sqrt{\frac{1}{n} \sum \left( \frac{v - w}{\theta} \right)^2}

    :math:`\theta` is the threshold of a neuron. One that never fires has none; there it is the standard
    deviation of the first execution's potentials over the whole population.

    Every sample has sums of its own: over the steps of every neuron, and then over the neurons. Those of
    all samples are added exactly, and only the result is rounded, so it does not depend on how samples are
    divided into parts.

    Args:
        thresholds: Threshold of every neuron, in the units of the potentials; infinite if it never fires.
        centre: Number near the mean of the potentials, see `centre_of`; by default that of the first sample
            that is added. Two errors can be added only if they have the same.
    """

    def __init__(self, thresholds: Floats, centre: float | None = None) -> None:
        self._thresholds = np.ascontiguousarray(thresholds, np.float64).ravel()
        self._entries = 0
        self._centre = centre
        self._sums = tuple(ExactSum() for _ in range(_SUMS))

    def add(self, expected: Floats, got: Array, units: Floats | None = None) -> None:
        """Add potentials `[batch, time, *features]` of both executions.

        Args:
            expected: Potentials of the first.
            got: Potentials of the second.
            units: How many units of `got` are one of `expected`, for every neuron; None for one each.
        """
        first, other = (np.ascontiguousarray(flattened(each)) for each in (expected, got))
        unit = np.ones(first.shape[2]) if units is None else np.ascontiguousarray(units, np.float64).ravel()
        squares = _sum_squares(first, other, unit)
        read = np.isinf(self._thresholds)
        parts = [squares[:, ~read] / self._thresholds[~read] ** 2, squares[:, read]]
        if read.any():
            if self._centre is None:
                self._centre = centre_of(first)
            parts += [first - self._centre, np.square(first - self._centre)]
        for total, part in zip(self._sums, parts, strict=False):
            # Sample by sample: the order of a sum over several axes depends on how many samples there are.
            total.add(float(np.ascontiguousarray(each).sum()) for each in part)
        self._entries += first.size

    def include(self, other: "MembraneError") -> None:
        """Add all that was added to another one."""
        if self._entries and other._entries and self._centre != other._centre:
            raise ValueError(f"errors around {self._centre} and {other._centre} cannot be added")
        self._centre = other._centre if self._centre is None else self._centre
        for total, each in zip(self._sums, other._sums, strict=True):
            total.include(each)
        self._entries += other._entries

    @property
    def value(self) -> float:
        """The error over all samples that were added."""
        in_thresholds, others = self._sums[:2]
        if not all(each.finite for each in self._sums):
            return sum(float(each) for each in self._sums)
        total = in_thresholds.exact
        if others.exact:
            variance = self._variance() or 1
            total += others.exact / variance
        return math.sqrt(rounded(total / self._entries))

    def _variance(self) -> Fraction:
        deviations, squares = (each.exact / self._entries for each in self._sums[2:])
        return squares - deviations**2


def centre_of(expected: Floats) -> float:
    """Return the mean of the first sample of potentials `[batch, time, *features]`.

    Any number near the mean of all of them will do; this one does not depend on other samples.
    """
    return float(np.ascontiguousarray(flattened(expected[:1]))[0].mean())


@njit(nogil=True, cache=True, error_model="numpy")
def _sum_squares(expected: Array, got: Array, unit: Floats) -> Array:
    """Return the squared differences of every neuron, summed over the steps of each sample, `[batch, N]`."""
    batch, steps, size = expected.shape
    sums = np.zeros((batch, size))
    for sample in range(batch):
        own = sums[sample]
        for t in range(steps):
            for i in range(size):
                difference = expected[sample, t, i] - got[sample, t, i] / unit[i]
                own[i] += difference * difference
    return sums
