"""From intensities in 0 .. 1, still or in frames, to what enters a network, `[batch, time, channels]`."""

from enum import Enum
from typing import Any, Final, assert_never

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import ArgumentError
from toolchain.intake import choice_of, count_of, real_of, samples_of
from toolchain.memory import budget

_TAKEN: Final = 24
"""Bytes that a code takes for a channel and step, at most."""

Intensities = NDArray[np.floating[Any]]


class Encoding(Enum):
    """How an intensity becomes a spike train."""

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
        intensities: Values from 0 to 1, `[batch, channels]`, or `[batch, frames, channels]`, whose frames are
            coded one after the other.
        encoding: Name of the code.
        steps: Number of steps `T`.
        rng: Source of random numbers, which only the Poisson code uses.
        max_rate: Spikes per step of an intensity of 1, at most 1 (rate and Poisson codes).

    Returns:
        bool `[batch, T, channels]`, T times the frames if there are any; float64 for the direct code.

    Raises:
        ArgumentError: The intensities are not of that shape, empty, not finite or outside 0 .. 1, or
            their trains do not fit into the memory.
    """
    encoding, steps = choice_of(encoding, "encoding", Encoding), count_of(steps, "steps", least=1)
    max_rate = real_of(max_rate, "max_rate", least=0, most=1)
    given = samples_of(intensities, "intensities", ("batch", "channels"), ("batch", "frames", "channels"))
    if given.min() < 0 or given.max() > 1:
        raise ArgumentError(
            "intensities",
            "values in 0 .. 1",
            f"{given.min():.9g} .. {given.max():.9g}",
            "scale them, such as pixels / 255",
        )
    excess = budget().excess(encoding_bytes(given.size, steps))
    if excess:
        raise ArgumentError("steps", "trains that fit into the memory", f"{steps}", f"the batch {excess}")
    # Numbers that are whole, or of 16 bits, would make steps and rates so.
    wide = given if given.dtype in {np.dtype(np.float32), np.dtype(np.float64)} else given.astype(np.float64)
    frames = [wide] if wide.ndim == 2 else [wide[:, i] for i in range(wide.shape[1])]
    parts = [_encode(frame, encoding, steps, rng, max_rate) for frame in frames]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def encoding_bytes(numbers: int, steps: int) -> int:
    """Return how many bytes encoding takes at most, for so many numbers and steps."""
    return _TAKEN * numbers * steps


def _encode(
    intensities: Intensities, encoding: Encoding, steps: int, rng: np.random.Generator, max_rate: float
) -> NDArray[Any]:
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
