"""Choosing the exponent of every connection and the scale of every neuron."""

import math
from dataclasses import dataclass
from typing import Final, cast, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain import fixedpoint
from toolchain.arrays import Floats
from toolchain.fixedpoint import SignMode
from toolchain.hardware import HardwareProfile
from toolchain.ir import Matrix
from toolchain.ir.matrix import columns_of, rows_of, targets_of, values_of
from toolchain.passes.quantization.weight_grids import grid_steps

_CANDIDATES: Final = np.linspace(1.0, 0.5, 33)
"""Shares of the largest possible scale that are tried: below one half the rounding only doubles."""
_FINE_THRESHOLD: Final = 512
"""Thresholds of at least this many units make their rounding error smaller than a weight's."""
_SAME: Final = 1e-9
"""Difference between two logarithms up to which they are the same, but for rounding."""


@final
@dataclass(frozen=True)
class Incoming:
    """One connection into a population, in the model's units per unit of message.

    Attributes:
        weights: Weights `[N, sources]`, divided by the scale of a graded source; or the kernels
            `[C, in, rows, columns]` of a convolution, whose output channels share a scale.
        sign_mode: Signs that the weights have.
        weight_bits: Bits of a weight; more than 8 are those of two synapses together.
        importance: Mean square of what each source sends, `[sources]`: an error of a synapse that is
            seldom used costs little. None if nothing is known.
    """

    weights: Matrix
    sign_mode: SignMode
    weight_bits: int
    importance: Floats | None = None

    @property
    def spare(self) -> int:
        """By how much the exponent of the coarse synapses is larger, where two make a weight; else 0."""
        return max(self.weight_bits - fixedpoint.WEIGHT_BITS, 0)

    @property
    def step(self) -> int:
        """Distance between neighbouring integer weights."""
        return fixedpoint.weight_granularity(self.sign_mode, self.weight_bits)

    @property
    def lowest(self) -> int:
        """Smallest integer weight."""
        return -((-fixedpoint.weight_limits(self.sign_mode, self.weight_bits)[0]) // self.step) * self.step

    @property
    def highest(self) -> int:
        """Largest integer weight."""
        return (fixedpoint.weight_limits(self.sign_mode, self.weight_bits)[1] // self.step) * self.step

    @property
    def limit(self) -> int:
        """Largest magnitude of an integer weight."""
        return max(-self.lowest, self.highest)

    @property
    def sources(self) -> int:
        """Sources of a neuron; of a convolution, the elements of its kernel."""
        return int(np.prod(cast("tuple[int, ...]", self.weights.shape)[1:]))

    def columns(self) -> NDArray[np.int64]:
        """Return the source of every weight, in the order of `values_of`."""
        if isinstance(self.weights, csr_array):
            return columns_of(self.weights)
        return np.tile(np.arange(self.sources), targets_of(self.weights))

    def peaks(self) -> Floats:
        """Return the largest |w| of every target neuron or channel, `[N]`."""
        peaks = np.zeros(targets_of(self.weights))
        np.maximum.at(peaks, rows_of(self.weights), np.abs(values_of(self.weights)))
        return peaks


def choose_exponents(incoming: list[Incoming], threshold: Floats, profile: HardwareProfile) -> list[int]:
    """Return one exponent per connection.

    Connections whose weights are typically larger get a larger exponent, so that each uses its
    full integer range at a common neuron scale. All are raised together while one neuron in ten
    would have a threshold of less than 512 units.
    """
    peaks = [item.peaks() / item.limit for item in incoming]
    sizes = np.array([float(np.median(peak[peak > 0])) if (peak > 0).any() else 0.0 for peak in peaks])
    smallest = sizes[sizes > 0].min(initial=np.inf)
    relative = (
        np.rint(np.log2(np.maximum(sizes, smallest) / smallest)) if np.isfinite(smallest) else sizes * 0
    )
    largest = profile.exponents[1] - np.array([item.spare for item in incoming], int)
    exponents = np.minimum(relative, largest).astype(int)
    while (exponents < largest).all():
        units = threshold * largest_scale(incoming, exponents.tolist())
        finite = np.isfinite(units)
        if not finite.any() or np.quantile(units[finite], 0.1) >= _FINE_THRESHOLD:
            break
        exponents += 1
    return exponents.tolist()


def smallest_exponents(incoming: list[Incoming], scale: Floats) -> list[int]:
    """Return, for each connection, the smallest exponent from 0 at which all its weights fit at a scale.

    The grid of a smaller exponent holds that of a larger one, so that no weight is further from it.
    """
    exponents: list[int] = []
    for item in incoming:
        share = float((item.peaks() * scale).max()) / item.limit
        exponents.append(max(0, math.ceil(math.log2(share) - _SAME)) if share > 0 else 0)
    return exponents


def largest_scale(incoming: list[Incoming], exponents: list[int]) -> Floats:
    """Return the largest scale of every neuron at which all its weights fit, `[N]`; infinite without any."""
    scale = np.full(targets_of(incoming[0].weights), np.inf)
    for item, exponent in zip(incoming, exponents, strict=True):
        peaks = item.peaks()
        with np.errstate(divide="ignore"):
            fitting = np.where(peaks > 0, 2.0**exponent * item.limit / peaks, np.inf)
        scale = np.minimum(scale, fitting)
    return scale


def cap_scale(scale: Floats, threshold: Floats, bias: Floats, profile: HardwareProfile) -> Floats:
    """Return the scale lowered so that threshold and bias fit their registers."""
    bias_max = profile.bias_mantissa_max * 2.0**profile.bias_exponent_max
    unit = 2.0**fixedpoint.ALIGNMENT_BITS
    finite = np.where(np.isfinite(threshold), threshold, 0.0)
    with np.errstate(divide="ignore"):
        by_threshold = np.where(finite > 0, profile.threshold_max / finite, np.inf)
        by_bias = np.where(bias != 0, bias_max / (np.abs(bias) * unit), np.inf)
    return np.minimum(scale, np.minimum(by_threshold, by_bias))


def search_scale(
    incoming: list[Incoming], exponents: list[int], ceiling: Floats, threshold: Floats
) -> Floats:
    """Return, per neuron, the scale between half the ceiling and the ceiling of least error.

    Only scales at which the threshold is a whole number of units are tried, so that it costs nothing;
    the error is the squared rounding error of the weights relative to their squared sum.

    Args:
        incoming: Connections into the population.
        exponents: Exponent of each connection.
        ceiling: Largest allowed scale, `[N]`.
        threshold: Thresholds `[N]`; infinite for read-outs.
    """
    best, least = whole_thresholds(ceiling, threshold), np.full(ceiling.shape, np.inf)
    for share in _CANDIDATES:
        scale = whole_thresholds(ceiling * share, threshold)
        error = _rounding_error(incoming, exponents, scale)
        better = error < least
        best, least = np.where(better, scale, best), np.where(better, error, least)
    return best


def whole_thresholds(scale: Floats, threshold: Floats) -> Floats:
    """Return the largest scale up to the given one at which the threshold is a whole number, 1 or more."""
    finite = np.where(np.isfinite(threshold), threshold, 1.0)
    units = np.floor(finite * scale * (1 + 1e-12))
    return np.where(np.isfinite(threshold) & (units >= 1), units / finite, scale)


def incoming_steps(incoming: list[Incoming]) -> Floats | None:
    """Return the steps of which all weights of a neuron are multiples, `[N]`; see `grid_steps`."""
    rows = np.concatenate([rows_of(item.weights) for item in incoming])
    values = np.concatenate([values_of(item.weights).ravel() for item in incoming])
    return grid_steps(rows, values, targets_of(incoming[0].weights))


def kept_scale(steps: Floats, exponents: list[int], ceiling: Floats, threshold: Floats) -> Floats:
    """Return, per neuron, the largest scale up to the ceiling at which quantized weights stay what they are.

    A row of weights `q g` becomes the integers `2^m q`, where `m` is no less than any exponent. NaN for a
    neuron that no such scale fits, or whose threshold, which is rounded in turn, would have less than 512
    units. Neurons without weights keep the ceiling.
    """
    there = np.isfinite(steps)
    step = np.where(there, steps, 1.0)
    powers = np.floor(np.log2(ceiling * step) + _SAME)
    scale = np.where(there, 2.0**powers / step, ceiling)
    fits = (powers >= max(exponents)) | ~there
    return np.where(fits & (threshold * scale >= _FINE_THRESHOLD), scale, np.nan)


def common_scale(ceiling: Floats) -> Floats:
    """Return the one scale that fits every neuron: potentials compared by size must share it."""
    return np.full(ceiling.shape, ceiling.min())


def _rounding_error(incoming: list[Incoming], exponents: list[int], scale: Floats) -> Floats:
    wrong, total = np.zeros(scale.shape), np.full(scale.shape, 1e-300)
    for item, exponent in zip(incoming, exponents, strict=True):
        error, energy = _squares(item, scale / 2.0**exponent)
        wrong += error
        total += energy
    return wrong / total


def _squares(item: Incoming, factor: Floats) -> tuple[Floats, Floats]:
    """Return, per row, the summed squares of the rounding errors and of the weights, by importance."""
    importance = np.ones(item.sources) if item.importance is None else item.importance
    if isinstance(item.weights, csr_array):
        rows, values = rows_of(item.weights), values_of(item.weights)
        each, matter = factor[rows], importance[columns_of(item.weights)]
        integers = fixedpoint.round_weights(values * each, item.sign_mode, item.weight_bits)
        sums = (
            np.bincount(rows, matter * squares, minlength=factor.size).astype(np.float64)
            for squares in ((integers / each - values) ** 2, values**2)
        )
        error, energy = sums
        return error, energy
    # Dense rows are long in a convolution: one temporary, changed in place.
    weights = item.weights.reshape(len(item.weights), -1)
    wrong = weights * factor[:, None]
    wrong /= item.step
    np.rint(wrong, out=wrong)
    wrong *= item.step
    np.clip(wrong, item.lowest, item.highest, out=wrong)
    wrong /= factor[:, None]
    wrong -= weights
    return np.square(wrong, out=wrong) @ importance, np.square(weights) @ importance
