"""`report.html` of a sweep: fronts, effects of the keys, what failed, and links to the reports of points."""

from collections import Counter
from typing import Any, Final

from toolchain.pages import Table, write_page
from toolchain.sweep.fronts import is_known
from toolchain.sweep.overview import known_columns
from toolchain.sweep.report_effects import effects_section
from toolchain.sweep.report_fronts import fronts_section
from toolchain.sweep.report_rows import designs_table, links
from toolchain.sweep.results import QUALITIES, Design, SweepResults, goal_of, shown_settings, value_of
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.verdict import Verdict, verdict_of

REPORT: Final = "report.html"
_MOST_POINTS: Final = 200
_MOST_FAILURES: Final = 50


def write_sweep_report(folder: SweepFolder, results: SweepResults) -> None:
    """Write the page; it appears whole or not at all.

    Args:
        folder: The folder of the sweep.
        results: Its rows.
    """
    verdict = verdict_of(results)
    write_page(
        folder.path / REPORT,
        "toolchain.sweep",
        "sweep.html.j2",
        title=f"Sweep {folder.path.absolute().name}",
        lead=_lead(results),
        tiles=_tiles(results),
        verdict=None if verdict is None else _verdict(results, verdict),
        fronts=fronts_section(results),
        effects=effects_section(results),
        failures=_failures(results),
        points=_points(results),
    )


def _lead(results: SweepResults) -> str:
    quality = results.quality
    said = [f"{results.counts}. Points are chosen by {QUALITIES[quality]}."]
    if "validation" not in quality:
        said.append(
            "There are none for validation, so what is chosen as the best is a little worse on new samples "
            "than it looks here; the key data.validation_fraction sets some apart."
        )
    elif results.search is not None:
        said.append(
            "Spike F1, operations, cores and energy are those on these samples, too; only the points of the "
            "final front and the file's own settings were compared on the test part."
        )
    return " ".join(said)


def _tiles(results: SweepResults) -> list[tuple[str, str]]:
    tiles = [(f"{len(results.done):,}", "points done")]
    tiles += [(f"{len(results.failed):,}", "points failed")] if results.failed else []
    tiles += [(f"{len(results.pruned):,}", "trainings ended early")] if results.pruned else []
    tiles.append((str(len(results.keys)), "keys varied"))
    seconds = {row.run: row.train_seconds for row in results.rows if row.train_seconds is not None}
    total = sum(seconds.values()) + sum(row.compile_seconds or 0.0 for row in results.rows)
    return [*tiles, (f"{total / 3600:.2f} h", "of work, of all workers together")]


def _verdict(results: SweepResults, verdict: Verdict) -> dict[str, Any]:
    own = [] if verdict.own is None else [verdict.own]
    rows = [*own, *(row for row in verdict.best if row not in own)]
    names = {row.name: "own settings" for row in own}
    better = {row.name for row in verdict.better}
    labels = [names.get(row.name, "better" if row.name in better else "on the front") for row in rows]
    table = designs_table(
        "The file's own settings, and the points that no other beats by the validation part.",
        [Design(row.settings, (row,)) for row in rows],
        results.keys,
        known_columns(results.done),
        labels=("point", labels),
    )
    return {"sentences": verdict.sentences(), "table": table}


def _failures(results: SweepResults) -> Table | None:
    if not results.failed:
        return None
    counted = Counter(row.error for row in results.failed)
    first = {row.error: row for row in reversed(results.failed)}
    left = len(counted) - _MOST_FAILURES
    return Table(
        "Errors, the most frequent first, with the settings of the first point that has it; the same command "
        "tries them again." + (f" {left:,} other errors are in sweep.csv." if left > 0 else ""),
        ("points", "error", *results.keys, "run"),
        [
            (f"{number:,}", error, *shown_settings(first[error].settings, results.keys), links(first[error]))
            for error, number in counted.most_common(_MOST_FAILURES)
        ],
    )


def _points(results: SweepResults) -> Table | None:
    """Return the best points, one by one, each with the link to its report."""
    quality = results.quality
    known = [row for row in results.done if is_known(value_of(row.figures, quality))]
    if not known:
        return None
    known.sort(key=lambda row: -(goal_of(value_of(row.figures, quality), quality) or 0.0))
    first = known[:_MOST_POINTS]
    caption = f"Points, the best first by {QUALITIES[quality]}. A tap on a head sorts them."
    if len(known) > len(first):
        caption += f" These are {len(first):,} of {len(known):,}; all are in sweep.csv, with their folders."
    return designs_table(
        caption,
        [Design(row.settings, (row,)) for row in first],
        results.keys,
        known_columns(known),
        labels=("rank", [str(i + 1) for i in range(len(first))]),
        sortable=True,
    )
