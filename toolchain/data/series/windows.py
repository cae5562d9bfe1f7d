"""Windows of a series, each with the value that follows it."""

import numpy as np

from toolchain.arrays import Floats
from toolchain.errors import SeriesError
from toolchain.intake import count_of, samples_of


def windows_of(series: Floats, length: int, *, increments: bool = True) -> tuple[Floats, Floats]:
    """Return every window of a series and what follows it, to train a network on.

    Args:
        series: `[time, D]`.
        length: Values per window.
        increments: Whether the change from the last value of the window is wanted instead of the value.

    Returns:
        Windows `[n, length, D]` and targets `[n, D]`.

    Raises:
        SeriesError: The series is not longer than a window.
    """
    series = samples_of(series, "series", ("time", "dimensions")).astype(np.float64, copy=False)
    length = count_of(length, "length", least=1)
    if len(series) <= length:
        raise SeriesError("given", f"has {len(series)} values; a window of {length} needs one more at least")
    index = np.arange(len(series) - length)[:, None] + np.arange(length)
    after = series[length:]
    return series[index], after - series[length - 1 : -1] if increments else after
