"""The tutorials run as they stand, in `make docs`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_TUTORIALS = {
    "own_network": "of 8 samples equal reference and emulator at every step",
    "prove_an_import": "u, v and spikes of 4 samples equal reference and emulator at every step",
    "pruning_for_a_chip": "of 4 samples equal reference and emulator at every step",
}


def _run(script: Path, folder: Path, repository: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("name", _TUTORIALS)
def test_a_tutorial_runs_as_it_stands(name: str, repository: Path, tmp_path: Path) -> None:
    script = repository / "docs" / "tutorials" / f"{name}.py"
    assert _TUTORIALS[name] in _run(script, tmp_path, repository)


def test_no_tutorial_is_left_out(repository: Path) -> None:
    assert {path.stem for path in (repository / "docs" / "tutorials").glob("*.py")} == set(_TUTORIALS)
