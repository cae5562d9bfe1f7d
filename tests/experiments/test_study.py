"""The engine of the studies: whatever ends a study, no figure is lost, measured twice, or mixed up."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_TINY = """
import time
from pathlib import Path

from study import Campaign, carry_out


def measure(key, given):
    task, seed = key
    with (given.work / "log").open("a") as log:
        log.write(f"{task}\\n")
    if task == "broken" and not (given.work / "mended").exists():
        raise ValueError("it is broken")
    while task == "slow" and not (given.work / "go").exists():
        time.sleep(0.02)
    return {"value": seed + sum(row["value"] for row in given.rows.values())}


CAMPAIGN = Campaign(
    Path(__file__),
    ("task", "seed"),
    lambda seeds: [(task, 10) for task in ("quick", "broken", "after", "slow")],
    measure,
    lambda key: [("broken", key[1]), ("quick", key[1])] if key[0] == "after" else [],
)

if __name__ == "__main__":
    print("whole" if carry_out(CAMPAIGN) else "not whole")
"""
_PATIENCE_S = 120


@pytest.fixture
def study(experiment: Callable[[str], ModuleType]) -> ModuleType:
    return experiment("study")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "tiny_study.py"
    path.write_text(_TINY)
    return path


def _start(repository: Path, script: Path, *options: str) -> subprocess.Popen[str]:
    """Start a study on two workers."""
    paths = os.pathsep.join((str(repository), str(repository / "experiments")))
    return subprocess.Popen(
        [sys.executable, str(script), "--workers", "2", "--work", str(script.parent), *options],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=_PATIENCE_S)
    return process.returncode, output


def _values(script: Path) -> dict[str, int]:
    rows = [json.loads(line) for line in script.with_suffix(".jsonl").read_text().splitlines()]
    assert all(row["seconds"] >= 0 for row in rows)
    assert len(rows) == len({row["task"] for row in rows}), "a point was written twice"
    return {row["task"]: row["value"] for row in rows}


def _log(script: Path) -> list[str]:
    return sorted((script.parent / "log").read_text().split())


@pytest.mark.long
def test_a_point_that_fails_stops_no_other_and_alone_is_tried_again(repository: Path, script: Path) -> None:
    (script.parent / "go").touch()
    code, output = _end(_start(repository, script))
    assert code == 3
    assert "after, 10: failed: it needs broken, 10" in output
    assert _values(script) == {"quick": 10, "slow": 10}
    errors = [json.loads(line) for line in script.with_suffix(".errors").read_text().splitlines()]
    assert [(each["task"], each["seed"]) for each in errors] == [("broken", 10), ("after", 10)]
    assert "it is broken" in errors[0]["error"]
    (script.parent / "mended").touch()
    assert _end(_start(repository, script))[0] == 0
    assert _values(script) == {"quick": 10, "slow": 10, "broken": 10, "after": 30}
    assert _log(script) == ["after", "broken", "broken", "quick", "slow"]
    assert not script.with_suffix(".errors").exists()


@pytest.mark.long
@pytest.mark.parametrize("signal", ["kill", "interrupt"])
def test_a_study_that_is_ended_goes_on_with_what_is_missing(
    repository: Path, script: Path, signal: str
) -> None:
    (script.parent / "mended").touch()
    process, deadline = _start(repository, script), time.monotonic() + _PATIENCE_S
    while not script.with_suffix(".jsonl").exists() or len(_values(script)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal({"kill": 9, "interrupt": 2}[signal])
    assert _end(process)[0] == {"kill": -9, "interrupt": 130}[signal]
    # What a writer leaves that is ended in the middle of a line.
    with script.with_suffix(".jsonl").open("a") as file:
        file.write('{"task": "slow", "seed": 10, "val')
    (script.parent / "go").touch()
    code, output = _end(_start(repository, script))
    assert (code, output.splitlines()[-1]) == (0, "whole")
    assert _values(script) == {"quick": 10, "broken": 10, "after": 30, "slow": 10}
    assert _log(script) == ["after", "broken", "quick", "slow", "slow"]


@pytest.mark.long
def test_a_part_goes_to_another_file(repository: Path, script: Path, tmp_path: Path) -> None:
    code, output = _end(
        _start(repository, script, "--task", "quick", "--rows", str(tmp_path / "other.jsonl"))
    )
    assert (code, output.splitlines()[-1]) == (0, "not whole")
    assert len((tmp_path / "other.jsonl").read_text().splitlines()) == 1
    assert not script.with_suffix(".jsonl").exists()


def _campaign(study: ModuleType, script: Path) -> Any:
    return study.Campaign(
        script, ("task", "seed"), lambda seeds: [("a", seed) for seed in range(seeds)], None
    )


def test_a_line_that_was_cut_off_is_no_row_and_goes_with_the_next(study: ModuleType, tmp_path: Path) -> None:
    path, campaign = tmp_path / "s.jsonl", _campaign(study, tmp_path / "s.py")
    path.write_bytes('{"task": "a", "seed": 0, "name": "Erdős"}\n{"task": "a", "se'.encode())
    assert list(campaign.rows()) == [("a", 0)]
    assert campaign.missing() == []
    study.append(path, {"task": "b", "seed": 1})
    assert path.read_text() == '{"task": "a", "seed": 0, "name": "Erdős"}\n{"task": "b", "seed": 1}\n'


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--task", "b"], "no such point; its first is a, 0"), (["--tasks", "a"], "unrecognized arguments")],
)
def test_points_that_do_not_exist_are_refused(
    study: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        study.carry_out(_campaign(study, tmp_path / "s.py"), options)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["chip", "fidelity", "lnp", "neurons", "nir", "rates", "sca"])
def test_published_figures_are_those_of_the_points(
    name: str, experiment: Callable[[str], ModuleType]
) -> None:
    campaign = experiment(f"{name}_study").CAMPAIGN
    assert campaign.missing() == []
    keys = list(campaign.points(campaign.seeds))
    assert len(keys) == len(set(keys))
    for key in keys:
        # Whoever is needed comes before.
        assert all(keys.index(need) < keys.index(key) for need in campaign.needs(key))
