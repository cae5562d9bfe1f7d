"""What `pumice show` says of a sweep: counts, the best points, what failed, however many points there are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from toolchain.sweep.fronts import is_known
from toolchain.sweep.results import (
    QUALITIES,
    Design,
    SweepResults,
    designs_of,
    goal_of,
    order_of,
    shown,
    shown_settings,
    value_of,
)
from toolchain.sweep.rows import PointRow
from toolchain.sweep.verdict import verdict_of

BEST: Final = 10
"""Settings that are shown."""
_LARGE: Final = 1000
_FAILURES: Final = 5
"""Different errors that are shown."""
COLUMNS: Final = {
    "validation, %": "fixed_validation",
    "validation RMSE": "fixed_validation_rmse",
    "test, %": "fixed_accuracy",
    "test RMSE": "fixed_rmse",
    "spike F1": "spike_f1",
    "operations": "operations",
    "cores": "cores",
    "uJ at most": "microjoules",
}
"""Figures by the heads of their columns."""


@final
@dataclass(frozen=True)
class SweepOverview:
    """A sweep at a glance.

    Attributes:
        line: How many points ended in which way.
        keys: What is varied, a line per key.
        title: What the table shows.
        head: Heads of its columns.
        cells: Its rows.
        sentences: What a search has found; what failed.
        document: The same for machines.
    """

    line: str
    keys: list[str]
    title: str
    head: list[str]
    cells: list[list[str]]
    sentences: list[str]
    document: dict[str, Any]


def overview_of(results: SweepResults) -> SweepOverview:
    """Return a sweep at a glance."""
    verdict = verdict_of(results)
    if verdict is not None and verdict.best:
        title = "The points that no other beats, by the validation part"
        rows = sorted(verdict.best, key=lambda row: _rank(Design(row.settings, (row,)), results.quality))
        designs = designs_of(rows, "")
    else:
        seeds = f", each the mean over '{results.repeated}'" if results.repeated else ""
        title = f"The best settings by {QUALITIES[results.quality]}{seeds}"
        designs = best_designs(results)
    columns = known_columns(results.done)
    keys = [key for key in results.keys if verdict is not None or key != results.repeated]
    rest = len(designs) - BEST
    return SweepOverview(
        line=results.counts,
        keys=[f"{key}: {_values(results, key)}" for key in results.keys],
        title=title + (f"; {rest:,} more are in sweep.csv" if rest > 0 else ""),
        head=[*keys, *(["points"] if results.repeated and verdict is None else []), *columns],
        cells=[
            [
                *shown_settings(each.settings, keys),
                *([str(len(each.rows))] if results.repeated and verdict is None else []),
                *figure_cells(each, columns),
            ]
            for each in designs[:BEST]
        ],
        sentences=[*([] if verdict is None else verdict.sentences()), *failures_of(results)],
        document=_document(results, designs[:BEST]),
    )


def best_designs(results: SweepResults) -> list[Design]:
    """Return the settings of a sweep, the best first; those that were not measured are left out."""
    designs = designs_of(results.done, results.repeated)
    known = [each for each in designs if is_known(each.mean(results.quality))]
    return sorted(known, key=lambda each: _rank(each, results.quality))


def known_columns(rows: Sequence[PointRow]) -> dict[str, str]:
    """Return the figures that were measured of at least one point, by the heads of their columns."""
    return {
        head: name
        for head, name in COLUMNS.items()
        if any(value_of(row.figures, name) is not None for row in rows)
    }


def figure_cells(design: Design, columns: Mapping[str, str]) -> list[str]:
    """Return the means of a design as cells."""
    return ["" if (mean := design.mean(name)) is None else _number(mean) for name in columns.values()]


def failures_of(results: SweepResults) -> list[str]:
    """Return the errors of a sweep, the most frequent first, each with one point that has it."""
    counted = Counter(row.error for row in results.failed)
    said: list[str] = []
    for error, number in counted.most_common(_FAILURES):
        row = next(row for row in results.failed if row.error == error)
        where = ", ".join(f"{key} = {shown(value)}" for key, value in row.settings.items())
        others = f" and {number - 1:,} more" if number > 1 else ""
        said.append(f"failed at {where}{others}: {' '.join(error.split())}")
    rest = len(counted) - _FAILURES
    return [*said, *([f"{rest:,} other errors are in sweep.csv"] if rest > 0 else [])]


def _rank(design: Design, quality: str) -> float:
    """Return what designs are sorted by, the best first."""
    goal = goal_of(design.mean(quality), quality)
    return 0.0 if goal is None else -goal


def _values(results: SweepResults, key: str) -> str:
    """Return the values that a key has had."""
    ordered = sorted((row.settings.get(key) for row in results.rows), key=order_of)
    values = list(dict.fromkeys(map(shown, ordered)))
    if len(values) <= BEST:
        return ", ".join(values)
    return f"{len(values):,} values, {values[0]} .. {values[-1]}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= _LARGE or value == round(value) else f"{value:.4g}"


def _document(results: SweepResults, designs: Sequence[Design]) -> dict[str, Any]:
    verdict = verdict_of(results)
    document: dict[str, Any] = {
        "points": len(results.rows),
        "planned": results.planned,
        "done": len(results.done),
        "failed": len(results.failed),
        "pruned": len(results.pruned),
        "keys": list(results.keys),
        "chosen_by": results.quality,
        "best": [
            {"settings": each.settings, "points": [_row_document(row) for row in each.rows]}
            for each in designs
        ],
        "errors": dict(Counter(row.error for row in results.failed).most_common(_FAILURES)),
    }
    if verdict is not None:
        document |= {
            "front": [row.name for row in verdict.best],
            "own": None if verdict.own is None else verdict.own.name,
            "better_than_own": [row.name for row in verdict.better],
            "better_than_own_on_test": [row.name for row in verdict.better_on_test],
        }
    return document


def _row_document(row: PointRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "settings": row.settings,
        "figures": row.figures.model_dump(mode="json"),
        "build": row.build,
    }
