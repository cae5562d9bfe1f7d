"""The fixture that users' own repositories hold their builds with, in a repository of its own."""

import shutil
from pathlib import Path

import pytest

from tests.pumice import projects

pytest_plugins = ["pytester"]

_TEST = """
def test_the_build_is_faithful(fidelity):
    fidelity("build", baseline="figures.json", gates={"accuracy_drop": GATE})
"""
_PLAIN = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
_PLUGIN = ("-p", "no:pumice", "-p", "pumice.pytest_plugin")
"""Loaded by its name, so that the working tree is tested whatever is installed."""


@pytest.fixture
def project(pytester: pytest.Pytester, small_build: Path) -> pytest.Pytester:
    shutil.copytree(small_build, pytester.path / "build")
    return pytester


def _run(project: pytest.Pytester, gate: float, *options: str) -> pytest.RunResult:
    (project.path / "test_chip.py").write_text(_TEST.replace("GATE", str(gate)))
    return project.runpytest_inprocess(*_PLAIN, *_PLUGIN, *options)


def test_a_repository_holds_its_build_with_a_fixture(project: pytest.Pytester) -> None:
    missing = _run(project, 100)
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*baseline*figures.json*does not exist*"])
    _run(project, 100, "--pumice-update").assert_outcomes(passed=1)
    assert (project.path / "figures.json").stat().st_size < 1000
    _run(project, 100).assert_outcomes(passed=1)
    failed = _run(project, -101)
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*gate 'accuracy_drop' not met at 'output'*"])


_THEIRS = """
import sys

import targets
from toolchain import parts


def test_of_their_own():
    assert targets.THEIRS and parts.THEIRS
    assert not {"numpy", "torch", "toolchain.errors"} & sys.modules.keys()
"""
_ASKING = """

def test_that_asks(fidelity):
    fidelity("build")
"""
_STRICT = ("-W", "error", "--strict-config", "--strict-markers", "-p", "no:cacheprovider", "-q")


def _theirs(folder: Path, text: str) -> Path:
    """Write a project that has a package and a module of our names, and tests inside and beside them."""
    projects.own(folder, projects.PACKAGE, projects.MODULE, "toolchain/parts.py", "toolchain/tests")
    for tests in (folder / "tests", folder / "toolchain" / "tests"):
        tests.mkdir(exist_ok=True)
        (tests / f"test_{tests.parent.name}.py").write_text(text)
    (folder / "conftest.py").touch()
    return folder


@pytest.mark.parametrize(
    "command",
    [
        # Plain `pytest` leaves the current folder out; `prepend` alone puts the project first then.
        ("-P", "-m", "pytest", "--import-mode=prepend"),
        ("-m", "pytest", "--import-mode=prepend"),
        ("-m", "pytest", "--import-mode=append"),
        ("-m", "pytest", "--import-mode=importlib"),
        ("-P", "-m", "pytest", "--import-mode=importlib", "-o", "pythonpath=."),
        ("-P", "-m", "pytest", "--import-mode=append", "-o", "pythonpath=."),
    ],
    ids=" ".join,
)
def test_a_project_with_packages_of_our_names_is_left_alone(tmp_path: Path, command: tuple[str, ...]) -> None:
    _theirs(tmp_path, _THEIRS)
    done = projects.python(tmp_path, *command, *_PLUGIN, *_STRICT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_only_the_test_that_asks_fails_and_says_which_file_is_in_the_way(tmp_path: Path) -> None:
    _theirs(tmp_path, _THEIRS + _ASKING)
    done = projects.python(tmp_path, "-m", "pytest", *_PLUGIN, *_STRICT, "tests")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    hiding = f"'{tmp_path / 'toolchain' / '__init__.py'}' hides Pumice's package 'toolchain'"
    assert any(line.startswith(hiding) for line in done.stdout.splitlines())
    assert "rename it, or run from another folder" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_project_with_a_fixture_and_an_option_of_our_names_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n"
        "def pytest_addoption(parser):\n    parser.addoption('--fidelity-update', action='store_true')\n\n"
        "@pytest.fixture\ndef fidelity(request):\n    return request.config.getoption('--fidelity-update')\n"
    )
    (tmp_path / "test_sound.py").write_text("def test_hifi(fidelity):\n    assert fidelity is True\n")
    done = projects.python(tmp_path, "-m", "pytest", *_PLUGIN, *_STRICT, "--fidelity-update")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_plugin_adds_to_pytest_bears_our_name(tmp_path: Path) -> None:
    without = projects.python(tmp_path, "-m", "pytest", "--help").stdout.splitlines()
    added = projects.python(tmp_path, "-m", "pytest", *_PLUGIN, "--help").stdout.splitlines()
    options = [line.split()[0] for line in added if line not in without and line.strip().startswith("-")]
    assert options == ["--pumice-update"]
    markers = [
        projects.python(tmp_path, "-m", "pytest", *given, "--markers").stdout for given in ((), _PLUGIN)
    ]
    assert markers[0] == markers[1]
