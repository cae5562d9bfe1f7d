"""A run that is written to a file part by part: the file of a run in memory, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.emulator.program import EmulatorProgram
from tests.graphs import recurrent, spikes
from toolchain.errors import SimulationError, StorageError, UnknownNameError
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.files.archive import ArrayWriter
from toolchain.ir import Stage
from toolchain.workflow import run
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.run import Recording, record_build, run_build

SAMPLES = 7


@pytest.fixture
def build(rng: np.random.Generator) -> Build:
    return compile_graph(recurrent(rng), stimulus=Stimulus({"x": spikes(rng, SAMPLES, 12, 6)}))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many samples each run had; parts are as small as the program allows."""
    monkeypatch.setattr(run, "_RECORDED_BYTES", 1)
    original, sizes = EmulatorProgram.run, []

    def watched(program: EmulatorProgram, stimulus: Stimulus, **options: Any) -> Trace:
        sizes.append(stimulus.samples)
        return original(program, stimulus, **options)

    monkeypatch.setattr(EmulatorProgram, "run", watched)
    return sizes


@pytest.mark.parametrize("record", [("spikes",), ("spikes", "v", "u"), ("u",)])
def test_integers_recorded_sample_by_sample_are_those_of_one_run(
    record: tuple[str, ...], build: Build, runs: list[int], tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    recording = record_build(
        build, tmp_path / "parts.npz", record=record, progress=lambda done, total: told.append((done, total))
    )
    assert runs == [1] * SAMPLES
    assert told == [(i + 1, SAMPLES) for i in range(SAMPLES)]
    whole = run_build(build, record=record)
    whole.save(tmp_path / "whole.npz")
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert Trace.load(tmp_path / "parts.npz").by_key().keys() == whole.by_key().keys()
    if "spikes" in record:
        assert recording == Recording(SAMPLES, {name: int(v.sum()) for name, v in whole.spikes.items()})


def test_real_numbers_do_not_depend_on_where_they_are_cut(
    build: Build, runs: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("targets.emulator.program._MEMORY_BYTES", 2**13)
    record = ("spikes", "v", "u")
    record_build(build, tmp_path / "parts.npz", stage=Stage.FLOAT, record=record)
    assert runs == [1] * SAMPLES
    run_build(build, stage=Stage.FLOAT, record=record).save(tmp_path / "whole.npz")
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_only_the_first_samples_are_recorded_if_so_asked(
    build: Build, runs: list[int], tmp_path: Path
) -> None:
    assert record_build(build, tmp_path / "t.npz", samples=2).samples == 2
    assert runs == [1, 1]
    assert len(Trace.load(tmp_path / "t.npz").spikes["hidden"]) == 2


@pytest.mark.parametrize(
    "ends", [OSError(28, "No space left on device"), SystemExit(130), KeyboardInterrupt()]
)
def test_a_full_disk_or_an_interruption_in_a_late_part_leaves_nothing_behind(
    ends: BaseException, build: Build, runs: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = ArrayWriter.append, []

    def breaks(writer: ArrayWriter, arrays: Mapping[str, Any]) -> None:
        calls.append(len(arrays))
        if len(calls) == 4:
            raise ends
        original(writer, arrays)

    monkeypatch.setattr(ArrayWriter, "append", breaks)
    with pytest.raises(StorageError if isinstance(ends, OSError) else type(ends)):
        record_build(build, tmp_path / "t.npz")
    assert len(runs) == 4
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_nothing_runs(build: Build, runs: list[int], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        record_build(build, tmp_path / "file" / "t.npz")
    with pytest.raises(UnknownNameError):
        record_build(build, tmp_path / "t.npz", record=("w",))
    assert runs == []


def test_what_goes_wrong_in_a_late_part_is_told_with_its_samples(
    build: Build, runs: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = EmulatorProgram.run

    def dies(program: EmulatorProgram, stimulus: Stimulus, **options: Any) -> Trace:
        if len(runs) == 3:
            raise SimulationError("it died", process="hidden", step=2)
        return original(program, stimulus, **options)

    monkeypatch.setattr(EmulatorProgram, "run", dies)
    with pytest.raises(SimulationError) as caught:
        record_build(build, tmp_path / "t.npz")
    assert caught.value.__notes__ == ["this was in a part of the run that begins at sample 3"]


def test_a_run_on_lava_is_recorded_alike(build: Build, tmp_path: Path) -> None:
    record_build(build, tmp_path / "lava.npz", "lava", samples=2, record=("spikes", "v", "u"))
    record_build(build, tmp_path / "emulator.npz", "emulator", samples=2, record=("spikes", "v", "u"))
    assert (tmp_path / "lava.npz").read_bytes() == (tmp_path / "emulator.npz").read_bytes()
