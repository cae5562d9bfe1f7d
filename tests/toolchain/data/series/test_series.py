"""The systems against SciPy's integrator and known facts."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from toolchain.data import Series, lorenz63, mackey_glass, rossler
from toolchain.errors import ArgumentError, SeriesError


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


@pytest.mark.parametrize(
    "make", [lambda: Series("s", np.zeros(5), 1, 2, 3), lambda: Series("s", np.eye(3), 2, 1, 3)]
)
def test_parts_must_rise_and_values_be_a_table(make: Callable[[], Series]) -> None:
    with pytest.raises(SeriesError, match="rising ends"):
        make()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e151, -1e308])
def test_values_whose_squares_are_no_numbers_are_refused(value: float) -> None:
    values = np.arange(20, dtype=np.float64)[:, None]
    values[3] = value
    with pytest.raises(SeriesError, match="not finite, or beyond 1e[+]150"):
        Series("s", values, 10, 15, 20)


def test_a_series_that_does_not_fit_into_the_memory_is_refused() -> None:
    with pytest.raises(ArgumentError, match="a series that fits into the memory, got 1000000000000 and 17"):
        mackey_glass(samples=10**12)
    with pytest.raises(ArgumentError, match="delay: expected a number at least 0 and at most"):
        mackey_glass(1e300)
