"""Distances between spike trains that forgive a spike that comes a little late."""

from typing import Any, Final, final

import numpy as np

from toolchain.compiled import njit
from toolchain.fidelity.exact_sum import ExactSum, rounded
from toolchain.fidelity.metrics import Spikes, TrainCounts, as_bytes

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

    def add(self, expected: Spikes, got: Spikes, trains: TrainCounts) -> None:
        """Add spikes `[batch, time, *features]` of both executions, and what was counted of them."""
        differ = trains.different > 0
        sums: Any = _sum_distances(as_bytes(expected), as_bytes(got), differ, self._tau, self._cost)
        for total, each in zip(self._totals, sums, strict=True):
            total.add(each.tolist())
        self._trains += int(np.count_nonzero(trains.expected + trains.got))

    def include(self, other: "SpikeDistances") -> None:
        """Add all that was added to other ones, of the same kernel and cost."""
        for total, each in zip(self._totals, other._totals, strict=True):
            total.include(each)
        self._trains += other._trains

    @property
    def van_rossum(self) -> float:
        r"""The mean van Rossum distance (van Rossum 2001).

        .. math:: D^2 = \frac{2}{\tau} \sum_t (f_t - g_t)^2, \qquad f_t = e^{-1/\tau} f_{t-1} + s_t

        up to the end of the sample: one additional spike long before it makes D about 1. Several spikes of a
        step count as many times. Over the trains in which either spikes; 0 if none does.
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
    distances.add(expected, got, TrainCounts.of(expected, got))
    return distances.van_rossum


def victor_purpura(expected: Spikes, got: Spikes, cost: float = COST) -> float:
    """Return the mean Victor-Purpura distance of two executions; see `SpikeDistances.victor_purpura`."""
    distances = SpikeDistances(cost=cost)
    distances.add(expected, got, TrainCounts.of(expected, got))
    return distances.victor_purpura


@njit(nogil=True, cache=True)
def _sum_distances(expected: Any, got: Any, differ: Any, tau: float, cost: float) -> Any:  # noqa: ANN401 - Numba's
    """Return per sample the sums of both distances, over the trains that differ."""
    filtered, edited = np.zeros(expected.shape[0]), np.zeros(expected.shape[0])
    for sample in range(expected.shape[0]):
        for neuron in np.flatnonzero(differ[sample]):
            first, other = expected[sample, :, neuron].copy(), got[sample, :, neuron].copy()
            filtered[sample] += _filtered(first, other, tau)
            edited[sample] += _edited(first, other, cost)
    return filtered, edited


@njit(nogil=True, cache=True)
def _filtered(first: Any, other: Any, tau: float) -> float:  # noqa: ANN401
    keep, state, squares = np.exp(-1.0 / tau), 0.0, 0.0
    for t in range(len(first)):
        state = keep * state + int(first[t]) - int(other[t])
        squares += state * state
    return np.sqrt(2.0 * squares / tau)


@njit(nogil=True, cache=True)
def _edited(first: Any, other: Any, cost: float) -> float:  # noqa: ANN401
    """Return the least cost of turning one train into the other.

    Spikes that both have at a step stay: moving and deleting obey the triangle inequality. Of the others, a
    surplus c of the first train is carried on at `cost |c|` a step, until those of the other train meet it or
    it is deleted, one by one, at 1 each. The least cost so far, as a function of c, is convex and made of
    straight pieces of slope -1 to 1: its bends are all that is kept, and how many there are does not depend
    on the number of spikes.
    """
    steps = np.flatnonzero(first != other)
    places, bends = np.zeros(len(steps) + 1), np.zeros(len(steps) + 1)
    # Nothing is carried into the first step; deleting makes that |c|. Left of all bends it is `left - c`.
    bends[0], start, end, left = 2.0, 0, 1, 0.0
    for i in range(len(steps)):
        if i > 0:
            way = cost * (steps[i] - steps[i - 1])
            k = end
            while k > start and places[k - 1] > 0:
                places[k], bends[k] = places[k - 1], bends[k - 1]
                k -= 1
            places[k], bends[k], end = 0.0, 2.0 * way, end + 1
            # Carrying made slopes steeper by `way` on both sides; deleting is cheaper there.
            rest = way
            while bends[start] <= rest:
                left, rest, start = left - bends[start] * places[start], rest - bends[start], start + 1
            left, bends[start], rest = left - rest * places[start], bends[start] - rest, way
            while bends[end - 1] <= rest:
                end, rest = end - 1, rest - bends[end - 1]
            bends[end - 1] -= rest
        surplus = 1.0 * first[steps[i]] - 1.0 * other[steps[i]]
        places[start:end] += surplus
        left += surplus
    # In the end what is left of c is deleted: the value at 0.
    return left + np.sum(bends[start:end] * np.maximum(-places[start:end], 0.0))
