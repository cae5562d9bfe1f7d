"""Numbers with points, commas and marks of thousands: read exactly, or not at all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.data.tables.cells import Notation
from toolchain.data.tables.table import TableForm, read_table
from toolchain.errors import SeriesError


def _values(folder: Path, text: str, decimal: str = "") -> list[list[float]]:
    (folder / "a.csv").write_text(text)
    return read_table(folder / "a.csv", form=TableForm(decimal=decimal)).values.tolist()


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (("0,5", "1.234,5"), [0.5, 1234.5]),
        (("-0,5", "-1.234.567,25"), [-0.5, -1234567.25]),
        (("0,5", "1.234.567"), [0.5, 1234567]),
        (("0,123", "1,234"), [0.123, 1.234]),
        (("1,5e3", "+2"), [1500, 2]),
        ((",5", "7,"), [0.5, 7]),
        (("1.5", "-2e3"), [1.5, -2000]),
        (("0.5", "1.234"), [0.5, 1.234]),
        (("12", "3456"), [12, 3456]),
    ],
)
def test_what_a_file_shows_is_read(cells: tuple[str, str], numbers: list[float], tmp_path: Path) -> None:
    assert _values(tmp_path, f"a;b\n{cells[0]};{cells[1]}\n") == [numbers]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            ["1,234;5"],
            "has '1,234', and nothing shows whether these are decimals or thousands: say `decimal`",
        ),
        (["1.234;5", "9;87.654"], r"has '1\.234', and nothing shows whether these are decimals"),
        (["0,5;1.5"], r"with a decimal point, '1\.5', and with a comma, '0,5': say `decimal`"),
        (["0,5;1", "0,5;1.234"], r"row 3, column 'b': .*'1\.234', which may have decimals or thousands"),
        (["0,5;1", "0,5;12.34,5"], "row 3, column 'b': expected a number, got '12.34,5'"),
        (["0,5;1", "0,5;1.2.3,4"], "row 3, column 'b': expected a number"),
        (["0,5;1", "0,5;0.123,4"], "row 3, column 'b': expected a number"),
        (["0,5;1", "0,5;1,5,5"], "row 3, column 'b': expected a number"),
        (["0.5;1", "0.5;1,234"], "row 3, column 'b': .*'1,234', which may have decimals or thousands"),
        (["0,5;1.234"], r"column 'b' begins with '1\.234', which would be a number with a decimal point"),
    ],
)
def test_what_could_be_another_number_is_refused(rows: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=said):
        _values(tmp_path, "\n".join(["a;b", *rows]))


def test_a_comma_with_thousands_of_a_point_is_no_decimal_comma(tmp_path: Path) -> None:
    for text in ("a;b\n1,234.5;2\n", 'a,b\n"1,234.5",2\n'):
        assert _values(tmp_path, text) == [[1234.5, 2]]
    with pytest.raises(SeriesError, match="column 'a' begins with '1,5', which would be"):
        _values(tmp_path, 'a,b\n"1,5",2\n')


def test_whoever_says_the_sign_says_what_thousands_are(tmp_path: Path) -> None:
    assert _values(tmp_path, "a;b\n1.234;2\n", ",") == [[1234, 2]]
    assert _values(tmp_path, "a;b\n1,234;2\n", ",") == [[1.234, 2]]
    assert _values(tmp_path, "a;b\n1,234;2\n", ".") == [[1234, 2]]


@pytest.mark.parametrize("usual", [".", ","])
def test_what_a_file_does_not_show_the_file_it_belongs_to_says(usual: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b\n1,234;2\n".replace(",", usual))
    table = read_table(tmp_path / "a.csv", form=TableForm(usual=usual))
    assert (table.values.tolist(), table.decimal) == ([[1.234, 2]], usual)
    # What is shown counts more.
    (tmp_path / "a.csv").write_text("a;b\n0.5;2\n")
    assert read_table(tmp_path / "a.csv", form=TableForm(usual=usual)).values.tolist() == [[0.5, 2]]


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.booleans())
def test_numbers_of_either_notation_come_back(value: float, comma: bool, said: bool) -> None:
    text = repr(value)
    assert Notation(comma, said).number(text.replace(".", ",") if comma else text) == value


@given(st.integers(-(10**15), 10**15), st.booleans())
def test_thousands_of_either_notation_come_back(value: int, comma: bool) -> None:
    text = f"{value:,}.25".replace(",", "_")
    marks = (",", ".") if comma else (".", ",")
    written = text.replace(".", marks[0]).replace("_", marks[1])
    expected = float(f"{value}.25")
    assert Notation(comma, said=True).number(written) == expected


@given(st.text("0123456789.,-+eE _", max_size=12), st.booleans(), st.booleans())
def test_no_cell_is_read_that_somebody_would_read_otherwise(cell: str, comma: bool, said: bool) -> None:
    """What is read has at most one sign of decimals, and marks of thousands where thousands are."""
    number = Notation(comma, said).number(cell)
    if number is None:
        return
    whole, *behind = (
        cell.strip().lstrip("+-").partition("e" if "e" in cell else "E")[0].split("," if comma else ".")
    )
    assert len(behind) <= 1
    groups = whole.split("." if comma else ",")
    assert len(groups) == 1 or all(len(group) == 3 for group in groups[1:])
