"""Whole or not at all, and never trusting a header."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from toolchain import atomic
from toolchain.atomic import (
    read_arrays,
    read_json,
    replacing_file,
    replacing_folder,
    write_arrays,
    write_json,
)
from toolchain.errors import CorruptArtifactError, MissingFileError, UsageError


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


def test_arrays_come_back_with_type_and_shape(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6, dtype=np.int32).reshape(2, 3),
        "b": np.array(2.5),
        "c": np.zeros((0, 4), bool),
    }
    write_arrays(tmp_path / "x.npz", arrays)
    for name, value in read_arrays(tmp_path / "x.npz").items():
        assert value.dtype == arrays[name].dtype
        assert value.shape == arrays[name].shape
        assert np.array_equal(value, arrays[name])


def test_a_header_that_claims_more_than_it_holds_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9000000000000,), }"
    body = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", body)
    with pytest.raises(CorruptArtifactError, match="claims 72000000000000 bytes"):
        read_arrays(tmp_path / "x.npz")


def test_an_archive_of_many_arrays_may_not_claim_more_than_one_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_arrays(tmp_path / "x.npz", {name: np.zeros(100) for name in "abc"})
    monkeypatch.setattr(atomic, "MAX_ARRAY_BYTES", 2000)
    with pytest.raises(CorruptArtifactError, match="more than 2000 are not read"):
        read_arrays(tmp_path / "x.npz")


def test_an_archive_entry_that_is_no_array_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("../../evil.sh", "#")
    with pytest.raises(CorruptArtifactError, match="not an array"):
        read_arrays(tmp_path / "x.npz")


def test_a_pickled_array_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([object()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", buffer.getvalue())
    with pytest.raises(CorruptArtifactError):
        read_arrays(tmp_path / "x.npz")


def test_missing_and_broken_json_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match="not JSON"):
        read_json(tmp_path / "x.json")


def test_json_has_no_word_for_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())
