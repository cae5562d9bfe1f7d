"""Killed workers and schedulers, Ctrl-C and full disks: what is done stays, goes on, and is done once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.signalled import REPOSITORY, signalled
from tests.sweeps import LOGGED, log_of, small_sweep
from toolchain.errors import ClusterError, StorageError
from toolchain.sweep.run_sweep import carry_out
from toolchain.sweep.sweep_file import Sweep
from toolchain.sweep.sweep_folder import SweepFolder

pytestmark = pytest.mark.long

_GRID = '"quantization.weight_bits" = [4, 8]\nseed = { range = 3 }'
_PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep that nobody disturbed."""
    place = tmp_path_factory.mktemp("undisturbed")
    assert carry_out(_sweep(place), place / "s", workers=2, stages=LOGGED).tally.done == 6
    return place / "s"


def _sweep(place: Path) -> Sweep:
    return small_sweep(place, _GRID)


def _content(folder: Path) -> dict[str, object]:
    """Return the bytes of all runs and builds, and the rows without times and workers."""
    content: dict[str, object] = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for part in ("runs", "builds")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }
    other = {"train_seconds", "compile_seconds", "worker"}
    return content | {row.name: row.model_dump(exclude=other) for row in SweepFolder(folder).rows()}


def _check(folder: Path, undisturbed: Path) -> None:
    """Check that a disturbed sweep is complete, equal byte for byte, and that nothing was done twice."""
    ours, theirs = _content(folder), _content(undisturbed)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    trained = [run for what, run, *_ in log_of(folder) if what == "trained"]
    assert sorted(trained) == sorted(path.name for path in (folder / "runs").iterdir())
    measured = [name for what, _, name, _ in log_of(folder) if what == "measured"]
    assert sorted(measured) == sorted(row.name for row in SweepFolder(folder).rows())


class _Nodes:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show")
        # It writes the file in place.
        _wait(lambda: self._file.exists() and self._file.read_text().endswith("\n}"))
        self.address = str(json.loads(self._file.read_text())["address"])
        for _ in range(2):
            options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
            self._start("dask_worker", self.address, *options)

    def _start(self, module: str, *arguments: str) -> None:
        more = ("--scheduler-file", str(self._file)) if module == "dask_scheduler" else ()
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *arguments, *more, "--no-dashboard"],
                env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def _nodes(folder: Path) -> Generator[_Nodes, None, None]:
    folder.mkdir()
    nodes = _Nodes(folder)
    try:
        yield nodes
    finally:
        nodes.end()


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _in_training(folder: Path) -> bool:
    """Return whether the network of a run is being trained, and an epoch of it is done."""
    return any(
        (run / "training").is_dir() and any((run / "training").iterdir()) and not (run / "run.json").exists()
        for run in (folder / "runs").glob("*")
    )


def _when(until: Callable[[], bool], action: Callable[[], object]) -> threading.Thread:
    def act() -> None:
        _wait(until)
        action()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def _kill_trainer(folder: Path) -> None:
    runs = [each for each in (folder / "runs").glob("*") if (each / "training").is_dir()]
    run = next(each.name for each in runs if not (each / "run.json").exists())
    begun = [int(process) for what, name, _, process in log_of(folder) if (what, name) == ("begin", run)]
    with suppress(ProcessLookupError):
        os.kill(begun[-1], signal.SIGKILL)


def test_the_points_of_a_killed_worker_are_computed_elsewhere(tmp_path: Path, undisturbed: Path) -> None:
    folder = tmp_path / "s"
    with _nodes(tmp_path / "nodes") as nodes:
        killer = _when(lambda: _in_training(folder), lambda: _kill_trainer(folder))
        result = carry_out(_sweep(tmp_path), folder, scheduler=nodes.address, stages=LOGGED)
        killer.join()
        assert sum(process.poll() is not None for process in nodes.processes) == 1
    assert (result.tally.done, result.tally.failed) == (6, 0)
    assert len([line for line in log_of(folder) if line[0] == "begin"]) > 3
    _check(folder, undisturbed)


def test_after_the_death_of_the_scheduler_the_same_sweep_goes_on(tmp_path: Path, undisturbed: Path) -> None:
    folder = tmp_path / "s"
    with _nodes(tmp_path / "nodes") as nodes:
        killer = _when(lambda: _in_training(folder), nodes.processes[0].kill)
        with pytest.raises(ClusterError, match=r"is lost; start it and its workers again, and then this"):
            carry_out(_sweep(tmp_path), folder, scheduler=nodes.address, stages=LOGGED)
        killer.join()
    with _nodes(tmp_path / "again") as nodes:
        result = carry_out(_sweep(tmp_path), folder, scheduler=nodes.address, stages=LOGGED)
    assert (result.tally.done, result.tally.failed) == (6, 0)
    _check(folder, undisturbed)


def test_after_ctrl_c_the_same_command_goes_on(tmp_path: Path, undisturbed: Path) -> None:
    _sweep(tmp_path)
    folder = tmp_path / "s"
    command = ["sweep", str(tmp_path / "sweep.toml"), "-o", str(folder), "--workers", "2"]
    ended = signalled(command, folder, lambda: _in_training(folder), (signal.SIGINT,))
    assert ended.code == 130
    assert "interrupted (SIGINT); the same command continues where it can" in ended.stderr
    assert "points: 0 of 6 done" in ended.stderr
    assert [each for each in ended.left if each.startswith("process")] == []
    assert signalled(command, folder).code == 0
    assert _content(folder) == _content(undisturbed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with little room, where that is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=180000", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_of_workers_ends_the_sweep_until_there_is_room(
    tmp_path: Path, small_disk: Path, undisturbed: Path
) -> None:
    folder = small_disk / "s"
    with pytest.raises(StorageError, match="the disk is full"):
        carry_out(_sweep(tmp_path), folder, workers=2, stages=LOGGED)
    assert list(SweepFolder(folder).rows()) == []
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    result = carry_out(_sweep(tmp_path), folder, workers=2, stages=LOGGED)
    assert (result.tally.done, result.tally.failed) == (6, 0)
    _check(folder, undisturbed)
