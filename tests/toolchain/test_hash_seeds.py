"""Messages and results are the same bytes whatever seed Python hashes with."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.hash_seeds import write


def _started(seed: str, repository: Path, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.hash_seeds", str(folder)],
        cwd=repository,
        env=os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow  # all commands twice
def test_no_hash_seed_changes_what_is_said_or_written(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """This process has a seed, which is at random if nobody has set it; another process has another."""
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    process = _started(other, repository, tmp_path / "other")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(tmp_path / "here")
    here = capfd.readouterr()
    there = process.communicate()
    assert process.returncode == 0, there
    # Both loops are there, and the first of them is blamed.
    assert "the loop ant -> bee -> cat -> ant has too little delay" in here.out
    assert "'ant-back' (cat -> ant) takes 2 steps more" in here.out + here.err
    assert "'dog-back' (fox -> dog) takes 2 steps more" in here.out + here.err
    assert "build/report.html" in here.out
    assert [text.splitlines() for text in there] == [text.splitlines() for text in here]
