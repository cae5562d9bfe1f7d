"""What a disk refuses, told with file, need and remedy."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from toolchain.errors import CorruptArtifactError, MissingFileError, StorageError, UsageError
from toolchain.files.atomic import replacing_file
from toolchain.files.disk import check_file, check_folder, writing
from toolchain.files.npz import reserve_array, write_array


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("108864 requested and 13280 written"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError(
            "Can't decrement id ref count (file write failed: errno = 28, error message = 'No space')"
        ),
    ],
    ids=["Python", "quota", "NumPy", "safetensors", "HDF5"],
)
def test_every_way_to_say_that_a_disk_is_full_is_known(failure: Exception, tmp_path: Path) -> None:
    with (
        pytest.raises(
            StorageError, match=r"x\.npz' cannot be written: the disk is full, up to 2.0 KiB"
        ) as caught,
        writing(tmp_path / "x.npz", 2048),
    ):
        raise failure
    assert caught.value.path == tmp_path / "x.npz"
    assert "free some space" in caught.value.remedy


def test_a_cause_hidden_by_a_second_failure_is_found(tmp_path: Path) -> None:
    """An archive that was being written cannot be closed either."""
    with pytest.raises(StorageError, match="the disk is full, more is needed"), writing(tmp_path / "x"):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise ValueError("cannot close the archive")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EFBIG, "ulimit -f"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EIO, "the disk reports an error"),
        (errno.ENAMETOOLONG, "too long a name"),
    ],
)
def test_other_refusals_say_what_they_are(number: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=message), writing(tmp_path / "x"):
        raise OSError(number, os.strerror(number))


def test_what_is_not_of_this_disk_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no number"), writing(tmp_path / "x"):
        raise ValueError("no number")
    with pytest.raises(PermissionError), writing(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "Permission denied", "/usr/bin/python")
    with pytest.raises(CorruptArtifactError), writing(tmp_path / "x"):
        raise CorruptArtifactError(tmp_path, "is damaged")


def test_a_copy_from_elsewhere_that_finds_no_room_is_told(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/elsewhere/x", None, str(tmp_path / "x"))
    with pytest.raises(StorageError, match="the disk is full"), writing(tmp_path / "x"):
        raise full
    away = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"), None, "/elsewhere/x")
    with pytest.raises(OSError, match="No space left") as raised, writing(tmp_path / "x"):
        raise away
    assert raised.value is away


def test_folders_made_for_a_file_that_fails_go_with_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError), replacing_file(tmp_path / "a" / "b" / "x.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_mapped_array_has_its_room_before_it_is_written(tmp_path: Path) -> None:
    mapped = reserve_array(tmp_path / "x.npy", np.int32, (1000, 3))
    assert not mapped.any()
    assert (tmp_path / "x.npy").stat().st_blocks * 512 >= 12_000
    for values in (np.arange(5), np.zeros((0, 3), bool), np.array(7)):
        write_array(tmp_path / "y.npy", values)
        assert np.array_equal(np.load(tmp_path / "y.npy"), values)


def test_a_mapped_array_that_has_no_room_takes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To find out by taking would fill the disk for everybody."""
    room = shutil.disk_usage(tmp_path)
    with pytest.raises(StorageError, match="the disk is full.*set TMPDIR"):
        reserve_array(tmp_path / "x.npy", np.int8, (room.total,))
    assert not list(tmp_path.iterdir())

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(StorageError, match="the disk is full.*set TMPDIR"):
        reserve_array(tmp_path / "x.npy", np.int8, (1000,))
    assert not list(tmp_path.iterdir())


def test_what_stands_at_a_path_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    check_file("sample", tmp_path / "file")
    check_folder("run", tmp_path)
    for name in ("none", "loop", "file/below", "a" * 300, "a\0b"):
        with pytest.raises(MissingFileError, match="does not exist"):
            check_file("sample", tmp_path / name)
    with pytest.raises(UsageError, match="is a folder, expected a file"):
        check_file("sample", tmp_path)
    with pytest.raises(UsageError, match="is a pipe or a device"):
        check_file("sample", tmp_path / "pipe")
    with pytest.raises(UsageError, match="is a file, expected a folder"):
        check_folder("run", tmp_path / "file")
