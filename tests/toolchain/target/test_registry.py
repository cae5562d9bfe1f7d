"""How installed targets are found, and what becomes of those whose code is broken."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolchain.cli.main import main
from toolchain.errors import TargetUnavailableError
from toolchain.target.registry import load_target
from toolchain.workflow.doctor import diagnose
from toolchain.workflow.targets import target_statuses

_MODULE = """
from targets.emulator.target import EmulatorTarget
from toolchain.errors import TargetUnavailableError


class Careless(EmulatorTarget):
    def check(self):
        raise KeyError("driver")


def raises():
    raise ValueError("no board")


def lacks():
    raise TargetUnavailableError("lacks", "no board", "plug one in")


def gives():
    return 3
"""
_POINTS = {
    "missing": (
        "nowhere.target:Target",
        "ModuleNotFoundError: No module named 'nowhere'); there is no 'nowhere'",
    ),
    "renamed": ("stranger:Target", "AttributeError: module 'stranger' has no attribute 'Target'"),
    "hidden": (
        "stranger.target:Target",
        "'stranger' is not a package); if '{}' is no part of 'stranger-targets'",
    ),
    "unfit": ("stranger:raises", "ValueError: no board"),
    "script": ("leaves:Target", "SystemExit: 7"),
    "number": (
        "stranger:gives",
        "gives a int, not a target: it has no name, profile, capabilities, check",
    ),
}


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package of somebody else whose targets are broken, each in its own way."""
    (tmp_path / "stranger.py").write_text(_MODULE)
    (tmp_path / "leaves.py").write_text("raise SystemExit(7)\n")
    described = tmp_path / "stranger_targets-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger-targets\nVersion: 1.0\n")
    points = {name: value for name, (value, _) in _POINTS.items()}
    points |= {"careless": "stranger:Careless", "lacks": "stranger:lacks"}
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (described / "entry_points.txt").write_text(f"[toolchain.targets]\n{lines}")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("stranger", "leaves"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", _POINTS)
def test_a_target_that_cannot_be_loaded_is_an_error_that_says_why(strangers: Path, name: str) -> None:
    with pytest.raises(TargetUnavailableError) as caught:
        load_target(name)
    text = str(caught.value)
    assert text.startswith(f"target '{name}' is not usable here: it cannot be loaded (")
    assert _POINTS[name][1].format(strangers / "stranger.py") in text
    assert text.endswith("run: python -m pip install --force-reinstall stranger-targets")


def test_what_a_target_says_itself_is_passed_on(strangers: Path) -> None:
    with pytest.raises(TargetUnavailableError, match="no board; run: plug one in"):
        load_target("lacks")


def test_the_other_targets_are_listed_and_usable(strangers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {status.name: status.problem for status in target_statuses()}
    assert found["emulator"] is None
    assert {*_POINTS, "careless", "lacks"} <= {name for name, problem in found.items() if problem}
    assert found["careless"] == "its check failed: KeyError: 'driver'"
    assert main(["targets"]) == 0
    assert "its check failed: KeyError: 'driver'" in " ".join(capsys.readouterr().out.split())
    assert load_target("emulator").name == "emulator"


def test_the_doctor_looks_at_everything_else(strangers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "toolchain.workflow.doctor._run_probe", lambda name: load_target(name).check() or "yes"
    )
    checks = {check.name: check for check in diagnose().checks}
    assert checks["target emulator runs"].ok
    assert checks["target missing runs"].command == "python -m pip install --force-reinstall stranger-targets"
    assert checks["target careless runs"].finding == "KeyError: 'driver'"
