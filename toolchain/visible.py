"""Text for a terminal: what it would obey instead of showing is written out.

Names come from files of strangers: layers, operators, keys, files. An escape sequence in one could clear
the screen, change the colours or write over the lines above; an override of the direction of writing could
make it read as another name.
"""

from typing import Final
from unicodedata import category

_WRITTEN_OUT: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's controls, invisible formats, half characters, and separators of lines and paragraphs."""


def visible(text: str) -> str:
    r"""Return a text with every invisible character as Python writes it; line ends stay.

    >>> print(visible("layer\x1b[2J"))
    layer\x1b[2J
    """
    if text.isprintable():
        return text
    return "".join(
        ascii(character)[1:-1] if category(character) in _WRITTEN_OUT and character != "\n" else character
        for character in text
    )


class VisibleError(Exception):
    """An error that a terminal shows and does not obey: its text, and the notes that say where."""

    def __str__(self) -> str:
        return visible(super().__str__())

    def add_note(self, note: str, /) -> None:
        """Add a note, made visible: Python prints notes as they are."""
        super().add_note(visible(note))
