"""CSV files in their true format; damaged ones are named with the row, and never lie in memory as a whole."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.data import load_csv
from toolchain.errors import MissingFileError, SeriesError


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_of_numbers_are_read_from_csv(tmp_path: Path) -> None:
    rows = "\n".join(f"2020-01-{i:02d},{i},{i * i}.5" for i in range(1, 21))
    path = _write(tmp_path / "wind.csv", f"\ufeffdate,speed,direction\n{rows}\n")
    series = load_csv(path)
    assert series.name == "wind"
    assert series.values[:2].tolist() == [[1, 1.5], [2, 4.5]]
    assert (series.train, series.validation, series.test) == (12, 16, 20)
    assert load_csv(path, ("direction",)).values.shape == (20, 1)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a\n1\n", (), "at least 10 rows, got 1"),
        ("a\n" + "1\n" * 5 + "x\n" + "1\n" * 6, (), "row 7, column 'a': expected a number, got 'x'"),
        ("a\n" + "1\n2\n" * 6, ("b",), "no column 'b'"),
        ("a\n" + "x\n" * 12, (), "no column of numbers; known: a"),
        ("a\n" + "3\n" * 12, (), "never changes"),
        ("a\n" + "1\ninf\n" * 6, (), "not finite"),
        ("a,b\n" + "1,2\n1\n" * 6, (), "got None"),
    ],
)
def test_a_bad_file_is_named_with_its_row(
    text: str, columns: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SeriesError, match=message):
        load_csv(_write(tmp_path / "bad.csv", text), columns)


def test_a_missing_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load_csv(tmp_path / "no.csv")
    for content, said in ((b"\xff\x00\x80\xfe", "is not UTF-8.*iconv"), (b"\xff\xfe\x00\x80", "no column")):
        (tmp_path / "b.csv").write_bytes(content * 40)
        with pytest.raises(SeriesError, match=said):
            load_csv(tmp_path / "b.csv")


def test_rows_may_take_several_lines_and_lack_what_is_not_asked_for(tmp_path: Path) -> None:
    rows = "".join(f'{i},"a\nb"\n\n' for i in range(12))
    series = load_csv(_write(tmp_path / "a.csv", f"a,text,rest\n{rows}"))
    assert series.values[:, 0].tolist() == list(range(12))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n" + "1," * 2**19 + "\n", "row of more than 1048576 characters"),
        ("a\n" + '"\n",' * 2**18, "row of more than 1048576 characters"),
        ('a\n"' + "x" * 2**18, "not a CSV file: field larger"),
        ("a" * 2**17 + "\n" + "x\n" * 12, "has no column"),
        ("a\n" + "1\n" * 9 + "9" * 400 + "\n", "not finite"),
        ("a\n" + "1\n" * 9 + "1e200\n2\n", "not finite, or beyond"),
        ("a\n" + "1\n" * 9 + "x" * 10**5, r"row 11, column 'a': expected a number, got 'x{60}'$"),
    ],
)
def test_what_no_series_is_is_said_in_few_words(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=said) as caught:
        load_csv(_write(tmp_path / "a.csv", text))
    assert len(str(caught.value)) < 1000


def test_a_file_is_read_row_by_row(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "a,b\n" + "".join(f"{i},a word\n" for i in range(50_000)))
    tracemalloc.start()
    load_csv(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 50_000 * 8


def test_a_file_larger_than_the_memory_allows_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "a.csv", "a\n" + "1\n" * 2**20)
    monkeypatch.setenv("PUMICE_MEMORY", "32M")
    with pytest.raises(SeriesError, match="a.csv. needs 32.0 MiB of memory, at most 16.0 MiB"):
        load_csv(path)


_CELL = st.one_of(st.floats().map(repr), st.integers().map(str), st.text(max_size=4), st.just('"'))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "a.csv"


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.lists(_CELL, max_size=4), max_size=14), ending=st.sampled_from(["\n", "\r\n", "\r"]))
def test_tables_of_any_cells_are_read_or_refused(place: Path, rows: list[list[str]], ending: str) -> None:
    place.write_bytes(ending.join(["a,b", *map(",".join, rows)]).encode("utf-8", "surrogatepass"))
    try:
        series = load_csv(place)
    except SeriesError:
        return
    assert np.isfinite(series.normalised).all()
