"""IDX files in their true format; damaged ones are named."""

import gzip
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.data_files import idx
from toolchain.data.pictures.idx import idx_file, load_idx, load_idx_pair
from toolchain.errors import CorruptArtifactError, MissingFileError


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx")


@settings(max_examples=40, deadline=None)
@given(array=array_shapes(min_dims=3, max_dims=3, max_side=6).flatmap(lambda shape: arrays(np.uint8, shape)))
def test_what_was_written_is_read_packed_or_not(place: Path, array: np.ndarray) -> None:
    (place / "a").write_bytes(idx(array))
    (place / "a.gz").write_bytes(gzip.compress(idx(array)))
    for name in ("a", "a.gz"):
        assert np.array_equal(load_idx(place / name, 3), array)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_changed_file_is_read_as_bytes_or_refused(place: Path, data: st.DataObject) -> None:
    content = bytearray(idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4)))
    if data.draw(st.booleans()):
        content = bytearray(gzip.compress(bytes(content)))
    place_of_change = data.draw(st.integers(0, len(content) - 1))
    content[place_of_change] ^= data.draw(st.integers(1, 255))
    path = place / data.draw(st.sampled_from(["b", "b.gz"]))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    with suppress(CorruptArtifactError):
        assert load_idx(path, 3).ndim == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (idx(np.zeros((2, 3), np.uint8)), "no IDX file of bytes in 1 axes: it begins '00 00 08 02'"),
        (idx(np.zeros(5, np.uint8))[:-1], "another number of bytes than it says"),
        (idx(np.zeros(5, np.uint8)) + b"1", "another number of bytes than it says"),
        (b"", "it begins ''"),
        (bytes((0, 0, 8, 1, 0)), "another number of bytes"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CorruptArtifactError, match=said):
        load_idx(tmp_path / "a", 1)


def test_a_file_that_claims_more_than_the_memory_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMICE_MEMORY", "1M")
    (tmp_path / "a").write_bytes(bytes((0, 0, 8, 1, 0x7F, 0, 0, 0)))
    with pytest.raises(CorruptArtifactError, match="of memory"):
        load_idx(tmp_path / "a", 1)


def test_labels_are_as_many_as_pictures(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(idx(np.zeros((2, 3, 3), np.uint8)))
    (tmp_path / "l").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(CorruptArtifactError, match="3 labels, not 2"):
        load_idx_pair(tmp_path / "i", tmp_path / "l")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="a-idx1.*get it there"):
        idx_file(tmp_path, "a-idx1", "get it there")
