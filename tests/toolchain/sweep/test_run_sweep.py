"""A sweep on workers: the same rows as without, and an end that says what failed."""

from pathlib import Path

import pytest

from tests.sweeps import NOTHING, log_of, small_sweep, trivial_sweep
from toolchain.errors import (
    ArgumentError,
    SweepError,
    TargetUnavailableError,
    ToolchainError,
    UsageError,
)
from toolchain.sweep import run_sweep as module
from toolchain.sweep.plan import GridPlan
from toolchain.sweep.rows import PointState
from toolchain.sweep.run_sweep import carry_out, run_sweep
from toolchain.sweep.stages import PointTask, measure_point, train_point
from toolchain.sweep.sweep_folder import SweepFolder


@pytest.mark.slow
def test_workers_do_what_stages_do_here(tmp_path: Path) -> None:
    small_sweep(tmp_path, 'seed = [3]\n"quantization.weight_bits" = [4, 8]')
    told: list[tuple[str, int, int]] = []
    result = run_sweep(
        tmp_path / "sweep.toml", tmp_path / "s", workers=1, progress=lambda *each: told.append(each)
    )
    assert told[-1] == ("points", 2, 2)
    assert repr(result) == f"Sweep '{tmp_path}/s': 2 points done, 0 failed"
    result.require_done()
    sweep = small_sweep(tmp_path, 'seed = [3]\n"quantization.weight_bits" = [4, 8]')
    for point in GridPlan(sweep.shared, sweep.grid or {}).points():
        task = PointTask.of(point, tmp_path / "here")
        train_point(task)
        measure_point(task)
    ours = [row.model_dump(exclude={"train_seconds", "compile_seconds", "worker"}) for row in result.rows]
    here = SweepFolder(tmp_path / "here").rows()
    assert ours == [row.model_dump(exclude={"train_seconds", "compile_seconds", "worker"}) for row in here]
    assert all(row.state is PointState.DONE for row in result.rows)


@pytest.mark.slow
def test_failed_points_are_told_at_the_end_and_tried_again(tmp_path: Path) -> None:
    sweep = trivial_sweep(seed=[12, 13, 14, 15])
    for _ in range(2):
        result = carry_out(sweep, tmp_path / "s", workers=2, stages=NOTHING)
        assert (result.tally.done, result.tally.failed) == (3, 1)
        last = "1 of 4 points failed, the last one at seed = 13: ValueError: the seed is 13"
        with pytest.raises(ToolchainError, match=last):
            result.require_done()
    assert result.tally.before == 3
    measured = [name for what, _, name, _ in log_of(tmp_path / "s") if what == "measure"]
    assert len(measured) == 5


def test_what_is_wrong_is_said_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "s"
    (tmp_path / "bad.toml").write_text("[gird]\nseed = [1]")
    with pytest.raises(SweepError, match="did you mean 'grid'"):
        run_sweep(tmp_path / "bad.toml", folder)
    with pytest.raises(UsageError):
        run_sweep(tmp_path / "bad.toml", tmp_path / "none" / "s")
    assert not folder.exists()
    sweep = trivial_sweep(seed=[1])
    with pytest.raises(ArgumentError, match="scheduler"):
        carry_out(sweep, folder, scheduler="nonsense")
    assert not folder.exists(), "a command that found no worker took the folder"

    def refuse(name: str) -> None:
        raise TargetUnavailableError(name, "it is not installed", "pip install it")

    monkeypatch.setattr(module, "load_target", refuse)
    with pytest.raises(TargetUnavailableError, match="target 'emulator' is not usable here"):
        carry_out(sweep, tmp_path / "t")
    assert not (tmp_path / "t").exists()
