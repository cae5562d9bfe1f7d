"""How far the membrane potentials of two executions differ."""

import math
from fractions import Fraction
from typing import Any, Final, final

import numpy as np

from toolchain.arrays import Floats
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

    Every sample has sums of its own, taken in the order of steps and neurons. Those of all samples are added
    exactly, and only the result is rounded, so it does not depend on how samples are divided into parts.

    Args:
        thresholds: Threshold of every neuron, in the units of the potentials; infinite if it never fires.
    """

    def __init__(self, thresholds: Floats) -> None:
        self._thresholds = np.ascontiguousarray(thresholds, np.float64).ravel()
        self._entries = 0
        self._centre: float | None = None
        self._sums = tuple(ExactSum() for _ in range(_SUMS))

    def add(self, expected: Floats, got: Floats) -> None:
        """Add potentials `[batch, time, *features]` of both executions, in the same units."""
        first, other = (np.ascontiguousarray(flattened(each), np.float64) for each in (expected, got))
        if self._centre is None:
            # Any number near the mean will do; this one depends on the first sample only.
            self._centre = float(first[0].mean())
        rows: Any = _sum_potentials(first, other, self._thresholds, self._centre)
        for total, each in zip(self._sums, rows.T, strict=True):
            total.add(each.tolist())
        self._entries += first.size

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


@njit(cache=True, error_model="numpy")
def _sum_potentials(expected: Any, got: Any, thresholds: Any, centre: float) -> Any:  # noqa: ANN401 - Numba's arrays
    """Return four sums per sample.

    Squared differences in thresholds; squared differences where there is no threshold; deviations of the
    first execution from `centre`; their squares.
    """
    sums = np.zeros((expected.shape[0], _SUMS))
    for sample in range(expected.shape[0]):
        for t in range(expected.shape[1]):
            for neuron in range(expected.shape[2]):
                value, unit = expected[sample, t, neuron], thresholds[neuron]
                difference = value - got[sample, t, neuron]
                if unit == np.inf:
                    sums[sample, 1] += difference * difference
                else:
                    scaled = difference / unit
                    sums[sample, 0] += scaled * scaled
                deviation = value - centre
                sums[sample, 2] += deviation
                sums[sample, 3] += deviation * deviation
    return sums
