"""Time series from CSV files of any origin, read row by row."""

import csv
from array import array
from collections.abc import Iterator, Mapping
from typing import IO, Final, final

import numpy as np

from toolchain.arrays import Floats
from toolchain.data.series import Series
from toolchain.errors import ArgumentError, SeriesError
from toolchain.files.disk import check_file
from toolchain.intake import PathText, names_of, path_of, real_of
from toolchain.memory import budget

_GROWTH: Final = 16
"""A file takes at most so many times its size: two characters become a number, which is copied once."""
_ROW: Final = 2**20
"""Characters of the longest row."""
_LEAST: Final = 10
"""Fewest rows of a series."""
_SHOWN: Final = 60
"""Characters of a cell that a message shows."""
_NAMES: Final = 600
"""Characters of all names of columns that a message shows."""


def load_csv(
    path: PathText, columns: tuple[str, ...] = (), *, train: float = 0.6, validation: float = 0.2
) -> Series:
    """Read columns of numbers from a CSV file with a header line.

    Args:
        path: Path of the file, whose rows are equally spaced in time.
        columns: Names of the columns; by default all whose first value is a number.
        train: Share of the rows for training.
        validation: Share for validation; the rest is the test part.

    Raises:
        MissingFileError: There is no such file.
        SeriesError: A column is unknown, a cell is not a number, or there are too few rows.
    """
    path, columns = path_of(path, "path"), names_of(columns, "columns")
    train = real_of(train, "train", above=0, most=1)
    validation = real_of(validation, "validation", least=0, most=1)
    if train + validation > 1:
        raise ArgumentError(
            "train and validation", "shares of at most 1 together", f"{train:g} and {validation:g}"
        )
    check_file("series", path)
    excess = budget().excess(_GROWTH * path.stat().st_size)
    if excess:
        raise SeriesError(str(path), excess)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            values = _columns(str(path), _Lines(str(path), file), columns)
    except (csv.Error, UnicodeDecodeError) as error:
        raise SeriesError(str(path), f"is not a CSV file: {error}") from None
    rows = len(values)
    return Series(path.stem, values, round(rows * train), round(rows * (train + validation)), rows)


@final
class _Lines(Iterator[str]):
    """Lines of a CSV file; a row that takes too many is refused, because it would lie in memory at once."""

    def __init__(self, path: str, file: IO[str]) -> None:
        self._path, self._file = path, file
        self.row = 0
        """Characters since the row began."""

    def __next__(self) -> str:
        line = self._file.readline(_ROW)
        self.row += len(line)
        if self.row >= _ROW:
            raise SeriesError(self._path, f"has a row of more than {_ROW} characters")
        if not line:
            raise StopIteration
        return line


def _columns(path: str, lines: _Lines, columns: tuple[str, ...]) -> Floats:
    """Return the chosen columns of a CSV file, `[rows, columns]`."""
    known: dict[str, int] = {}
    chosen: list[str] = []
    cells = array("d")
    count = 0
    for row in csv.reader(lines):
        lines.row = 0
        if not row:
            continue
        if not known:
            known = {name: place for place, name in enumerate(row)}
            continue
        if not count:
            chosen = _chosen(path, known, columns, row)
        count += 1
        for name in chosen:
            cell = row[known[name]] if known[name] < len(row) else None
            value = _number(cell)
            if value is None:
                raise SeriesError(
                    path,
                    f"row {count + 1}, column '{name}': expected a number, got {cell and cell[:_SHOWN]!r}",
                )
            cells.append(value)
    if count < _LEAST:
        raise SeriesError(path, f"expected a header and at least {_LEAST} rows, got {count}")
    return np.frombuffer(cells).reshape(count, len(chosen))


def _chosen(path: str, known: Mapping[str, int], columns: tuple[str, ...], row: list[str]) -> list[str]:
    """Return the names of the columns to read: those asked for, or all whose first value is a number."""
    numbers = [name for name, place in known.items() if place < len(row) and _number(row[place]) is not None]
    chosen = list(columns or numbers)
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise SeriesError(
            path, f"has no column '{', '.join(unknown)}' of numbers; known: {', '.join(known)[:_NAMES]}"
        )
    return chosen


def _number(cell: str | None) -> float | None:
    try:
        return None if cell is None else float(cell)
    except ValueError:
        return None
