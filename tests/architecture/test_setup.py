"""Set-up finds an interpreter that really runs, and says what to install if there is none."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


def _find(repository: Path, path: Path, *version: str, **extra: str) -> subprocess.CompletedProcess[str]:
    bash = shutil.which("bash")
    assert bash
    return subprocess.run(
        [bash, str(repository / "scripts" / "find-python"), *version],
        env={"PATH": str(path), **extra},
        capture_output=True,
        text=True,
        check=False,
    )


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """A folder with this interpreter as python3.12, whatever its version."""
    _program(tmp_path / "python3.12", f'exec "{sys.executable}" "$@"')
    return tmp_path


def test_a_shim_that_exists_and_fails_is_passed_over(repository: Path, interpreter: Path) -> None:
    _program(interpreter / "python3", "echo 'command not found' >&2; exit 127")
    assert _find(repository, interpreter).stdout.strip() == str(interpreter / "python3.12")


def test_an_interpreter_out_of_range_is_passed_over(repository: Path, interpreter: Path) -> None:
    # It answers the question for its version with no.
    _program(interpreter / "python3", "exit 1")
    assert _find(repository, interpreter).stdout.strip() == str(interpreter / "python3.12")


def test_the_default_is_taken_if_it_is_in_range(repository: Path, interpreter: Path) -> None:
    _program(interpreter / "python3", f'exec "{sys.executable}" "$@"')
    assert _find(repository, interpreter).stdout.strip() == str(interpreter / "python3")


def test_a_named_interpreter_comes_first(repository: Path, interpreter: Path) -> None:
    assert _find(repository, interpreter, PYTHON=sys.executable).stdout.strip() == sys.executable


def test_one_of_a_version_is_that_version(repository: Path, interpreter: Path) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    other = "3.12" if here != "3.12" else "3.13"
    _program(interpreter / "python3", f'exec "{sys.executable}" "$@"')
    assert _find(repository, interpreter, here).stdout.strip() == str(interpreter / "python3")
    missing = _find(repository, interpreter, other)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert f"no Python {other} runs here" in missing.stderr


def test_interpreters_of_pyenv_are_found_without_its_shims(repository: Path, tmp_path: Path) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = tmp_path / "pyenv" / "versions" / f"{here}.0" / "bin"
    folder.mkdir(parents=True)
    _program(folder / "python", f'exec "{sys.executable}" "$@"')
    found = _find(repository, tmp_path, here, PYENV_ROOT=str(tmp_path / "pyenv"))
    assert found.stdout.strip() == str(folder / "python")


def test_without_any_it_says_what_to_install(repository: Path, tmp_path: Path) -> None:
    done = _find(repository, tmp_path)
    assert done.returncode == 1
    assert "apt-get install python3 python3-venv" in done.stderr


def test_constraints_pin_what_the_metadata_asks_for(repository: Path) -> None:
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (repository / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {text.partition(">")[0].strip().lower() for text in wanted}
    assert names - {"pumice[docs,events,sweep]"} <= pinned
