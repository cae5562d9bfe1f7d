"""Temporary folders are gone afterwards: at once, or at the next start if their process was killed."""

import errno
import fcntl
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interruptions import interruptions
from toolchain.errors import StorageError
from toolchain.files import temporary
from toolchain.files.disk import writing
from toolchain.files.npz import write_arrays
from toolchain.files.temporary import SHARED_MEMORY, shared_memory_prefix, temporary_folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test, that nobody has looked through."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(temporary, "_SWEPT", set())
    return tmp_path


_KILLED = """
import os, select, signal, sys
from pathlib import Path
from typing import Any
from toolchain.files.temporary import *
with temporary_folder("test") as folder:
    (folder / "inside").mkdir()
    (folder / "inside" / "file").write_text("x")
    (SHARED_MEMORY / (shared_memory_prefix(folder)[1:] + "abcd")).write_text("x")
    (SHARED_MEMORY / ("sem." + shared_memory_prefix(folder)[1:] + "-abcd")).write_text("x")
    print(folder, flush=True)
    if "child" in sys.argv:
        if os.fork() == 0:
            work_in(folder)
            print("locked", flush=True)
            # The end alone is waited for: what is written is for the parent, and would be lost if read here.
            end = select.poll()
            end.register(sys.stdin, 0)
            end.poll()
            os._exit(0)
        sys.stdin.read(1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _killed(place: Path, repository: Path) -> Path:
    """Return the folder that a killed process left."""
    done = subprocess.run(
        [sys.executable, "-c", _KILLED],
        cwd=repository,
        env=os.environ | {"TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    return Path(done.stdout.strip())


def _shared_memory(folder: Path) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"*{shared_memory_prefix(folder)[1:]}*"))


def test_a_temporary_folder_is_gone_wherever_an_interrupt_comes(place: Path) -> None:
    def action() -> None:
        with temporary_folder("test") as folder:
            (folder / "file").write_text("x")

    opened = len(list(Path("/proc/self/fd").iterdir()))
    places = 0
    for where in interruptions(action):
        places += 1
        assert not list(place.iterdir()), where
    assert places > 300
    assert len(list(Path("/proc/self/fd").iterdir())) == opened


def test_what_a_killed_process_left_is_removed_at_the_next_start(place: Path, repository: Path) -> None:
    left = _killed(place, repository)
    assert (left / "inside" / "file").exists()
    assert len(_shared_memory(left)) == 2
    with temporary_folder("test") as folder:
        assert list(place.iterdir()) == [folder]
    assert not _shared_memory(left)
    assert not list(place.iterdir())


def test_a_folder_in_which_somebody_works_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_folder("test") as first:
        monkeypatch.setattr(temporary, "_SWEPT", set())
        with temporary_folder("test") as second:
            assert {first, second} == set(place.iterdir())


def test_a_folder_stays_as_long_as_a_child_works_in_it(
    place: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, "child"],
        cwd=repository,
        env=os.environ | {"TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        left = Path(parent.stdout.readline().decode().strip())
        assert parent.stdout.readline() == b"locked\n"
        parent.stdin.write(b"x")
        parent.stdin.flush()
        assert parent.wait() == -signal.SIGKILL
        with temporary_folder("test"):
            assert left.exists()
        parent.stdin.close()
        assert parent.stdout.read() == b""
    monkeypatch.setattr(temporary, "_SWEPT", set())
    with temporary_folder("test"):
        assert not left.exists()


def test_what_is_not_certainly_ours_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = place / "outside"
    outside.mkdir()
    (outside / "file").write_text("x")
    (place / "pumice-link-01234567").symlink_to(outside)
    (place / "pumice-file-01234567").write_text("x")
    for name in ("pumice-1000", "pumice-lava-0123456", "pumice-Lava-01234567", "x-pumice-lava-01234567"):
        (place / name).mkdir()
    before = set(place.iterdir())
    with temporary_folder("test"):
        pass
    assert set(place.iterdir()) == before
    assert (outside / "file").exists()
    (place / "pumice-other-01234567").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(temporary, "_SWEPT", set())
    with temporary_folder("test"):
        pass
    assert (place / "pumice-other-01234567").exists()


def test_a_folder_taken_from_its_maker_before_it_is_locked_is_made_anew(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["00000000", "11111111", "22222222"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(names))
    original = os.open

    def open_late(path: Path, flags: int, **options: Any) -> int:
        if "00000000" in str(path):
            Path(path).rmdir()
        opened = original(path, flags, **options)
        if "11111111" in str(path):
            fcntl.flock(original(path, flags), fcntl.LOCK_EX)
        return opened

    monkeypatch.setattr(os, "open", open_late)
    with temporary_folder("test") as folder:
        assert folder.name == "pumice-test-22222222"


def test_a_disk_without_locks_is_used_and_nothing_of_others_removed_there(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", none)
    (place / "pumice-test-01234567").mkdir()
    with temporary_folder("test"):
        pass
    assert [item.name for item in place.iterdir()] == ["pumice-test-01234567"]


def test_too_many_open_files_leave_no_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "open", none)
    with pytest.raises(StorageError, match="too many files are open"), temporary_folder("test"):
        pass
    assert not list(place.iterdir())


def test_a_temporary_folder_that_is_full_names_itself_and_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(StorageError, match="set TMPDIR") as caught, temporary_folder("p") as folder:
        write_arrays(folder / "kept.npz", {"a": np.zeros(3)})
        with writing(folder / "arrays.npz", 100):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.path == tmp_path
    assert not list(tmp_path.iterdir())


def test_no_temporary_folder_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with (
        pytest.raises(StorageError, match="nor any other temporary folder; .*TMPDIR"),
        temporary_folder("p"),
    ):
        pass
