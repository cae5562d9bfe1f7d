"""A search of real trainings: judged by validation, hopeless ones ended, the best tested at the end."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.small_run import small_experiment
from tests.toolchain.sweep.searches import carried_out, search_folder
from toolchain.sweep.judging import STOPPED
from toolchain.sweep.point import Point, SharedSettings
from toolchain.sweep.rows import PointRow, PointState
from toolchain.sweep.search import SearchPlan
from toolchain.sweep.search_section import SearchSection
from toolchain.sweep.stages import PointTask, measure_point, train_point
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.written import write_results
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.run_folder import RUN

pytestmark = pytest.mark.long

_SPACE = {
    "training.learning_rate": {"low": 0.0001, "high": 0.05, "log": True},
    "quantization.weight_bits": [4, 8],
}


def _shared(epochs: int) -> SharedSettings:
    data = {"name": "digits", "validation_fraction": 0.3, "train_samples": 200, "test_samples": 60}
    training = {"epochs": epochs, "batch_size": 50, "calibration_samples": 32, "device": "cpu"}
    document = json.loads(small_experiment(data=data, training=training).model_dump_json())
    document["pruning"]["baseline"] = False
    return SharedSettings(document)


def _search(path: Path, shared: SharedSettings, **keys: Any) -> SweepFolder:
    section = SearchSection.model_validate_json(json.dumps({"space": _SPACE} | keys))
    folder = search_folder(path, section, shared)

    def measure(point: Point, before: PointRow | None) -> PointRow:
        del before
        task = PointTask.of(point, path)
        train_point(task)
        return measure_point(task)

    carried_out(SearchPlan(shared, section, folder), folder, measure=measure)
    return folder


def test_real_trials_see_no_test_sample_before_the_end(tmp_path: Path) -> None:
    folder = _search(tmp_path, _shared(2), trials=5, startup=3)
    rows = {row.name: row for row in folder.rows()}
    assert {row.state for row in rows.values()} == {PointState.DONE}
    tested = [row for row in rows.values() if row.figures.fixed_accuracy is not None]
    assert 1 <= len(tested) < len(rows)
    for row in rows.values():
        assert row.figures.fixed_validation is not None
        assert row.figures.operations is not None
        assert (tmp_path / row.build / "report.html").is_file()
    build = Build.load(tmp_path / tested[0].build)
    assert compare_build(build).comparison.fixed_accuracy == tested[0].figures.fixed_accuracy
    write_results(folder)
    assert "Was the search worth it?" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_hopeless_trainings_end_early_and_are_no_finished_runs(tmp_path: Path) -> None:
    shared = _shared(6)
    folder = _search(tmp_path, shared, trials=10, startup=2, batch=2, objectives=["accuracy"], prune=True)
    pruned = [row for row in folder.rows() if row.state is PointState.PRUNED]
    assert pruned
    for row in pruned:
        assert "half of the trials before had" in row.error
        assert (tmp_path / row.run / STOPPED).is_file()
        assert not (tmp_path / row.run / RUN).exists()
        assert not row.build
    again = _search(
        tmp_path / "again", shared, trials=10, startup=2, batch=2, objectives=["accuracy"], prune=True
    )
    assert {row.name: (row.state, row.error) for row in again.rows()} == {
        row.name: (row.state, row.error) for row in folder.rows()
    }
