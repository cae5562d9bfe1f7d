"""Tables of new samples: rows with or without what is to be said of them, and series in windows."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolchain.arrays import Floats
from toolchain.data.new_samples.raw_samples import NAMES, RawSamples, named_classes
from toolchain.data.sets.data_set import SampleForm
from toolchain.data.sets.output_scale import OutputScale
from toolchain.data.sets.reading import Reading
from toolchain.data.tables.table import CsvTable, TableForm, read_table
from toolchain.errors import SeriesError


def read_rows(
    form: SampleForm, reading: Reading, classes: Sequence[str], path: Path, scale: OutputScale | None
) -> RawSamples:
    """Return the rows of a table as samples; see `RawEncoder.read`."""
    table = _table(reading, path)
    sources = tuple(f"row {number}" for number in table.rows)
    samples = table.values.reshape(len(table.values), *form.shape)
    if scale is not None:
        return RawSamples(samples, sources, _targets(table, reading, scale, path))
    return RawSamples(samples, sources, named_classes(_words(table, reading, path), sources, classes, path))


def read_windows(form: SampleForm, reading: Reading, scale: OutputScale, path: Path) -> RawSamples:
    """Return every window of a series as a sample, with the time or row of its last value as its source.

    Raises:
        SeriesError: The series is shorter than a window.
    """
    table, window = _table(reading, path), form.shape[0]
    if len(table.values) < window:
        raise SeriesError(
            str(path), f"has {len(table.values)} values, and the network sees {window}: give at least as many"
        )
    windows = np.lib.stride_tricks.sliding_window_view(table.values, window, axis=0).swapaxes(1, 2)
    words = table.words or ("",) * len(table.rows)
    times = tuple(word or f"row {number}" for word, number in zip(words, table.rows, strict=True))
    return RawSamples(windows, times[window - 1 :], present=scale.normalised(table.values[window - 1 :]))


def _form(reading: Reading) -> TableForm:
    return TableForm(
        reading.delimiter, reading.decimal, reading.gaps.value, unnamed=True, usual=reading.found_decimal
    )


def _table(reading: Reading, path: Path) -> CsvTable:
    """Read the columns of the training, and words beside them where they are there."""
    try:
        table = read_table(path, reading.columns, reading.label, _form(reading))
    except SeriesError as error:
        error.add_note(f"the network was trained on the columns {', '.join(reading.columns)[:NAMES]}")
        raise
    if not len(table.values) or not np.isfinite(table.values).all():
        what = "holds values that are not finite" if len(table.values) else "holds no rows"
        raise SeriesError(str(path), what)
    if table.dropped:
        warnings.warn(f"{table.dropped} rows of '{path}' have gaps and are left out", stacklevel=5)
    return table


def _targets(table: CsvTable, reading: Reading, scale: OutputScale, path: Path) -> Floats | None:
    """Return what is to be said of the rows, as a network learns it; None where it does not stand there."""
    there = [name for name in scale.names if name in table.left_out]
    if not there:
        return None
    missing = [name for name in scale.names if name not in table.left_out]
    if not missing:
        form = replace(_form(reading), gaps="leave")
        beside = read_table(path, (*reading.columns, *scale.names), reading.label, form)
        values = beside.values[np.isin(beside.rows, table.rows), len(reading.columns) :]
        missing = [name for name, column in zip(scale.names, values.T, strict=True) if np.isnan(column).any()]
        if not missing:
            return scale.normalised(values)
    warnings.warn(
        f"'{path}' does not say '{missing[0]}' of every row, so that what it says of "
        f"'{there[0]}' is not read either, and no error is known",
        stacklevel=5,
    )
    return None


def _words(table: CsvTable, reading: Reading, path: Path) -> Sequence[str]:
    """Return the words of all rows; none if no row has one."""
    if not any(table.words):
        return ()
    if "" in table.words:
        number = table.rows[table.words.index("")]
        raise SeriesError(
            str(path),
            f"row {number}, column '{reading.label}': names no class, and other rows do; fill it in, or "
            "leave the column out",
        )
    return table.words
