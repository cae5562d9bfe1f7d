"""How real values enter a chip."""

from dataclasses import dataclass
from typing import Final, final

from toolchain.intake import check_type
from toolchain.options import factor, hold, whole

MOST_BITS: Final = 23
"""Most bits of a graded message's magnitude: a state of a chip has 24 with the sign."""


@final
@dataclass(frozen=True)
class InputCode:
    """The integers that stand for real values at an input: `round(x * scale)`, clipped to `bits` bits.

    An input without a code takes spikes.

    Attributes:
        scale: Integers per unit.
        bits: Bits of an integer's magnitude.
    """

    scale: float
    bits: int

    def __post_init__(self) -> None:
        hold(self, scale=factor, bits=whole(1, MOST_BITS))

    @classmethod
    def up_to(cls, peak: float, bits: int = 8) -> "InputCode":
        """Return the code whose largest integer stands for `peak`."""
        return cls((2**bits - 1) / peak, bits)


BYTES: Final = InputCode(255.0, 8)
"""The code of images whose values are those of bytes, divided by 255."""


def optional_code(value: object, name: str) -> InputCode | None:
    """Return a code of an input, or None for an input of spikes.

    Raises:
        ArgumentError: It is something else.
    """
    return None if value is None else check_type(value, name, InputCode)
