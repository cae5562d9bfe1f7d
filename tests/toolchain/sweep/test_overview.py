"""A sweep at a glance stays one, however many points it has."""

from pathlib import Path

from tests.toolchain.sweep.searches import section_of
from tests.toolchain.sweep.sweep_rows import grid_folder, row_of
from toolchain.sweep.overview import BEST, overview_of
from toolchain.sweep.results import SweepResults, read_results
from toolchain.sweep.rows import Figures, PointRow, PointState, Setting


def _measure(settings: dict[str, Setting]) -> Figures:
    seed, bits = settings["seed"], settings["quantization.weight_bits"]
    assert isinstance(seed, int)
    assert isinstance(bits, int)
    return Figures(fixed_accuracy=80 + bits + seed / 10, operations=1234.5 * bits)


def test_seeds_are_averaged_and_the_best_come_first(tmp_path: Path) -> None:
    grid: dict[str, tuple[Setting, ...]] = {"seed": (0, 1, 2), "quantization.weight_bits": (4, 8)}
    overview = overview_of(read_results(grid_folder(tmp_path, grid, _measure)))
    assert overview.line == "6 done"
    assert overview.keys == ["seed: 0, 1, 2", "quantization.weight_bits: 4, 8"]
    assert overview.head == ["quantization.weight_bits", "points", "test, %", "operations"]
    assert overview.cells == [["8", "3", "88.1", "9,876"], ["4", "3", "84.1", "4,938"]]
    assert overview.document["best"][0]["settings"] == {"quantization.weight_bits": 8}


def test_many_points_and_errors_are_counted_and_not_listed() -> None:
    rows: list[PointRow] = [
        row_of(f"{i}", {"seed": 0, "k": i}, Figures(fixed_accuracy=i / 100)) for i in range(3000)
    ]
    rows += [
        row_of(f"f{i}", {"seed": 0, "k": -i}, state=PointState.FAILED, error=f"error {i % 7}\nof it")
        for i in range(1, 3001)
    ]
    overview = overview_of(SweepResults(("seed", "k"), tuple(rows), planned=10_000))
    assert overview.line == "3,000 done, 3,000 failed, 4,000 not computed yet"
    assert overview.keys[1] == "k: 6,000 values, -3000 .. 2999"
    assert len(overview.cells) == BEST
    assert overview.cells[0][0] == "2999"
    assert overview.title.endswith("2,990 more are in sweep.csv")
    assert overview.sentences[0].startswith("failed at seed = 0, k = -1 and 428 more: error 1 of it")
    assert overview.sentences[-1] == "2 other errors are in sweep.csv"
    assert len(str(overview.document)) < 20_000


def test_a_search_shows_its_front_and_what_it_found() -> None:
    rows = tuple(
        row_of(name, {"seed": i}, Figures(fixed_validation=accuracy, operations=operations))
        for i, (name, accuracy, operations) in enumerate(
            [("own", 90.0, 50.0), ("a", 95.0, 40.0), ("b", 80.0, 60.0)]
        )
    )
    overview = overview_of(SweepResults(("seed",), rows, section_of(), "own", 3))
    assert overview.cells == [["1", "95", "40"]]
    assert overview.sentences[0].startswith("The front dominates")
    assert overview.document["front"] == ["a"]
    assert overview.document["better_than_own"] == ["a"]


def test_nothing_measured_is_no_table() -> None:
    overview = overview_of(SweepResults(("seed",), (), planned=4))
    assert overview.line == "0 done, 4 not computed yet"
    assert overview.cells == []
