"""What a terminal would obey, or would not show, is written out; in errors and warnings, too."""

import sys
import traceback
import unicodedata
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.errors import ArgumentError, ToolchainError, VerifyError
from toolchain.execution.clipping import ClippedInput, ClippedInputWarning, warn_clipped
from toolchain.visible import visible

ANYTHING = st.text(st.characters(exclude_categories=()))
"""Every text that Python can hold, lone surrogates included."""
HIDDEN = [
    chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) in {"Cc", "Cs"}
]


def obeyed(text: str) -> set[str]:
    """Return what is left in a text that a terminal would obey, or not show."""
    return {
        character
        for character in text
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character != "\n"
    }


@given(ANYTHING)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = visible(text)
    assert not obeyed(shown)
    assert visible(shown) == shown
    assert shown.count("\n") == text.count("\n")


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    assert visible(f"{text} {text}\n") == f"{text} {text}\n"


def test_every_control_and_every_half_character_is_written_as_python_writes_it() -> None:
    for character in HIDDEN:
        assert visible(character) == ("\n" if character == "\n" else ascii(character)[1:-1])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m\x07", r"\x1b[31m\x07"),
        ("\x7f\x9b2J", r"\x7f\x9b2J"),
        ("\u202eexe.\u2066\u200f", r"\u202eexe.\u2066\u200f"),
        ("a\u2028b\u2029c\x85", r"a\u2028b\u2029c\x85"),
        ("a\rb\tc", r"a\rb\tc"),
        ("\udcff", r"\udcff"),
        ("größer 層 \\x1b", "größer 層 \\x1b"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANYTHING)
def test_errors_show_their_names(name: str) -> None:
    error = VerifyError(name, "is odd")
    error.add_note(name)
    assert not obeyed("".join(traceback.format_exception(error)))
    assert visible(name) in str(error)
    assert error.__notes__ == [visible(name)]


def test_an_error_keeps_what_it_was_made_of() -> None:
    error = ArgumentError("\x1bx", "a number", "text")
    assert error.argument == "\x1bx"
    assert str(error) == r"\x1bx: expected a number, got text"
    assert str(ToolchainError("")) == ""


def test_warnings_show_their_names() -> None:
    item = ClippedInput(input="in\x1b[2J", clipped=1, values=2, limit=1.0, peak=2.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ClippedInputWarning)
        warn_clipped([item])
    assert not obeyed(str(caught[0].message))
    assert r"in\x1b[2J" in str(caught[0].message)
