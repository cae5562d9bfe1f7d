"""Whole or not at all, and never trusting a header."""

from pathlib import Path

import pytest

from toolchain.atomic import replacing_file, replacing_folder
from toolchain.errors import UsageError


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
