"""CSV files as people have them: dates, words, gaps, semicolons and decimal commas.

A column holds numbers if its first cell that is no gap is a number. Other columns, such as dates and words,
are left out unless somebody asks for them. What separates cells and decimals is found in the first lines or
said by the caller; `cells.py` says what a number is, and which cells are ambiguous. Text is UTF-8, or UTF-16
with a mark at its beginning.
"""

import codecs
import csv
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.data.tables.cells import Notation, is_ambiguous, is_missing, notation_of
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
_LOOKED_AT: Final = 50
"""Rows in which the first number of a column is looked for."""
_CONVERT: Final = "save it as UTF-8, such as by `iconv -f latin1 -t utf-8 OLD > NEW`"
_DECIMAL: Final = {False: ".", True: ","}
_SIGNS: Final = {False: "point", True: "comma"}
_REMEDY: Final = "say `decimal`, and name the `columns` to read if some are no numbers"


@final
@dataclass(frozen=True)
class TableForm:
    """How a CSV file is written.

    Attributes:
        delimiter: What stands between cells; empty to find out: a semicolon, tabulator or comma.
        decimal: Decimal point or comma, the other one then sets thousands apart; empty for a comma where
            cells are not separated by one and any number has one.
        gaps: What to do about cells without a number: `refuse`, `interpolate` between the rows before and
            after (the ends repeat), `drop` the row, or `leave` NaN there. A missing word is refused unless
            rows are dropped.
        unnamed: Whether the column of words may be missing, and words in it, which then are empty.
        usual: Decimal point or comma where cells do not show which it is; empty to refuse such a file.
    """

    delimiter: str = ""
    decimal: str = ""
    gaps: str = "refuse"
    unnamed: bool = False
    usual: str = ""


@final
@dataclass(frozen=True)
class CsvTable:
    """Columns of numbers, and words beside them.

    Attributes:
        columns: Names of the columns of numbers.
        values: Numbers `[rows, columns]`.
        words: Cells of the column that was asked for as words; empty if none was.
        left_out: Names of the columns that hold no numbers.
        rows: Number of every row in the file, int64 `[rows]`; the header is row 1.
        dropped: Number of rows that were dropped.
        decimal: Decimal point or comma, as it was said or found.
    """

    columns: tuple[str, ...]
    values: Floats
    words: tuple[str, ...]
    left_out: tuple[str, ...]
    rows: NDArray[np.int64]
    dropped: int = 0
    decimal: str = "."


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
        with path.open(newline="", encoding=_encoding(path)) as file:
            delimiter = form.delimiter or _delimiter(file)
            rows = _Rows(str(path), file, delimiter)
            return _read(str(path), rows, tuple(columns), words, form, delimiter)
    except UnicodeError as error:
        raise SeriesError(str(path), f"is not UTF-8 ({error}): {_CONVERT}") from None
    except (csv.Error, TypeError) as error:
        raise SeriesError(str(path), f"is not a CSV file: {error}") from None


def _encoding(path: Path) -> str:
    """Return how a file is encoded: UTF-8, unless a mark at its beginning says UTF-16."""
    with path.open("rb") as file:
        begin = file.read(4)
    marked = begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if marked and not begin.startswith(codecs.BOM_UTF32_LE) else "utf-8-sig"


def _delimiter(file: IO[str]) -> str:
    """Return what the header line has most of, and begin the file anew."""
    header = file.readline(_ROW)
    file.seek(0)
    return max((",", ";", "\t"), key=header.count)


@final
class _Rows(Iterator[tuple[int, list[str]]]):
    """Rows of a CSV file that are not empty, with their numbers, counted from 1.

    One that is too long is refused, because it would lie in memory at once.
    """

    def __init__(self, path: str, file: IO[str], delimiter: str) -> None:
        self._path, self._file, self._characters, self._number = path, file, 0, 0
        self._reader = csv.reader(self._lines(), delimiter=delimiter)

    def _lines(self) -> Iterator[str]:
        while line := self._file.readline(_ROW):
            self._characters += len(line)
            if self._characters >= _ROW:
                raise SeriesError(self._path, f"has a row of more than {_ROW} characters")
            if "\0" in line:
                raise SeriesError(
                    self._path, f"holds NUL characters, as UTF-16 without a mark has: {_CONVERT}"
                )
            yield line

    def __next__(self) -> tuple[int, list[str]]:
        row: list[str] = []
        while not row:
            row = next(self._reader)
            self._number += 1
            self._characters = 0
        return self._number, row


def _read(
    path: str, rows: _Rows, columns: tuple[str, ...], words: str, form: TableForm, delimiter: str
) -> CsvTable:
    _, header = next(rows, (0, list[str]()))
    places = _places(path, header)
    first = list(islice(rows, _LOOKED_AT))
    if form.unnamed and words not in places:
        words = ""
    _check_names(path, places, columns, words)
    notation = _notation(path, form, delimiter, [row for _, row in first], places, columns, words)
    chosen = list(columns) or _columns_of_numbers(path, places, words, [row for _, row in first], notation)
    cells, texts, numbers, dropped = array("d"), list[str](), array("q"), 0
    for number, row in chain(first, rows):
        values = [_cell(row, places[name], notation) for name in chosen]
        gaps = [name for name, value in zip(chosen, values, strict=True) if value is None]
        _check_row(path, number, row, len(header), {name: places[name] for name in gaps}, form.gaps)
        word = _word(path, number, row, places, words, form)
        if form.gaps == "drop" and (gaps or (words and not word and not form.unnamed)):
            dropped += 1
            continue
        cells.extend(math.nan if value is None else value for value in values)
        texts.extend([word] if words else [])
        numbers.append(number)
    values = np.frombuffer(cells).reshape(len(numbers), len(chosen)) if cells else np.zeros((0, len(chosen)))
    left_out = tuple(name for name in places if name not in chosen and name != words)
    whole = _without_gaps(path, chosen, values, form)
    return CsvTable(
        tuple(chosen),
        whole,
        tuple(texts),
        left_out,
        np.array(numbers, np.int64),
        dropped,
        _DECIMAL[notation.comma],
    )


def _word(
    path: str, number: int, row: Sequence[str], places: Mapping[str, int], words: str, form: TableForm
) -> str:
    """Return the word of a row; an empty one where none is asked for, or it is missing and the row goes."""
    if not words:
        return ""
    word = row[places[words]].strip() if places[words] < len(row) else ""
    if not is_missing(word):
        return word
    if form.gaps != "drop" and not form.unnamed:
        raise SeriesError(
            path,
            f"row {number}, column '{words}': expected the name of a class, got {word!r}, which stands for "
            'a missing one; leave the row out, all with `gaps = "drop"`, or give the class another name',
        )
    return ""


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
        if asked == "refuse" or not is_missing(cell or ""):
            unclear, gap = is_ambiguous(cell or ""), is_missing(cell or "")
            raise SeriesError(
                path,
                f"row {number}, column '{name}': expected a number, got {cell and cell[:_SHOWN]!r}"
                + (", which may have decimals or thousands: say `decimal`" if unclear else "")
                + ('; leave such rows out with `gaps = "drop"`, or interpolate them' if gap else ""),
            )


def _check_names(path: str, places: Mapping[str, int], columns: Sequence[str], words: str) -> None:
    """Refuse names of columns that are not in the header."""
    unknown = [name for name in (*columns, *([words] if words else [])) if name not in places]
    if unknown:
        listed = ", ".join(places)[:_NAMES] or "none"
        raise SeriesError(path, f"has no column '{', '.join(unknown)}'; known: {listed}")
    if words in columns:
        raise SeriesError(path, f"column '{words}' names the class: leave it out of `columns`")


def _notation(
    path: str,
    form: TableForm,
    delimiter: str,
    first: Sequence[Sequence[str]],
    places: Mapping[str, int],
    columns: Sequence[str],
    words: str,
) -> Notation:
    """Return how numbers are written, as was said or as the first rows of the columns show."""
    if form.decimal or delimiter == ",":
        return Notation(comma=form.decimal == ",", said=bool(form.decimal))
    looked = [place for name, place in places.items() if name != words and (not columns or name in columns)]
    try:
        cells = (row[place] for row in first for place in looked if place < len(row))
        return notation_of(cells, form.usual)
    except ValueError as error:
        raise SeriesError(path, f"{error}: {_REMEDY}") from None


def _columns_of_numbers(
    path: str, places: Mapping[str, int], words: str, first: Sequence[Sequence[str]], notation: Notation
) -> list[str]:
    """Return the names of all columns that hold numbers."""
    chosen = list[str]()
    for name, place in places.items():
        cell = _first_cell(row[place] for row in first if place < len(row)) if name != words else ""
        if notation.number(cell) is not None:
            chosen.append(name)
        elif notation.other.number(cell) is not None:
            raise SeriesError(
                path,
                f"column '{name}' begins with '{cell.strip()[:_SHOWN]}', which would be a number with a "
                f"decimal {_SIGNS[notation.other.comma]}, unlike those of the file: {_REMEDY}",
            )
    if not chosen:
        raise SeriesError(path, f"has no column of numbers; known: {', '.join(places)[:_NAMES] or 'none'}")
    return chosen


def _first_cell(cells: Iterable[str]) -> str:
    """Return the first cell that is no gap."""
    return next((cell for cell in cells if not is_missing(cell)), "")


def _cell(row: Sequence[str], place: int, notation: Notation) -> float | None:
    return notation.number(row[place]) if place < len(row) else None


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
