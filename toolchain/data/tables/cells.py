"""What a cell of a table is: a number in one of two notations, a gap, or a word.

With a decimal point a number is such as `-1.5e3`, with a decimal comma such as `-1,5e3`. Thousands are set
apart by the other sign, three digits each: `1,234.5` and `1.234,5`. A cell that is a number in both notations
and a different one, such as `1.234`, is only read where the file shows or somebody says what it means.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
"""What stands where a value is missing, in small letters."""
_EXPONENT: Final = r"(?:[eE][+-]?[0-9]+)?"
_PLAIN: Final = {
    comma: re.compile(rf"[+-]?(?:[0-9]+{sign}?[0-9]*|{sign}[0-9]+){_EXPONENT}")
    for comma, sign in ((False, r"\."), (True, ","))
}
"""Numbers without marks of thousands, by whether their decimals follow a comma."""
_GROUPED: Final = {
    comma: re.compile(rf"[+-]?[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+(?:{sign}[0-9]*)?")
    for comma, sign, mark in ((False, r"\.", ","), (True, ",", r"\."))
}
"""Numbers with marks of thousands."""
_ENDLESS: Final = frozenset({"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})


@final
@dataclass(frozen=True)
class Notation:
    """How the numbers of a file are written.

    Attributes:
        comma: Whether decimals follow a comma instead of a point.
        said: Whether somebody said so; else what could be meant otherwise is no number.
    """

    comma: bool = False
    said: bool = False

    @property
    def other(self) -> "Notation":
        """The other notation, as if somebody had said so."""
        return Notation(not self.comma, said=True)

    def number(self, cell: str) -> float | None:
        """Return the number that a cell holds; None for a gap, a word and what is ambiguous.

        >>> [Notation(comma=True).number(cell) for cell in ("1.234,5", "1,234", "1.234", "1.5", "?")]
        [1234.5, 1.234, None, None, None]
        >>> [Notation().number(cell) for cell in ("1.234", "1,234.5", "1,234", "1_2")]
        [1.234, 1234.5, None, None]
        >>> [Notation(comma, said=True).number("1.234") for comma in (False, True)]
        [1.234, 1234.0]
        """
        text = cell.strip()
        if _PLAIN[self.comma].fullmatch(text):
            return float(text.replace(",", "."))
        if text.lower() in _ENDLESS:
            return float(text)
        if not _GROUPED[self.comma].fullmatch(text) or not (self.said or self._shows_thousands(text)):
            return None
        sign, mark = (",", ".") if self.comma else (".", ",")
        return float(text.replace(mark, "").replace(sign, "."))

    def _shows_thousands(self, text: str) -> bool:
        """Return whether a number with marks of thousands is none in the other notation."""
        return not _PLAIN[not self.comma].fullmatch(text)


def is_missing(cell: str) -> bool:
    """Return whether a cell says that there is no value."""
    return cell.strip().lower() in MISSING


def is_ambiguous(cell: str) -> bool:
    """Return whether a cell is a number in both notations, and not the same.

    >>> [is_ambiguous(cell) for cell in ("1.234", "-12,345", "0,123", "1.5", "12")]
    [True, True, False, False, False]
    """
    numbers = [Notation(comma, said=True).number(cell) for comma in (False, True)]
    return None not in numbers and numbers[0] != numbers[1]


def notation_of(cells: Iterable[str], usual: str = "") -> Notation:
    """Return the notation that some cells of a file show; a decimal point where none has decimals.

    Args:
        cells: The cells.
        usual: Point or comma, where they do not show which it is, as in a file that belongs to this one;
            empty if nobody knows.

    Raises:
        ValueError: Some have a decimal point and some a comma, or nothing shows what a sign means.
    """
    shown: dict[bool, str] = {}
    unclear = ""
    for cell in cells:
        numbers = {comma: Notation(comma, said=True).number(cell) for comma in (False, True)}
        only = [comma for comma, number in numbers.items() if number is not None]
        if len(only) == 1:
            shown.setdefault(only[0], cell.strip())
        elif is_ambiguous(cell):
            unclear = unclear or cell.strip()
    if len(shown) == 2:
        raise ValueError(
            f"has numbers with a decimal point, '{shown[False]}', and with a comma, '{shown[True]}'"
        )
    if not shown and unclear and not usual:
        raise ValueError(f"has '{unclear}', and nothing shows whether these are decimals or thousands")
    return Notation(comma=True in shown if shown else usual == ",")
