"""The report of a sweep: links, limits, and texts of strangers that stay text."""

from pathlib import Path

import pytest

from tests.toolchain.sweep.searches import carried_out, search_folder, section_of, shared_of
from tests.toolchain.sweep.sweep_rows import grid_folder, row_of
from toolchain.sweep.report import REPORT, write_sweep_report
from toolchain.sweep.results import SweepResults, read_results
from toolchain.sweep.rows import Figures, PointState, Setting
from toolchain.sweep.search import SearchPlan
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.written import write_results


def _page(folder: SweepFolder, results: SweepResults | None = None) -> str:
    write_sweep_report(folder, read_results(folder) if results is None else results)
    return (folder.path / REPORT).read_text(encoding="utf-8")


def _measure(settings: dict[str, Setting]) -> Figures:
    seed, bits = settings["seed"], settings["quantization.weight_bits"]
    assert isinstance(seed, int)
    assert isinstance(bits, int)
    return Figures(
        fixed_accuracy=80 + bits + seed / 10,
        operations=1234.5 * bits,
        cores=bits,
        microjoules=(1.0, bits * 2.0),
    )


_GRID: dict[str, tuple[Setting, ...]] = {"seed": (0, 1, 2), "quantization.weight_bits": (4, 8)}


def test_a_grid_shows_fronts_effects_and_a_link_to_every_point(tmp_path: Path) -> None:
    folder = grid_folder(tmp_path, _GRID, _measure)
    page = _page(folder)
    for row in folder.rows():
        assert f'<a href="builds/{row.name}/report.html">report</a>' in page
        assert f'<a href="runs/{row.name}/">run</a>' in page
    assert page.index(">reports<") < page.index(">quantization.weight_bits<"), "links are cut off first"
    for title in ("Against synaptic operations", "Against cores", "Against energy"):
        assert title in page
    assert "+4.00 ± 0.00 *" in page
    assert "95 % interval over seeds by Student" in page
    assert "What failed" not in page
    assert "Was the search worth it?" not in page
    assert "None for validation" not in page
    assert "There are none for validation" in page


def test_the_page_is_the_same_whenever_it_is_written(tmp_path: Path) -> None:
    folder = grid_folder(tmp_path, _GRID, _measure)
    assert _page(folder) == _page(folder)


def test_a_search_says_whether_it_was_worth_it(tmp_path: Path) -> None:
    folder = search_folder(tmp_path, section := section_of())
    carried_out(SearchPlan(shared_of(), section, folder), folder)
    write_results(folder)
    page = (tmp_path / REPORT).read_text(encoding="utf-8")
    assert "Was the search worth it?" in page
    assert "own settings" in page
    assert "only the points of the final front" in page
    assert (tmp_path / "sweep.csv").is_file()


def test_texts_of_strangers_stay_text(tmp_path: Path) -> None:
    folder = grid_folder(tmp_path, _GRID, _measure)
    evil = "<script>alert(1)</script>"
    folder.write_row(
        row_of(
            "evil",
            {"seed": 3, "quantization.weight_bits": evil},
            state=PointState.FAILED,
            error=evil,
            run="javascript:alert(1)",
            build='"><script>',
        )
    )
    page = _page(folder)
    assert evil not in page
    assert 'href="javascript:' not in page
    assert '"><script>' not in page
    assert "What failed" in page


@pytest.mark.parametrize("state", [PointState.FAILED, PointState.PRUNED])
def test_a_sweep_of_which_nothing_was_measured_has_a_page(state: PointState, tmp_path: Path) -> None:
    folder = grid_folder(tmp_path, _GRID, lambda _: Figures())
    for row in list(folder.rows()):
        folder.write_row(row.model_copy(update={"state": state, "error": "no"}))
    page = _page(folder)
    assert "0 done" in page
    assert "Points</h2>" not in page


@pytest.mark.slow
def test_a_page_of_ten_thousand_points_says_what_it_leaves_out(tmp_path: Path) -> None:
    folder = grid_folder(tmp_path, {"seed": (0,), "quantization.weight_bits": (4,)}, _measure)
    rows = tuple(
        row_of(
            f"{i:020x}",
            {"model.gain": i / 1e4, "kind": f"k{i % 40}"},
            Figures(fixed_accuracy=i % 97, operations=i % 89),
        )
        for i in range(10_000)
    )
    page = _page(folder, SweepResults(("model.gain", "kind"), rows))
    assert len(page) < 1_500_000
    assert "These are 200 of 10,000; all are in sweep.csv" in page
    assert "8,000 marks away from the front are left out" in page
    assert "further values are left out" in page
