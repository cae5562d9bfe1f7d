"""Ranges and means of the recorded states of a population: one compiled pass over its record."""

from typing import Any, NamedTuple

import numpy as np

from toolchain.arrays import Array, Floats
from toolchain.compiled import njit

_CHUNK = 512
"""Neurons whose ranges stay in the nearest cache while the steps of a sample pass."""


class StateRanges(NamedTuple):
    """What was observed of every neuron, `[N]`.

    Attributes:
        low: Smallest potential after the reset.
        high: Largest potential, before the reset where a spike takes an amount.
        peak: Largest magnitude of the current.
        v_sum: Sum of the magnitudes of the potential.
        u_sum: Sum of the magnitudes of the current.
    """

    low: Floats
    high: Floats
    peak: Floats
    v_sum: Floats
    u_sum: Floats


class FloorRule(NamedTuple):
    """What decides at which floor a potential may be held; see `calibration.lowest_floor`.

    Attributes:
        threshold: Thresholds, `[N]`.
        keep: Share of a difference that stays, `[N]`.
        most: Most spikes of a neuron in one step.
        forgets: Whether a spike makes differences vanish.
        room: Share of the room below a threshold that may be taken.
    """

    threshold: Floats
    keep: Floats
    most: int
    forgets: bool
    room: float


@njit(nogil=True, cache=True)
def state_ranges(v: Array, u: Array, spikes: Array, amount: Floats) -> StateRanges:
    """Return the ranges and sums of a record.

    Args:
        v: Potentials after the reset, `[batch, steps, N]`.
        u: Currents, likewise.
        spikes: Spikes, or how many of them, likewise.
        amount: What every spike takes from a potential, `[N]`.
    """
    batch, steps, size = v.shape
    low, high, peak = np.full(size, np.inf), np.full(size, -np.inf), np.zeros(size)
    v_sum, u_sum = np.zeros(size), np.zeros(size)
    for sample in range(batch):
        for start in range(0, size, _CHUNK):
            for t in range(steps):
                for i in range(start, min(start + _CHUNK, size)):
                    potential, current = v[sample, t, i], abs(u[sample, t, i])
                    low[i] = min(low[i], potential)
                    high[i] = max(high[i], potential + spikes[sample, t, i] * amount[i])
                    peak[i] = max(peak[i], current)
                    v_sum[i] += abs(potential)
                    u_sum[i] += current
    return StateRanges(low, high, peak, v_sum, u_sum)


@njit(nogil=True, cache=True, error_model="numpy")
def floors(v: Array, spikes: Array, rises: Array, rule: FloorRule) -> Floats:
    """Return the floors of `calibration.lowest_floor`, before they are bounded by the smallest potential.

    Args:
        v: Potentials after the reset, `[batch, steps, N]`.
        spikes: Spikes, or how many of them, likewise.
        rises: What had been added to the thresholds, likewise; no steps if nothing ever is.
        rule: What decides.
    """
    batch, steps, size = v.shape
    threshold, keep, most, forgets, share = rule
    rising = rises.shape[1] > 0
    floor, room = np.zeros(size), np.zeros(size)
    for sample in range(batch):
        for start in range(0, size, _CHUNK):
            stop = min(start + _CHUNK, size)
            room[start:stop] = np.inf
            for t in range(steps - 1, -1, -1):
                for i in range(start, stop):
                    potential, sent = v[sample, t, i], spikes[sample, t, i]
                    level = threshold[i] + rises[sample, t, i] if rising else threshold[i]
                    left = np.inf if sent >= most else level - potential
                    later = room[i] / keep[i] if keep[i] > 0 else np.inf
                    least = min(later, left)
                    floor[i] = min(floor[i], potential + least * share)
                    room[i] = np.inf if forgets and sent > 0 else least
    return floor


def flat(record: Any) -> Array:  # noqa: ANN401 - an array of any numbers
    """Return a record `[batch, steps, *features]` as `[batch, steps, N]`, bool as bytes."""
    values = np.ascontiguousarray(record).reshape(*record.shape[:2], -1)
    return values.view(np.uint8) if values.dtype == np.bool_ else values
