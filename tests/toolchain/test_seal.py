"""What is loaded must be listed and unchanged; what nobody loads is nobody's business."""

import json
import shutil
from pathlib import Path

import pytest

from toolchain.build_folder import Build
from toolchain.errors import CorruptArtifactError, MissingFileError
from toolchain.run_folder import TrainedRun

_LEFT = (".DS_Store", "Thumbs.db", "lava/trace.npz", "lava/__pycache__/network.cpython-311.pyc", "notes.txt")


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
    with pytest.raises(CorruptArtifactError, match="is not listed by its training"):
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
    with pytest.raises(MissingFileError, match=r"file of the build .*stimulus\.npz' does not exist"):
        Build.load(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a\0b", ""])
def test_a_list_reaches_no_file_outside(name: str, small_build: Path, tmp_path: Path) -> None:
    folder = _copy(small_build, tmp_path)
    (tmp_path / "secret").write_text("mine")
    document = json.loads((folder / "manifest.json").read_text())
    document["files"][name] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(document))
    assert Build.load(folder).target == "emulator"
