"""A training says how far it is, and nothing of it is left when it has ended."""

from pathlib import Path

import pytest

from tests.sweeps import small_sweep
from toolchain.sweep import training_note
from toolchain.sweep.plan import GridPlan
from toolchain.sweep.stages import PointTask, train_point
from toolchain.sweep.training_note import NotedProgress, StageNote, read_note


def test_each_stage_is_noted_at_once_and_then_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [10.0]
    monkeypatch.setattr(training_note.time, "monotonic", lambda: clock[0])
    path = tmp_path / "unfinished" / "a.json"
    progress = NotedProgress(path)
    assert read_note(path) is None
    progress("prune", 0, 2)
    progress("prune", 1, 2)
    assert read_note(path) == StageNote(stage="prune", done=0, total=2)
    clock[0] += 1
    progress("prune", 2, 2)
    assert read_note(path) == StageNote(stage="prune", done=2, total=2)
    progress("train", 0, 9)
    assert read_note(path) == StageNote(stage="train", done=0, total=9)
    path.write_text("{")
    assert read_note(path) is None
    progress.remove()
    progress.remove()
    assert not path.exists()


def test_a_point_says_its_stages_while_it_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_note, "_AGAIN_S", 0.0)
    notes: list[str] = []
    usual = training_note.write_document

    def write(path: Path, note: StageNote) -> None:
        usual(path, note)
        notes.append(note.stage)

    monkeypatch.setattr(training_note, "write_document", write)
    sweep = small_sweep(tmp_path, "seed = [3]")
    (point,) = GridPlan(sweep.shared, sweep.grid or {}).points()
    task = PointTask.of(point, tmp_path / "s")
    train_point(task)
    assert {"train unpruned network", "train pruned network"} <= set(notes)
    assert not task.folder.training_note(task.run_name).exists()
