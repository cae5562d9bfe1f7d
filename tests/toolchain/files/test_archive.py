"""Arrays larger than the memory: written part by part, read part by part, whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolchain.errors import CorruptArtifactError, MissingFileError, StorageError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.files.archive import StoredArray, open_arrays, writing_arrays
from toolchain.files.npz import read_arrays, write_arrays

Array = np.ndarray[Any, Any]


def _arrays(rng: np.random.Generator) -> dict[str, Array]:
    return {
        "b.spikes": rng.random((7, 5, 3)) < 0.3,
        "a/../.v": rng.normal(size=(7, 5, 2, 2)),
        "a.u": rng.integers(-9, 9, (7, 5), dtype=np.int32),
        "empty": np.zeros((7, 0), np.int64),
    }


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_parts_make_the_very_file_that_whole_arrays_make(
    size: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    arrays = _arrays(rng)
    write_arrays(tmp_path / "whole.npz", arrays)
    with writing_arrays(tmp_path / "parts.npz") as writer:
        for start in range(0, 7, size):
            writer.append({name: values[start : start + size] for name, values in arrays.items()})
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    with np.load(tmp_path / "parts.npz", allow_pickle=False) as loaded:
        assert {name: loaded[name].tolist() for name in loaded.files} == {
            n: a.tolist() for n, a in arrays.items()
        }
    assert {item.name for item in tmp_path.iterdir()} == {"whole.npz", "parts.npz"}


def test_parts_need_not_be_contiguous(tmp_path: Path, rng: np.random.Generator) -> None:
    values = np.asfortranarray(rng.random((6, 4)))[:, ::2]
    with writing_arrays(tmp_path / "a.npz") as writer:
        writer.append({"x": values[:3]})
        writer.append({"x": values[3:]})
    assert np.array_equal(read_arrays(tmp_path / "a.npz")["x"], values)


@pytest.mark.parametrize(
    "ends", [OSError(28, "No space left on device"), SystemExit(130), KeyboardInterrupt()]
)
@pytest.mark.parametrize("before", [0, 1, 2])
def test_whatever_ends_the_writing_leaves_the_old_file_and_nothing_else(
    ends: BaseException, before: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    write_arrays(tmp_path / "a.npz", {"old": np.ones(1)})
    parts = [_arrays(rng) for _ in range(3)]
    expected = StorageError if isinstance(ends, OSError) else type(ends)
    with pytest.raises(expected), writing_arrays(tmp_path / "a.npz") as writer:
        for i, part in enumerate(parts):
            if i == before:
                raise ends
            writer.append(part)
    assert [item.name for item in tmp_path.iterdir()] == ["a.npz"]
    assert set(read_arrays(tmp_path / "a.npz")) == {"old"}


class _FullDisk:
    """Copies until a disk is full."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, source: Any, target: Any, length: int) -> None:
        assert length > 0
        while block := source.read(64):
            self.room -= len(block)
            if self.room < 0:
                raise OSError(28, "No space left on device")
            target.write(block)


@pytest.mark.parametrize("room", [0, 100, 300, 1000])
def test_a_disk_that_is_full_when_parts_are_put_together_leaves_nothing_behind(
    room: int, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolchain.files.archive.shutil.copyfileobj", _FullDisk(room))
    with pytest.raises(StorageError, match="disk is full"), writing_arrays(tmp_path / "a.npz") as writer:
        for _ in range(3):
            writer.append(_arrays(rng))
    assert list(tmp_path.iterdir()) == []


def test_parts_that_do_not_belong_together_are_our_bug(tmp_path: Path) -> None:
    for other in (np.ones((1, 3)), np.ones((1, 2), np.int32)):
        with pytest.raises(ValueError, match="'x' was"), writing_arrays(tmp_path / "a.npz") as writer:
            writer.append({"x": np.ones((1, 2))})
            writer.append({"x": other})


def _stored(path: Path, values: Array) -> Any:
    write_arrays(path, {"x": values})
    stored = open_arrays(path, held_bytes=0)["x"]
    assert isinstance(stored, StoredArray)
    return stored


@pytest.mark.parametrize(
    "index",
    [
        slice(0, 4),
        slice(3, 9),
        slice(None),
        slice(2, 9, 3),
        slice(None, None, -1),
        slice(4, 4),
        5,
        -1,
        np.array([8, 0, 3, 3]),
        np.array([[1, 2], [5, 6]]),
        np.arange(9) % 2 == 0,
        (slice(None), 1),
        (2, slice(None), 0),
        ...,
    ],
)
def test_a_stored_array_is_indexed_as_an_array_is(
    index: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    values = rng.random((9, 4, 2))
    stored = _stored(tmp_path / "a.npz", values)
    for _ in range(2):
        got = stored[index]
        assert isinstance(got, np.ndarray)
        assert np.array_equal(got, values[index])


def test_a_stored_array_is_used_as_an_array_is(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(0, 5, (6, 3), dtype=np.uint8)
    stored = _stored(tmp_path / "a.npz", values)
    assert (stored.shape, stored.dtype, stored.ndim, len(stored)) == ((6, 3), np.uint8, 2, 6)
    assert stored.mean() == values.mean()
    assert np.array_equal(stored + 1, values + 1)
    assert np.array_equal((stored != 0).astype(int), values != 0)
    assert np.array_equal(np.repeat(stored, 2, axis=0), np.repeat(values, 2, axis=0))
    assert np.asarray(stored, np.float64).dtype == np.float64
    assert np.array_equal(list(stored), values)
    with pytest.raises(IndexError):
        stored[6]


def test_an_archive_may_be_replaced_while_its_arrays_are_in_use(tmp_path: Path) -> None:
    stored = _stored(tmp_path / "a.npz", np.arange(9.0))
    (tmp_path / "a.npz").unlink()
    write_arrays(tmp_path / "a.npz", {"x": np.zeros(3)})
    assert np.array_equal(stored[4:], np.arange(4.0, 9.0))


def test_small_arrays_are_read_at_once_and_others_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(
        path, {"x": np.ones((100, 8)), "labels": np.ones(100, np.int64), "n": np.asfortranarray(np.eye(99))}
    )
    kinds = {name: type(values) for name, values in open_arrays(path, held_bytes=2000).items()}
    assert kinds == {"x": StoredArray, "labels": np.ndarray, "n": np.ndarray}
    assert all(type(values) is np.ndarray for values in open_arrays(path).values())


def test_damage_is_found_when_the_rows_are_read(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": rng.random((5000, 8))})
    raw = bytearray(path.read_bytes())
    raw[-1500] ^= 255
    path.write_bytes(raw)
    stored: Any = open_arrays(path, held_bytes=0)["x"]
    with pytest.raises(CorruptArtifactError, match="not a readable"):
        stored[:]
    path.write_text("no archive")
    with pytest.raises(CorruptArtifactError, match="not a readable"):
        open_arrays(path)
    with pytest.raises(MissingFileError):
        open_arrays(tmp_path / "none.npz")


@pytest.mark.parametrize("write", [Stimulus.save, lambda given, path: write_arrays(path, given.values)])
def test_a_pipe_is_never_replaced_by_a_file(write: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="is a pipe or a device; name a file"):
        write(Stimulus({"x": np.zeros((1, 2, 3))}), pipe)
    assert pipe.is_fifo()


def test_what_is_no_file_is_not_called_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Stimulus.open(tmp_path)


_KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from toolchain.files.archive import writing_arrays

with writing_arrays(Path(sys.argv[1])) as writer:
    writer.append({"a": np.zeros((1, 2))})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_writer_removes_all_that_a_killed_one_left(tmp_path: Path) -> None:
    place = tmp_path / "trace.npz"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", _KILLED, place], check=False, cwd=Path(__file__).parents[3])
    left = list(tmp_path.iterdir())
    assert len(left) == 1, "the second one removed what the first one left"
    with writing_arrays(place) as writer:
        writer.append({"a": np.zeros((1, 2))})
    assert list(tmp_path.iterdir()) == [place]


def test_rows_far_into_a_large_entry_are_read_with_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """What is skipped on the way is no list of entries, however small the memory makes that."""
    rows = rng.integers(0, 256, (400, 2**14)).astype(np.uint8)
    with (tmp_path / "rows.npz").open("wb") as file:
        np.savez_compressed(file, rows=rows)
    monkeypatch.setenv("PUMICE_MEMORY", "1G")
    stored = open_arrays(tmp_path / "rows.npz", held_bytes=0)["rows"]
    for row in (399, 0, 200):
        assert np.array_equal(stored[row], rows[row])
