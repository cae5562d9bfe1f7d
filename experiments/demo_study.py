"""The demo over seeds, numbers of threads and splits of the data.

Every point is one `pumice demo`, on a number of threads and, where that is said, on a split of the data that
no choice of its settings had seen. Run it with `make demo-study`; it takes a quarter of an hour of two cores
and writes the tables of `docs/studies/demo.md`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from study import Campaign, Given, Key, Row, carry_out
from study_tables import STUDIES, filled, paragraph, rows_of, span, write_pages

from toolchain.workflow.demo import demo_experiment, run_demo

SEEDS, THREADS = 5, (1, 2)
SPLITS = (201, 202, 203)
MEASURED_ON = "2 cores, 24 GiB, Python 3.11, 2026-11-28"
FIGURES = {
    "float_accuracy": ("unpruned, %", 2),
    "pruned_accuracy": ("pruned, %", 2),
    "fixed_accuracy": ("integers, %", 2),
    "fewer": ("times fewer operations", 2),
    "spike_f1": ("spike F1", 3),
}
"""Heading and decimals of the columns."""


def points(seeds: int) -> Iterator[Key]:
    """Yield the points: split (0 is that of the demo), seed, threads."""
    yield from ((0, seed, threads) for seed in range(seeds) for threads in THREADS)
    yield from ((split, 0, THREADS[-1]) for split in SPLITS)


def measured(key: Key, _: Given) -> Row:
    """Carry out the demo and return its figures."""
    split, seed, threads = key
    experiment = demo_experiment(seed)
    data = experiment.data.model_copy(update={"split_seed": split}) if split else experiment.data
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with TemporaryDirectory() as folder:
            changed = experiment.model_copy(update={"data": data})
            result = run_demo(Path(folder) / "demo", experiment=changed)[0]
    finally:
        torch.set_num_threads(before)
    return asdict(result)


CAMPAIGN = Campaign(Path(__file__), ("split", "seed", "threads"), points, measured, seeds=SEEDS)


def cells(row: Row) -> list[str]:
    """Return the figures of a point for a table."""
    return [f"{row[name]:.{decimals}f}" for name, (_, decimals) in FIGURES.items()]


def table(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Return a line for each point, and the range of every figure."""
    head = [*names, *(text for text, _ in FIGURES.values()), "Lava equal"]
    lines = [
        [*(str(row[name]) for name in names), *cells(row), "yes" if row["lava_equal"] else "no"]
        for row in rows
    ]
    ranges = [span([row[name] for row in rows], decimals) for name, (_, decimals) in FIGURES.items()]
    return rows_of(head, [*lines, ["all", *[""] * (len(names) - 1), *ranges, ""]])


def first(row: Row) -> str:
    """Return what the demo of seed 0 leaves out of its network."""
    accuracies = [f"{row[name]:.2f} %" for name in ("float_accuracy", "pruned_accuracy", "fixed_accuracy")]
    operations = [f"{row[name]:,.0f}" for name in ("synops_before", "synops_after")]
    neurons, synapses = (
        [f"{row[f'{name}_{end}']:,}" for end in ("before", "after")] for name in ("neurons", "synapses")
    )
    lines = [
        ["accuracy", *accuracies],
        ["neurons", *neurons, neurons[-1]],
        ["recurrent synapses", *synapses, ""],
        ["synaptic operations per image, input and read-out included", *operations, ""],
    ]
    return rows_of(["", "unpruned", "pruned", "integers"], lines)


def lost(rows: Sequence[Row], before: str, after: str) -> str:
    """Return the mean loss in points."""
    return f"{sum(row[before] - row[after] for row in rows) / len(rows):.2f}"


def pages() -> dict[Path, str]:
    """Return the page with its tables renewed."""
    rows = [{**row, "fewer": row["synops_before"] / row["synops_after"]} for row in CAMPAIGN.rows().values()]
    seeds, splits = ([row for row in rows if bool(row["split"]) == of] for of in (False, True))
    seeds.sort(key=lambda row: (row["seed"], row["threads"]))
    pruning, integers = (
        [lost(part, *pair) for part in (seeds, splits)]
        for pair in (("float_accuracy", "pruned_accuracy"), ("pruned_accuracy", "fixed_accuracy"))
    )
    said = (
        f"Pruning costs {' points on average in the first table and '.join(pruning)} in the second; "
        f"quantization costs {' and '.join(integers)}."
    )
    texts = {
        "machine": paragraph(f"Measured on {MEASURED_ON}."),
        "seeds": table(["seed", "threads"], seeds),
        "splits": table(["split"], splits),
        "lost": paragraph(said),
        "first": first(seeds[0]),
    }
    return filled(STUDIES / "demo.md", texts)


if __name__ == "__main__":
    carry_out(CAMPAIGN)
    write_pages(pages())
