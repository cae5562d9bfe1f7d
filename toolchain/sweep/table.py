"""`sweep.csv`: a row for every point of a sweep, for a spreadsheet or a program."""

import csv
import io
from collections.abc import Iterable
from typing import Final

from toolchain.files.atomic import write_text
from toolchain.sweep.results import SweepResults, word
from toolchain.sweep.rows import Figures, PointRow, Setting
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.visible import visible

TABLE: Final = "sweep.csv"
_FIGURES: Final = tuple(name for name in Figures.model_fields if name not in {"microjoules", "exact"})
_ENERGY: Final = ("microjoules_least", "microjoules_most")
_AFTER: Final = ("train_seconds", "compile_seconds", "run", "build", "worker", "error")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a text begins with that a spreadsheet would compute."""


def write_table(folder: SweepFolder, results: SweepResults) -> None:
    """Write the table of all points that have ended; it appears whole or not at all."""
    write_text(folder.path / TABLE, table_of(results))


def table_of(results: SweepResults) -> str:
    """Return the table as comma-separated values, in UTF-8, with a head."""
    exact = sorted({name for row in results.rows for name in row.figures.exact})
    head = [
        "point",
        "state",
        *results.keys,
        *_FIGURES,
        *_ENERGY,
        *(f"exact_{name}" for name in exact),
        *_AFTER,
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_text, head))
    writer.writerows(_cells(row, results.keys, exact) for row in results.rows)
    return text.getvalue()


def _cells(row: PointRow, keys: Iterable[str], exact: Iterable[str]) -> list[str]:
    figures = row.figures
    least, most = figures.microjoules or (None, None)
    return [
        _text(row.name),
        row.state.value,
        *(_cell(row.settings.get(key)) for key in keys),
        *(_cell(getattr(figures, name)) for name in _FIGURES),
        _cell(least),
        _cell(most),
        *(_cell(figures.exact.get(name)) for name in exact),
        _cell(row.train_seconds),
        _cell(row.compile_seconds),
        *(_text(each) for each in (row.run, row.build, row.worker, row.error)),
    ]


def _cell(value: Setting) -> str:
    """Return a value: a number with all its digits, nothing for what is not known."""
    if isinstance(value, float):
        return repr(value)
    return _text(value) if isinstance(value, str) else "" if value is None else word(value)


def _text(text: str) -> str:
    """Return a text in one line that no spreadsheet takes for a formula, and no terminal for a command."""
    line = visible(" ".join(text.split()))
    return f"'{line}" if line.startswith(_FORMULA) else line
