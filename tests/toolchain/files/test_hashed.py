"""What is read is what was hashed."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest

from toolchain.errors import CorruptArtifactError
from toolchain.files.hashed import HashedFile

_MIB = 2**20


def _opened(path: Path) -> HashedFile:
    return HashedFile(os.open(path, os.O_RDONLY), path)


@pytest.mark.parametrize("size", [0, 1, _MIB - 1, _MIB, _MIB + 1, 3 * _MIB + 17])
def test_a_file_is_read_as_it_was_hashed(size: int, tmp_path: Path) -> None:
    content = np.random.default_rng(size).bytes(size)
    (tmp_path / "file").write_bytes(content)
    with _opened(tmp_path / "file") as file:
        assert (file.sha256, file.size) == (hashlib.sha256(content).hexdigest(), size)
        assert file.readall() == content
        file.seek(size // 2)
        assert io.BufferedReader(file).read(_MIB) == content[size // 2 : size // 2 + _MIB]
    with _opened(tmp_path / "file") as file:
        assert file.seek(-min(size, 3), os.SEEK_END) == size - min(size, 3)
        assert file.read() == content[size - min(size, 3) :]


@pytest.mark.parametrize("place", [0, _MIB - 1, _MIB, 2 * _MIB + 5])
def test_what_changes_after_it_was_hashed_is_not_read(place: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(2 * _MIB + 10))
    with _opened(path) as file, path.open("r+b") as other:
        other.seek(place)
        other.write(b"x")
        other.flush()
        with pytest.raises(CorruptArtifactError, match="was changed while it was read"):
            file.readall()


def test_what_is_cut_off_after_it_was_hashed_is_told_and_what_is_added_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    with _opened(path) as file:
        path.write_bytes(bytes(9))
        with pytest.raises(CorruptArtifactError, match="was changed"):
            file.readall()
        path.write_bytes(bytes(10))
    path.write_bytes(bytes(_MIB))
    with _opened(path) as file:
        path.write_bytes(bytes(_MIB + 10))
        assert len(file.readall()) == _MIB
