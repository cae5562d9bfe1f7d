"""A lock is one process's at a time, and free as soon as that process is gone."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from toolchain.errors import StorageError
from toolchain.files.locks import locked

_HOLDER = """
import sys, time
from pathlib import Path
from toolchain.files.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    path, order = tmp_path / "deep" / "lock", []
    begun = threading.Event()

    def hold() -> None:
        with locked(path):
            begun.set()
            time.sleep(0.3)
            order.append("first")

    other = threading.Thread(target=hold)
    other.start()
    begun.wait()
    with locked(path):
        order.append("second")
    other.join()
    assert order == ["first", "second"]
    assert path.is_file()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with path.open("a") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder.send_signal(signal.SIGKILL)
        with locked(path):
            pass


def test_an_error_inside_is_nobody_elses_and_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(OSError, match="full"), locked(path):
        raise OSError(errno.ENOSPC, "full")
    with locked(path):
        pass


def test_a_disk_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    match = "cannot be locked: .*; choose a folder on a disk with locks"
    with pytest.raises(StorageError, match=match), locked(tmp_path / "lock"):
        pytest.fail("it was locked")
