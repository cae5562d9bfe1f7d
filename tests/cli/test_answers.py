"""What machines read: with `--json` there is one document on standard output, however a command ends."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from toolchain.cli.compile import EPILOG
from toolchain.cli.ending import exit_code_of
from toolchain.cli.main import app, main
from toolchain.cli.spelling import KEYS
from toolchain.passes import Rounding
from toolchain.workflow.quantization import Quantization
from toolchain.workflow.sections.quantization import SETTINGS

COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]


def _ended(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def test_an_error_is_a_document_with_its_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document, text = _ended(["show", str(tmp_path / "none"), "--json"], capsys)
    assert (code, list(document)) == (2, ["error"])
    error = document["error"]
    assert (error["kind"], error["exit_code"], error["remedy"]) == ("MissingFileError", 2, "check the path")
    assert f"error: {error['message']}" in text


def test_remedies_are_spelled_as_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.nir").touch()
    command = ["compile", str(tmp_path / "net.nir"), "-o", str(tmp_path / "b"), "--qat-epochs", "1", "--json"]
    _, document, _ = _ended(command, capsys)
    assert document["error"]["remedy"].startswith("give them as --calibration samples.npz")


@pytest.mark.parametrize("arguments", [["targets", "--colour"], ["show"], ["doctor", "more"], ["nosuch"]])
def test_wrong_usage_is_a_document_too(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, document, text = _ended([*arguments, "--json"], capsys)
    assert (code, document["error"]["kind"], document["error"]["exit_code"]) == (2, "UsageError", 2)
    assert "--help" in document["error"]["remedy"]
    assert "Usage: pumice" in text


def test_a_gate_that_is_not_met_stands_beside_the_figures(
    small_build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document, _ = _ended(["compare", str(small_build), "--gate", "spike_f1=1.5", "--json"], capsys)
    assert code == document["error"]["exit_code"] == 4
    assert document["error"]["kind"] == "FidelityError"
    assert "nodes" in document or "layers" in document


def test_a_bug_is_a_document_and_the_next_command_does_not_repeat_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise KeyError("x")

    assert exit_code_of(fail, lambda: False, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "KeyError"
    assert exit_code_of(fail, lambda: False) == 1
    assert not capsys.readouterr().out
    assert exit_code_of(lambda: None, lambda: False, as_json=True) == 0
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "now"),
    [
        (["--calibrate", "x.npz"], "--calibration FILE"),
        (["--no-calibrated"], "--quantization rounding=nearest"),
        (["--per-population"], "--quantization per_neuron=false"),
        (["--tau-error", "0.2"], "--quantization tau_error=SHARE"),
        (["--train", "x.npz"], "--calibration FILE: with --qat-epochs"),
        (["--seed=1"], "always 0; `pumice.RepairOptions` takes another"),
    ],
)
def test_options_of_before_name_what_says_the_same_now(
    option: list[str], now: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", "run", "-o", "out", *option]) == 2
    assert f"error: {option[0].split('=')[0]} is now {now}" in capsys.readouterr().err


def test_the_command_has_every_option_of_the_compiler_or_a_key_that_its_help_explains() -> None:
    assert {option.name for option in fields(Quantization)} - {"weight_bits"} == KEYS == set(SETTINGS)
    assert {line.split()[0] for line in EPILOG.splitlines() if re.match(r"  \w+_?\w*  +\w", line)} >= KEYS


def test_an_option_of_before_is_no_option_of_another_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "build", "--seed", "1"]) == 2
    assert "is now" not in capsys.readouterr().err


def test_rounding_of_builds_of_before_is_read() -> None:
    assert Rounding("calibrated") is Rounding.JOINT


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_fits_80_columns_and_names_every_option(
    verb: str, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([verb, option]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    for parameter in COMMANDS[verb].params:
        assert all(name in text for name in parameter.opts if name.startswith("--"))
        assert parameter.help
        assert parameter.help.endswith(".")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pumice ")


def test_real_numbers_are_not_run_where_only_integers_run(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "t.npz"
    assert main(["run", str(small_build), "--target", "loihi1", "--stage", "float", "-o", str(trace)]) == 3
    text = capsys.readouterr().err
    assert "Intel Loihi 1 runs integers only, and graph 'hrsnn' holds real numbers" in text
    assert "run another --stage, or on --target emulator" in text
    assert not trace.exists()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["compile", "-h"], ["show", "--nosuch"]])
def test_help_and_wrong_usage_import_nothing_heavy(arguments: list[str]) -> None:
    """They are read by people who wait: 0.15 to 0.25 s of a quiet machine, for Typer, rich and pydantic."""
    code = (
        "import json, sys; from toolchain.cli.main import main; main(sys.argv[1:]); "
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert not loaded & {"numpy", "torch", "scipy", "networkx", "targets"}
