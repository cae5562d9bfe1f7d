"""A search says whether it has found better settings than those of its file, and never that it did if not."""

from tests.toolchain.sweep.searches import section_of
from tests.toolchain.sweep.sweep_rows import row_of
from toolchain.sweep.results import SweepResults
from toolchain.sweep.rows import Figures, PointRow
from toolchain.sweep.verdict import verdict_of


def _row(name: str, accuracy: float | None, operations: float, test: float | None = None) -> PointRow:
    figures = Figures(fixed_validation=accuracy, operations=operations, fixed_accuracy=test)
    return row_of(name, {"seed": 0}, figures)


def _said(*rows: PointRow, own: str = "own") -> str:
    verdict = verdict_of(SweepResults(("seed",), rows, section_of(), own))
    assert verdict is not None
    return " ".join(verdict.sentences())


def test_a_front_with_a_better_point_dominates() -> None:
    said = _said(_row("own", 90, 100, 88), _row("a", 91, 90, 87), _row("b", 95, 300, 93), _row("c", 50, 10))
    assert said.startswith(
        "The front dominates the file's own settings: 1 of its 3 points is nowhere worse in validation"
    )
    assert said.endswith("On the test part, which the search has not seen, 0 of these 1 still dominate them.")


def test_better_points_that_stay_so_on_the_test_part_are_counted() -> None:
    said = _said(_row("own", 90, 100, 88), _row("a", 90, 90, 88), _row("b", 91, 95, 87))
    assert "2 of its 2 points are nowhere worse" in said
    assert "1 of these 2 still dominates them" in said


def test_a_front_on_which_the_own_settings_are_does_not_dominate() -> None:
    said = _said(_row("own", 90, 100), _row("a", 89, 90), _row("b", 95, 300))
    assert said.startswith("The front of 3 points does NOT dominate the file's own settings")


def test_a_tie_is_no_victory() -> None:
    assert "does NOT dominate" in _said(_row("own", 90, 100), _row("a", 90, 100))


def test_nothing_is_said_of_tests_before_they_were_made() -> None:
    assert "test part" not in _said(_row("own", 90, 100), _row("a", 91, 90))


def test_what_was_not_measured_is_said() -> None:
    assert "were not measured" in _said(_row("a", 91, 90))
    assert "there is no front" in _said(_row("own", None, 100))
    assert "there is no front" in _said()


def test_a_grid_has_no_verdict() -> None:
    assert verdict_of(SweepResults(("seed",), ())) is None
