"""Docstrings of the code as Sphinx reads them."""

import re
from itertools import cycle

from sphinx.application import Sphinx

_MAGNITUDE = re.compile(r"\|(?=\S)")


def _escape_bars(line: str) -> str:
    """Keep the bars of a magnitude from being read as a substitution, outside of code."""
    between_ticks = zip(line.split("`"), cycle((True, False)))
    return "`".join(_MAGNITUDE.sub(r"\\|", text) if prose else text for text, prose in between_ticks)


def _prepare(_app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    lines[:] = [_escape_bars(line) for line in lines]


def register(app: Sphinx) -> None:
    """Prepare every docstring before it is read."""
    app.connect("autodoc-process-docstring", _prepare)
