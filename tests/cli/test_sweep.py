"""What `pumice sweep` prints: how points ended, for people and for machines, and what to do next."""

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps import trivial_sweep
from toolchain.cli import sweep_view
from toolchain.cli.main import main
from toolchain.cli.sweep_view import SweepView
from toolchain.errors import ClusterError
from toolchain.sweep import run_sweep
from toolchain.sweep.rows import Figures, PointRow, PointState
from toolchain.sweep.run_sweep import SweepResult
from toolchain.sweep.sweep_file import Sweep
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.tally import Tally

_ERROR = "the spectral radius is 0"


class _Cluster:
    where = "2 workers of this machine"
    dashboard = "http://127.0.0.1:8787/status"


def _tally(failed: int = 0) -> Tally:
    tally = Tally(total=3)
    for seed in range(3):
        state = PointState.FAILED if seed < failed else PointState.DONE
        tally.count(
            PointRow(
                name=str(seed),
                settings={"seed": seed},
                state=state,
                error=_ERROR if seed < failed else "",
                figures=Figures(fixed_accuracy=90.0 + seed),
            )
        )
    return tally


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return arguments of a command whose sweep ends as it is told."""
    (tmp_path / "sweep.toml").write_text("[grid]\nseed = [0, 1, 2]")

    def arguments(end: Tally | BaseException) -> list[str]:
        def carry_out(sweep: Sweep, folder: Path, **given: Any) -> SweepResult:
            SweepFolder(folder).claim(sweep)
            given["opened"](_Cluster())
            given["watch"](_tally() if isinstance(end, BaseException) else end)
            if isinstance(end, BaseException):
                raise end
            return SweepResult(folder, end)

        monkeypatch.setattr(run_sweep, "carry_out", carry_out)
        return ["sweep", str(tmp_path / "sweep.toml"), "-o", str(tmp_path / "s")]

    return arguments


def test_points_the_best_of_them_and_the_next_command_are_told(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(sweep(_tally())) == 0
    printed = capsys.readouterr()
    assert "points: 3 of 3 done, 0 left" in printed.out
    assert "best: test accuracy of the integers 92 % at seed = 2" in printed.out
    assert f"next: pumice show {tmp_path}/s" in printed.out
    assert "2 workers of this machine; http://127.0.0.1:8787/status" in printed.err


def test_points_that_failed_are_told_and_the_exit_code_says_so(
    sweep: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(sweep(_tally(failed=1))) == 3
    printed = capsys.readouterr()
    assert "points: 2 of 3 done, 1 failed, 0 left" in printed.out
    assert f"failed: seed = 0: {_ERROR}" in printed.out
    assert f"error: 1 of 3 points failed, the last one at seed = 0: {_ERROR}; the same command" in printed.err


def test_machines_get_one_document_also_of_what_failed(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*sweep(_tally(failed=1)), "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["sweep"] == str(tmp_path / "s")
    assert (document["points"], document["done"], document["failed"]) == (3, 2, 1)
    assert document["best"] == {"figure": "test accuracy", "value": 92.0, "settings": {"seed": 2}}
    assert document["failures"] == [{"settings": {"seed": 0}, "error": _ERROR}]
    assert document["error"]["kind"] == "ToolchainError"


def test_a_lost_scheduler_says_how_far_it_was(
    sweep: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(sweep(ClusterError("the scheduler is lost", "start it again"))) == 3
    printed = capsys.readouterr().err
    assert "error: the scheduler is lost; start it again" in printed
    assert "points: 3 of 3 done, 0 left; the same command goes on from there" in printed


def test_a_wrong_file_is_told_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.toml").write_text(
        '[experiment.pruning]\nmethod = "lnp"\n[grid]\n"pruning.synapse_fractoin" = [0.1]'
    )
    assert main(["sweep", str(tmp_path / "sweep.toml"), "-o", str(tmp_path / "s")]) == 2
    assert "did you mean 'synapse_fraction'?" in capsys.readouterr().err
    assert main(["sweep", str(tmp_path / "sweep.toml"), "-o", str(tmp_path)]) == 2
    assert "exists and is not the folder of a sweep" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_the_table_stays_small_however_many_points_there_are() -> None:
    view = SweepView(quiet=True)
    view.opened(_Cluster())  # pyright: ignore[reportArgumentType]
    tally = _tally(failed=1)
    tally.total, tally.done = 10_000, 5_000
    tally.failures = deque([({"seed": seed}, _ERROR * 20) for seed in range(9)], maxlen=5)
    view.watch(tally)
    table = view.table()
    assert table.row_count == 2 + 4 + 5
    console = sweep_view.err
    width = max(len(line) for line in _drawn(console, table).splitlines())
    assert width <= console.width


def _drawn(console: Any, table: object) -> str:
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_a_sweep_of_nothing_trained_is_counted() -> None:
    assert sweep_view.counted(Tally(total=trivial_sweep(seed=[1, 2]).points)) == "0 of 2 done, 2 left"
    assert sweep_view.counted(Tally(total=2, measuring=1)) == "0 of 2 done, 2 left", "one is not done yet"
    assert sweep_view.counted(Tally(done=3, pruned=1)) == "3 done, 1 given up"
