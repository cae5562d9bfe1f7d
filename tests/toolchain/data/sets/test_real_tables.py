"""Tables whose columns are values to say, and tables that are series, as people have them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data_files import write_houses, write_weather
from toolchain.data import DataSet, Series, TableForm, load_csv, open_data
from toolchain.data.sets.options import CsvData, Gaps
from toolchain.errors import SeriesError
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.prepare import load_data


def _opened(path: Path, **options: Any) -> DataSet:
    data = open_data(CsvData(name="csv", path=str(path), **options))
    assert isinstance(data, DataSet)
    return data


def test_targets_are_said_from_all_other_numbers(tmp_path: Path) -> None:
    data = _opened(write_houses(tmp_path), targets=("rent", "price"))
    assert data.scale is not None
    assert data.classes == data.scale.names == ("rent", "price")
    # The date and the word are left out; area, rooms and age enter.
    assert data.train.samples.shape[1:] == (3,)
    assert (data.train.samples.min(), data.train.samples.max()) == (0, 1)
    rows = [
        line.replace(",", ".").split(";") for line in (tmp_path / "houses.csv").read_text().splitlines()[1:]
    ]
    expected = {(float(row[5]), float(row[3])) for row in rows}
    parts = [data.scale.in_units(part.labels) for part in (data.train, data.validation, data.test)]
    said = np.concatenate(parts).round(6)
    assert set(map(tuple, said.tolist())) == expected
    assert data.train.labels.mean(axis=0) == pytest.approx(0, abs=1e-12)


def test_named_columns_enter_and_no_others(tmp_path: Path) -> None:
    data = _opened(write_houses(tmp_path), targets=("price",), columns=("age",))
    assert data.train.samples.shape[1:] == (1,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"targets": ("cost",)},
            "'cost' of `targets` holds no numbers; known: area, rooms, price, age, rent",
        ),
        ({"targets": ("walls",)}, "'walls' of `targets` holds no numbers"),
        ({"targets": ("area", "rooms", "price", "age", "rent")}, "no column of numbers beside `targets`"),
        ({"targets": ("price",), "columns": ("agee",)}, "has no column 'agee'"),
        ({"targets": ("price",), "frames": 3}, "has 4 columns of numbers, no multiple of `frames` = 3"),
    ],
)
def test_what_cannot_be_said_is_named(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=said):
        _opened(write_houses(tmp_path), **options)


def test_a_test_part_elsewhere_needs_the_same_columns(tmp_path: Path) -> None:
    path = write_houses(tmp_path)
    (tmp_path / "other.csv").write_text("area;price\n1;2\n3;5\n")
    with pytest.raises(SeriesError, match="has no column 'rooms, age, rent'; known: area, price"):
        _opened(path, targets=("price",), test_path=str(tmp_path / "other.csv"))


def test_a_series_with_dates_words_and_gaps_becomes_windows(tmp_path: Path) -> None:
    path = write_weather(tmp_path)
    document = {"data": {"name": "csv", "path": str(path), "gaps": "interpolate"}, "pruning": False}
    encoded = load_data(parse_experiment(document | {"task": {"window": 7, "horizon": 3}}))
    assert encoded.data.classes == ("temperature", "wind")
    assert encoded.data.shape == (7, 2)
    rows = [line.split(";") for line in path.read_text().splitlines()[1:]]
    scale = encoded.data.scale
    assert scale is not None
    # Rows 2, 3 and 4: the gap lies in the middle between its neighbours.
    first = scale.in_units(encoded.data.train.samples[0])
    around = [float(rows[i][1].replace(",", ".")) for i in (2, 4)]
    assert rows[3][1] == ""
    assert first[3, 0] == pytest.approx(np.mean(around))
    origin = encoded.data.origin
    assert origin is not None
    assert origin.train + origin.validation + origin.test == 180 - 3 * 7


def test_a_gap_at_the_border_of_a_part_takes_no_value_of_the_next(tmp_path: Path) -> None:
    rows = [str(float(i * i)) for i in range(30)]
    rows[17], rows[18], rows[24] = "", "", ""
    lines = ["t,x", *(f"{i},{cell}" for i, cell in enumerate(rows))]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n")
    series = load_csv(tmp_path / "s.csv", ("x",), form=TableForm(gaps="interpolate"))
    assert (series.train, series.validation) == (18, 24)
    # The training part repeats its last number, those that follow their first.
    assert series.values[[17, 18, 24], 0].tolist() == [16**2, 19**2, 25**2]


def test_a_gap_in_a_series_is_refused_by_row_and_column(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="row 5, column 'temperature': expected a number, got ''"):
        open_data(CsvData(name="csv", path=str(write_weather(tmp_path))))
    dropped = open_data(CsvData(name="csv", path=str(tmp_path / "weather.csv"), gaps=Gaps.DROP))
    assert isinstance(dropped, Series)
    assert 150 < len(dropped.values) < 180
