"""The systems against SciPy's integrator and known facts; files in their true format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from toolchain.data import Series, load_csv, lorenz63, mackey_glass, rossler
from toolchain.errors import MissingFileError, SeriesError


def test_lorenz63_is_the_papers() -> None:
    series = lorenz63()
    assert series.values.shape == (20_000, 3)
    assert (series.train, series.validation, series.test) == (11_250, 15_000, 20_000)
    assert series.values[0].tolist() == [12, 2, 9]

    def derivative(_: float, p: np.ndarray) -> list[float]:
        return [10 * (p[1] - p[0]), p[0] * (28 - p[2]) - p[1], p[0] * p[1] - 8 / 3 * p[2]]

    exact = solve_ivp(derivative, (0, 2), [12, 2, 9], rtol=1e-11, atol=1e-11, t_eval=np.arange(0, 2, 0.01))
    assert series.values[:200] == pytest.approx(exact.y.T[:200], abs=2e-3)


def test_rossler_is_the_papers() -> None:
    series = rossler()
    assert series.values.shape == (5_000, 3)
    assert (series.train, series.validation, series.test) == (3_000, 4_000, 5_000)

    def derivative(_: float, p: np.ndarray) -> list[float]:
        return [-p[1] - p[2], p[0] + 0.15 * p[1], 0.2 + p[2] * (p[0] - 10)]

    times = np.arange(300) * 0.03
    exact = solve_ivp(derivative, (0, 9), series.values[0], rtol=1e-11, atol=1e-11, t_eval=times)
    assert series.values[:300] == pytest.approx(exact.y.T, abs=2e-3)


def test_mackey_glass_obeys_its_equation() -> None:
    series = mackey_glass(samples=500)
    assert series.values.shape == (500, 1)
    x = series.values[:, 0]
    delayed = x[200 - 17 : 460 - 17]
    slope = 0.2 * delayed / (1 + delayed**10) - 0.1 * x[200:460]
    central = (x[201:461] - x[199:459]) / 2
    assert np.abs(central - slope).max() < 0.01
    assert 0.2 < x.min() < 0.6
    assert 1.1 < x.max() < 1.5


def test_a_delay_between_two_steps_is_interpolated() -> None:
    whole, hair = (mackey_glass(delay, 50).values for delay in (17.0, 17.0 + 1e-7))
    assert 0 < np.abs(whole - hair).max() < 0.01


def test_normalised_values_have_unit_deviation_over_the_training_part() -> None:
    series = lorenz63()
    part = series.normalised[: series.train]
    assert part.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert part.std(axis=0) == pytest.approx(np.ones(3))


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
        ("a\n" + "x\n" * 12, (), "no column ''"),
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
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x80" * 40)
    with pytest.raises(SeriesError, match="not a CSV file"):
        load_csv(tmp_path / "b.csv")


@pytest.mark.parametrize(
    "make", [lambda: Series("s", np.zeros(5), 1, 2, 3), lambda: Series("s", np.eye(3), 2, 1, 3)]
)
def test_parts_must_rise_and_values_be_a_table(make: Callable[[], Series]) -> None:
    with pytest.raises(SeriesError, match="rising ends"):
        make()
