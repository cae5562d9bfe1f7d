"""Messages and results are the same bytes whatever seed Python hashes with."""

import os
import subprocess
import sys
from pathlib import Path

SEEDS = (0, 1)


def _started(seed: int, repository: Path, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.hash_seeds", str(folder)],
        cwd=repository,
        env=os.environ | {"PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_no_hash_seed_changes_what_is_said_or_written(repository: Path, tmp_path: Path) -> None:
    started = [_started(seed, repository, tmp_path / str(seed)) for seed in SEEDS]
    first, *others = (process.communicate()[0] for process in started)
    assert not any(process.returncode for process in started), first
    # Both loops are there, and the first of them is blamed.
    assert "the loop ant -> bee -> cat -> ant has too little delay" in first
    assert "'ant-back' (cat -> ant) takes 2 steps more" in first
    assert "'dog-back' (fox -> dog) takes 2 steps more" in first
    assert "build/report.html" in first
    for other in others:
        assert other.splitlines() == first.splitlines()
