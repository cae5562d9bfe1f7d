"""A search has the same trials with any number of workers and after a kill, and tests its best once."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from tests.sweeps import log_of, train_nothing
from tests.toolchain.sweep.flow_here import FlowHere
from tests.toolchain.sweep.searches import (
    SPACE,
    carried_out,
    measured,
    search_folder,
    section_of,
    shared_of,
)
from toolchain.cluster import Flow
from toolchain.errors import SweepError, UsageError
from toolchain.sweep.execution import Execution
from toolchain.sweep.judging import Phase
from toolchain.sweep.point import Point
from toolchain.sweep.results import read_results
from toolchain.sweep.rows import PointRow, PointState
from toolchain.sweep.search import SearchPlan
from toolchain.sweep.search_section import SearchSection
from toolchain.sweep.stages import PointTask, Stages
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.tally import Tally
from toolchain.sweep.verdict import verdict_of


def _searched(path: Path, section: SearchSection, **how: Any) -> list[Point]:
    folder = search_folder(path, section)
    return carried_out(SearchPlan(shared_of(), section, folder), folder, **how)


def _settings(points: list[Point]) -> set[str]:
    return {json.dumps(point.settings) for point in points}


def test_a_search_has_the_same_trials_with_any_number_of_workers(tmp_path: Path) -> None:
    section = section_of()
    one = _searched(tmp_path / "one", section)
    many = _searched(tmp_path / "many", section, free=7)
    assert _settings(one) == _settings(many)
    trials = [point for point in one if point.judging.phase is Phase.SEARCH]
    assert len(trials) == len({point.name for point in trials}) == 10


@pytest.mark.parametrize("killed_after", [0, 1, 5, 10, 11])
def test_a_killed_search_goes_on_and_computes_nothing_twice(killed_after: int, tmp_path: Path) -> None:
    section = section_of()
    whole = _searched(tmp_path / "whole", section)
    first = _searched(tmp_path / "killed", section, most=killed_after)
    rest = _searched(tmp_path / "killed", section)
    assert len(first) == killed_after
    assert [(p.name, p.judging.phase) for p in first + rest] == [(p.name, p.judging.phase) for p in whole]
    assert _searched(tmp_path / "killed", section) == []


def test_the_first_trial_are_the_settings_of_the_file(tmp_path: Path) -> None:
    first = _searched(tmp_path, section_of())[0]
    assert first.settings == {
        "pruning.neurons": 190,
        "quantization.weight_bits": 8,
        "training.learning_rate": 0.005,
    }


def test_settings_of_the_file_outside_of_the_space_are_measured_beside_the_trials(tmp_path: Path) -> None:
    section = section_of(space=SPACE | {"quantization.weight_bits": [4, 6]})
    points = _searched(tmp_path, section)
    assert points[0].settings["quantization.weight_bits"] == 8
    assert len([point for point in points if point.judging.phase is Phase.SEARCH]) == 11


def test_only_the_best_and_the_own_settings_see_test_samples(tmp_path: Path) -> None:
    folder = search_folder(tmp_path, section := section_of())
    points = carried_out(SearchPlan(shared_of(), section, folder), folder)
    final = [point for point in points if point.judging.phase is Phase.FINAL]
    rows = {row.name: row for row in folder.rows()}
    tested = {name for name, row in rows.items() if row.figures.fixed_accuracy is not None}
    assert tested == {point.name for point in final}
    assert points[0].name in tested
    best = max(rows.values(), key=lambda row: row.figures.fixed_validation or 0.0)
    assert best.name in tested
    assert len(tested) < len(rows)
    trials = points[: len(points) - len(final)]
    assert all(point.judging.phase is Phase.SEARCH for point in trials)


def test_equal_settings_are_one_point(tmp_path: Path) -> None:
    section = section_of(trials=12, space={"quantization.weight_bits": [4, 8]})
    points = _searched(tmp_path, section)
    trials = [point for point in points if point.judging.phase is Phase.SEARCH]
    assert len(trials) == 2


def test_trials_whose_values_do_not_go_together_are_rows_that_failed(tmp_path: Path) -> None:
    space = {"pruning.neurons": [100, 300], "model.neurons": [200, 400]}
    folder = search_folder(tmp_path, section := section_of(space=space, trials=20))
    carried_out(SearchPlan(shared_of(), section, folder), folder, measure=_by_size)
    failed = [row for row in folder.rows() if row.state is PointState.FAILED]
    assert [row.settings for row in failed] == [{"pruning.neurons": 300, "model.neurons": 200}]
    assert "expected at most model.neurons = 200, got 300" in failed[0].error


def _by_size(point: Point, before: PointRow | None) -> PointRow:
    return measured(point, before)


def test_a_search_goes_on_after_points_that_fail(tmp_path: Path) -> None:
    def fail(point: Point, before: PointRow | None) -> PointRow:
        row = measured(point, before)
        return row.model_copy(update={"state": PointState.FAILED, "error": "no"})

    folder = search_folder(tmp_path, section := section_of())
    points = carried_out(SearchPlan(shared_of(), section, folder), folder, measure=fail)
    assert len(points) == 10


def test_more_trials_go_on_where_fewer_ended(tmp_path: Path) -> None:
    first = _searched(tmp_path, section_of(trials=4, batch=4))
    more = _searched(tmp_path, section_of(trials=8, batch=4))
    trials = [each for each in first + more if each.judging.phase is Phase.SEARCH]
    assert len(trials) == 8
    assert len({each.name for each in trials}) == 8


def test_a_figure_that_no_point_has_is_named(tmp_path: Path) -> None:
    def nothing(point: Point, before: PointRow | None) -> PointRow:
        row = measured(point, before)
        return row.model_copy(update={"figures": row.figures.model_copy(update={"operations": None})})

    folder = search_folder(tmp_path, section := section_of())
    with pytest.raises(SweepError, match="'operations' was not measured at the point"):
        carried_out(SearchPlan(shared_of(), section, folder), folder, measure=nothing)


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = search_folder(tmp_path, section := section_of())
    carried_out(SearchPlan(shared_of(), section, folder), folder, most=5)
    with pytest.raises(UsageError, match="journal of another search"):
        SearchPlan(shared_of(), section_of(seed=1), folder)


@pytest.mark.parametrize("objectives", [["accuracy"], ["operations"]])
def test_one_objective_tests_its_best_point(objectives: list[str], tmp_path: Path) -> None:
    points = _searched(tmp_path, section_of(objectives=objectives))
    assert points[-1].judging.phase is Phase.FINAL


def _tallied(path: Path, section: SearchSection, failing: set[int] | None = None) -> Tally:
    """Carry out a search in this process, where some numbers of bits fail, and return its tally."""

    def measure(task: PointTask) -> PointRow:
        if task.point.experiment.quantization.weight_bits in (failing or set()):
            raise ValueError("no such bits")
        row = measured(task.point, task.folder.row(task.name))
        task.folder.write_row(row)
        return row

    folder = search_folder(path, section)
    plan = SearchPlan(shared_of(), section, folder)
    return Execution(plan, folder, cast("Flow", FlowHere()), Stages(train_nothing, measure)).run()


def test_a_search_that_goes_on_counts_what_was_done_before(tmp_path: Path) -> None:
    first = _tallied(tmp_path / "sweep", section_of())
    again = _tallied(tmp_path / "sweep", section_of())
    assert (first.done, first.before, again.done, again.before, again.total) == (10, 0, 10, 10, 10)
    more = _tallied(tmp_path / "sweep", section_of(trials=12))
    assert (more.done, more.before, more.total) == (12, 10, 12)


@pytest.mark.parametrize("failing", [{8}, {4, 8}])
def test_what_failed_is_tried_again_and_may_be_among_the_best(failing: set[int], tmp_path: Path) -> None:
    first = _tallied(tmp_path / "sweep", section_of(), failing)
    assert first.failed >= 1
    assert first.done + first.failed == 10
    same = _tallied(tmp_path / "sweep", section_of(), failing)
    assert (same.failed, same.before) == (first.failed, first.done)
    again = _tallied(tmp_path / "sweep", section_of())
    assert (again.done, again.failed, again.before) == (10, 0, first.done)
    results = read_results(SweepFolder(tmp_path / "sweep"))
    best = verdict_of(results)
    assert best is not None
    assert all(row.figures.fixed_accuracy is not None for row in best.best)
    # As every search ends: nothing is left to do.
    names = log_of(tmp_path / "sweep")
    assert _tallied(tmp_path / "sweep", section_of()).before == 10
    assert log_of(tmp_path / "sweep") == names


def test_trials_that_are_drawn_twice_or_refused_are_not_awaited(tmp_path: Path) -> None:
    section = section_of(trials=12, space={"quantization.weight_bits": [4, 8]})
    assert _tallied(tmp_path / "twice", section).total == 2
    results = read_results(SweepFolder(tmp_path / "twice"))
    assert (results.planned, results.counts) == (2, "2 done")
    space = {"pruning.neurons": [100, 300], "model.neurons": [200, 400]}
    tally = _tallied(tmp_path / "refused", section_of(space=space, trials=20))
    assert tally.total == tally.done == 4


def test_the_settings_of_the_file_keep_no_trial_waiting(tmp_path: Path) -> None:
    section = section_of(space=SPACE | {"quantization.weight_bits": [4, 6]})
    folder = search_folder(tmp_path, section)
    plan = SearchPlan(shared_of(), section, folder)
    given = [*plan.next(9), *plan.next(9)]
    assert [point.settings["quantization.weight_bits"] == 8 for point in given] == [True] + [False] * 4
    assert plan.next(9) == []
    for point in given[1:]:
        plan.ended(point, measured(point))
    assert len(plan.next(9)) == 4
