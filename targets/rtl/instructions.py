"""The instructions of the core, as words; `README.md` says what each does."""

from dataclasses import astuple, dataclass, replace
from enum import IntEnum
from typing import Final, final

LENGTH: Final = 16
"""Words of an instruction."""


class Operation(IntEnum):
    """What an instruction does."""

    CLEAR = 0
    RECEIVE = 1
    DELIVER = 2
    CONVOLVE = 3
    FOLD = 4
    FIRE = 5
    POOL = 6
    END = 7


class Flag(IntEnum):
    """Bits of the first word, above the operation."""

    UNSIGNED = 1 << 3
    NEGATED = 1 << 4
    WRAPS = 1 << 5
    IN_PLACE = 1 << 6
    JOINS = 1 << 7
    SENDS = 1 << 8
    SHOWS = 1 << 9
    SETS_AMOUNT = 1 << 10
    SUBTRACTS = 2 << 10
    KEEPS = 3 << 10
    REFRACTORY = 1 << 12
    ADAPTS = 1 << 13


@final
@dataclass(frozen=True)
class Instruction:
    """An instruction; the fields are its words, in their order. What it lacks is zero."""

    operation: int
    cursor: int = 0
    first: int = 0
    last: int = 0
    stride: int = 0
    sums: int = 0
    groups: int = 0
    table: int = 0
    rows: int = 0
    columns: int = 0
    scale: int = 0
    across: int = 0
    down: int = 0
    skip: int = 0
    leap: int = 0
    source: int = 0

    @property
    def words(self) -> tuple[int, ...]:
        """The words."""
        return astuple(self)

    def opening(self, ring: "Ring", steps: int = 0) -> "Instruction":
        """Return the instruction for a list of a ring: the one of so many steps ago."""
        return replace(
            self,
            cursor=ring.first + (-steps % ring.slots) * ring.stride,
            first=ring.first,
            last=ring.last,
            stride=ring.stride,
        )


@final
@dataclass(frozen=True)
class Ring:
    """The lists of a sender, one for each step that is kept.

    Attributes:
        first: Address of the first list.
        stride: Words of a list.
        slots: How many there are.
    """

    first: int
    stride: int
    slots: int

    @property
    def last(self) -> int:
        """Address of the last list."""
        return self.first + (self.slots - 1) * self.stride

    @property
    def end(self) -> int:
        """Address after it."""
        return self.last + self.stride
