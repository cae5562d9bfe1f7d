"""Whole or not at all, and never trusting a header."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from tests.interruptions import interruptions
from toolchain.errors import UsageError
from toolchain.files import atomic, durable, swapping
from toolchain.files.atomic import replacing_file, write_text
from toolchain.files.swapping import replacing_folder
from toolchain.training.tensor_files import save_tensors

_KILLED = """
import os, signal, sys
from pathlib import Path
from toolchain.files.atomic import replacing_file
with replacing_file(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk"), replacing_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("disk")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["file.txt"]


def test_a_failed_folder_keeps_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "marker").write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing_folder(folder, marker="marker") as temporary:
        (temporary / "marker").write_text("new")
        raise KeyboardInterrupt
    assert (folder / "marker").read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "marker").touch()
    (folder / "stale").touch()
    with replacing_folder(folder, marker="marker") as temporary:
        (temporary / "marker").touch()
    assert [item.name for item in folder.iterdir()] == ["marker"]
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


def test_somebody_elses_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="choose another"), replacing_folder(tmp_path, marker="marker"):
        pass
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o444, 0o775])
def test_a_file_keeps_its_permissions(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    write_text(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_does_not_run_with_somebodys_rights_because_the_old_one_did(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o4755)
    write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "new" / "file", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / "file").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o777 & ~mask


def test_a_file_is_never_more_open_than_that_which_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o600)
    with replacing_file(path) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_a_file_stays_and_the_file_is_replaced(there: bool, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    if there:
        (tmp_path / "far" / "file").write_text("old")
    (tmp_path / "link").symlink_to("far/file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").readlink() == Path("far/file")
    assert (tmp_path / "far" / "file").read_text() == "new"
    assert [item.name for item in (tmp_path / "far").iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["link", "link/name"])
def test_a_link_that_leads_to_itself_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(UsageError, match="leads to itself"):
        write_text(tmp_path / name, "new")


@pytest.mark.parametrize("name", ["a" * 255, "a." + "b" * 250, "é" * 127, "a" + "é" * 120 + ".npz"])
def test_a_name_may_be_as_long_as_a_disk_allows(name: str, tmp_path: Path) -> None:
    for text in ("old", "new"):
        write_text(tmp_path / name, text)
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [(name, "new")]


def test_of_several_writers_of_a_file_one_wins_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = [str(i) * 5000 for i in range(8)]
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_writer_of_a_file_left_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    (left,) = tmp_path.iterdir()
    mine = tmp_path / left.name.replace(".npz.pumice-", ".npz.backup-")
    mine.touch()
    write_text(path, "new")
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([mine.name, "file.npz"])


def test_a_writer_that_puts_another_file_in_place_of_its_own_is_not_swept_away(tmp_path: Path) -> None:
    """Libraries do so, and might leave more beside it; the next writer may look at any time."""
    path = tmp_path / "file"
    with replacing_file(path) as temporary:
        (temporary.parent / "library").write_text("whole")
        (temporary.parent / "library").chmod(0o600)
        (temporary.parent / "library").replace(temporary)
        (temporary.parent / "more").touch()
        write_text(path, "another writer's")
        assert temporary.read_text() == "whole"
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("file", "whole")]


def test_a_new_file_of_tensors_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "any", "new")
    save_tensors(tmp_path / "numbers.safetensors", {"x": torch.zeros(2)})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes["numbers.safetensors"] == modes["any"]


def test_all_is_on_the_disk_before_it_takes_its_place_and_the_place_itself_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, told = tmp_path / "folder", []

    def sync(path: Path) -> None:
        told.append(
            (path.name if folder in path.parents or path in (folder, tmp_path) else "new", folder.exists())
        )

    for module in (atomic, durable, swapping):
        monkeypatch.setattr(module, "sync", sync)
    with replacing_folder(folder) as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "file").touch()
        (temporary / "link").symlink_to("nowhere")
    assert told == [("new", False)] * 3 + [(tmp_path.name, True)]
    told.clear()
    write_text(folder / "file", "x")
    assert told == [(next(iter(told))[0], True), ("folder", True)]
    assert told[0][0].startswith(".file.pumice-")


@pytest.mark.long
def test_an_interrupt_anywhere_leaves_the_old_file_or_the_new_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for where in interruptions(lambda: write_text(path, "new")):
        names = [item.relative_to(tmp_path).as_posix() for item in sorted(tmp_path.rglob("*"))]
        assert names in ([], ["new", "new/file"]), where
        assert not names or path.read_text() in {"old", "new"}
        if names:
            path.write_text("old")
