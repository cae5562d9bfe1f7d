"""Where somebody else's files bear the names of our packages, we say which file it is and what to do."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import pumice
from pumice.shadow import PACKAGES, ShadowedError, check_packages
from tests.pumice import projects
from tests.targets import conformance
from toolchain.target.registry import load_target

_SENTENCE = "rename it, or run from another folder"


def test_our_own_packages_are_recognised() -> None:
    check_packages(*PACKAGES)


@pytest.mark.parametrize("name", [projects.PACKAGE, projects.MODULE])
def test_the_command_names_the_file_that_hides_a_package(tmp_path: Path, name: str) -> None:
    done = projects.python(projects.own(tmp_path, name), "-m", "pumice", "--help")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    hidden = tmp_path / name if name.endswith(".py") else tmp_path / name / "__init__.py"
    assert line.startswith(f"error: '{hidden}' hides Pumice's package '{name.removesuffix('.py')}'")
    assert _SENTENCE in line


def test_the_installed_command_does_so_where_pythonpath_hides_a_package(tmp_path: Path) -> None:
    hiding = projects.own(tmp_path / "src", projects.MODULE)
    code = "import sys; sys.argv = ['pumice', '--help']; from pumice.command import main; main()"
    done = projects.python(tmp_path, "-P", "-c", code, path=hiding)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"'{hiding / 'targets.py'}' hides Pumice's package 'targets'" in done.stderr


def test_the_command_runs_beside_folders_that_hide_nothing(tmp_path: Path) -> None:
    # Without `__init__.py` Python prefers a package that stands further behind.
    (tmp_path / "targets" / "images").mkdir(parents=True)
    done = projects.python(tmp_path, "-m", "pumice", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "compile" in done.stdout


def test_a_script_beside_a_package_of_that_name_is_told(tmp_path: Path) -> None:
    script = projects.own(tmp_path, projects.PACKAGE) / "run.py"
    script.write_text("import pumice\npumice.load('build')\n")
    done = projects.python(tmp_path, str(script))
    last = done.stderr.splitlines()[-1]
    assert last.startswith("pumice.shadow.ShadowedError: ")
    assert f"'{tmp_path / 'toolchain' / '__init__.py'}' hides" in last
    assert _SENTENCE in last


def test_a_script_beside_targets_of_its_own_is_told_by_an_error_of_ours(tmp_path: Path) -> None:
    script = projects.own(tmp_path, projects.MODULE) / "run.py"
    script.write_text("import toolchain.target.registry\ntoolchain.target.registry.load_target('emulator')\n")
    done = projects.python(tmp_path, str(script))
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "toolchain.errors.TargetUnavailableError: target 'emulator' is not usable here: it"
    )
    assert f"if '{tmp_path / 'targets.py'}' is no part of 'pumice', rename it or run from another" in last


def test_a_package_that_is_missing_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "targets", None)
    with pytest.raises(ShadowedError, match="'targets' is missing.*install Pumice again"):
        check_packages("targets")


def test_a_module_without_a_file_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name in PACKAGES:
        with pytest.raises(ShadowedError, match=f"<module {name} without a file>"):
            check_packages(name)


def test_a_name_that_was_refused_works_once_nothing_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pumice, "load", raising=False)
    with monkeypatch.context() as hidden:
        hidden.setitem(sys.modules, "toolchain", ModuleType("toolchain"))
        with pytest.raises(ShadowedError):
            _ = pumice.load
    assert callable(pumice.load)


def test_the_lava_child_runs_our_packages_whatever_pythonpath_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects.own(tmp_path, projects.PACKAGE, projects.MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    graph, spikes = conformance.graph(), np.ones((1, 3, 4), bool)
    traces = [load_target(name).build(graph).run(spikes).spikes for name in ("lava", "emulator")]
    for name, fired in traces[1].items():
        assert (traces[0][name] == fired).all()
