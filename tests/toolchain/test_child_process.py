"""Child processes end with all that they started, and say why they failed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolchain.child_process import end_child, problem_of, read_whole


def test_a_tool_that_fails_or_hangs_is_told_and_what_it_said_is_there(tmp_path: Path) -> None:
    log = tmp_path / "log"
    speak = (
        "import os, sys\n"
        "print(os.getcwd(), os.environ['ONE'], os.environ['LC_ALL'])\n"
        "sys.exit(int(sys.argv[1]))"
    )
    for status, problem in ((0, ""), (3, "it ended with status 3")):
        command = [sys.executable, "-c", speak, str(status)]
        assert problem_of(command, tmp_path, log, patience_s=60, environment={"ONE": "1"}) == problem
        assert log.read_text() == f"{tmp_path} 1 C\n"
    hang = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert problem_of(hang, tmp_path, log, patience_s=0.2) == "it took longer than 0.2 s"


def test_what_a_child_started_ends_with_it() -> None:
    start = (
        "import subprocess, time\nprint(subprocess.Popen(['sleep', '600']).pid, flush=True)\ntime.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    end_child(child)
    end_child(child)
    # A signal takes a moment; then it is gone, or a zombie that only its new parent can take away.
    status, patience = Path(f"/proc/{grandchild}/status"), time.monotonic() + 30
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < patience, "what the child started lives on"
        time.sleep(0.01)


def test_answers_are_read_whole_or_not_at_all() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as pipe:
        os.write(writing, b"abc")
        into = bytearray(3)
        read_whole(pipe, memoryview(into), 1)
        assert into == b"abc"
        os.write(writing, b"d")
        with pytest.raises(TimeoutError):
            read_whole(pipe, memoryview(into), 0.05)
        os.close(writing)
        with pytest.raises(EOFError):
            read_whole(pipe, memoryview(into), 1)
