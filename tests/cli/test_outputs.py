"""Where a command writes is looked at before it works."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.permissions import ordinary
from tests.small_run import TOML
from toolchain.cli.main import main
from toolchain.files.swapping import replacing_folder
from toolchain.workflow.build_folder import Build

pytestmark = pytest.mark.slow

Command = Callable[[Path], list[str]]

_WORK = (
    "toolchain.workflow.experiment.load_experiment",
    "toolchain.workflow.load.load",
    "toolchain.workflow.compile.compile_run",
    "toolchain.workflow.compare.compare_build",
    "toolchain.workflow.predict.predict_build",
    "toolchain.workflow.demo.run_demo",
    "toolchain.workflow.check.check_build",
)
_FOLDERS = ("train", "prune", "compile", "export", "demo", "run --resume")
_FILES = ("predict", "run", "check", "compare")


@pytest.fixture
def commands(small_run: Path, small_build: Path, tmp_path: Path) -> dict[str, Command]:
    """Every command that writes, given where to."""
    experiment = tmp_path / "x.toml"
    experiment.write_text(TOML)
    run, build, x, trace = str(small_run), str(small_build), str(experiment), str(tmp_path / "trace.npz")
    return {
        "train": lambda out: ["train", x, "-o", str(out)],
        "prune": lambda out: ["prune", x, "-o", str(out)],
        "compile": lambda out: ["compile", run, "-o", str(out)],
        "export": lambda out: ["export", build, "-o", str(out)],
        "demo": lambda out: ["demo", "-o", str(out)],
        "run --resume": lambda out: ["run", build, "-o", trace, "--resume", str(out)],
        "predict": lambda out: ["predict", build, "-o", str(out)],
        "run": lambda out: ["run", build, "-o", str(out)],
        "check": lambda out: ["check", build, "-t", "loihi2", "--report", str(out)],
        "compare": lambda out: ["compare", build, "--update", "--baseline", str(out)],
    }


@pytest.fixture(autouse=True)
def _no_work(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No command may begin to work."""
    if request.node.get_closest_marker("parametrize") is None:
        return

    def work(*arguments: object, **options: object) -> None:
        raise AssertionError("the work began before the output was looked at")

    for name in _WORK:
        monkeypatch.setattr(name, work)


def _refused(arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert message in " ".join(captured.err.split())
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("command", [*_FOLDERS, *_FILES])
def test_a_folder_above_that_does_not_exist_is_a_slip_and_is_not_made(
    command: str, commands: dict[str, Command], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _refused(commands[command](tmp_path / "resluts" / "out"), 2, "resluts' does not exist", capsys)
    assert not (tmp_path / "resluts").exists()


@pytest.mark.parametrize("command", [*_FOLDERS, *_FILES])
def test_a_file_is_no_folder_to_write_into(
    command: str, commands: dict[str, Command], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    _refused(commands[command](tmp_path / "thesis.tex" / "out"), 2, "thesis.tex' is not a folder", capsys)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("command", _FOLDERS)
def test_what_is_somebodys_is_not_written_over(
    command: str, commands: dict[str, Command], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    _refused(commands[command](tmp_path / "file"), 2, "exists and is not a folder", capsys)
    assert (tmp_path / "file").read_text() == "mine"
    full = tmp_path / "full"
    full.mkdir()
    for name in ("thesis.tex", *(["run/x", "build/x"] if command == "demo" else [])):
        (full / name).parent.mkdir(exist_ok=True)
        (full / name).touch()
    _refused(commands[command](full), 2, "choose another", capsys)
    assert (full / "thesis.tex").exists()


@pytest.mark.parametrize("command", _FILES)
def test_a_folder_is_no_file(
    command: str, commands: dict[str, Command], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    _refused(commands[command](tmp_path / "folder"), 2, "is a folder; name a file", capsys)
    os.mkfifo(tmp_path / "pipe")
    _refused(commands[command](tmp_path / "pipe"), 2, "is a pipe or a device", capsys)


@pytest.mark.parametrize("command", ["train", "compile", "run", "demo"])
def test_a_folder_without_permission_is_told_at_once(
    command: str, commands: dict[str, Command], tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    done = subprocess.run(
        ordinary(sys.executable, "-m", "toolchain.cli", *commands[command](closed / "out")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "closed/out' cannot be written: permission denied; choose another place" in done.stderr
    assert "..." not in done.stderr


def test_a_build_is_written_into_a_folder_that_cannot_be_exchanged(
    small_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder, here; a mounted disk, or a folder in one of somebody else's, likewise."""
    build, here = Build.load(small_build), tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    build.save(Path())
    assert Build.load(here).target == build.target
    assert Path.cwd() == here
    assert here.stat().st_ino == Path().stat().st_ino
    build.save(Path())
    assert [item.name for item in tmp_path.iterdir()] == ["here"]
    assert not [item for item in here.iterdir() if item.name.startswith(".")]
    with pytest.raises(RuntimeError, match="half"), replacing_folder(Path(), marker="manifest.json"):
        raise RuntimeError("half")
    assert Build.load(here).target == build.target


def test_a_build_behind_a_link_is_replaced_where_it_lies(small_build: Path, tmp_path: Path) -> None:
    build, there = Build.load(small_build), tmp_path / "there"
    shutil.copytree(small_build, there)
    (there / "old").touch()
    (tmp_path / "link").symlink_to(there)
    build.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert not (there / "old").exists()
    assert {item.name for item in tmp_path.iterdir()} == {"link", "there"}


def test_what_file_browsers_leave_does_not_fill_a_folder(small_build: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").touch()
    Build.load(small_build).save(tmp_path / "out")
    assert Build.load(tmp_path / "out").target == "emulator"


def test_a_run_never_takes_the_place_of_a_file_of_its_build(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = tmp_path / "build"
    shutil.copytree(small_build, build)
    before = (build / "stimulus.npz").read_bytes()
    assert main(["run", str(build), "--target", "emulator", "-o", str(build / "stimulus.npz")]) == 2
    assert "is a file of the build" in capsys.readouterr().err
    assert (build / "stimulus.npz").read_bytes() == before
