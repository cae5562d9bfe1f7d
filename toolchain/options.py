"""Options are dataclasses whose values mean something: each is checked where it is made, by a rule per field.

A rule takes a value and the name of its field, and returns the value in one canonical form, or raises an
`ArgumentError` that names the field.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from toolchain.errors import ArgumentError
from toolchain.intake import choice_of, count_of, real_of

Rule = Callable[[object, str], object]

SHORTEST_MS: Final = 1e-6
"""A step or a time constant of less than a nanosecond is a slip of the pen."""
LONGEST_MS: Final = 1e6
"""So is one of more than a quarter of an hour."""
SMALLEST_FACTOR: Final = 1e-9
LARGEST_FACTOR: Final = 1e9
"""Strengths, gains and thresholds in this range can be multiplied with one another in any precision."""
MOST: Final = 2**31 - 1
"""Of what is counted."""


def hold(options: object, **rules: Rule) -> None:
    """Check the fields of a frozen dataclass, and keep each in its canonical form.

    Args:
        options: The dataclass, in its `__post_init__`.
        **rules: What each field may hold.

    Raises:
        ArgumentError: Names the first field that holds something else.
        UnknownNameError: A field of a few choices holds none of them.
    """
    for name, rule in rules.items():
        object.__setattr__(options, name, rule(getattr(options, name), name))


def whole(least: int = 0, most: int = MOST) -> Rule:
    """Return the rule for whole numbers within limits."""
    return lambda value, name: count_of(value, name, least=least, most=most)


def real(
    least: float = -LARGEST_FACTOR, most: float = LARGEST_FACTOR, *, above: float = -LARGEST_FACTOR - 1
) -> Rule:
    """Return the rule for real numbers within limits; `above` itself is not allowed."""
    return lambda value, name: real_of(value, name, least=least, most=most, above=above)


def choice(kind: type[Enum]) -> Rule:
    """Return the rule for members of an enumeration, given as themselves or as their texts."""
    return lambda value, name: choice_of(value, name, kind)


def optional(rule: Rule) -> Rule:
    """Return the rule for values that may be left out."""
    return lambda value, name: None if value is None else rule(value, name)


def each(rule: Rule, *, least: int = 0, most: int = MOST) -> Rule:
    """Return the rule for sequences of values; they are kept as a tuple."""

    def check(value: object, name: str) -> object:
        if not isinstance(value, tuple | list) or not least <= len(value) <= most:
            raise ArgumentError(name, _many(least, most), repr(value)[:60])
        return tuple(rule(item, f"{name}[{i}]") for i, item in enumerate(value))

    return check


def flag(value: object, name: str) -> bool:
    """Return a truth value; 0, 1 and texts are none.

    Raises:
        ArgumentError: It is something else.
    """
    plain: Any = value
    if type(plain).__name__ in {"bool", "bool_"}:
        return bool(plain)
    raise ArgumentError(name, "True or False", repr(value)[:60])


def _many(least: int, most: int) -> str:
    if least == most:
        return f"a tuple of {least} values"
    return f"a tuple of {least} values or more" if most == MOST else f"a tuple of {least} .. {most} values"


factor: Final = real(SMALLEST_FACTOR, LARGEST_FACTOR)
"""The rule for a strength, a gain, a slope, a threshold."""
milliseconds: Final = real(SHORTEST_MS, LONGEST_MS)
"""The rule for the length of a step and for a time constant."""
share: Final = real(0, 1)
"""The rule for a share of a whole."""
positive_share: Final = real(0, 1, above=0)
"""The rule for a share that leaves something."""
seed: Final = whole(most=2**32 - 1)
"""The rule for a seed: the largest that scikit-learn takes."""
