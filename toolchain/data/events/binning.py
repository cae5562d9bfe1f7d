"""Events of a sensor, and the frames they are binned into."""

import math
from enum import Enum
from math import prod
from typing import Any, Final, assert_never

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import ArgumentError, UsageError
from toolchain.intake import check_finite, choice_of, count_of
from toolchain.memory import budget

Events = NDArray[Any]
"""Structured array with the fields `t`, `x`, `p`, and `y` where the sensor has rows."""
_MOST: Final = np.iinfo(np.uint16).max
"""Events of a pixel in one frame."""


class Slicing(Enum):
    """Where one frame ends and the next begins."""

    TIME = "time"
    """Frames of equal duration."""
    COUNT = "count"
    """Frames of equally many events."""


def bin_events(
    events: Events,
    shape: tuple[int, int, int],
    count: int,
    *,
    slicing: Slicing = Slicing.TIME,
    binary: bool = True,
) -> NDArray[Any]:
    """Return the events of a recording in frames.

    Frames of equal duration divide the time from the first event to the last; frames of equal count
    hold `n // count` events, the last one the rest too.

    Args:
        events: Structured array with `t`, `x`, `p` and, for more than one row, `y`.
        shape: Shape `(C, H, W)`: polarities, rows, columns.
        count: Number of frames.
        slicing: Where a frame ends: after equal times or after equal numbers of events.
        binary: Whether a pixel says that anything happened (bool) instead of how often (uint16).

    Returns:
        `[count, C, H, W]`.

    Raises:
        UsageError: `count` is not positive or too large for the memory, an event lies outside the sensor or
            has no finite time, or a pixel has more events in a frame than uint16 counts.
    """
    count, slicing = count_of(count, "count", least=1), choice_of(slicing, "slicing", Slicing)
    events = _checked(events, shape)
    excess = budget().excess(2 * count * prod(shape) * np.dtype(np.uint32).itemsize)
    if excess:
        raise ArgumentError("count", "frames that fit into the memory", f"{count}", f"one recording {excess}")
    channels, height, width = shape
    counts = np.zeros(count * prod(shape), np.uint32)
    if len(events):
        events = events[np.argsort(events["t"], kind="stable")]
        place = _frame_of(events["t"], count, slicing)
        # A sensor of one row or one polarity has only the first.
        for name, extent in (("p", channels), ("y", height), ("x", width)):
            place = place * extent + (events[name].astype(np.int64) if extent > 1 else 0)
        np.add.at(counts, place, 1)
    frames = counts.reshape(count, *shape)
    if binary:
        return frames > 0
    if frames.max() > _MOST:
        raise UsageError(
            f"a pixel has {frames.max()} events in one frame, more than {_MOST}: take more frames"
        )
    return frames.astype(np.uint16)


def first_outside(values: NDArray[Any], most: int, *, whole: bool = True) -> int | None:
    """Return the place of the first value outside of `0 .. most`, or of the first fraction if `whole`.

    >>> first_outside(np.array([0, 4, 5]), 4), first_outside(np.array([0.0, 0.5]), 4)
    (2, 1)
    """
    if values.dtype.kind not in "biuf":
        return 0 if values.size else None
    numbers = values.astype(np.float64) if values.dtype.kind == "f" else values
    # Nothing is below or above NaN.
    inside = (numbers >= 0) & (numbers <= most)
    if whole and numbers.dtype.kind == "f":
        inside &= numbers == np.trunc(numbers)
    return None if inside.all() else int(np.argmin(inside))


def _checked(events: Events, shape: tuple[int, int, int]) -> Events:
    """Return events once their fields are known to be finite numbers within the sensor."""
    events = np.asarray(events)
    fields = events.dtype.names or ()
    extents = {name: extent for name, extent in zip("pyx", shape, strict=True) if extent > 1 or name != "y"}
    if not {"t", *extents} <= set(fields) or events.ndim != 1:
        wanted = ", ".join(name for name in "txpy" if name == "t" or name in extents)
        raise ArgumentError("events", f"a structured array with {wanted}", f"fields {list(fields)}")
    if events["t"].dtype.kind not in "iuf":
        raise ArgumentError("events", "times that are numbers", f"{events['t'].dtype}")
    check_finite(events["t"], "events['t']")
    for name, extent in extents.items():
        wrong = first_outside(events[name], extent - 1) if extent > 1 else None
        if wrong is not None:
            raise UsageError(f"an event has {name} = {events[name][wrong]}, but the sensor has {extent}")
    return events


def _frame_of(times: NDArray[Any], count: int, slicing: Slicing) -> NDArray[np.int64]:
    match slicing:
        case Slicing.TIME:
            passed = times.astype(np.float64) - float(times[0])
            span = max(float(passed[-1]), math.ulp(0.0))
            return np.minimum((passed / span * count).astype(np.int64), count - 1)
        case Slicing.COUNT:
            share = max(len(times) // count, 1)
            return np.minimum(np.arange(len(times)) // share, count - 1)
        case _:
            assert_never(slicing)
