"""Figures of every study measured again: do others who measure them find them?

Two published points of each study are drawn, other ones for each version of Pumice, and measured again with
the code of today. Times are left out. Trainings of real numbers are repeatable on one machine and not
between machines, whose processors add in other orders; everything that is counted from one network is.
Run it with `make figures`; `--data`, or PUMICE_DATA, names the folder of published data. It writes
`docs/studies/again.md`.
"""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from study import Campaign, Given, Key, Row, carry_out, measure_point, spelled
from study_tables import STUDIES, bullet, filled, rows_of, write_pages

from pumice import __version__

NAMES = {
    "lnp": "Lyapunov Noise Pruning",
    "lnp_budget": "the same at equal budgets",
    "sca": "Spiking Channel Activity pruning",
    "sparse": "sparse training",
    "conv": "sparse convolutions",
    "fit": "prune to fit",
    "fidelity": "what quantization costs",
    "chip": "what a chip would need",
    "rates": "classifiers as rates",
    "tasks": "real tasks",
    "neurons": "neurons at equal size",
    "nir": "tasks of the NIR paper",
    "demo": "the demo",
}
POINTS = 2
MOST_SECONDS = 300
"""Points that took longer, where that is known, are not drawn."""
TIMES = ("seconds", "training", "training_seconds")
"""Figures that are times of a machine."""


def campaign_of(name: str) -> Campaign:
    """Return a study."""
    return import_module(f"{name}_study").CAMPAIGN


def points(_: int) -> Iterator[Key]:
    """Yield the points that are drawn for this version: study, point."""
    for name in NAMES:
        rows = campaign_of(name).rows()
        there = [key for key, row in rows.items() if row.get("seconds", 0) <= MOST_SECONDS]
        drawn = random.Random(f"{__version__} {name}").sample(there, POINTS)  # noqa: S311 - not a secret
        yield from ((name, spelled(key)) for key in drawn)


def measured(key: Key, given: Given) -> Row:
    """Measure a point of a study again, and return what became of its figures."""
    name, point = key
    campaign = campaign_of(name)
    rows = campaign.rows()
    wanted = next(each for each in rows if spelled(each) == point)
    needed = {need: rows[need] for need in campaign.needs(wanted)}
    row = measure_point(str(campaign.script), wanted, Given(given.data, given.work, needed))
    before, after = (dict(leaves(each)) for each in (rows[wanted], row))
    published = [each for each in before if each not in (*campaign.fields, "measured_by")]
    moved = {each: (before[each], after.get(each)) for each in published if before[each] != after.get(each)}
    return {
        "figures": len(published),
        "moved": moved,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
    }


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the figures of a row with their names, those of its parts too, and no times."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in TIMES:
                yield from leaves(part, f"{name}, {key}" if name else str(key))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from leaves(part, f"{name}, {place}")
    else:
        yield name, value


CAMPAIGN = Campaign(Path(__file__), ("study", "point"), points, measured)


def distance(before: Any, after: Any) -> float:
    """Return by how much of itself a figure moved; of what is no number, infinitely."""
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (before, after))
    return abs(after - before) / max(abs(before), abs(after)) if numbers else float("inf")


def table(rows: list[Row]) -> str:
    """Return all points with the figure that moved most."""
    lines = []
    for row in rows:
        farthest = max(row["moved"], key=lambda name: distance(*row["moved"][name]), default=None)
        told = "-" if farthest is None else f"{farthest}: {' to '.join(map(shown, row['moved'][farthest]))}"
        equal = row["figures"] - len(row["moved"])
        lines.append([NAMES[row["study"]], row["point"], f"{equal} of {row['figures']}", told, row["date"]])
    return rows_of(["study", "point", "figures equal", "the one that moved most", "date"], lines)


def shown(value: Any) -> str:
    """Return a figure for a table."""
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def in_short(rows: list[Row]) -> str:
    """Return what was found, as sentences."""
    whole = sum(not row["moved"] for row in rows)
    figures, moved = sum(row["figures"] for row in rows), sum(len(row["moved"]) for row in rows)
    machines = sorted({row["machine"] for row in rows})
    return "\n".join(
        [
            bullet(f"{whole} of {len(rows)} points have all of their figures again, to the last digit."),
            bullet(f"{figures - moved:,} of {figures:,} figures are equal."),
            bullet(f"Machine: {'; '.join(machines)}. Version {__version__}."),
        ]
    )


def pages() -> dict[Path, str]:
    """Return the page of the study, with its table renewed."""
    rows = list(CAMPAIGN.rows().values())
    return filled(STUDIES / "again.md", {"in short": in_short(rows), "study": table(rows)})


if __name__ == "__main__":
    carry_out(CAMPAIGN)
    write_pages(pages())
