"""The sweeps of `examples/` run to their end, with trainings of one epoch and fewer of them."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from toolchain.sweep.run_sweep import carry_out
from toolchain.sweep.sweep_file import parse_sweep
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.written import write_results

pytestmark = pytest.mark.long

_EXAMPLES = Path(__file__).parents[3] / "examples/sweeps"
_QUICK = {"training": {"epochs": 1}, "encoding": {"name": "rate", "steps": 4}}


def _example(name: str) -> dict[str, Any]:
    return tomllib.loads((_EXAMPLES / name).read_text(encoding="utf-8"))


def test_the_grid_of_the_examples_measures_every_point(tmp_path: Path) -> None:
    document = _example("grid.toml") | {"experiment": _QUICK}
    document["grid"]["seed"] = [0]
    folder = tmp_path / "sweep"
    carry_out(parse_sweep(document), folder, workers=2).require_done()
    rows = list(SweepFolder(folder).rows())
    assert len(rows) == 6
    assert {row.settings["quantization.weight_bits"] for row in rows} == {4, 8}
    assert all(row.figures.cores is not None for row in rows)
    assert len({row.run for row in rows}) == 3


def test_the_search_of_the_examples_says_whether_it_is_better_than_the_file(tmp_path: Path) -> None:
    document = _example("search.toml")
    document["experiment"] |= _QUICK
    document["search"] |= {"trials": 3, "startup": 2}
    folder = tmp_path / "sweep"
    result = carry_out(parse_sweep(document), folder, workers=2)
    result.require_done()
    assert result.tally.done == 3
    write_results(SweepFolder(folder))
    assert "own settings" in (folder / "report.html").read_text(encoding="utf-8")
