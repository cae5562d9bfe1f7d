"""`pumice targets` and `pumice doctor`: what is installed, and what works."""

import json
from pathlib import Path

import pytest

from toolchain.cli.main import main


def _json(capsys: pytest.CaptureFixture[str]) -> dict:
    captured = capsys.readouterr()
    return json.loads(captured.out)


def test_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "--json"]) == 0
    targets = _json(capsys)
    can = {name: target.pop("can") for name, target in targets.items()}
    assert can["loihi1"]["refractory period"] == "up to 62 steps"
    assert targets.pop("rtl")["stages"] == ["fixed"], "it is usable where a simulator is"
    assert targets["loihi1"].pop("place") == "Intel Loihi 1"
    assert set(targets["c"].pop("budgets")) == {"flash", "ram", "synops"}
    targets = {name: {key: target[key] for key in ("stages", "problem")} for name, target in targets.items()}
    assert targets == {
        "c": {"stages": ["fixed"], "problem": None},
        "emulator": {"stages": ["fixed", "float"], "problem": None},
        "lava": {"stages": ["fixed", "float"], "problem": None},
        "lava-layers": {"stages": ["fixed", "float"], "problem": None},
        "lava-stock": {"stages": ["fixed", "float"], "problem": None},
        "loihi1": {"stages": ["fixed"], "problem": None},
        "loihi2": {"stages": ["fixed"], "problem": None},
        "onnx": {"stages": ["fixed", "float"], "problem": None},
    }


@pytest.mark.slow
def test_doctor_runs_every_target_and_prints_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    document = _json(capsys)
    assert document["ok"]
    assert document["versions"]["lava-nc"] == "0.10.0"
    findings = {check["name"]: check["finding"] for check in document["checks"]}
    assert findings["target lava runs"] == "yes, equal to the integer reference"
    assert {"python", "cores", "gpu", "compiled code"} <= findings.keys()
    place = Path(findings["compiled code"].removeprefix("kept in "))
    # Beside the source of code that is compiled, unless that is read-only or a folder was named.
    sources = [path.read_text(encoding="utf-8") for path in place.parent.glob("*.py")]
    assert place.name != "__pycache__" or any("import njit" in source for source in sources), place


def test_doctor_prints_the_command_that_mends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("targets.lava.target.lava_version", lambda: None)
    assert main(["doctor"]) == 3
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "pip install --no-deps --ignore-requires-python" in text
    assert "lava-nc==0.10.0" in text
