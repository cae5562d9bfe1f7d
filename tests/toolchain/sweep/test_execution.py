"""Points are computed once, trainings before them, and what fails stops nothing else; all in this process."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sweeps import NOTHING, log_of, measure_nothing, trivial_sweep
from tests.toolchain.sweep.flow_here import FlowHere
from toolchain.cluster import Flow
from toolchain.errors import ClusterError, StorageError, TrainingError
from toolchain.sweep.execution import Execution
from toolchain.sweep.plan import GridPlan
from toolchain.sweep.point import Point
from toolchain.sweep.rows import PointRow, PointState
from toolchain.sweep.stages import PointTask, Stages, measure_point
from toolchain.sweep.sweep_file import Sweep
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.tally import Tally


def _carried_out(sweep: Sweep, folder: Path, flow: FlowHere | None = None, stages: Stages = NOTHING) -> Tally:
    plan = GridPlan(sweep.shared, sweep.grid or {}, sweep.points)
    return Execution(plan, SweepFolder(folder), cast("Flow", flow or FlowHere()), stages).run()


@given(
    most=st.integers(1, 9),
    last_first=st.booleans(),
    seeds=st.lists(st.integers(14, 20), min_size=1, max_size=4, unique=True),
    bits=st.lists(st.integers(2, 8), min_size=1, max_size=4, unique=True),
)
def test_every_point_is_measured_once_and_every_network_trained_once(
    tmp_path_factory: pytest.TempPathFactory, most: int, last_first: bool, seeds: list[int], bits: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("a") / "s"
    sweep = trivial_sweep(seed=seeds, quantization__weight_bits=bits)
    flow = FlowHere(most, last_first=last_first)
    tally = _carried_out(sweep, folder, flow)
    log = log_of(folder)
    assert tally.done == tally.total == len(seeds) * len(bits)
    assert sorted(run for what, run, *_ in log if what == "train") == sorted({line[1] for line in log})
    assert len({line[1] for line in log}) == len(seeds)
    measured = [name for what, _, name, _ in log if what == "measure"]
    assert sorted(measured) == sorted({row.name for row in SweepFolder(folder).rows()})
    assert flow.longest <= most
    trained: set[str] = set()
    for what, run, *_ in log:
        assert what == "train" or run in trained
        trained.add(run)


def test_nothing_is_computed_again(tmp_path: Path) -> None:
    sweep = trivial_sweep(seed=[1, 2])
    _carried_out(sweep, tmp_path / "s")
    before = log_of(tmp_path / "s")
    tally = _carried_out(sweep, tmp_path / "s")
    assert tally.done == tally.before == 2
    assert log_of(tmp_path / "s") == before


def test_a_point_that_fails_is_recorded_and_stops_no_other(tmp_path: Path) -> None:
    sweep = trivial_sweep(seed=[12, 13, 14])
    tally = _carried_out(sweep, tmp_path / "s")
    rows = {row.settings["seed"]: row for row in SweepFolder(tmp_path / "s").rows()}
    assert (tally.done, tally.failed) == (2, 1)
    assert rows[13].state is PointState.FAILED
    assert rows[13].error == "Traceback: the seed is 13"
    assert rows[13].worker == "w"
    assert [rows[seed].state for seed in (12, 14)] == [PointState.DONE] * 2
    assert tally.failures[0] == ({"seed": 13}, "Traceback: the seed is 13")


def test_a_point_that_failed_is_tried_again(tmp_path: Path) -> None:
    sweep = trivial_sweep(seed=[12, 13])
    _carried_out(sweep, tmp_path / "s")
    again = _carried_out(sweep, tmp_path / "s")
    assert (again.before, again.failed) == (1, 1)
    assert len([line for line in log_of(tmp_path / "s") if line[0] == "measure"]) == 3


def _train_badly(task: PointTask) -> None:
    if task.point.experiment.seed == 12:
        raise TrainingError("it left the finite numbers")


def test_all_points_of_a_network_that_cannot_be_trained_fail(tmp_path: Path) -> None:
    sweep = trivial_sweep(seed=[12, 14], quantization__weight_bits=[4, 5, 6, 7, 8])
    tally = _carried_out(sweep, tmp_path / "s", stages=replace(NOTHING, train=_train_badly))
    assert (tally.done, tally.failed) == (5, 5)
    failed = [row for row in SweepFolder(tmp_path / "s").rows() if row.state is PointState.FAILED]
    assert {row.error for row in failed} == {"it left the finite numbers"}


def _on_a_full_disk(task: PointTask) -> PointRow:
    raise StorageError(task.place, "cannot be written: the disk is full", "free some space")


def test_a_full_disk_ends_a_sweep_and_blames_no_point(tmp_path: Path) -> None:
    sweep = trivial_sweep(seed=[1, 2])
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        _carried_out(sweep, tmp_path / "s", stages=replace(NOTHING, measure=_on_a_full_disk))
    assert list(SweepFolder(tmp_path / "s").rows()) == []
    assert _carried_out(sweep, tmp_path / "s").done == 2


@pytest.mark.parametrize("after", range(8))
def test_a_lost_scheduler_loses_no_point_and_doubles_none(after: int, tmp_path: Path) -> None:
    sweep = trivial_sweep(seed=[1, 2, 3, 4])
    with pytest.raises(ClusterError):
        _carried_out(sweep, tmp_path / "s", FlowHere(lost_after=after))
    there = len(list(SweepFolder(tmp_path / "s").rows()))
    tally = _carried_out(sweep, tmp_path / "s")
    assert (tally.before, tally.done) == (there, 4)
    measured = [name for what, _, name, _ in log_of(tmp_path / "s") if what == "measure"]
    assert len(measured) == len(set(measured)) == 4


def _measure_and_die(task: PointTask) -> PointRow:
    measure_nothing(task)
    raise ValueError("the worker was given up, but lived on")


def test_a_result_of_a_worker_that_was_given_up_counts(tmp_path: Path) -> None:
    tally = _carried_out(
        trivial_sweep(seed=[1]), tmp_path / "s", stages=replace(NOTHING, measure=_measure_and_die)
    )
    assert (tally.done, tally.failed) == (1, 0)


class _OneAtATime:
    """A plan whose next point depends on the last result."""

    def __init__(self, sweep: Sweep, most: int) -> None:
        self._sweep, self._most, self._given, self._running = sweep, most, 0, False
        self.accuracies: list[float | None] = []

    size = None

    @property
    def finished(self) -> bool:
        return self._given == self._most

    def next(self, free: int) -> Sequence[Point]:
        assert free > 0
        if self._running:
            return []
        self._given += 1
        self._running = True
        return [self._sweep.shared.point({"seed": self._given})]

    def ended(self, point: Point, row: PointRow) -> None:
        assert point.settings == row.settings
        self._running = False
        self.accuracies.append(row.figures.fixed_accuracy)


def test_a_plan_may_wait_for_results(tmp_path: Path) -> None:
    plan = _OneAtATime(trivial_sweep(seed=[1]), 5)
    flow = FlowHere()
    tally = Execution(plan, SweepFolder(tmp_path / "s"), cast("Flow", flow), NOTHING).run()
    assert plan.accuracies == [1, 2, 3, 4, 5]
    assert tally.done == 5
    assert tally.total is None
    assert flow.longest == 1


def test_whoever_watches_is_told_how_far_it_is(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None, int]] = []
    sweep = trivial_sweep(seed=[1, 2, 3])
    Execution(
        GridPlan(sweep.shared, sweep.grid or {}, 3),
        SweepFolder(tmp_path / "s"),
        cast("Flow", FlowHere(1)),
        NOTHING,
        lambda tally: seen.append((tally.ended, tally.total, tally.training + tally.measuring)),
    ).run()
    assert seen[0] == (0, 3, 1)
    assert seen[-1] == (3, 3, 0)
    assert [each[0] for each in seen] == sorted(each[0] for each in seen)


@pytest.mark.parametrize("text", ["half \udcff", "\x1b[2J\0", "x" * 10**6])
def test_whatever_an_error_says_it_is_recorded(text: str, tmp_path: Path) -> None:
    def measure(task: PointTask) -> PointRow:
        raise ValueError(text)

    tally = _carried_out(trivial_sweep(seed=[1]), tmp_path / "sweep", stages=Stages(NOTHING.train, measure))
    assert tally.failed == 1
    (row,) = SweepFolder(tmp_path / "sweep").rows()
    assert row.error.isprintable()
    assert len(row.error) < 10_000


def test_a_damaged_record_of_a_training_stops_nothing(tmp_path: Path) -> None:
    sweep, folder = trivial_sweep(seed=[1]), SweepFolder(tmp_path / "sweep")
    (point,) = GridPlan(sweep.shared, sweep.grid or {}).points()
    record = folder.training(point.run_name)
    record.parent.mkdir(parents=True)
    record.write_text("{")
    assert _carried_out(sweep, folder.path).done == 1


def test_a_damaged_run_says_what_to_do(tmp_path: Path) -> None:
    sweep, folder = trivial_sweep(seed=[1]), SweepFolder(tmp_path / "sweep")
    tally = _carried_out(sweep, folder.path, stages=Stages(NOTHING.train, measure_point))
    ((_, error),) = tally.failures
    assert "run.json' is not well formed" in error
    assert "; delete '" in error
