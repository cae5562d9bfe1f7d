"""From intensities in 0 .. 1, still or in frames, to what enters a network, `[batch, time, channels]`."""

from enum import Enum
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

Intensities = NDArray[np.floating[Any]]


class Encoding(Enum):
    """How an intensity becomes a train."""

    RATE = "rate"
    POISSON = "poisson"
    LATENCY = "latency"
    DIRECT = "direct"


def encode(
    intensities: Intensities,
    encoding: Encoding,
    steps: int,
    *,
    rng: np.random.Generator,
    max_rate: float = 1.0,
) -> NDArray[Any]:
    """Encode a batch.

    Args:
        intensities: `[batch, channels]`, 0 .. 1; or `[batch, frames, channels]`, whose frames are coded one
            after the other.
        encoding: Which code.
        steps: Length `T`.
        rng: Used by the Poisson code only.
        max_rate: Spikes per step of an intensity of 1, at most 1 (rate and Poisson codes).

    Returns:
        bool `[batch, T, channels]`, T times the frames if there are any; float64 for the direct code.
    """
    if intensities.ndim == 3:
        frames = range(intensities.shape[1])
        parts = [encode(intensities[:, i], encoding, steps, rng=rng, max_rate=max_rate) for i in frames]
        return np.concatenate(parts, axis=1)
    match encoding:
        case Encoding.RATE:
            return rate_code(intensities * max_rate, steps)
        case Encoding.POISSON:
            return (
                rng.random((intensities.shape[0], steps, intensities.shape[1]))
                < (intensities * max_rate)[:, None, :]
            )
        case Encoding.LATENCY:
            return latency_code(intensities, steps)
        case Encoding.DIRECT:
            return np.repeat(intensities[:, None, :], steps, axis=1)
        case _:
            assert_never(encoding)


def rate_code(rates: Intensities, steps: int) -> NDArray[np.bool_]:
    """Return evenly spaced spikes: after `t` steps a channel has fired `round(rate * t)` times.

    >>> rate_code(np.array([[0.5]]), 4)[0, :, 0].tolist()
    [False, True, False, True]
    """
    counts = np.floor(rates[:, None, :] * np.arange(steps + 1)[None, :, None] + 1e-9)
    return np.diff(counts, axis=1) > 0


def latency_code(intensities: Intensities, steps: int) -> NDArray[np.bool_]:
    """Return at most one spike per channel: the brighter, the earlier; 0 never fires.

    >>> latency_code(np.array([[1.0, 0.5, 0.0]]), 5)[0].argmax(axis=0).tolist()
    [0, 2, 0]
    """
    times = np.rint((1 - intensities) * (steps - 1)).astype(np.int64)
    fires = np.arange(steps)[None, :, None] == times[:, None, :]
    return fires & (intensities > 0)[:, None, :]
