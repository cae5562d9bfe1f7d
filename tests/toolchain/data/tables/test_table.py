"""CSV files as people have them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.data.tables.table import TableForm, read_table
from toolchain.errors import SeriesError

_GAPS = "day;speed;note\n1.5.;1,5;calm\n2.5.;;calm\n3.5.;4,5;\n4.5.;n/a;storm\n"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_semicolons_and_decimal_commas_are_found(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path / "a.csv", "a;b\n1,5;1.234,5\n2;3\n"))
    assert table.columns == ("a", "b")
    assert table.values.tolist() == [[1.5, 1234.5], [2, 3]]


def test_tabulators_are_found_and_points_stay_points(tmp_path: Path) -> None:
    assert read_table(_write(tmp_path / "a.csv", "a\tb\n1.5\t2\n")).values.tolist() == [[1.5, 2]]
    assert read_table(_write(tmp_path / "b.csv", "a;b\n1.5;2e3\n")).values.tolist() == [[1.5, 2000]]


def test_separators_can_be_said(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", 'a|b\n"1,5"|2\n')
    assert read_table(path, form=TableForm("|", ",")).values.tolist() == [[1.5, 2]]


def test_dates_and_words_are_left_out_and_said(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path / "a.csv", "date,x,what\n2024-01-01,1,up\n2024-01-02,2,down\n"))
    assert table.columns == ("x",)
    assert table.left_out == ("date", "what")


def test_a_column_of_words_is_read_if_asked_for(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "x,what\n1, up\n2,down\n")
    assert read_table(path, words="what").words == ("up", "down")
    with pytest.raises(SeriesError, match="no column 'waht'"):
        read_table(path, words="waht")


def test_a_gap_is_refused_by_row_and_column(tmp_path: Path) -> None:
    with pytest.raises(
        SeriesError, match="row 3, column 'speed': expected a number, got ''; leave such rows"
    ):
        read_table(_write(tmp_path / "a.csv", _GAPS))


def test_gaps_are_interpolated_and_ends_repeat(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path / "a.csv", _GAPS), form=TableForm(gaps="interpolate"))
    assert table.values[:, 0].tolist() == [1.5, 3.0, 4.5, 4.5]


def test_rows_with_gaps_are_dropped_with_their_words(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path / "a.csv", _GAPS), words="note", form=TableForm(gaps="drop"))
    assert table.values[:, 0].tolist() == [1.5]
    assert (table.words, table.rows.tolist()) == (("calm",), [2])


def test_a_column_that_begins_with_gaps_is_one_of_numbers(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path / "a.csv", "x,y\n,1\n,2\n3,3\n"), form=TableForm(gaps="interpolate"))
    assert table.values.tolist() == [[3, 1], [3, 2], [3, 3]]


def test_a_column_without_any_number_cannot_be_interpolated(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "x,y\n,1\n,2\n")
    with pytest.raises(SeriesError, match="column 'x' holds no number at all"):
        read_table(path, ("x", "y"), form=TableForm(gaps="interpolate"))


def test_no_row_is_lost_behind_those_that_are_looked_at_first(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "x\n" + "".join(f"{i}\n" for i in range(200)))
    assert read_table(path).values[:, 0].tolist() == list(range(200))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,x,y\n1,2,a\n", "two columns 'x'"),
        ("x,z,y\n1,5,2,5,a\n", "row 2 has 5 cells, the header 3"),
        ("x,z,y\nr1,0.1,3,a\n", "row 2 has 4 cells, the header 3"),
        ("x,y\n1,a\n1_000,b\n", "row 3, column 'x': expected a number, got '1_000'"),
    ],
)
def test_cells_that_would_be_read_as_others_are_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=said):
        read_table(_write(tmp_path / "a.csv", text), words="y")


def test_a_column_without_a_name_is_left_out_and_empty_cells_behind_a_row_are_none(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path / "a.csv", ",x,y\n0,5,a,\n1,6,b,,\n"), words="y")
    assert table.columns == ("x",)
    assert table.values.tolist() == [[5], [6]]
    assert table.words == ("a", "b")


def test_the_class_is_no_input(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "x,y\n1,0\n2,1\n")
    with pytest.raises(SeriesError, match="column 'y' names the class: leave it out of `columns`"):
        read_table(path, ("x", "y"), words="y")


@pytest.mark.parametrize("gaps", ["interpolate", "drop"])
@pytest.mark.parametrize("cell", ["7,5", "seven", "1 000"])
def test_a_cell_that_holds_something_else_is_no_gap(gaps: str, cell: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "x;y\n" + "1;2\n" * 60 + f"{cell};2\n")
    with pytest.raises(SeriesError, match=f"row 62, column 'x': expected a number, got '{cell}'"):
        read_table(path, form=TableForm(gaps=gaps))


@pytest.mark.parametrize("word", ["", "NA", " n/a ", "?", "NaN", "None"])
def test_a_missing_word_is_no_class(word: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", f"x,y\n1,a\n\n2,{word}\n3,b\n")
    for gaps in ("refuse", "interpolate"):
        with pytest.raises(SeriesError, match="row 4, column 'y': expected the name of a class, got"):
            read_table(path, words="y", form=TableForm(gaps=gaps))
    table = read_table(path, words="y", form=TableForm(gaps="drop"))
    assert (table.words, table.values[:, 0].tolist(), table.rows.tolist()) == (("a", "b"), [1, 3], [2, 5])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_of_any_system_are_read(encoding: str, ending: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(ending.join(["größe\tx", "1\t2", "3\t4"]).encode(encoding))
    table = read_table(tmp_path / "a.csv")
    assert (table.columns, table.values.tolist()) == (("größe", "x"), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("latin-1", "is not UTF-8 .*save it as UTF-8, such as by `iconv"),
        ("utf-16-le", "holds NUL characters, as UTF-16 without a mark has: save it as UTF-8"),
        ("utf-32", "UTF-8"),
    ],
)
def test_other_encodings_are_refused_with_what_to_do(encoding: str, said: str, tmp_path: Path) -> None:
    text = f"{'größe' if encoding == 'latin-1' else 'size'},x\n1,2\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    with pytest.raises(SeriesError, match=said):
        read_table(tmp_path / "a.csv")


def test_a_column_that_is_missing_is_named_apart_from_columns_without_numbers(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "x,y\n1,a\n")
    with pytest.raises(SeriesError, match="has no column 'kind'; known: x, y"):
        read_table(path, words="kind")
    with pytest.raises(SeriesError, match="has no column of numbers; known: x, y"):
        read_table(path, words="x")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables") / "a.csv"


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(-(10**6), 10**6)), min_size=1, max_size=80),
    delimiter=st.sampled_from([";", "\t"]),
)
def test_numbers_with_decimal_commas_come_back(
    place: Path, values: list[tuple[float, int]], delimiter: str
) -> None:
    rows = [f"{a:.6f}".replace(".", ",") + delimiter + str(b) for a, b in values]
    place.write_text("\n".join([f"a{delimiter}b", *rows]))
    expected = [[float(f"{a:.6f}"), b] for a, b in values]
    assert np.array_equal(read_table(place).values, expected)
