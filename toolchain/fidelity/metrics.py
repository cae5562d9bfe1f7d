"""How far two executions of one network agree, in numbers."""

from dataclasses import astuple, dataclass
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Array
from toolchain.compiled import njit

Spikes = NDArray[np.bool_] | NDArray[np.uint8]
"""Whether every neuron fired at every step, or how many spikes it sent."""


class TrainCounts(NamedTuple):
    """Spikes of every neuron in every sample, `[batch, N]`, counted over the steps.

    Attributes:
        expected: Spikes of the first execution.
        got: Spikes of the second execution.
        both: Spikes that both have.
        different: Steps at which they differ.
        earliest: The earliest of these in each sample, `[batch]`; the number of steps if there is none.
    """

    expected: Array
    got: Array
    both: Array
    different: Array
    earliest: Array

    @classmethod
    def of(cls, expected: Spikes, got: Spikes) -> "TrainCounts":
        """Count the spikes `[batch, time, *features]` of two executions in one pass."""
        return cls(*_count_trains(as_bytes(expected), as_bytes(got)))

    def first_difference(self, expected: Spikes, got: Spikes) -> tuple[int, int, int] | None:
        """Return what the function `first_difference` returns, of the spikes that were counted."""
        if not self.different.any():
            return None
        sample = int(self.earliest.argmin())
        step = int(self.earliest[sample])
        apart = expected[sample, step] != got[sample, step]
        return sample, step, int(apart.argmax())


def as_bytes(spikes: Spikes) -> Array:
    """Return spikes `[batch, time, *features]` as bytes `[batch, time, N]`."""
    return np.ascontiguousarray(flattened(spikes)).view(np.uint8)


@njit(nogil=True, cache=True)
def _count_trains(expected: Array, got: Array) -> Any:  # noqa: ANN401 - a tuple for Numba
    batch, steps, size = expected.shape
    first, other = np.zeros((batch, size), np.int32), np.zeros((batch, size), np.int32)
    both, different = np.zeros((batch, size), np.int32), np.zeros((batch, size), np.int32)
    earliest = np.full(batch, steps)
    for sample in range(batch):
        for t in range(steps):
            apart = np.uint8(0)
            for i in range(size):
                one, two = expected[sample, t, i], got[sample, t, i]
                first[sample, i] += one
                other[sample, i] += two
                both[sample, i] += min(one, two)
                different[sample, i] += one != two
                apart |= one ^ two
            if apart and earliest[sample] == steps:
                earliest[sample] = t
    return first, other, both, different, earliest


class SpikeAgreement(NamedTuple):
    """How far the spikes of two executions agree.

    Attributes:
        agreement: Share of equal entries.
        precision: Share of the second execution's spikes that the first has too; of `n` and `m` spikes in one
            entry, both have the smaller number.
        recall: Share of the first execution's spikes that the second has too.
        f1: Harmonic mean of precision and recall; 1 if neither execution spikes.
    """

    agreement: float
    precision: float
    recall: float
    f1: float


@final
@dataclass(frozen=True)
class SpikeCounts:
    """Entries of two executions, counted: whole numbers, which may be added part by part.

    Attributes:
        entries: Number of neurons times steps times samples.
        equal: Number of entries that are equal: of both with as many spikes.
        both: Number of spikes that both executions have.
        expected: Number of spikes of the first execution.
        got: Number of spikes of the second execution.
    """

    entries: int = 0
    equal: int = 0
    both: int = 0
    expected: int = 0
    got: int = 0

    @classmethod
    def of(cls, expected: Spikes, got: Spikes) -> "SpikeCounts":
        """Count the entries of two arrays of one shape."""
        equal = int(np.count_nonzero(expected == got))
        counted = (np.minimum(expected, got), expected, got)
        return cls(expected.size, equal, *(int(each.sum(dtype=np.int64)) for each in counted))

    @classmethod
    def of_trains(cls, trains: TrainCounts, steps: int) -> "SpikeCounts":
        """Return the counts of trains of so many steps."""
        entries = trains.different.size * steps
        sums = (trains.different, trains.both, trains.expected, trains.got)
        different, *others = (int(each.sum(dtype=np.int64)) for each in sums)
        return cls(entries, entries - different, *others)

    def __add__(self, other: "SpikeCounts") -> "SpikeCounts":
        return SpikeCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def shares(self) -> SpikeAgreement:
        """The agreement. The share of an execution without spikes is 1 if the other has none, else 0."""
        spikes = self.expected + self.got
        return SpikeAgreement(
            agreement=self.equal / self.entries,
            precision=self.both / self.got if self.got else float(not self.expected),
            recall=self.both / self.expected if self.expected else float(not self.got),
            f1=2 * self.both / spikes if spikes else 1.0,
        )


def compare_spikes(expected: Spikes, got: Spikes) -> SpikeAgreement:
    """Return how far the spikes of two executions agree, over all entries.

    >>> compare_spikes(np.array([True, True, False]), np.array([True, False, False])).recall
    0.5
    """
    return SpikeCounts.of(expected, got).shares


@final
class RateError:
    """Mean |difference of spike counts| per neuron and sample, over the mean count; added part by part."""

    def __init__(self) -> None:
        self._trains = self._difference = self._spikes = 0

    def add(self, trains: TrainCounts) -> None:
        """Add the next samples."""
        self._trains += trains.expected.size
        self._difference += int(np.abs(trains.expected - trains.got).sum(dtype=np.int64))
        self._spikes += int(trains.expected.sum(dtype=np.int64))

    def include(self, other: "RateError") -> None:
        """Add all that was added to another one."""
        self._trains += other._trains
        self._difference += other._difference
        self._spikes += other._spikes

    @property
    def value(self) -> float:
        """The error; if the first execution is silent, the mean difference itself."""
        difference = self._difference / self._trains
        return difference / (self._spikes / self._trains) if self._spikes else difference


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
    different = flattened(expected != got)
    steps = different.any(axis=(0, 2))
    if not steps.any():
        return None
    step = int(steps.argmax())
    sample = int(different[:, step].any(axis=1).argmax())
    return sample, step, int(different[sample, step].argmax())
