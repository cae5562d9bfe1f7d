"""What is loaded must be listed and unchanged; what nobody loads is nobody's business."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from tests.graphs import recurrent, spikes
from toolchain.errors import CorruptArtifactError, MissingFileError
from toolchain.execution.stimulus import Stimulus
from toolchain.files.documents import write_document
from toolchain.files.opened import read_folder
from toolchain.files.sealed_folder import SealedDocument, open_sealed, seal
from toolchain.workflow import build_folder
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.run_folder import TrainedRun

_LEFT = (".DS_Store", "Thumbs.db", "lava/trace.npz", "lava/__pycache__/network.cpython-311.pyc", "notes.txt")


class _List(SealedDocument):
    FORMAT = "list"
    VERSION = 1
    WHAT = "list of samples"
    WRITTEN_BY = "the test"
    FILE = "list.json"
    FOLDER = "samples"
    LOADED = ("stimulus.npz",)

    format: str = FORMAT
    version: int = VERSION


def _copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def _unlist(path: Path, *names: str) -> None:
    document = json.loads(path.read_text())
    for name in names:
        del document["files"][name]
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("name", [*_LEFT, "float/.DS_Store", "fixed/Thumbs.db"])
def test_what_others_leave_in_a_build_does_not_matter(name: str, small_build: Path, tmp_path: Path) -> None:
    folder = _copy(small_build, tmp_path)
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    (folder / name).write_bytes(b"\0")
    assert Build.load(folder).target == "emulator"


@pytest.mark.parametrize("name", [".DS_Store", "network/.DS_Store", "network/Thumbs.db", "notes.txt"])
def test_what_others_leave_in_a_run_does_not_matter(name: str, small_run: Path, tmp_path: Path) -> None:
    folder = _copy(small_run, tmp_path)
    (folder / name).write_bytes(b"\0")
    assert TrainedRun.load(folder).classes


def test_a_report_may_be_taken_away_but_not_changed(small_build: Path, tmp_path: Path) -> None:
    folder = _copy(small_build, tmp_path)
    shutil.rmtree(folder / "lava")
    (folder / "report.html").unlink()
    assert Build.load(folder).target == "emulator"
    (folder / "report.html").write_text("better figures")
    with pytest.raises(CorruptArtifactError, match="was changed"):
        Build.load(folder)


@pytest.mark.parametrize(
    "name", ["float/graph.json", "fixed/arrays.npz", "quantization.json", "stimulus.npz", "fixed/graph.json"]
)
def test_no_file_of_a_build_is_loaded_that_is_not_listed(
    name: str, small_build: Path, tmp_path: Path
) -> None:
    folder = _copy(small_build, tmp_path)
    _unlist(folder / "manifest.json", name)
    with pytest.raises(CorruptArtifactError, match="is not listed by its build"):
        Build.load(folder)


@pytest.mark.parametrize(
    "name", ["network/network.json", "unpruned/network.safetensors", "stimulus.npz", "calibration.npz"]
)
def test_no_file_of_a_run_is_loaded_that_is_not_listed(name: str, small_run: Path, tmp_path: Path) -> None:
    folder = _copy(small_run, tmp_path)
    _unlist(folder / "run.json", name)
    with pytest.raises(CorruptArtifactError, match="is not listed by its run"):
        TrainedRun.load(folder)


@pytest.mark.parametrize("name", ["fixed/arrays.npz", "stimulus.npz", "float"])
def test_a_link_is_not_loaded(name: str, small_build: Path, tmp_path: Path) -> None:
    folder = _copy(small_build, tmp_path)
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptArtifactError, match="is a link"):
        Build.load(folder)


def test_a_listed_file_that_is_loaded_must_be_there(small_build: Path, tmp_path: Path) -> None:
    folder = _copy(small_build, tmp_path)
    (folder / "stimulus.npz").unlink()
    with pytest.raises(
        MissingFileError,
        match=r"file of the build .*stimulus\.npz' does not exist; write all again with 'pumice compile'",
    ):
        Build.load(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a\0b", ""])
def test_a_list_reaches_no_file_outside(name: str, small_build: Path, tmp_path: Path) -> None:
    folder = _copy(small_build, tmp_path)
    (tmp_path / "secret").write_text("mine")
    document = json.loads((folder / "manifest.json").read_text())
    document["files"][name] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(document))
    assert Build.load(folder).target == "emulator"


@pytest.fixture
def build(rng: np.random.Generator) -> Build:
    return compile_graph(recurrent(rng), stimulus=Stimulus.of(spikes(rng, 2, 10, 6)))


def test_a_list_of_no_files_loads_nothing(small_run: Path, tmp_path: Path) -> None:
    folder = _copy(small_run, tmp_path)
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(document | {"files": {}}))
    with pytest.raises(CorruptArtifactError, match="is not listed by its run"):
        TrainedRun.load(folder)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"x" * 8)


def _replace(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".new"))
    _overwrite(path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("change", [_overwrite, _replace, Path.unlink])
@pytest.mark.parametrize(
    "name", ["fixed/arrays.npz", "float/graph.json", "quantization.json", "stimulus.npz"]
)
def test_the_bytes_that_are_loaded_are_those_that_were_hashed(
    name: str, change: Callable[[Path], None], build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever changes a file between the look at its hash and its reading changes nothing that is loaded."""
    folder = tmp_path / "build"
    build.save(folder)
    whole = Build.load(folder)

    def changed(*arguments: Any, **options: Any) -> object:
        files = open_sealed(*arguments, **options)
        change(folder / name)
        return files

    monkeypatch.setattr(build_folder, "open_sealed", changed)
    if change is _overwrite:
        with pytest.raises(CorruptArtifactError, match="was changed while it was read"):
            Build.load(folder)
        return
    loaded = Build.load(folder)
    assert loaded.quantization == whole.quantization
    assert loaded.stimulus is not None
    assert whole.stimulus is not None
    assert np.array_equal(loaded.stimulus.values["input"], whole.stimulus.values["input"])


def test_a_stimulus_that_is_read_late_is_still_the_one_that_was_hashed(tmp_path: Path) -> None:
    path = tmp_path / "stimulus.npz"
    Stimulus.of(np.random.default_rng(1).random((50, 10, 1000))).save(path)
    write_document(tmp_path / "list.json", _List(files=seal(tmp_path, _List.LOADED)))
    _, files = read_folder("samples", tmp_path, lambda opened: open_sealed(opened, _List))
    late = Stimulus.of_file(files.open(path.name), path, held_bytes=1)
    assert late.values["input"][3].shape == (10, 1000)
    _overwrite(path)
    with pytest.raises(CorruptArtifactError, match="was changed while it was read"):
        np.asarray(late.values["input"])


def test_a_second_name_elsewhere_does_no_harm(build: Build, tmp_path: Path) -> None:
    build.save(tmp_path / "build")
    (tmp_path / "mine").hardlink_to(tmp_path / "build" / "fixed" / "arrays.npz")
    assert Build.load(tmp_path / "build").target == build.target
    before = (tmp_path / "mine").read_bytes()
    build.save(tmp_path / "build")
    assert (tmp_path / "mine").read_bytes() == before
    (tmp_path / "other").hardlink_to(tmp_path / "build" / "fixed" / "arrays.npz")
    _overwrite(tmp_path / "other")
    with pytest.raises(CorruptArtifactError, match="was changed after the build"):
        Build.load(tmp_path / "build")


@pytest.mark.slow
def test_builds_are_read_whole_beside_a_writer(
    build: Build, tmp_path: Path, rng: np.random.Generator
) -> None:
    folder = tmp_path / "build"
    other = compile_graph(recurrent(rng), stimulus=Stimulus.of(spikes(rng, 3, 10, 6)))
    build.save(folder)
    saved: list[int] = []

    def save() -> None:
        for i in range(4):
            (other if i % 2 else build).save(folder)
            saved.append(i)

    writer = Thread(target=save)
    writer.start()
    found = set()
    while writer.is_alive():
        stimulus = Build.load(folder).stimulus
        found.add(None if stimulus is None else stimulus.samples)
    writer.join()
    assert len(saved) == 4
    assert found == {2, 3}
    assert [item.name for item in tmp_path.iterdir()] == ["build"]


def test_a_file_too_large_to_be_read_is_refused_before_it_is_hashed(build: Build, tmp_path: Path) -> None:
    build.save(tmp_path / "build")
    os.truncate(tmp_path / "build" / "fixed" / "graph.json", 2**34)
    began = time.monotonic()
    with pytest.raises(CorruptArtifactError, match="of memory"):
        Build.load(tmp_path / "build")
    assert time.monotonic() - began < 5
