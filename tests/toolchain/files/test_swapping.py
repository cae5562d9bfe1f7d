"""Folders are swapped in one step, whoever reads or writes beside."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interruptions import interruptions
from tests.permissions import ordinary
from toolchain.errors import UsageError
from toolchain.files import renames, swapping
from toolchain.files.swapping import replacing_folder

_MARKER = "marker"
_WRITER = """
import sys
from pathlib import Path
from toolchain.files.swapping import replacing_folder
for i in range(int(sys.argv[3])):
    with replacing_folder(Path(sys.argv[1]), marker="marker") as folder:
        for name in ("marker", "a", "b", "c"):
            (folder / name).write_text(f"{sys.argv[2]} {i}")
"""


def _write(folder: Path, text: str) -> None:
    with replacing_folder(folder, marker=_MARKER) as temporary:
        for name in (_MARKER, "a", "b", "c"):
            (temporary / name).write_text(text)


def _writer(folder: Path, name: str, times: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _WRITER, str(folder), name, str(times)])


@pytest.fixture(params=["in one step", "in two steps"])
def _steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also as on a file system that cannot exchange two names."""
    if request.param == "in two steps":
        monkeypatch.setattr(swapping, "exchange", lambda *_: False)


@pytest.mark.skipif(sys.platform not in {"linux", "darwin"}, reason="this system cannot exchange names")
def test_this_system_exchanges_two_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("b")
    assert renames.exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_text() == "b"
    assert (tmp_path / "b").is_dir()
    with pytest.raises(FileNotFoundError):
        renames.exchange(tmp_path / "a", tmp_path / "none")


def test_a_reader_beside_writers_never_meets_half_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    _write(folder, "first")
    writers = [_writer(folder, name, 40) for name in ("one", "two")]
    reads = 0
    while any(writer.poll() is None for writer in writers):
        # Files of one opened folder are all of one writing, or gone with it; the path always leads to one.
        handle = os.open(folder, os.O_RDONLY)
        try:
            files = [os.open(name, os.O_RDONLY, dir_fd=handle) for name in (_MARKER, "a", "b", "c")]
        except FileNotFoundError:
            assert not os.path.samestat(folder.stat(), os.fstat(handle))
            files = []
        finally:
            os.close(handle)
        assert len({os.read(file, 100) for file in files}) == min(len(files), 1)
        for file in files:
            os.close(file)
        reads += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert reads > 100
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]
    assert (folder / "a").read_text() in {"one 39", "two 39"}


@pytest.mark.usefixtures("_steps")
def test_of_several_writers_the_last_one_wins_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    failures: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for i in range(20):
                _write(folder, f"{name} {i}")
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]
    assert {(folder / name).read_text().split()[1] for name in (_MARKER, "a", "b", "c")} == {"19"}


@pytest.mark.usefixtures("_steps")
@pytest.mark.parametrize("mode", [0o755, 0o700, 0o2750, 0o775])
def test_a_folder_keeps_its_permissions(mode: int, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    _write(folder, "new")
    assert stat.S_IMODE(folder.stat().st_mode) == mode


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_folder_has_the_permissions_of_any_new_folder(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        _write(tmp_path / "folder", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~mask
    assert stat.S_IMODE((tmp_path / "folder" / "a").stat().st_mode) == 0o666 & ~mask


@pytest.mark.usefixtures("_steps")
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    _write(tmp_path / "far" / "folder", "old")
    (tmp_path / "link").symlink_to("far/folder")
    _write(tmp_path / "link", "new")
    assert (tmp_path / "link").readlink() == Path("far/folder")
    assert (tmp_path / "far" / "folder" / "a").read_text() == "new"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["far", "link"]


def test_a_link_that_leads_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(UsageError, match="link"), replacing_folder(tmp_path / "link", marker=_MARKER):
        pass


def test_what_became_somebodys_meanwhile_is_given_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(UsageError, match="choose another"), replacing_folder(folder, marker=_MARKER):
        folder.mkdir()
        (folder / "thesis.tex").write_text("mine")
    assert (folder / "thesis.tex").read_text() == "mine"
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


@pytest.mark.usefixtures("_steps")
def test_names_may_be_as_long_as_a_disk_allows(tmp_path: Path) -> None:
    for name in ("a" * 255, "é" * 127, "a" + "é" * 127):
        _write(tmp_path / name, "old")
        _write(tmp_path / name, "new")
        assert (tmp_path / name / "a").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 3


def test_what_a_killed_writer_left_is_removed_by_the_next_and_what_another_holds_is_not(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "folder"
    killed = "import os, signal\nfrom pathlib import Path\nimport sys\n" + _WRITER.split("\n", 3)[3].replace(
        "        for name", "        os.kill(os.getpid(), signal.SIGKILL)\n        for name"
    )
    subprocess.run([sys.executable, "-c", killed, str(folder), "x", "1"], check=False)
    (left,) = tmp_path.iterdir()
    (tmp_path / ".folder.pumice-notes").touch()
    with replacing_folder(folder, marker=_MARKER) as held:
        (held / _MARKER).touch()
        assert not left.exists()
        _write(folder, "second")
        assert held.is_dir()
    assert sorted(item.name for item in tmp_path.iterdir()) == [".folder.pumice-notes", "folder"]


def _mounted(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(swapping, "_movable", lambda folder: folder != place)


def _bound(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """A folder that turns out to be a mount point only when it is moved."""

    def exchange(one: Path, other: Path) -> bool:
        raise OSError(errno.EBUSY, "Device or resource busy", str(other))

    monkeypatch.setattr(swapping, "exchange", exchange)


@pytest.mark.parametrize("pin", [_mounted, _bound])
def test_a_folder_that_cannot_be_moved_is_filled(
    pin: Callable[[pytest.MonkeyPatch, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    _write(folder, "old")
    (folder / "deep").mkdir()
    (folder / "deep" / "file").touch()
    number = folder.stat().st_ino
    pin(monkeypatch, folder)
    _write(folder, "new")
    assert folder.stat().st_ino == number
    assert {item.name: item.read_text() for item in folder.iterdir()} == dict.fromkeys(
        (_MARKER, "a", "b", "c"), "new"
    )
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


def test_a_folder_in_one_that_may_not_be_written_is_filled(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    _write(closed / "folder", "old")
    (closed / "folder").chmod(0o777)
    for item in (closed / "folder").iterdir():
        item.chmod(0o666)
    closed.chmod(0o555)
    try:
        subprocess.run(
            ordinary(sys.executable, "-c", _WRITER, str(closed / "folder"), "new", "2"), check=True
        )
        assert (closed / "folder" / "a").read_text() == "new 1"
        assert len(list((closed / "folder").iterdir())) == 4
    finally:
        closed.chmod(0o755)


@pytest.mark.long
@pytest.mark.parametrize("there", [False, True])
def test_an_interrupt_anywhere_leaves_the_old_folder_or_the_new_one_and_nothing_else(
    there: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "folder"
    whole = ["new", "new/folder", *(f"new/folder/{name}" for name in ("a", "b", "c", _MARKER))]

    def as_before() -> None:
        shutil.rmtree(folder.parent, ignore_errors=True)
        if there:
            _write(folder, "old")

    as_before()
    texts = set()
    for where in interruptions(lambda: _write(folder, "new")):
        names = [item.relative_to(tmp_path).as_posix() for item in sorted(tmp_path.rglob("*"))]
        assert names in ([], whole), where
        texts.add(folder.exists() and (folder / "a").read_text())
        as_before()
    assert texts == {"old" if there else False, "new"}


def test_what_another_writer_takes_away_at_once_is_not_replaced_by_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its own two steps the other writer leaves the place empty for a moment."""
    monkeypatch.setattr(swapping, "exchange", lambda *_: False)
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    _write(folder, "old 0")
    rename = Path.rename

    def taken_at_once(self: Path, target: Path) -> Path:
        moved = rename(self, target)
        if target == folder and not elsewhere.exists():
            rename(folder, elsewhere)
        return moved

    monkeypatch.setattr(Path, "rename", taken_at_once)
    _write(folder, "new 0")
    assert not folder.exists()
    assert (elsewhere / "a").read_text() == "new 0"
