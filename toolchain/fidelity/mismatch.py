"""Numbers against numbers, with `==`: where two executions that must be equal first are not."""

from dataclasses import dataclass
from typing import Final, final

from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity.metrics import first_difference, flattened

_CAUSES: Final = ("u", "spikes", "v")
"""What follows from what within a step: v is recorded after the reset, so a spike explains it."""
_MEANING: Final = {
    "u": "its synaptic input differs: a weight, an exponent or a delay of what it reads",
    "v": "its current is equal, its potential is not: its decay or bias, or what a spike leaves",
    "spikes": "its current is equal, and so was its potential before: its threshold, or what raises it",
}


@final
@dataclass(frozen=True)
class Mismatch:
    """Where two executions that must be equal are not.

    Attributes:
        record: Name of the record, such as `hidden.v`.
        sample: Index in the stimulus.
        step: Time step, from 0.
        neuron: Index in the population.
        expected: Value in the first execution.
        got: Value in the second.
        meaning: Possible cause, everything before it being equal; empty if not known.
    """

    record: str
    sample: int
    step: int
    neuron: int
    expected: float
    got: float
    meaning: str = ""

    def __str__(self) -> str:
        text = (
            f"{self.record} of neuron {self.neuron} in sample {self.sample} at step {self.step}: "
            f"expected {self.expected}, got {self.got}"
        )
        return f"{text} ({self.meaning})" if self.meaning else text


def first_mismatch(expected: Trace, got: Trace) -> Mismatch | None:
    """Return the earliest difference between two traces, or None if they are equal.

    Of the differences at one step it is the one that others follow from: the first population in the order
    of execution, and there the current before the spike before the potential. Every record of `expected` must
    exist in `got`; a missing one counts as different.
    """
    search = MismatchSearch()
    search.add(expected, got)
    return search.first


@final
class MismatchSearch:
    """Looks for the earliest difference part by part; see `first_mismatch`.

    Args:
        start: Index of the first sample that is compared, in the stimulus.

    Attributes:
        samples: Number of samples that were compared.
    """

    def __init__(self, start: int = 0) -> None:
        self.samples = 0
        self._start = start
        self._missing: Mismatch | None = None
        self._found: dict[str, tuple[tuple[int, int, int], Mismatch]] = {}

    @property
    def first(self) -> Mismatch | None:
        """The earliest difference so far."""
        if self._missing is not None:
            return self._missing
        return min(self._found.values(), key=lambda item: item[0], default=(None, None))[1]

    def add(self, expected: Trace, got: Trace) -> None:
        """Compare the next samples."""
        others = got.by_key()
        records = expected.by_key()
        for record, values in records.items():
            other = others.get(record)
            if other is not None and other.shape == values.shape:
                self._compare(record, expected, got)
            elif self._missing is None:
                self._missing = Mismatch(record, -1, -1, -1, values.size, 0 if other is None else other.size)
        self.samples += max((len(values) for values in records.values()), default=0)

    def include(self, other: "MismatchSearch") -> None:
        """Take what was looked for in other samples of the same stimulus, whatever stands first there."""
        self.samples += other.samples
        self._missing = self._missing or other._missing
        for record, (rank, mismatch) in other._found.items():
            own = self._found.get(record)
            if own is None or (rank[0], mismatch.sample) < (own[0][0], own[1].sample):
                self._found[record] = rank, mismatch

    def _compare(self, record: str, expected: Trace, got: Trace) -> None:
        node, _, quantity = record.rpartition(".")
        pair = [getattr(trace, quantity)[node] for trace in (expected, got)]
        where = first_difference(*pair)
        # The earliest of a record has the least step, and there the first sample.
        if where is None or (record in self._found and self._found[record][0][0] <= where[1]):
            return
        sample, step, neuron = where
        values = (flattened(each)[where].item() for each in pair)
        complete = all(node in getattr(expected, each) for each in QUANTITIES)
        meaning = _MEANING[quantity] if complete else ""
        order = list(expected.spikes or expected.v or expected.u)
        rank = (step, order.index(node), _CAUSES.index(quantity))
        self._found[record] = (
            rank,
            Mismatch(record, self._start + self.samples + sample, step, neuron, *values, meaning=meaning),
        )
