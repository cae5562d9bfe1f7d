"""Full disks, limits and missing permissions: named, with what to do, and nothing half-written."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.permissions import ordinary
from tests.small_run import TOML
from toolchain.cli.main import main
from toolchain.workflow.run_folder import TrainedRun

pytestmark = pytest.mark.slow

_SMALL = 20_000


def _pumice(
    *arguments: str, limit: int | None = None, temporary: Path | None = None
) -> subprocess.CompletedProcess[str]:
    def bound() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    environment = os.environ | ({"TMPDIR": str(temporary)} if temporary else {})
    return subprocess.run(
        [sys.executable, "-m", "toolchain.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=bound,
        env=environment,
    )


def _half_written(folder: Path) -> list[Path]:
    return [item for item in folder.rglob(".*") if item.name.startswith(".")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Make a disk with so many bytes of room, where that is allowed."""
    made: list[Path] = []

    def make(size: int) -> Path:
        place = tmp_path / f"disk{len(made)}"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
        if (
            shutil.which("mount") is None
            or subprocess.run(mount, capture_output=True, check=False).returncode
        ):
            pytest.skip("no small disk can be mounted here")
        made.append(place)
        return place

    yield make
    for place in made:
        subprocess.run(["umount", str(place)], check=True)


def test_training_that_meets_a_limit_says_so_and_goes_on_afterwards(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(TOML)
    command = ["train", str(tmp_path / "x.toml"), "-o", str(tmp_path / "run")]
    done = _pumice(*command, limit=_SMALL)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "would be larger than a file may be here (see 'ulimit -f'); raise that limit" in done.stderr
    assert f"'{tmp_path}/run/" in done.stderr
    assert not _half_written(tmp_path)
    assert main(command) == 0
    assert TrainedRun.load(tmp_path / "run").classes


def test_training_on_a_full_disk_names_file_need_and_room(
    tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    (tmp_path / "x.toml").write_text(TOML)
    disk = small_disk(180_000)
    done = _pumice("train", str(tmp_path / "x.toml"), "-o", str(disk / "run"))
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "cannot be written: the disk is full, up to" in done.stderr
    assert "are free; free some space, or choose a place on another disk" in done.stderr
    assert not _half_written(disk)


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        (["run", "BUILD", "-o", "OUT", "--record", "v,u"], 32_768),
        (["compile", "RUN", "-o", "OUT"], 32_768),
        (["export", "BUILD", "-o", "OUT", "-f", "onnx"], 32_768),
        (["export", "BUILD", "-o", "OUT", "-f", "nir"], 8_192),
        (["export", "BUILD", "-o", "OUT", "-f", "lava"], 8_192),
        (["compare", "BUILD", "--update", "--baseline", "OUT"], 4_096),
    ],
    ids=lambda value: " ".join(value[:1] + value[-1:]) if isinstance(value, list) else None,
)
def test_outputs_on_a_full_disk_leave_nothing(
    arguments: list[str],
    size: int,
    small_run: Path,
    small_build: Path,
    small_disk: Callable[[int], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk = small_disk(size)
    if size == 4_096:
        (disk / "full").write_bytes(bytes(size))
    before = {item.name for item in disk.iterdir()}
    names = {"BUILD": str(small_build), "RUN": str(small_run), "OUT": str(disk / "out")}
    assert main([names.get(word, word) for word in arguments]) == 3
    text = " ".join(capsys.readouterr().err.split())
    assert f"'{disk}/out" in text.replace("' ", "'")
    assert "the disk is full" in text
    assert {item.name for item in disk.iterdir()} == before


@pytest.mark.parametrize("target", ["lava", "lava-stock"])
def test_a_full_temporary_folder_is_named_with_its_remedy(
    target: str, small_build: Path, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(49_152)
    arguments = ["run", str(small_build), "--target", target, "-o", str(tmp_path / "t.npz")]
    done = _pumice(*arguments, temporary=disk)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert f"'{disk}' cannot be written: the disk is full, up to" in done.stderr
    assert "set TMPDIR to a folder on another disk" in done.stderr
    assert not list(disk.iterdir())
    assert not (tmp_path / "t.npz").exists()


@pytest.mark.parametrize("hidden", ["fixed/arrays.npz", "quantization.json", "float", "stimulus.npz"])
def test_what_may_not_be_read_is_not_called_missing(hidden: str, small_build: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_build, tmp_path / "build"))
    (folder / hidden).chmod(0)
    done = subprocess.run(
        ordinary(sys.executable, "-m", "toolchain.cli", "show", str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / hidden).chmod(0o755)
    assert done.returncode == 3
    assert "cannot be read: permission denied; ask its owner" in done.stderr
    assert hidden in done.stderr
    assert "does not exist" not in done.stderr


def test_files_that_may_not_be_read_are_told_by_every_reader(small_run: Path, tmp_path: Path) -> None:
    names = ("x.toml", "x.nir", "x.onnx", "x.net", "s.npz")
    for name in names:
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0)
    out = str(tmp_path / "out")
    commands = [
        ["train", str(tmp_path / "x.toml"), "-o", out],
        *(["compile", str(tmp_path / name), "-o", out] for name in ("x.nir", "x.onnx", "x.net")),
        ["compile", str(small_run), "-o", out, "--calibration", str(tmp_path / "s.npz")],
    ]
    script = (
        "import sys; from toolchain.cli.main import main; "
        "print([main(line.split()) for line in sys.argv[1:]])"
    )
    done = subprocess.run(
        ordinary(sys.executable, "-c", script, *(" ".join(command) for command in commands)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str([3] * len(commands)), done.stderr
    assert done.stderr.count("cannot be read: permission denied") == len(commands)
