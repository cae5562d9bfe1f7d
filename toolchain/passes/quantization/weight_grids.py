"""Weights that already are whole numbers times a step, as those of a quantized network are."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats

_LARGEST: Final = 127
"""Largest whole number of eight bits with a sign."""
_LEAST: Final = 8
"""Distinct magnitudes that a typical row must have; with fewer, a step may fit them by accident."""
_ROUNDING: Final = 1e-4
"""Largest deviation from a multiple, as a share of the step: more than single precision loses."""


def grid_steps(rows: NDArray[Any], values: Floats, size: int) -> Floats | None:
    r"""Return the largest step `g` of every row for which all its weights are `q g`, `|q| <= 127`, `[size]`.

    Infinite for rows without weights.

    Args:
        rows: Target neuron, or output channel, of every weight.
        values: The weights.
        size: Number of rows.

    Returns:
        The steps; None unless every row has one, and a typical row has eight or more distinct magnitudes.
    """
    there = values != 0
    magnitudes, targets = np.abs(values[there]), rows[there]
    # One row tells of most networks that they are not quantized.
    if not magnitudes.size or _step(np.unique(magnitudes[targets == targets[0]])) == 0:
        return None
    order = np.lexsort((magnitudes, targets))
    magnitudes, targets = magnitudes[order], targets[order]
    ends = np.searchsorted(targets, np.arange(size + 1))
    steps, different = np.full(size, np.inf), np.zeros(size, int)
    for row in range(size):
        levels = np.unique(magnitudes[ends[row] : ends[row + 1]])
        if not levels.size:
            continue
        steps[row], different[row] = _step(levels), levels.size
        if steps[row] == 0:
            return None
    typical = different[different > 0]
    return steps if typical.size and np.median(typical) >= _LEAST else None


def _step(magnitudes: Floats) -> float:
    """Return the largest step of which all magnitudes are multiples; 0 if there is none."""
    largest = float(magnitudes[-1])
    for whole in range(1, _LARGEST + 1):
        counts = magnitudes * (whole / largest)
        if (np.abs(counts - np.rint(counts)) <= _ROUNDING).all():
            # Counts of 0 would be weights far smaller than the step.
            return largest / whole if counts[0] > 0.5 else 0.0
    return 0.0
