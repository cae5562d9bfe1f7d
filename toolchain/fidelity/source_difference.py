"""Where a network first differs from what its framework computed, and what that says about the cause."""

from dataclasses import dataclass
from typing import Final, final

from toolchain.fidelity.divergence import DifferentInput

_TIE: Final = 1e-12
"""Distance from the threshold, in thresholds, that rounding in double precision leaves of an equality."""
_SINGLE: Final = 2e-6
"""The same in single precision, after a sum of many weights."""


@final
@dataclass(frozen=True)
class SourceDifference:
    """The first entry at which a population differs from what its framework computed.

    Attributes:
        sample: Index in the stimulus.
        step: Time step, from 0.
        neuron: Index in the population.
        place: The same in words; see `neuron_name`.
        element: Index of that neuron in the framework's record.
        sent: Number of spikes there and here; None if the framework's were not recorded.
        expected: Potential in the framework, measured as here; None if it was not recorded.
        got: Potential here, before any reset.
        threshold: Threshold at that step, with what adaptation has added; None for a neuron that never fires.
        last_spike: Step of the last spike before, the same in both; None if there was none.
        inputs: The first different spike on every connection it reads; empty if all it read was equal.
        unrecorded: Populations that it reads and whose spikes were not recorded.
    """

    sample: int
    step: int
    neuron: int
    place: str
    element: int
    sent: tuple[int, int] | None
    expected: float | None
    got: float
    threshold: float | None
    last_spike: int | None
    inputs: tuple[DifferentInput, ...] = ()
    unrecorded: tuple[str, ...] = ()

    @property
    def by_potential(self) -> bool:
        """Whether it is a potential that differs, and not what was sent."""
        return self.sent is None or self.sent[0] == self.sent[1]

    @property
    def where(self) -> str:
        """Step, sample and neuron in words."""
        other = "" if self.element == self.neuron else f" (element {self.element} of the record)"
        return f"step {self.step} of sample {self.sample}, {self.place}{other}"

    @property
    def what(self) -> str:
        """Both values, and the threshold."""
        threshold = "" if self.threshold is None else f", threshold {self.threshold:.9g}"
        if self.sent is None or self.by_potential:
            return f"the framework's potential is {self.expected:.9g}, here it is {self.got:.9g}{threshold}"
        there, here = self.sent
        # Where the framework fired, its potential may be that after the reset.
        known = self.expected is not None and not there
        theirs = f" (potential {self.expected:.9g})" if known else ""
        return (
            f"the framework sends {_spikes(there)}{theirs}, here {_spikes(here)} "
            f"(potential {self.got:.9g}{threshold})"
        )

    @property
    def is_rounding(self) -> bool:
        """Whether single precision decides on which side of the threshold the potential lies."""
        return not self.by_potential and _TIE < self._distance <= _SINGLE

    @property
    def cause(self) -> str:
        """The likely cause, in a sentence without an end."""
        if self.inputs:
            return min(self.inputs, key=lambda each: each.step).sentence
        there, here = self.sent or (0, 0)
        if there > 1 >= here:
            return "the framework sends several spikes in one step, which this network never does"
        if not self.by_potential and self._distance <= _TIE:
            return "the potential equals the threshold, where one of the two fires (>=) and the other not (>)"
        if self.is_rounding:
            return (
                "rounding: the potential is nearer to the threshold than single precision can tell. Run the "
                "framework in double precision (in PyTorch: model.double()) to decide it"
            )
        if self.unrecorded:
            names = ", ".join(f"'{name}'" for name in self.unrecorded)
            return f"perhaps what it reads: record the spikes of {names} too, to see where it begins"
        if self.last_spike is not None:
            return (
                f"what a spike does, such as the reset, since it fired at step {self.last_spike} and all it "
                "has read is equal"
            )
        return (
            "time constants, weights, biases or the threshold, since it has not fired before and all it has "
            "read is equal; look at `convention` and `dt`"
        )

    @property
    def _distance(self) -> float:
        """Distance of the potential here from the threshold, in thresholds."""
        return abs(self.got - self.threshold) / self.threshold if self.threshold else 1.0


def _spikes(count: int) -> str:
    return "no spike" if not count else "a spike" if count == 1 else f"{count} spikes"
