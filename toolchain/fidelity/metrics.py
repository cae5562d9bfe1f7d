"""How far two executions of one network agree, in numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Spikes = NDArray[np.bool_]


def compare_spikes(expected: Spikes, got: Spikes) -> tuple[float, float, float, float]:
    """Return agreement, precision, recall and F1 over all entries.

    >>> compare_spikes(np.array([True, True, False]), np.array([True, False, False]))[1:3]
    (1.0, 0.5)
    """
    both = float(np.count_nonzero(expected & got))
    wanted, found = float(np.count_nonzero(expected)), float(np.count_nonzero(got))
    precision = both / found if found else float(not wanted)
    recall = both / wanted if wanted else float(not found)
    f1 = 2 * both / (wanted + found) if wanted + found else 1.0
    return float(np.mean(expected == got)), precision, recall, f1


def rate_error(expected: Spikes, got: Spikes) -> float:
    """Return the mean |difference of spike counts| over the mean count; 0 if neither spikes."""
    counts, others = expected.sum(axis=1, dtype=np.int64), got.sum(axis=1, dtype=np.int64)
    difference = float(np.abs(counts - others).mean())
    return difference / float(counts.mean()) if counts.any() else difference


def membrane_error(
    expected: NDArray[np.float64], got: NDArray[np.float64], unit: NDArray[np.float64]
) -> float:
    """Return the root mean square difference in units of `unit`, one per neuron."""
    return float(np.sqrt(np.mean(((expected - got) / unit) ** 2)))


def normalised_error(
    expected: NDArray[np.float64], got: NDArray[np.float64], deviation: NDArray[np.float64]
) -> NDArray[np.float64]:
    r"""Return the error of a prediction at every time.

    .. math:: RMSE(t) = \sqrt{\frac{1}{D} \sum_i \left( \frac{\hat u_i(t) - u_i(t)}{\sigma_i} \right)^2}

    (Chakraborty et al. 2024). A prediction that is not finite has an infinite error.

    Args:
        expected: True values `[..., time, D]`.
        got: Predicted values, likewise.
        deviation: Long-term standard deviation per dimension, `[D]`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.sqrt(np.mean(((got - expected) / deviation) ** 2, axis=-1))
    return np.where(np.isnan(error), np.inf, error)


def valid_prediction_time(error: NDArray[np.float64], tolerance: float = 0.1) -> NDArray[np.int64]:
    """Return at how many times the error is below a tolerance, per prediction.

    This is the paper's sum of indicators; an error that dips below again counts again.

    Args:
        error: `[..., time]`.
        tolerance: `epsilon`; 0.1 in the paper.

    >>> valid_prediction_time(np.array([0.01, 0.05, 0.2, 0.09]))
    np.int64(3)
    """
    return np.sum(error < tolerance, axis=-1)


def flattened(values: NDArray[Any]) -> NDArray[Any]:
    """Return a record `[batch, time, *features]` as `[batch, time, N]`."""
    return values.reshape(*values.shape[:2], -1)


def first_difference(expected: NDArray[Any], got: NDArray[Any]) -> tuple[int, int, int] | None:
    """Return sample, step and neuron of the earliest difference (by step, then sample), or None."""
    different = expected != got
    if not different.any():
        return None
    by_step = np.argwhere(np.moveaxis(flattened(different), 1, 0))
    step, sample, neuron = by_step[0]
    return int(sample), int(step), int(neuron)
