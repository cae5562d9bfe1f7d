"""Effects are means over seeds with the intervals of Student, and differences between equal settings."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.sweep.sweep_rows import grid_folder
from toolchain.sweep.effects import Interval, effects_of, interval_of
from toolchain.sweep.results import designs_of, read_results
from toolchain.sweep.rows import Figures, Setting


def test_an_interval_is_the_one_of_the_tables() -> None:
    interval = interval_of([1.0, 2.0, 3.0, 4.0])
    assert interval.mean == 2.5
    # t of 3 degrees of freedom at 97.5 % is 3.1824; the standard deviation is sqrt(5 / 3).
    assert interval.half == pytest.approx(3.18245 * math.sqrt(5 / 3) / 2, rel=1e-5)
    assert not interval_of([-1.0, 1.0]).clear
    assert interval_of([1.0, 1.1, 0.9]).clear


def test_one_value_has_no_interval() -> None:
    assert interval_of([2.0]) == Interval(2.0, None, 1)
    assert not interval_of([2.0]).clear


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.floats(-1e6, 1e6))
def test_an_interval_moves_with_its_values(values: list[float], shift: float) -> None:
    interval, moved = interval_of(values), interval_of([each + shift for each in values])
    assert moved.mean == pytest.approx(interval.mean + shift, abs=1e-3)
    assert moved.half == pytest.approx(interval.half, abs=1e-3)


def _measure(settings: dict[str, Setting]) -> Figures:
    seed, bits, gain = settings["seed"], settings["quantization.weight_bits"], settings["model.gain"]
    assert isinstance(seed, int)
    assert isinstance(bits, int)
    assert isinstance(gain, float)
    return Figures(fixed_accuracy=50 + 5 * seed + bits + gain)


def test_what_a_seed_brings_cancels_out_of_differences(tmp_path: Path) -> None:
    grid = {"seed": range(4), "quantization.weight_bits": (4, 6, 8), "model.gain": (0.5, 1.0)}
    results = read_results(grid_folder(tmp_path, {k: tuple(v) for k, v in grid.items()}, _measure))
    first, second, third = effects_of(results, "quantization.weight_bits", "fixed_accuracy")
    assert (first.value, first.points, first.difference) == (4, 8, None)
    assert first.level.mean == pytest.approx(50 + 7.5 + 4 + 0.75)
    assert first.level.seeds == 4
    assert first.level.half is not None
    assert first.level.half > 10
    for effect, difference in ((second, 2.0), (third, 4.0)):
        assert effect.difference is not None
        assert effect.difference.mean == pytest.approx(difference)
        assert effect.difference.half == pytest.approx(0.0, abs=1e-9)
        assert effect.pairs == 8


def test_points_that_failed_leave_pairs_out(tmp_path: Path) -> None:
    grid: dict[str, tuple[Setting, ...]] = {
        "seed": (0, 1),
        "quantization.weight_bits": (4, 8),
        "model.gain": (1.0,),
    }
    folder = grid_folder(tmp_path, grid, _measure)
    path = next(
        path for path in (tmp_path / "points").iterdir() if '"fixed_accuracy": 55' not in path.read_text()
    )
    path.unlink()
    results = read_results(folder)
    effects = effects_of(results, "quantization.weight_bits", "fixed_accuracy")
    assert sum(each.pairs for each in effects) == 1
    assert "1 not computed yet" in results.counts


def test_without_seeds_there_are_no_intervals(tmp_path: Path) -> None:
    def measure(settings: dict[str, Setting]) -> Figures:
        return _measure(settings | {"seed": 0})

    grid: dict[str, tuple[Setting, ...]] = {"quantization.weight_bits": (4, 8), "model.gain": (0.5, 1.0)}
    results = read_results(grid_folder(tmp_path, grid, measure))
    for effect in effects_of(results, "model.gain", "fixed_accuracy"):
        assert effect.level.half is None
    assert results.repeated == ""
    assert len(designs_of(results.done, results.repeated)) == 4


def test_points_that_differ_in_their_seed_alone_are_one_design(tmp_path: Path) -> None:
    grid: dict[str, tuple[Setting, ...]] = {
        "seed": (0, 1, 2),
        "quantization.weight_bits": (4, 8),
        "model.gain": (1.0,),
    }
    results = read_results(grid_folder(tmp_path, grid, _measure))
    designs = designs_of(results.done, results.repeated)
    assert [len(each.rows) for each in designs] == [3, 3]
    assert [each.mean("fixed_accuracy") for each in designs] == [60.0, 64.0]
    assert designs[0].mean("cores") is None
