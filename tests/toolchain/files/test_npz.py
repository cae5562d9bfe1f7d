"""Tests of arrays in files."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from toolchain.errors import CorruptArtifactError
from toolchain.files.npz import read_arrays, read_sealed_arrays, write_arrays, write_sealed_arrays


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
    monkeypatch.setenv("PUMICE_MEMORY", "4K")
    with pytest.raises(CorruptArtifactError, match=r"2\.3 KiB of memory, at most 2\.0 KiB may be taken here"):
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


def test_a_sealed_archive_is_read_as_it_was_written_and_refused_once_changed(tmp_path: Path) -> None:
    path, arrays = tmp_path / "state.npz", {"b": np.arange(3), "a": np.zeros((2, 0)), "c": np.array(True)}
    write_sealed_arrays(path, arrays)
    found = read_sealed_arrays(path)
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], values) for name, values in arrays.items())
    for other in (
        arrays | {"b": np.array([0, 1, 3])},
        {"x": arrays["b"], "a": arrays["a"], "c": arrays["c"]},
    ):
        write_arrays(path, other | {"/sha256": read_arrays(path)["/sha256"]})
        with pytest.raises(CorruptArtifactError, match="its hash differs"):
            read_sealed_arrays(path)
    write_arrays(path, arrays)
    with pytest.raises(CorruptArtifactError, match="its hash differs"):
        read_sealed_arrays(path)
