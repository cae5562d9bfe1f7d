"""`pumice show` of a run, and what a run says to commands that are made for builds."""

import json
from pathlib import Path

import pytest

from toolchain.cli.main import main


def test_a_run_is_shown_and_other_commands_say_how_it_becomes_a_build(
    small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(small_run)]) == 0
    printed = capsys.readouterr().out
    for words in ("run of data 'digits', network 'hrsnn'", "trained", "next: pumice compile"):
        assert words in printed
    assert main(["show", str(small_run), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["epochs"] == len(document["records"])
    assert document["experiment"]
    for command in (["predict", str(small_run)], ["show", str(small_run), "--stage", "float"]):
        assert main(command) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "is a run" in said
        assert "'pumice compile" in said


def test_the_split_by_cause_can_be_left_out(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compile", str(small_run), "--target", "emulator", "-o", str(tmp_path / "build")]
    assert main([*command, "--no-causes"]) == 0
    printed = capsys.readouterr().out
    assert "equal predictions" in printed
    assert "All rules of the integers" not in printed
