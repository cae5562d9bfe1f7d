"""Pareto fronts in the report of a sweep: accuracy against operations, cores and energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from markupsafe import Markup

from toolchain.pages import ACCENT, WARM, Table, panel, panels
from toolchain.sweep.fronts import front, is_known
from toolchain.sweep.overview import known_columns
from toolchain.sweep.report_rows import designs_table
from toolchain.sweep.results import Design, SweepResults, designs_of, goal_of

_COSTS: Final = {
    "operations": "synaptic operations per sample",
    "cores": "cores",
    "microjoules": "energy per sample, uJ at most",
}
_QUALITIES: Final = {
    "fixed_validation": "validation accuracy, %",
    "fixed_validation_rmse": "validation RMSE",
    "fixed_accuracy": "test accuracy, %",
    "fixed_rmse": "test RMSE",
}
_MOST_DRAWN: Final = 2000
_MOST_ROWS: Final = 30
_LOGARITHMIC: Final = 20
"""Ratio of the largest and the least cost from which the axis counts factors."""
_GREY: Final = "#9aa5b1"


@final
@dataclass(frozen=True)
class FrontsSection:
    """What the page shows of fronts.

    Attributes:
        lead: How to read them.
        panels: Figures.
        tables: The points of each front.
    """

    lead: str
    panels: Markup
    tables: list[Table]


def fronts_section(results: SweepResults) -> FrontsSection | None:
    """Return the fronts of a sweep; None where nothing was measured."""
    quality = results.quality
    designs = designs_of(results.done, results.repeated)
    drawn: list[tuple[str, Any]] = []
    tables: list[Table] = []
    left = 0
    for cost, label in _COSTS.items():
        known = [each for each in designs if is_known(each.mean(quality)) and is_known(each.mean(cost))]
        if not known:
            continue
        best = front_of(known, quality, cost)
        left = max(left, len(known) - _MOST_DRAWN)
        drawn.append((f"Against {label}", _draw(results, known, best, (quality, cost))))
        tables.append(_table(results, best, cost))
    if not drawn:
        return None
    repeated = f" Each is the mean over '{results.repeated}'." if results.repeated else ""
    lead = (
        "Each mark is a combination of settings; the line joins those that no other beats in both directions."
        f"{repeated} Orange marks the file's own settings in a search."
        + (f" {left:,} marks away from the front are left out, evenly." if left > 0 else "")
    )
    return FrontsSection(lead, panels(drawn), tables)


def front_of(designs: Sequence[Design], quality: str, cost: str) -> list[Design]:
    """Return the designs that no other beats, the cheapest first."""
    goals = [tuple(goal_of(each.mean(name), name) for name in (quality, cost)) for each in designs]
    best = [designs[i] for i in front(goals)]
    return sorted(best, key=lambda each: each.mean(cost) or 0.0)


def _draw(
    results: SweepResults, known: Sequence[Design], best: Sequence[Design], names: tuple[str, str]
) -> Any:  # noqa: ANN401 - matplotlib's Axes
    quality, cost = names
    axes = panel(_COSTS[cost], _QUALITIES[quality], height=2.8)
    # Rounded up, so that there are never more.
    marked = known[:: -(-len(known) // _MOST_DRAWN)]
    axes.plot(*_places(marked, names), ".", color=_GREY, ms=4, rasterized=False)
    axes.plot(*_places(best, names), color=ACCENT, marker="o", ms=4, lw=1.2, drawstyle="steps-post")
    own = [each for each in known if any(row.name == results.own for row in each.rows)]
    axes.plot(*_places(own, names), "D", color=WARM, ms=6)
    costs = [value for each in known if (value := each.mean(cost)) is not None]
    if min(costs) > 0 and max(costs) > _LOGARITHMIC * min(costs):
        axes.set_xscale("log")
    return axes


def _places(
    designs: Sequence[Design], names: tuple[str, str]
) -> tuple[list[float | None], list[float | None]]:
    quality, cost = names
    return [each.mean(cost) for each in designs], [each.mean(quality) for each in designs]


def _table(results: SweepResults, best: Sequence[Design], cost: str) -> Table:
    first = best[:_MOST_ROWS]
    caption = f"The front against {_COSTS[cost]}, the cheapest first."
    if len(best) > len(first):
        caption += f" These are the first {len(first)} of {len(best):,}."
    keys = [key for key in results.keys if key != results.repeated]
    labels = "point" if not results.repeated else "settings"
    return designs_table(
        caption,
        first,
        keys,
        known_columns(results.done),
        labels=(labels, [str(i + 1) for i in range(len(first))]),
    )
