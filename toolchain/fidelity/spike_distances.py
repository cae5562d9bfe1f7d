"""Distances between spike trains that forgive a spike that comes a little late."""

from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.compiled import njit
from toolchain.fidelity.exact_sum import ExactSum, rounded

Spikes = NDArray[np.bool_]

TAU: Final = 10.0
"""Time constant of the van Rossum kernel, in steps."""
COST: Final = 0.2
"""Cost of moving a spike by one step; beyond 10 steps it is cheaper to delete it and add another."""


@final
class SpikeDistances:
    """Mean van Rossum and Victor-Purpura distances per neuron and sample, added part by part.

    Every sample has sums of its own, taken in the order of its neurons. Those of all samples are added
    exactly, so the means do not depend on how samples are divided into parts.

    Args:
        tau: Time constant of the van Rossum kernel, in steps.
        cost: Cost of moving a spike by one step.
    """

    def __init__(self, tau: float = TAU, cost: float = COST) -> None:
        self._tau = tau
        self._cost = cost
        self._trains = 0
        self._totals = ExactSum(), ExactSum()

    def add(self, expected: Spikes, got: Spikes) -> None:
        """Add spikes `[batch, time, *features]` of both executions."""
        batch, steps = expected.shape[:2]
        first, other = (np.ascontiguousarray(each.reshape(batch, steps, -1)) for each in (expected, got))
        sums: Any = _sum_distances(first, other, self._tau, self._cost)
        for total, each in zip(self._totals, sums[:2], strict=True):
            total.add(each.tolist())
        self._trains += int(sums[2])

    @property
    def van_rossum(self) -> float:
        r"""The mean van Rossum distance (van Rossum 2001).

        .. math:: D^2 = \frac{2}{\tau} \sum_t (f_t - g_t)^2, \qquad f_t = e^{-1/\tau} f_{t-1} + s_t

        up to the end of the sample: one additional spike long before it makes D about 1. Over the trains in
        which either spikes; 0 if none does.
        """
        return self._mean(0)

    @property
    def victor_purpura(self) -> float:
        """The mean Victor-Purpura distance (Victor & Purpura 1996), over the same trains.

        The least cost of turning one train into the other: 1 for adding or deleting a spike, `cost` for
        moving one by a step.
        """
        return self._mean(1)

    def _mean(self, which: int) -> float:
        return rounded(self._totals[which].exact / self._trains) if self._trains else 0.0


def van_rossum(expected: Spikes, got: Spikes, tau: float = TAU) -> float:
    """Return the mean van Rossum distance of two executions; see `SpikeDistances.van_rossum`."""
    distances = SpikeDistances(tau)
    distances.add(expected, got)
    return distances.van_rossum


def victor_purpura(expected: Spikes, got: Spikes, cost: float = COST) -> float:
    """Return the mean Victor-Purpura distance of two executions; see `SpikeDistances.victor_purpura`."""
    distances = SpikeDistances(cost=cost)
    distances.add(expected, got)
    return distances.victor_purpura


@njit(cache=True)
def _sum_distances(expected: Any, got: Any, tau: float, cost: float) -> Any:  # noqa: ANN401 - Numba's arrays
    """Return per sample the sums of both distances, and the number of trains."""
    filtered, edited = np.zeros(expected.shape[0]), np.zeros(expected.shape[0])
    trains = 0
    for sample in range(expected.shape[0]):
        for neuron in range(expected.shape[2]):
            first, other = expected[sample, :, neuron], got[sample, :, neuron]
            spikes, differ = False, False
            for t in range(len(first)):
                spikes |= first[t] | other[t]
                differ |= first[t] != other[t]
            trains += spikes
            if differ:
                filtered[sample] += _filtered(first, other, tau)
                edited[sample] += _edited(first, other, cost)
    return filtered, edited, trains


@njit(cache=True)
def _filtered(first: Any, other: Any, tau: float) -> float:  # noqa: ANN401
    keep, state, squares = np.exp(-1.0 / tau), 0.0, 0.0
    for t in range(len(first)):
        state = keep * state + int(first[t]) - int(other[t])
        squares += state * state
    return np.sqrt(2.0 * squares / tau)


@njit(cache=True)
def _edited(first: Any, other: Any, cost: float) -> float:  # noqa: ANN401
    a, b = np.flatnonzero(first), np.flatnonzero(other)
    row = np.arange(len(b) + 1).astype(np.float64)
    for i in range(len(a)):
        corner, row[0] = row[0], float(i + 1)
        for j in range(len(b)):
            moved = corner + cost * abs(a[i] - b[j])
            corner = row[j + 1]
            row[j + 1] = min(row[j + 1] + 1.0, row[j] + 1.0, moved)
    return row[len(b)]
