"""Time series from CSV files of any origin."""

from dataclasses import replace
from typing import Final

import numpy as np

from toolchain.data.series.series import Series
from toolchain.data.tables.table import TableForm, interpolated, read_table
from toolchain.errors import ArgumentError, SeriesError
from toolchain.intake import PathText, names_of, path_of, real_of

_LEAST: Final = 10
"""Fewest rows of a series."""


def load_csv(
    path: PathText,
    columns: tuple[str, ...] = (),
    *,
    train: float = 0.6,
    validation: float = 0.2,
    form: TableForm | None = None,
) -> Series:
    """Read columns of numbers from a CSV file with a header line.

    Args:
        path: Path of the file, whose rows are equally spaced in time.
        columns: Names of the columns; by default all whose first value is a number.
        train: Share of the rows for training.
        validation: Share for validation; the rest is the test part.
        form: What separates cells and decimals, and what to do about gaps, which are interpolated within a
            part; by default separators are found, and a cell without a number is refused.

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
    form = form or TableForm()
    interpolates = form.gaps == "interpolate"
    table = read_table(path, columns, form=replace(form, gaps="leave") if interpolates else form)
    rows = len(table.values)
    if rows < _LEAST:
        raise SeriesError(str(path), f"expected a header and at least {_LEAST} rows, got {rows}")
    ends = round(rows * train), round(rows * (train + validation)), rows
    values = table.values
    if interpolates:
        # Part by part, so that none sees a value of another.
        parts = [part for part in np.split(values, ends[:2]) if len(part)]
        values = np.concatenate([interpolated(str(path), table.columns, part) for part in parts])
    time = next(iter(table.left_out), "")
    return Series(path.stem, values, *ends, table.columns, time=time, decimal=table.decimal)
