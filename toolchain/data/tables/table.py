"""CSV files as people have them: dates, words, gaps, semicolons and decimal commas.

What a cell is stays simple. A column holds numbers if its first cell that is not empty is a number. Other
columns, such as dates and words, are left out unless somebody asks for them. What separates cells and
decimals is found in the first lines or said by the caller.
"""

import csv
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Final, final

import numpy as np

from toolchain.arrays import Floats
from toolchain.errors import SeriesError
from toolchain.files.disk import check_file
from toolchain.memory import budget

_GROWTH: Final = 16
"""A file takes at most so many times its size: two characters become a number, which is copied once."""
_ROW: Final = 2**20
"""Characters of the longest row."""
_SHOWN: Final = 60
"""Characters of a cell that a message shows."""
_NAMES: Final = 600
"""Characters of all names of columns that a message shows."""
_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
"""What stands where a number is missing, in small letters."""
_LOOKED_AT: Final = 50
"""Rows in which the first number of a column is looked for."""


@final
@dataclass(frozen=True)
class TableForm:
    """How a CSV file is written.

    Attributes:
        delimiter: What stands between cells; empty to find out: a semicolon, tabulator or comma.
        decimal: Decimal point or comma; empty for a comma where cells are not separated by one and any number
            has one.
        gaps: What to do about cells without a number: `refuse`, `interpolate` between the rows before and
            after (the ends repeat), `drop` the row, or `leave` NaN there.
    """

    delimiter: str = ""
    decimal: str = ""
    gaps: str = "refuse"


@final
@dataclass(frozen=True)
class CsvTable:
    """Columns of numbers, and words beside them.

    Attributes:
        columns: Names of the columns of numbers.
        values: Numbers `[rows, columns]`.
        words: Cells of the column that was asked for as words; empty if none was.
        left_out: Names of the columns that hold no numbers.
    """

    columns: tuple[str, ...]
    values: Floats
    words: tuple[str, ...]
    left_out: tuple[str, ...]


def read_table(
    path: Path, columns: Sequence[str] = (), words: str = "", form: TableForm | None = None
) -> CsvTable:
    """Read columns of a CSV file with a header line.

    Args:
        path: The file.
        columns: Names of columns of numbers; by default all that hold some.
        words: Name of a column that is read as words; empty for none.
        form: How the file is written.

    Raises:
        MissingFileError: There is no such file.
        SeriesError: It is no such file, a column is unknown, or a cell is no number: names row and column.
    """
    check_file("table", path)
    form = form or TableForm()
    excess = budget().excess(_GROWTH * path.stat().st_size)
    if excess:
        raise SeriesError(str(path), excess)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            delimiter = form.delimiter or _delimiter(file)
            rows = _Rows(str(path), file, delimiter)
            return _read(str(path), rows, tuple(columns), words, form, delimiter)
    except (csv.Error, UnicodeDecodeError, TypeError) as error:
        raise SeriesError(str(path), f"is not a CSV file: {error}") from None


def _delimiter(file: IO[str]) -> str:
    """Return what the header line has most of, and begin the file anew."""
    header = file.readline(_ROW)
    file.seek(0)
    return max((",", ";", "\t"), key=header.count)


@final
class _Rows(Iterator[list[str]]):
    """Rows of a CSV file; one that is too long is refused, because it would lie in memory at once."""

    def __init__(self, path: str, file: IO[str], delimiter: str) -> None:
        self._path, self._file, self._characters = path, file, 0
        self._reader = csv.reader(self._lines(), delimiter=delimiter)

    def _lines(self) -> Iterator[str]:
        while line := self._file.readline(_ROW):
            self._characters += len(line)
            if self._characters >= _ROW:
                raise SeriesError(self._path, f"has a row of more than {_ROW} characters")
            yield line

    def __next__(self) -> list[str]:
        row: list[str] = []
        while not row:
            row = next(self._reader)
            self._characters = 0
        return row


def _read(
    path: str, rows: _Rows, columns: tuple[str, ...], words: str, form: TableForm, delimiter: str
) -> CsvTable:
    header = next(rows, [])
    places = _places(path, header)
    first = list(islice(rows, _LOOKED_AT))
    comma = form.decimal == "," or (not form.decimal and delimiter != "," and _has_commas(first))
    chosen = _chosen(path, places, columns, words, first, comma=comma)
    cells, texts, count = array("d"), list[str](), 0
    for number, row in enumerate(chain(first, rows), start=2):
        values = [_cell(row, places[name], comma=comma) for name in chosen]
        gaps = [name for name, value in zip(chosen, values, strict=True) if value is None]
        _check_row(path, number, row, len(header), {name: places[name] for name in gaps}, form.gaps)
        if gaps and form.gaps == "drop":
            continue
        cells.extend(math.nan if value is None else value for value in values)
        if words:
            texts.append(row[places[words]].strip() if places[words] < len(row) else "")
        count += 1
    values = np.frombuffer(cells).reshape(count, len(chosen)) if count else np.zeros((0, len(chosen)))
    left_out = tuple(name for name in places if name not in chosen and name != words)
    return CsvTable(tuple(chosen), _without_gaps(path, chosen, values, form), tuple(texts), left_out)


def _places(path: str, header: Sequence[str]) -> dict[str, int]:
    """Return where columns stand by their names; one without a name, such as numbers of rows, is left out."""
    places = dict[str, int]()
    for place, name in enumerate(map(str.strip, header)):
        if name in places:
            raise SeriesError(path, f"has two columns '{name[:_SHOWN]}': give each a name of its own")
        if name:
            places[name] = place
    return places


def _check_row(
    path: str, number: int, row: Sequence[str], width: int, gaps: Mapping[str, int], asked: str
) -> None:
    """Refuse a row that is longer than the header, and what is neither a number nor a gap that is allowed."""
    if any(cell.strip() for cell in row[width:]):
        raise SeriesError(
            path,
            f"row {number} has {len(row)} cells, the header {width}: name every column, and quote cells that "
            "contain what separates them",
        )
    for name, place in gaps.items():
        cell = row[place] if place < len(row) else None
        if asked == "refuse" or (cell or "").strip().lower() not in _MISSING:
            raise SeriesError(
                path,
                f"row {number}, column '{name}': expected a number, got {cell and cell[:_SHOWN]!r}",
            )


def _chosen(
    path: str,
    places: dict[str, int],
    columns: tuple[str, ...],
    words: str,
    first: Sequence[Sequence[str]],
    *,
    comma: bool,
) -> list[str]:
    """Return the names of the columns to read: those asked for, or all that hold numbers."""
    numbers = [
        name
        for name, place in places.items()
        if name != words and _first_number(first, place, comma=comma) is not None
    ]
    chosen = list(columns or numbers)
    unknown = [name for name in (*chosen, *([words] if words else [])) if name not in places]
    if unknown or not chosen:
        raise SeriesError(
            path, f"has no column '{', '.join(unknown)}' of numbers; known: {', '.join(places)[:_NAMES]}"
        )
    if words in chosen:
        raise SeriesError(path, f"column '{words}' names the class: leave it out of `columns`")
    return chosen


def _first_number(rows: Sequence[Sequence[str]], place: int, *, comma: bool) -> float | None:
    for row in rows:
        if place < len(row) and row[place].strip().lower() not in _MISSING:
            return _number(row[place], comma=comma)
    return None


def _has_commas(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether any cell is a number only if a comma is its decimal point."""
    return any(
        _number(cell) is None and _number(cell, comma=True) is not None for row in rows for cell in row
    )


def _cell(row: Sequence[str], place: int, *, comma: bool) -> float | None:
    return _number(row[place], comma=comma) if place < len(row) else None


def _number(cell: str, *, comma: bool = False) -> float | None:
    text = cell.strip()
    if comma:
        text = text.replace(".", "").replace(",", ".") if "," in text else text
    # Python alone takes '1_2' for a number.
    if text.lower() in _MISSING or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _without_gaps(path: str, names: Sequence[str], values: Floats, form: TableForm) -> Floats:
    """Return numbers without gaps: those between two rows lie on the line between them."""
    return interpolated(path, names, values) if form.gaps == "interpolate" else values


def interpolated(path: str, names: Sequence[str], values: Floats) -> Floats:
    """Return numbers without gaps: those between two rows lie on the line between them, the ends repeat.

    Args:
        path: The file they were read from, for errors.
        names: Name of every column.
        values: Numbers `[rows, columns]`; NaN for gaps.

    Raises:
        SeriesError: A column holds no number at all.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values
    whole, rows = values.copy(), np.arange(len(values))
    for i, name in enumerate(names):
        gap = missing[:, i]
        if gap.all():
            raise SeriesError(path, f"column '{name}' holds no number at all: leave it out")
        whole[gap, i] = np.interp(rows[gap], rows[~gap], values[~gap, i])
    return whole
