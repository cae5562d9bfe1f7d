"""Standard streams that are closed, full, or whose reader has gone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_WRONG = ("schema", "nosuch")
"""An error of ours, said by a command that loads little."""


def _pumice(
    *arguments: str, before: Callable[[], object] | None = None, **streams: Any
) -> subprocess.CompletedProcess[str]:
    streams = {"stderr": subprocess.PIPE} | streams
    return subprocess.run(
        [sys.executable, "-m", "toolchain.cli", *arguments],
        text=True,
        check=False,
        preexec_fn=before,
        **streams,
    )


def test_a_reader_that_has_gone_ends_the_command_quietly() -> None:
    for arguments in (["--help"], ["schema", "graph"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = _pumice(*arguments, stdout=writing)
        os.close(writing)
        assert (done.returncode, done.stderr) == (141, "")


def test_output_that_a_full_disk_refuses_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = _pumice("--help", stdout=full.fileno())
    assert done.returncode == 3
    assert done.stderr == (
        "error: 'standard output' cannot be written: no space left on device; send it elsewhere\n"
    )


@pytest.mark.slow
def test_streams_that_were_closed_at_the_start_are_not_missed(small_build: Path, tmp_path: Path) -> None:
    """Nor is a file of ours opened in their place, for others to print into."""

    def close() -> None:
        for number in range(3):
            os.close(number)

    output = tmp_path / "trace.npz"
    done = _pumice("run", str(small_build), "-o", str(output), before=close)
    assert done.returncode == 0
    assert output.exists()
    assert _pumice(*_WRONG, before=lambda: os.close(2)).returncode == 2


def test_what_cannot_be_told_on_standard_error_does_not_change_the_end() -> None:
    with Path("/dev/full").open("w") as full:
        assert _pumice(*_WRONG, stderr=full.fileno()).returncode == 2
    reading, writing = os.pipe()
    os.close(reading)
    assert _pumice(*_WRONG, stderr=writing).returncode == 2
    os.close(writing)
