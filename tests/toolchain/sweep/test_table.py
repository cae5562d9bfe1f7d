"""The table has a row a point, all digits, and nothing that a spreadsheet would compute."""

import csv
import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.sweep.sweep_rows import grid_folder, row_of
from toolchain.sweep.results import SweepResults, read_results
from toolchain.sweep.rows import Figures, PointState
from toolchain.sweep.table import TABLE, table_of, write_table


def _cells(results: SweepResults) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table_of(results))))


def test_rows_stand_in_the_order_of_their_settings(tmp_path: Path) -> None:
    grid = {"seed": (10, 9, 2), "model.gain": (0.5, 0.25)}
    folder = grid_folder(tmp_path, grid, lambda _: Figures(operations=1 / 3))
    cells = _cells(read_results(folder))
    assert [(row["seed"], row["model.gain"]) for row in cells] == [
        (seed, gain) for seed in ("2", "9", "10") for gain in ("0.25", "0.5")
    ]
    assert {row["operations"] for row in cells} == {"0.3333333333333333"}
    assert {row["cores"] for row in cells} == {""}


def test_the_file_is_the_same_whenever_it_is_written(tmp_path: Path) -> None:
    folder = grid_folder(tmp_path, {"seed": (0, 1)}, lambda _: Figures())
    write_table(folder, read_results(folder))
    first = (tmp_path / TABLE).read_bytes()
    (tmp_path / TABLE).unlink()
    write_table(folder, read_results(folder))
    assert (tmp_path / TABLE).read_bytes() == first


def test_errors_are_one_line_and_no_formula() -> None:
    rows = (
        row_of("a", {"model.module": "=cmd()"}, state=PointState.FAILED, error='=1+1\nand, "more"'),
        row_of("b", {"model.module": (1, 2.5, "x")}, Figures(microjoules=(1.0, 2.0), exact={"lava": True})),
        row_of("c", {"model.module": True}, worker="@host"),
    )
    first, second, third = _cells(SweepResults(("model.module",), rows))
    assert first["model.module"] == "'=cmd()"
    assert first["error"] == '\'=1+1 and, "more"'
    assert second["model.module"] == '[1, 2.5, "x"]'
    assert (second["microjoules_least"], second["microjoules_most"]) == ("1.0", "2.0")
    assert (second["exact_lava"], third["exact_lava"]) == ("true", "")
    assert third["model.module"] == "true"
    assert third["worker"] == "'@host"


@given(st.text(), st.text())
def test_no_text_becomes_a_formula_or_a_row(error: str, value: str) -> None:
    row = row_of("a", {"key": value}, error=error)
    text = table_of(SweepResults(("key",), (row,)))
    (cells,) = csv.DictReader(io.StringIO(text))
    for cell in (cells["error"], cells["key"]):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert len(text.splitlines()) == 2


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_to_the_last_bit(value: float) -> None:
    row = row_of("a", {"key": value})
    (cells,) = _cells(SweepResults(("key",), (row,)))
    assert float(cells["key"]) == value


def test_no_text_is_a_command_of_a_terminal() -> None:
    row = row_of("a", state=PointState.FAILED, error="\x1b[2J\0 \u202e", settings={"seed": 1})
    text = table_of(SweepResults(("seed",), (row,)))
    assert "\\x1b[2J\\x00 \\u202e" in text
