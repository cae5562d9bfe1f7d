"""Which files of a folder are samples, and which folders are parts."""

from pathlib import Path

import pytest

from toolchain.data.sets.folders import find_files, official_parts
from toolchain.data.sets.options import Naming
from toolchain.errors import UsageError


def test_what_systems_and_editors_leave_behind_is_no_sample(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/._1.png", ".ipynb_checkpoints/1.png", "__MACOSX/a/1.png", "b/c/2.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files = find_files(tmp_path, (".png",), Naming.FOLDER, "")
    assert [(each.path.name, each.word) for each in files] == [("1.png", "a"), ("2.PNG", "b")]


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Train", "Test"), ("training", "TESTING")])
def test_parts_are_known_by_their_names(train: str, test: str, tmp_path: Path) -> None:
    for name in (train, test, "val"):
        (tmp_path / name / "a").mkdir(parents=True)
    assert official_parts(tmp_path, "") == (tmp_path / train, tmp_path / test)


@pytest.mark.parametrize("name", ["train", "Test"])
def test_a_part_without_the_other_is_no_class(name: str, tmp_path: Path) -> None:
    (tmp_path / name / "a").mkdir(parents=True)
    (tmp_path / "val" / "a").mkdir(parents=True)
    with pytest.raises(UsageError, match="name the folder to train on as `path`"):
        official_parts(tmp_path, "")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "bus"):
        (tmp_path / name).mkdir()
    assert official_parts(tmp_path, "") == (tmp_path, None)
