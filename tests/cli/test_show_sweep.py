"""`pumice show` of a sweep prints the best points, and writes its files anew where it is asked to."""

import json
from pathlib import Path

import pytest

from tests.toolchain.sweep.sweep_rows import grid_folder
from toolchain.cli.main import main
from toolchain.sweep.rows import Figures
from toolchain.sweep.sweep_folder import SweepFolder


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    grid = {"seed": (0, 1), "quantization.weight_bits": (4, 8)}
    return grid_folder(tmp_path, grid, lambda _: Figures(fixed_accuracy=90.0))


def test_it_prints_counts_and_the_best(folder: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(folder.path)]) == 0
    said = capsys.readouterr().out
    assert "points: 4 done" in said
    assert "seed: 0, 1" in said
    assert not (folder.path / "sweep.csv").exists()


def test_it_answers_machines(folder: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(folder.path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["done"] == 4
    assert document["best"][0]["points"][0]["figures"]["fixed_accuracy"] == 90.0


def test_it_writes_table_and_report_anew(folder: SweepFolder) -> None:
    assert main(["show", str(folder.path), "--write"]) == 0
    assert (folder.path / "sweep.csv").read_text().count("\n") == 5
    assert (folder.path / "report.html").is_file()


def test_a_sweep_has_no_network(folder: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(folder.path), "--why", "hidden"]) == 2
    assert "is a sweep, and has no network of its own" in " ".join(capsys.readouterr().err.split())


def test_a_build_has_no_table(small_build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(small_build), "--write"]) == 2
    assert "only a sweep has a table" in " ".join(capsys.readouterr().err.split())


def test_a_damaged_row_is_named(folder: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    path = min((folder.path / "points").iterdir())
    path.write_text("{")
    assert main(["show", str(folder.path)]) == 3
    assert path.name in "".join(capsys.readouterr().err.split())
