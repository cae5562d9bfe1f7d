"""Every way in which a simulator fails: named, nothing left behind, and the run resumes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.lava import runner
from targets.lava.answers import HEARTBEAT
from targets.lava.job import write_job
from targets.lava.plan import plan_processes
from targets.lava.process_group import group_lives
from targets.lava.program import LavaProgram
from targets.lava.resume import FinishedSamples
from targets.lava.runner import run_job
from targets.lava.runtime.documents import LavaRun
from targets.lava.runtime.jobs import LavaJob
from targets.lava.runtime.models import Models
from targets.lava.settings import Limits
from targets.lava.target import LavaTarget
from tests.attack.small_builds import save_recurrent
from tests.graphs import fixed_lif
from tests.targets import conformance
from toolchain import ir
from toolchain.errors import CorruptArtifactError, SimulationError, TargetError
from toolchain.execution import reference
from toolchain.execution.stimulus import fit_stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.files.temporary import SHARED_MEMORY, shared_memory_prefix, temporary_folder
from toolchain.fixedpoint import SignMode
from toolchain.ir import AnyNode, Decode, Graph
from toolchain.progress import Progress, no_progress
from toolchain.target.protocol import forget_samples

pytestmark = pytest.mark.slow


def _job(folder: Path, *, steps: int = 6) -> LavaJob:
    graph = conformance.graph()
    x = np.ones((2, steps, 4), bool)
    return write_job(folder, plan_processes(graph), fit_stimulus(graph, x), {"p0": ("v",), "p1": ("v",)})


def _group_is_gone(group: int) -> bool:
    return not group_lives(group)


class Started:
    """The process groups that a test starts, and the names of their shared memory."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.prefixes: list[str] = []

    def assert_nothing_is_left(self) -> None:
        assert self.groups
        assert all(_group_is_gone(group) for group in self.groups)
        shared = [item.name for item in SHARED_MEMORY.iterdir()]
        assert not [name for name in shared if name.startswith(tuple(self.prefixes))]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    found = Started()
    original = subprocess.Popen

    def watched(command: list[str], **options: Any) -> object:
        child = original(command, **options)
        found.groups.append(child.pid)
        prefix = shared_memory_prefix(Path(command[-2])).removeprefix("/")
        found.prefixes += [prefix, f"sem.{prefix}"]
        return child

    monkeypatch.setattr(runner.subprocess, "Popen", watched)
    return found


def test_a_process_that_raises_is_named_with_its_step(started: Started) -> None:
    with temporary_folder("lava") as folder:
        job = _job(folder)
        job.record_paths("p1")["v"].unlink()
        with pytest.raises(SimulationError, match="process 'p1' at step 3: FileNotFoundError") as caught:
            run_job(job, Limits(), no_progress)
    # Step 3 is the first inside the window of a population of offset 2.
    assert (caught.value.process, caught.value.step) == ("p1", 3)
    assert "windowed_lif" in "".join(caught.value.__notes__)
    started.assert_nothing_is_left()
    assert not folder.exists()


def test_a_process_that_hangs_is_named_with_its_step(started: Started) -> None:
    with temporary_folder("lava") as folder:
        job = _job(folder)
        # Opening a pipe that nobody writes to blocks for ever, as a hung simulator does.
        job.record_paths("p0")["v"].unlink()
        os.mkfifo(job.record_paths("p0")["v"])
        began = time.monotonic()
        with pytest.raises(SimulationError, match="no process made a step for 1.5 s") as caught:
            run_job(job, Limits(stall_s=1.5), no_progress)
    assert (caught.value.process, caught.value.step) == ("p0", 2)
    assert time.monotonic() - began < 15
    started.assert_nothing_is_left()


def test_a_child_that_never_takes_a_step_is_ended(started: Started) -> None:
    with temporary_folder("lava") as folder:
        job = _job(folder)
        with pytest.raises(SimulationError, match="no process made a step for 0.1 s") as caught:
            run_job(job, Limits(start_s=0.1), no_progress)
    assert caught.value.step == 0
    started.assert_nothing_is_left()


def test_a_run_that_takes_too_long_is_ended(started: Started) -> None:
    with temporary_folder("lava") as folder:
        job = _job(folder, steps=100_000)
        with pytest.raises(SimulationError, match="the run took longer than 1 s"):
            run_job(job, Limits(total_s=1.0), no_progress)
    started.assert_nothing_is_left()


def test_a_process_that_is_killed_is_named(started: Started) -> None:
    with temporary_folder("lava") as folder:
        job = _job(folder, steps=100_000)
        killer = threading.Thread(target=_kill_one_actor, args=(folder, started.groups))
        killer.start()
        with pytest.raises(SimulationError, match="ended unexpectedly") as caught:
            run_job(job, Limits(total_s=60.0), no_progress)
        killer.join()
    assert caught.value.process in job.network.process_names(job.run.models)
    assert caught.value.step > 0
    started.assert_nothing_is_left()


def _kill_one_actor(folder: Path, groups: list[int]) -> None:
    """Kill the process that maps the record file, once it is running."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                mine = os.getpgid(int(entry.name)) in groups
                maps = (entry / "maps").read_text() if mine else ""
            except (OSError, ValueError):
                continue
            if f"{folder}/record0-v.npy" in maps:
                os.kill(int(entry.name), signal.SIGKILL)
                return
        time.sleep(0.05)


def test_a_child_that_is_killed_itself_is_noticed(started: Started) -> None:
    def kill(done: int, total: int) -> None:
        os.kill(started.groups[0], signal.SIGKILL)

    with temporary_folder("lava") as folder:
        job = _job(folder)
        with pytest.raises(SimulationError, match="ended with code -9 before it was done"):
            run_job(job, Limits(), kill)
    started.assert_nothing_is_left()


_PARENT = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
import numpy as np
from targets.lava.resume import FinishedSamples
from targets.lava.target import LavaTarget
from tests.targets import conformance
LavaTarget().build(conformance.graph()).run(np.ones((2, 100_000, 4), bool))
"""


@pytest.mark.parametrize("killed", ["the command", "the command and all of Lava"])
def test_a_parent_that_is_killed_takes_its_run_with_it(
    killed: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path)], cwd=repository)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not any(_steps_of(job) for job in tmp_path.iterdir()):
        time.sleep(0.05)
    (child,) = (
        entry for entry in _commands() if f"{tmp_path}/" in entry[1] and "targets/lava/child.py" in entry[1]
    )
    prefix = shared_memory_prefix(Path(child[1].split()[-2])).removeprefix("/")
    assert list(SHARED_MEMORY.glob(f"{prefix}*"))
    if killed != "the command":
        # What does not die at once cannot notice that it should.
        os.killpg(child[0], signal.SIGSTOP)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    if killed != "the command":
        os.killpg(child[0], signal.SIGKILL)
        while not _group_is_gone(child[0]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(tmp_path.iterdir())
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with temporary_folder("next"):
            pass
    while time.monotonic() < deadline and not (_group_is_gone(child[0]) and not list(tmp_path.iterdir())):
        time.sleep(0.05)
    assert _group_is_gone(child[0])
    assert not list(SHARED_MEMORY.glob(f"*{prefix}*"))
    assert not list(tmp_path.iterdir())


def _steps_of(job: Path) -> int:
    beats = job / HEARTBEAT
    return int(np.load(beats)[:, 0].sum()) if beats.exists() and beats.stat().st_size > 128 else 0


def _commands() -> list[tuple[int, str]]:
    """Process groups and command lines of everything that leads its group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == int(entry.name):
                found.append((int(entry.name), (entry / "cmdline").read_text().replace("\0", " ").strip()))
        except OSError:
            continue
    return found


def test_a_child_that_cannot_start_says_why() -> None:
    with temporary_folder("lava") as folder:
        job = _job(folder)
        (folder / "network.json").write_text("{}")
        with pytest.raises(SimulationError, match="DocumentError: 'network.json' is no document of the form"):
            run_job(job, Limits(), no_progress)


def test_an_interrupt_leaves_nothing_behind(started: Started) -> None:

    def interrupt(done: int, total: int) -> None:
        if started.groups and _steps() > 0:
            raise KeyboardInterrupt

    with temporary_folder("lava") as folder:
        job = _job(folder, steps=2000)

        def _steps() -> int:
            return int(np.load(folder / HEARTBEAT)[:, 0].sum())

        with pytest.raises(KeyboardInterrupt):
            run_job(job, Limits(), interrupt)
    started.assert_nothing_is_left()


_INTERRUPTED = """
import signal, sys, threading, time
import numpy as np
from targets.lava.resume import FinishedSamples
from targets.lava.target import LavaTarget
from tests.targets import conformance
program = LavaTarget().build(conformance.graph())
def progress(done, total):
    if done > 50:
        signal.raise_signal(signal.SIGINT)
try:
    program.run(np.ones((2, 100_000, 4), bool), progress=progress)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_ends_a_run_without_waiting_for_its_samples(repository: Path) -> None:
    code = _INTERRUPTED.replace("signal.raise_signal", "print(time.time(), flush=True); signal.raise_signal")
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository,
        stdout=subprocess.PIPE,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 130
    # Less than a second on a quiet machine; the samples would take minutes.
    assert time.time() - float(ended.stdout.split()[0]) < 15


def test_a_limit_of_open_files_is_told_without_what_lava_says_of_it(repository: Path, tmp_path: Path) -> None:
    build = save_recurrent(tmp_path / "build", np.random.default_rng(5))
    command = 'ulimit -n 20; exec "$0" -m toolchain.cli run "$1" -t lava -o "$2"'
    ended = subprocess.run(
        ["sh", "-c", command, sys.executable, str(build), str(tmp_path / "trace.npz")],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert "may not open more files (see 'ulimit -n'); raise that limit" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("models", Models)
def test_a_run_that_was_killed_resumes_after_its_last_finished_sample(
    started: Started, tmp_path: Path, models: Models
) -> None:
    graph, x = conformance.graph(), conformance.stimulus(samples=6)
    program = LavaTarget(models=models).build(graph).resume_in(tmp_path / "kept")
    steps = LavaRun(models, len(x), x.shape[1]).windows(program.plan.network)

    def kill(done: int, total: int) -> None:
        if total == steps.total and steps.finished(done - 1) >= 2:
            os.kill(started.groups[-1], signal.SIGKILL)

    with pytest.raises(SimulationError) as caught:
        _slow(program, x, kill)
    told, where = caught.value.__notes__[-2:]
    finished = int(told.split()[0])
    assert 2 <= finished < 6
    assert told == f"{finished} of 6 samples were finished"
    assert where == f"they are kept in '{tmp_path / 'kept'}'"
    totals: set[int] = set()
    trace = program.run(x, record=QUANTITIES, progress=lambda _, total: totals.add(total))
    assert totals == {LavaRun(models, 6 - finished, x.shape[1]).windows(program.plan.network).total}
    assert first_mismatch(reference.run(graph, x), trace) is None
    started.assert_nothing_is_left()
    # They are kept until whoever has the trace forgets them.
    again = program.run(x, record=QUANTITIES, progress=lambda *_: pytest.fail("nothing is left to run"))
    assert first_mismatch(trace, again) is None
    forget_samples(tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def _slow(program: LavaProgram, x: np.ndarray, progress: Progress) -> None:
    """Run so slowly that something can happen between two samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "_POLL_S", 0.0005)
        program.run(x, record=QUANTITIES, progress=progress)


def test_a_full_disk_does_not_hide_why_a_run_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def end(job: LavaJob, *_: object) -> None:
        beats = np.load(job.folder / HEARTBEAT, mmap_mode="r+")
        beats[:, 0] = 10_000
        raise SimulationError("the end", process="p0", step=7)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("targets.lava.program.run_job", end)
    monkeypatch.setattr("targets.lava.resume.write_sealed_arrays", full)
    program, x = LavaTarget().build(conformance.graph()), conformance.stimulus(samples=2)
    with pytest.raises(SimulationError, match="the end") as caught:
        program.resume_in(tmp_path).run(x)
    assert "could not be kept" in caught.value.__notes__[-1]
    assert "No space left" in caught.value.__notes__[-1]
    with pytest.raises(SimulationError) as caught:
        program.run(x)
    assert "a folder as `resume`" in caught.value.__notes__[-1]


def test_finished_samples_of_another_run_are_not_taken(tmp_path: Path) -> None:
    graph, x = conformance.graph(), conformance.stimulus(samples=3)
    records = {"spikes": {"p1": np.ones((3, x.shape[1], 2), bool)}}
    FinishedSamples(tmp_path, graph, fit_stimulus(graph, x), ("spikes",)).save(records, 2)
    with pytest.raises(TargetError, match="finished samples of another network, stimulus or record"):
        LavaTarget().build(graph).resume_in(tmp_path).run(~x)


def test_damaged_finished_samples_are_named(tmp_path: Path) -> None:
    (tmp_path / "finished.npz").write_bytes(b"nothing")
    with pytest.raises(CorruptArtifactError, match="finished.npz"):
        LavaTarget().build(conformance.graph()).resume_in(tmp_path).run(conformance.stimulus(samples=1))


def test_a_population_that_reads_too_many_is_named() -> None:
    """Where a population is one process, it has eight ports."""
    weights = np.full((1, 1), 2, np.int32)
    nodes: list[AnyNode] = [ir.Input(name="x", shape=(1,))]
    for i in range(9):
        nodes += [
            ir.FixedDense(name=f"w{i}", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.MIXED),
            fixed_lif(f"p{i}", (f"w{i}",), 1),
            ir.FixedDense(
                name=f"r{i}", inputs=(f"p{i}",), weights=weights, exponent=0, sign_mode=SignMode.MIXED
            ),
        ]
    nodes += [
        fixed_lif("all", tuple(f"r{i}" for i in range(9)), 1),
        ir.Output(name="o", inputs=("all",), decode=Decode.SPIKE_COUNT),
    ]
    with pytest.raises(TargetError, match="'all' reads 9 populations.*expected at most 8"):
        LavaTarget(models=Models.LAYERS).build(Graph(tuple(nodes)))
