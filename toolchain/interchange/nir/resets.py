"""What a spike does to a neuron of a NIR file, as the file, its framework or the user says it.

NIR's own equations set the potential to `v_reset`. Most frameworks do something else by default, and write
the same file.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from toolchain.errors import UnknownNameError
from toolchain.intake import real_of


class NirReset(Enum):
    """What a spike does to the potential, as frameworks have it."""

    VALUE = "to v_reset"
    """The potential becomes `v_reset`."""
    SUBTRACT = "subtract"
    """The potential loses the threshold, at once."""
    LATE_SUBTRACT = "subtract-delayed"
    """The potential loses the threshold in the next step, after that step's decay."""
    SNNTORCH = "subtract-snntorch"
    """As `SUBTRACT`, but after a step that left the potential above its threshold, one threshold more is
    compared with: what snnTorch's `reset_delay=False` does."""
    SEVERAL = "subtract-several"
    """A neuron fires as often in a step as thresholds fit into the potential, and loses all of them."""
    LATE_ZERO = "zero-delayed"
    """The potential becomes zero in the next step, whose input is lost, too."""
    NONE = "none"
    """The potential stays."""

    @property
    def subtracts(self) -> bool:
        """Whether the threshold is taken away."""
        return self.value.startswith(NirReset.SUBTRACT.value)


ZERO: Final = "zero"
"""The word for a reset to a `v_reset` of 0."""
WORDS: Final = (ZERO, *(kind.value for kind in NirReset if kind is not NirReset.VALUE))
"""Every word for a reset; a number is the potential that a spike sets."""
_DONE: Final = {
    NirReset.VALUE: "a spike sets the potential to v_reset",
    NirReset.SUBTRACT: "a spike takes the threshold from the potential at once",
    NirReset.LATE_SUBTRACT: "a spike takes the threshold from the potential one step later, after the decay",
    NirReset.SNNTORCH: "a spike takes the threshold from the potential at once; a neuron that is still above "
    "its threshold then needs two thresholds to fire in the next step",
    NirReset.SEVERAL: "a neuron fires as often in a step as its threshold fits into its potential, up to 255 "
    "times, and loses it each time",
    NirReset.LATE_ZERO: "a spike sets the potential to zero one step later, and the input of that step is "
    "lost",
    NirReset.NONE: "a spike leaves the potential as it is",
}


@final
@dataclass(frozen=True)
class StatedReset:
    """What a spike does, and who says so.

    Attributes:
        kind: What it does.
        why: Who says so.
        value: Potential that a spike sets, where it is not the `v_reset` of the file.
    """

    kind: NirReset
    why: str = ""
    value: float | None = None

    def sentence(self) -> str:
        """Return it in words."""
        done = _DONE[self.kind]
        if self.value is not None:
            done = f"a spike sets the potential to {self.value:g}"
        return f"{done} ({self.why})" if self.why else done


UNNAMED: Final = StatedReset(NirReset.VALUE, "NIR's own equations, because the file names no framework")
"""What a spike does where nobody says it."""


def stated_reset(reset: object, why: str) -> StatedReset:
    """Return what a word or number says of a reset.

    Args:
        reset: One of `WORDS`, or the potential that a spike sets, as a number or its text.
        why: Who says so.

    Raises:
        UnknownNameError: It is none of them.
        ArgumentError: It is a number that is not finite.

    >>> stated_reset("subtract", "").kind.name, stated_reset("-0.5", "").value
    ('SUBTRACT', -0.5)
    """
    if isinstance(reset, str):
        for kind in NirReset:
            if reset == kind.value and kind is not NirReset.VALUE:
                return StatedReset(kind, why)
        if reset == ZERO:
            return StatedReset(NirReset.VALUE, why, 0.0)
        try:
            reset = float(reset)
        except ValueError:
            raise UnknownNameError("reset", reset, (*WORDS, "a number")) from None
    return StatedReset(NirReset.VALUE, why, real_of(reset, "reset"))
