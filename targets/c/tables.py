"""Arrays of integers as constant tables of C, in the smallest type that holds them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

_WIDTH: Final = 96
"""Characters of a line of numbers."""
_TYPES: Final = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)


@final
@dataclass(frozen=True)
class ConstTable:
    """A constant table.

    Attributes:
        name: Its identifier.
        meaning: What it holds, for a comment.
        values: Its numbers, of one axis, of the type that they have in C.
    """

    name: str
    meaning: str
    values: NDArray[Any]

    @classmethod
    def smallest(cls, name: str, meaning: str, values: NDArray[Any]) -> "ConstTable":
        """Return a table of the smallest type that holds all values."""
        least, most = (int(values.min()), int(values.max())) if values.size else (0, 0)
        return cls(name, meaning, values.ravel().astype(smallest_type(least, most)))

    @property
    def ctype(self) -> str:
        """The type of its numbers in C."""
        return f"{self.values.dtype}_t"

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return self.values.size

    @property
    def bytes(self) -> int:
        """How many bytes it takes."""
        return self.values.nbytes

    def lines(self) -> Iterator[str]:
        """Yield its numbers, with commas between them, in lines of moderate length."""
        line = ""
        for number in self.values.tolist():
            text = _literal(number)
            if line and len(line) + len(text) + 2 > _WIDTH:
                yield line
                line = ""
            line += f"{' ' if line else ''}{text},"
        yield line.removesuffix(",")


def smallest_type(least: int, most: int) -> type[np.integer[Any]]:
    """Return the smallest type of integers that holds two numbers; one without a sign where both do.

    >>> smallest_type(0, 255).__name__, smallest_type(-1, 255).__name__, smallest_type(0, 65536).__name__
    ('uint8', 'int16', 'uint32')
    """
    return next(t for t in _TYPES if np.iinfo(t).min <= least and most <= np.iinfo(t).max)


def _literal(number: int) -> str:
    # 2147483648 has no type of 32 bits, so that its negative is written as a difference.
    return "(-2147483647 - 1)" if number == -(2**31) else str(number)
