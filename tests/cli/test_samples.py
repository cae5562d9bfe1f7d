"""Samples that cannot be meant are refused with their names, not judged."""

from pathlib import Path

import numpy as np
import pytest

from toolchain.cli.main import main
from toolchain.execution.stimulus import Stimulus


def _refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("label", [10, -1, 2**40])
@pytest.mark.parametrize("command", ["compare", "run"])
def test_labels_outside_of_the_classes_are_refused(
    label: int, command: str, small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.zeros((4, 6, 64), bool)
    Stimulus({"input": values}, np.array([0, 9, label, label])).save(tmp_path / "s.npz")
    arguments = [command, str(small_build), "--input", str(tmp_path / "s.npz")]
    if command == "run":
        arguments += ["-o", str(tmp_path / "t.npz")]
    text = f"(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), but 2 of 4 do not, first {label} of sample 2"
    _refused(arguments, text, capsys)
    assert not (tmp_path / "t.npz").exists()


@pytest.mark.parametrize("suffix", ["nir", "onnx"])
def test_an_example_with_what_is_no_number_names_array_count_and_place(
    suffix: str, small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would pass for the scale of the samples."""
    assert main(["export", str(small_build), "-f", suffix, "-o", str(tmp_path / "out")]) == 0
    file = next((tmp_path / "out").glob(f"*.{suffix}"))
    values = np.full((3, 6, 64), 0.5)
    values[1, 2, 3] = np.nan
    values[2, 0, 0] = np.inf
    Stimulus({"input": values}).save(tmp_path / "s.npz")
    text = "array 'input' holds 2 values that are not finite, the first (nan) at [1, 2, 3] of [3, 6, 64]"
    for option in ("--example", "--calibration"):
        arguments = ["compile", str(file), "-o", str(tmp_path / "b"), option, str(tmp_path / "s.npz")]
        _refused(arguments, text, capsys)
    assert not (tmp_path / "b").exists()


def test_a_seed_that_no_generator_takes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _refused(["demo", "-o", str(tmp_path / "d"), "--seed", str(2**70)], "experiment key 'seed'", capsys)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("folder", ["", "."])
def test_a_folder_that_is_no_build_is_named(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _refused(["run", folder, "-o", "t.npz"], "'.' is no build folder, as 'pumice compile' writes", capsys)


def test_a_damaged_baseline_is_refused_before_the_work(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.json").write_text("{}")
    assert main(["compare", str(small_build), "--baseline", str(tmp_path / "b.json")]) == 3
    said = capsys.readouterr()
    assert "is not the baseline of a comparison" in " ".join(said.err.split())
    assert said.out == ""
    assert "emulate" not in said.err


def test_what_is_piped_is_not_cut_at_the_width_of_a_terminal(
    small_build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(small_build)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    # Eight columns of connections, six of populations, each row on one line.
    assert {row.count("│") for row in rows} == {9, 7}
    assert all(row.split("│")[-2].strip() for row in rows)
    assert main(["compare", str(small_build)]) == 0
    first = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("first different"))
    assert "it fired in " in first
    assert " in integers)" not in first
