"""Rounding the weights of a neuron together, so that their errors cancel on the data."""

from enum import Enum
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.compiled import njit
from toolchain.ir.matrix import rows_of, values_of
from toolchain.passes.quantization.scales import Incoming, whole_thresholds

_DAMPING: Final = 0.03
"""Share of the mean second moment that is added to each: a few hundred samples do not show everything."""
_SWEEPS: Final = 30
_WORK: Final = 4e8
"""Most products of weights and sources in the search for a scale."""
_FEWEST, _MOST = 1, 33
"""Least and largest number of scales that are tried."""


class Rounding(Enum):
    """How weights become integers."""

    NEAREST = "nearest"
    """Each weight by itself, to the nearest integer."""
    JOINT = "joint"
    """The weights of a neuron together, so that their errors cancel on the calibration samples; each to the
    nearest where there are none."""

    @classmethod
    def _missing_(cls, value: object) -> "Rounding | None":
        # Older builds call joint rounding `calibrated`.
        return cls.JOINT if value == "calibrated" else None


def round_together(
    incoming: list[Incoming], exponents: list[int], scale: Floats, moments: Floats
) -> tuple[list[NDArray[np.int32]], Floats]:
    r"""Return the integers of every connection, rounded for the least error of the potential.

    Starting at the nearest integers, one weight after another moves by one step as long as that lowers

    .. math:: \delta^\top H \delta, \qquad \delta_j = 2^{e} W_j / S - w_j

    where H are the second moments of what the neuron reads. Rounding each weight to the nearest
    minimises the errors one by one; here they cancel where sources are active together. The objective is
    that of AdaRound and GPTQ for other networks (Nagel et al. 2020, Frantar et al. 2022); coordinate
    descent, and messages filtered by the neuron's own leak, are ours. Every weight becomes one of its two
    neighbours on the grid, never anything further; synapses that weigh zero stay.

    Args:
        incoming: Connections into the population.
        exponents: Exponent of each connection.
        scale: Scale of each neuron or channel, `[N]`.
        moments: Second moments H, `[C, C]`, over the sources of all connections; see `observe_drive`.

    Returns:
        The integers of each connection, in the order of `values_of`, and the objective that is left for
        each neuron.
    """
    rows = np.concatenate([rows_of(item.weights) for item in incoming])
    columns = _columns(incoming)
    pairs = list(zip(incoming, exponents, strict=True))
    real = np.concatenate([values_of(item.weights) for item in incoming])
    step = np.concatenate([item.step * 2.0**e / scale[rows_of(item.weights)] for item, e in pairs])
    limits = [_each(item, item.lowest // item.step, item.highest // item.step) for item in incoming]
    low, high = (np.concatenate(each) for each in zip(*limits, strict=True))
    damped = _damped(moments)
    units = np.clip(np.rint(real / step), low, high)
    low, high = np.maximum(low, np.floor(real / step)), np.minimum(high, np.ceil(real / step))
    # The slope of the objective at the start, of all rows in one product.
    wrong = np.zeros((scale.size, len(moments)))
    wrong[rows, columns] = units * step - real
    slope = (wrong @ damped)[rows, columns]
    order = np.argsort(rows, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=scale.size))])
    arranged = (part[order] for part in (columns, slope, real, step, low, high))
    moved = np.empty_like(units)
    moved[order], left = _descend(damped, ends, units[order], *arranged)
    edges = np.cumsum([0, *(values_of(item.weights).size for item in incoming)]).tolist()
    integers = [
        (moved[start:end] * item.step).astype(np.int32)
        for item, (start, end) in zip(incoming, pairwise(edges), strict=True)
    ]
    return integers, left


def remaining_error(
    incoming: list[Incoming],
    exponents: list[int],
    scale: Floats,
    moments: Floats,
    integers: list[NDArray[np.int32]],
) -> Floats:
    """Return the objective of `round_together` that some integers leave for each neuron.

    Args:
        incoming: As for `round_together`.
        exponents: As for `round_together`.
        scale: As for `round_together`.
        moments: As for `round_together`.
        integers: Integers of every connection, as it returns them.
    """
    rows = np.concatenate([rows_of(item.weights) for item in incoming])
    wrong = np.zeros((scale.size, len(moments)))
    wrong[rows, _columns(incoming)] = np.concatenate(
        [
            whole * 2.0**exponent / scale[rows_of(item.weights)] - values_of(item.weights).ravel()
            for item, exponent, whole in zip(incoming, exponents, integers, strict=True)
        ]
    )
    return (wrong @ _damped(moments) * wrong).sum(axis=1)


def search_together(
    incoming: list[Incoming], exponents: list[int], ceiling: Floats, threshold: Floats, moments: Floats
) -> Floats:
    """Return the scale of each neuron, at least half its ceiling, at which joint rounding errs least.

    Args:
        incoming: Connections into the population.
        exponents: Exponent of each connection.
        ceiling: Largest allowed scale, `[N]`.
        threshold: Thresholds `[N]`.
        moments: Second moments of what the population reads; see `round_together`.
    """
    weights = sum(values_of(item.weights).size for item in incoming)
    trials = int(np.clip(_WORK / max(weights * len(moments), 1), _FEWEST, _MOST))
    best, least = ceiling, np.full(ceiling.shape, np.inf)
    for share in np.linspace(1.0, 0.5, trials):
        scale = whole_thresholds(ceiling * share, threshold)
        left = round_together(incoming, exponents, scale, moments)[1]
        best, least = np.where(left < least, scale, best), np.minimum(left, least)
    return best


def _damped(moments: Floats) -> Floats:
    damped = moments.copy()
    damped[np.diag_indices_from(damped)] += _DAMPING * np.diag(moments).mean() + np.finfo(np.float64).tiny
    return damped


def _columns(incoming: list[Incoming]) -> NDArray[np.int64]:
    """Return the source of every weight among the sources of all connections."""
    widths = [item.sources for item in incoming]
    starts = np.cumsum([0, *widths[:-1]])
    return np.concatenate([item.columns() + start for item, start in zip(incoming, starts, strict=True)])


def _each(item: Incoming, *values: int) -> tuple[Floats, ...]:
    size = values_of(item.weights).size
    return tuple(np.full(size, float(value)) for value in values)


@njit(cache=True)
def _descend(moments: Any, ends: Any, units: Any, columns: Any, *row: Any) -> Any:  # noqa: ANN401 - Numba's arrays
    """Return the units after coordinate descent, row by row; a row is `ends[i] .. ends[i + 1]`."""
    slope, real, step, low, high = row
    left = np.zeros(len(ends) - 1)
    for i in range(len(ends) - 1):
        part = slice(ends[i], ends[i + 1])
        wanted, limits = (real[part], step[part]), (low[part], high[part])
        left[i] = _descend_row(moments, columns[part], (units[part], slope[part]), wanted, limits)
    return units, left


@njit(cache=True)
def _descend_row(moments: Any, columns: Any, state: Any, wanted: Any, limits: Any) -> Any:  # noqa: ANN401
    (units, slope), (real, step), (low, high) = state, wanted, limits
    whole = len(columns) == len(moments)
    for _ in range(_SWEEPS):
        settled = True
        for j in range(len(units)):
            # A step h against the slope g changes the objective by h^2 H_jj - 2 h |g|.
            direction = -1.0 if slope[j] > 0.0 else 1.0
            target, cost = units[j] + direction, step[j] * moments[columns[j], columns[j]]
            outside = target < low[j] or target > high[j]
            if outside or real[j] == 0.0 or 2.0 * abs(slope[j]) <= cost * (1.0 + 1e-9):
                continue
            units[j] = target
            if whole:
                slope += direction * step[j] * moments[j]
            else:
                for k in range(len(units)):
                    slope[k] += direction * step[j] * moments[columns[j], columns[k]]
            settled = False
        if settled:
            break
    return np.sum(slope * (units * step - real))
