"""Points are counted, and the best of them is told by the samples for validation where there are some."""

from typing import Any

import pytest

from toolchain.sweep.rows import Figures, PointRow, PointState
from toolchain.sweep.tally import Tally


def _row(seed: int, state: PointState = PointState.DONE, **figures: Any) -> PointRow:
    return PointRow(
        name=str(seed), settings={"seed": seed}, state=state, error="why", figures=Figures(**figures)
    )


def test_points_are_counted_by_how_they_ended() -> None:
    tally = Tally(total=5)
    tally.count(_row(1), before=True)
    for state in PointState:
        tally.count(_row(2, state))
    assert (tally.done, tally.before, tally.failed, tally.pruned) == (2, 1, 1, 1)
    assert tally.ended == 4
    assert list(tally.failures) == [({"seed": 2}, "why")]


def test_only_the_last_failures_are_kept() -> None:
    tally = Tally()
    for seed in range(100):
        tally.count(_row(seed, PointState.FAILED))
    assert tally.failed == 100
    assert [settings["seed"] for settings, _ in tally.failures] == [95, 96, 97, 98, 99]


@pytest.mark.parametrize(
    ("figures", "best"),
    [
        ([{"fixed_accuracy": 5.0}, {"fixed_accuracy": 9.0}, {"fixed_accuracy": 7.0}], ("test accuracy", 9.0)),
        ([{"fixed_rmse": 5.0}, {"fixed_rmse": 2.0}, {"fixed_rmse": 7.0}], ("test RMSE", 2.0)),
        ([{"fixed_validation": 5.0, "fixed_accuracy": 99.0}], ("validation accuracy", 5.0)),
        ([{"fixed_validation_rmse": 5.0, "fixed_rmse": 0.1}], ("validation RMSE", 5.0)),
        ([{}], None),
    ],
)
def test_the_best_is_told(figures: list[dict[str, Any]], best: tuple[str, float] | None) -> None:
    tally = Tally()
    for seed, each in enumerate(figures):
        tally.count(_row(seed, **each))
    assert tally.best == best


def test_of_equal_points_the_first_is_the_best() -> None:
    tally = Tally()
    for seed in (3, 4):
        tally.count(_row(seed, fixed_accuracy=8.0))
    assert tally.best_settings == {"seed": 3}


def test_the_time_that_is_left_is_that_of_the_points_before() -> None:
    tally = Tally(total=4)
    assert tally.seconds_left is None
    tally.count(_row(1), before=True)
    assert tally.seconds_left is None
    tally.count(_row(2))
    tally.started -= 10
    assert tally.seconds_left == pytest.approx(20, rel=0.1)
    assert Tally().seconds_left is None
