"""Distances between spike trains that forgive a spike that comes a little late."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.compiled import njit

Spikes = NDArray[np.bool_]

TAU: Final = 10.0
"""Time constant of the van Rossum kernel, in steps."""
COST: Final = 0.2
"""Cost of moving a spike by one step; beyond 10 steps it is cheaper to delete it and add another."""


def van_rossum(expected: Spikes, got: Spikes, tau: float = TAU) -> float:
    r"""Return the mean van Rossum distance per neuron and sample (van Rossum 2001).

    .. math:: D^2 = \frac{2}{\tau} \sum_t (f_t - g_t)^2, \qquad f_t = e^{-1/\tau} f_{t-1} + s_t

    up to the end of the sample: one additional spike long before it makes D about 1.

    Args:
        expected: `[batch, time, *features]`.
        got: Likewise.
        tau: In steps.

    Returns:
        Over the trains in which either spikes; 0 if none does.
    """
    total, trains = _over_trains(expected, got, tau, -1.0)
    return total / trains if trains else 0.0


def victor_purpura(expected: Spikes, got: Spikes, cost: float = COST) -> float:
    """Return the mean Victor-Purpura distance per neuron and sample (Victor & Purpura 1996).

    The least cost of turning one train into the other: 1 for adding or deleting a spike, `cost` for moving
    one by a step.

    Args:
        expected: `[batch, time, *features]`.
        got: Likewise.
        cost: Per step.

    Returns:
        Over the trains in which either spikes; 0 if none does.
    """
    total, trains = _over_trains(expected, got, -1.0, cost)
    return total / trains if trains else 0.0


def _over_trains(expected: Spikes, got: Spikes, tau: float, cost: float) -> tuple[float, int]:
    batch, steps = expected.shape[:2]
    first, other = (np.ascontiguousarray(each.reshape(batch, steps, -1)) for each in (expected, got))
    result: Any = _sum_distances(first, other, tau, cost)
    return float(result[0]), int(result[1])


@njit(cache=True)
def _sum_distances(expected: Any, got: Any, tau: float, cost: float) -> Any:  # noqa: ANN401 - Numba's arrays
    """Return the sum of distances and the number of trains; van Rossum's if tau > 0."""
    total, trains = 0.0, 0
    for sample in range(expected.shape[0]):
        for neuron in range(expected.shape[2]):
            first, other = expected[sample, :, neuron], got[sample, :, neuron]
            if not (first.any() or other.any()):
                continue
            trains += 1
            total += _filtered(first, other, tau) if tau > 0 else _edited(first, other, cost)
    return total, trains


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
