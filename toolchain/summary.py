"""How a result shows itself: one line where Python prints it, a small table in a notebook."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

from toolchain.visible import visible

_NUMBER: Final = re.compile(r"[-+]?\.?\d")
"""How a cell begins that is a number."""


class Summary(NamedTuple):
    """What a result says of itself.

    Attributes:
        line: The result in one line.
        head: Names of the columns of the table.
        rows: Cells of the table, row by row.
    """

    line: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]

    def to_html(self) -> str:
        """Return the line and the table as HTML; names from files are text there, never markup."""
        head = "".join(f"<th>{_text(cell)}</th>" for cell in self.head)
        body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        return f"<p>{_text(self.line)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Summarised(ABC):
    """A result that shows a summary of itself. Its dataclass is made with `repr=False`."""

    @abstractmethod
    def summary(self) -> Summary:
        """Return the line and the table that stand for this result."""

    def __repr__(self) -> str:
        return visible(self.summary().line)

    def _repr_html_(self) -> str:
        return self.summary().to_html()


def are_numbers(cells: Iterable[object]) -> bool:
    """Return whether a column of a table holds numbers, so that its cells end at one place.

    Args:
        cells: Numbers, with units or without. One word may stand in place of some, such as none.
    """
    texts = [str(cell) for cell in cells]
    words = [text for text in texts if not _NUMBER.match(text)]
    return len(words) < len(texts) and not any(" " in text for text in words)


def _text(cell: object) -> str:
    return escape(visible(str(cell)))
