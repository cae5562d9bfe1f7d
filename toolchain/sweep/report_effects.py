"""The effect of each key in the report of a sweep: means, intervals over seeds, and paired differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from markupsafe import Markup

from toolchain.pages import ACCENT, Table, panel, panels, plain
from toolchain.sweep.effects import Interval, ValueEffect, effects_of
from toolchain.sweep.fronts import is_known
from toolchain.sweep.results import SweepResults, shown, value_of
from toolchain.sweep.search_section import Range

_FIGURES: Final = {
    "fixed_validation": "validation accuracy, %",
    "fixed_accuracy": "test accuracy, %",
    "fixed_validation_rmse": "validation RMSE",
    "fixed_rmse": "test RMSE",
    "spike_f1": "spike F1",
    "operations": "operations",
}
_MOST_VALUES: Final = 20
"""Values of a key that are shown."""
_MOST_DRAWN: Final = 2000
_LARGE: Final = 1000


@final
@dataclass(frozen=True)
class EffectsSection:
    """What the page shows of effects.

    Attributes:
        lead: How to read them.
        panels: A figure for each key.
        tables: A table for each figure that was measured.
    """

    lead: str
    panels: Markup
    tables: list[Table]


def effects_section(results: SweepResults) -> EffectsSection | None:
    """Return the effects of all keys; None where no key has two values that were measured."""
    quality = results.quality
    space = {} if results.search is None else results.search.space
    ranges = [key for key in results.keys if isinstance(space.get(key), Range)]
    chosen = [key for key in results.keys if key not in ranges and key != results.repeated]
    effects = {key: effects_of(results, key, quality) for key in chosen}
    varied = [key for key in chosen if len(effects[key]) > 1]
    drawn = [(key, _drawn_effect(effects[key], key, quality)) for key in varied]
    drawn += [(key, axes) for key in ranges if (axes := _scatter(results, key, quality)) is not None]
    if not drawn:
        return None
    tables = [table for name in _FIGURES if varied and (table := _table(results, varied, name)) is not None]
    return EffectsSection(_lead(results, ranges), panels(drawn), tables)


def _lead(results: SweepResults, ranges: Sequence[str]) -> str:
    said: list[str] = []
    if results.repeated:
        said.append(
            f"Means over all other settings. The points of one '{results.repeated}' are averaged first; ± is "
            "half of the 95 % interval over seeds by Student's t. Differences are from the first value of "
            "the key, within equal other settings and seeds, so that what a seed brings cancels out; a star "
            "marks those whose interval leaves zero out."
        )
    else:
        said.append(
            "Means over all other settings. No seed was varied, so there are no intervals, and a difference "
            "may be chance."
        )
    if results.search is not None:
        said.append(
            "A search tries more often what did well, so its means are no fair comparison of values"
            + (", and marks show the trials one by one." if ranges else ".")
        )
    return " ".join(said)


def _table(results: SweepResults, keys: Sequence[str], name: str) -> Table | None:
    rows: list[tuple[str, ...]] = []
    left = 0
    for key in keys:
        effects = effects_of(results, key, name)
        left += max(len(effects) - _MOST_VALUES, 0)
        rows += [
            (
                key,
                shown(each.value),
                f"{each.points:,}",
                _interval(each.level),
                "" if each.difference is None else _interval(each.difference, signed=True),
                f"{each.pairs:,}" if each.pairs else "",
            )
            for each in effects[:_MOST_VALUES]
        ]
    if not rows:
        return None
    return Table(
        f"Effect on {_FIGURES[name]}." + (f" {left:,} further values are left out." if left else ""),
        ("key", "value", "points", "mean", "difference from the first value", "pairs"),
        rows,
    )


def _interval(interval: Interval, *, signed: bool = False) -> str:
    digits = 1 if abs(interval.mean) >= _LARGE else 3 if abs(interval.mean) < 1 else 2
    mean = f"{interval.mean:+,.{digits}f}" if signed else f"{interval.mean:,.{digits}f}"
    half = "" if interval.half is None else f" ± {interval.half:,.{digits}f}"
    return f"{mean}{half}{' *' if signed and interval.clear else ''}"


def _drawn_effect(effects: Sequence[ValueEffect], key: str, quality: str) -> Any:  # noqa: ANN401 - Axes
    axes = panel(plain(key), _FIGURES[quality])
    first = effects[:_MOST_VALUES]
    numbers = [each.value for each in first]
    real = [
        float(value) for value in numbers if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    places = real if len(real) == len(first) else [float(i) for i in range(len(first))]
    levels = [each.level.mean for each in first]
    halves = [each.level.half or 0.0 for each in first]
    axes.errorbar(places, levels, halves, color=ACCENT, marker="o", ms=4, lw=1.2, capsize=3)
    if places is not real:
        axes.set_xticks(places, [plain(shown(each.value))[:12] for each in first], fontsize=7)
    return axes


def _scatter(results: SweepResults, key: str, quality: str) -> Any:  # noqa: ANN401 - Axes, or none
    pairs: list[tuple[float, float]] = []
    for row in results.done:
        value, figure = row.settings.get(key), value_of(row.figures, quality)
        if isinstance(value, int | float) and figure is not None and is_known(figure):
            pairs.append((float(value), figure))
    if not pairs:
        return None
    axes = panel(plain(key), _FIGURES[quality])
    axes.plot(*zip(*pairs[:: -(-len(pairs) // _MOST_DRAWN)], strict=True), ".", color=ACCENT, ms=4)
    space = {} if results.search is None else results.search.space
    values = space.get(key)
    if isinstance(values, Range) and values.log:
        axes.set_xscale("log")
        places = [place for place, _ in pairs]
        if max(places) >= 10 * min(places):
            # A power of ten is among the ticks; the names of those between would lie over one another.
            axes.tick_params(axis="x", which="minor", labelbottom=False)
    return axes
