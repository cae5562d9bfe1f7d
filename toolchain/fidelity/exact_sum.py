"""Sums of real numbers that do not depend on the order in which they are added."""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Final, final

_PLACES: Final = 1074
"""Every finite float is a whole multiple of 2^-1074, the smallest one."""


@final
class ExactSum:
    """A sum without rounding: a whole number of the smallest floats.

    Integers add exactly, so any order and any division into parts gives the same sum. What is not finite is
    counted apart: infinities of both signs, or NaN, make NaN in any order.

    >>> each = ExactSum()
    >>> each.add([1e300, 1.0, -1e300])
    >>> float(each)
    1.0
    """

    def __init__(self) -> None:
        self._units = 0
        self._not_finite = 0.0

    def add(self, values: Iterable[float]) -> None:
        """Add floats."""
        for value in values:
            if math.isfinite(value):
                numerator, denominator = value.as_integer_ratio()
                self._units += numerator << (_PLACES + 1 - denominator.bit_length())
            else:
                self._not_finite += value

    def include(self, other: "ExactSum") -> None:
        """Add all that was added to another sum."""
        self._units += other._units
        self._not_finite += other._not_finite

    @property
    def exact(self) -> Fraction:
        """The sum of what is finite."""
        return Fraction(self._units, 1 << _PLACES)

    @property
    def finite(self) -> bool:
        """Whether every number was finite."""
        return self._not_finite == 0

    def __float__(self) -> float:
        """Return the nearest float; infinity beyond the largest."""
        return rounded(self.exact) if self.finite else self._not_finite


def rounded(value: Fraction) -> float:
    """Return the nearest float; infinity beyond the largest."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
