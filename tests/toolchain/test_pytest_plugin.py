"""The fixture that users' own repositories hold their builds with, in a repository of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

_TEST = """
def test_the_build_is_faithful(fidelity):
    fidelity("build", baseline="figures.json", gates={"accuracy_drop": GATE})
"""
_PLAIN = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")


@pytest.fixture
def project(pytester: pytest.Pytester, small_build: Path) -> pytest.Pytester:
    shutil.copytree(small_build, pytester.path / "build")
    return pytester


def _run(project: pytest.Pytester, gate: float, *options: str) -> pytest.RunResult:
    (project.path / "test_chip.py").write_text(_TEST.replace("GATE", str(gate)))
    return project.runpytest_inprocess(*_PLAIN, *options)


def test_a_repository_holds_its_build_with_a_fixture(project: pytest.Pytester) -> None:
    missing = _run(project, 100)
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*baseline*figures.json*does not exist*"])
    _run(project, 100, "--fidelity-update").assert_outcomes(passed=1)
    assert (project.path / "figures.json").stat().st_size < 1000
    _run(project, 100).assert_outcomes(passed=1)
    failed = _run(project, -101)
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*gate 'accuracy_drop' not met at 'output'*"])


def test_the_plugin_loads_no_torch_before_a_test_asks(tmp_path: Path) -> None:
    (tmp_path / "test_light.py").write_text(
        "import sys\n\ndef test_light():\n    assert 'torch' not in sys.modules\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_light.py"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
