"""Real tasks: networks in real numbers, pruned, in integers and on Lava, with what they cost.

`experiments/tasks` has a file for each task, which `pumice train` takes as it is. `--data`, or PUMICE_DATA,
names a folder with what the files call `path`: `nmnist` (recordings of N-MNIST as published), `braille`,
`spoken_digits`, `fashion-mnist` and `seattle-weather.csv`. The folder `--work` keeps every run and build.
Settings are chosen by the validation part alone; the test part is looked at once, after training. Run it with
`make tasks-study`, or a part of it with `--task NAME --seeds 2`; it writes the tables of
`docs/studies/real-tasks.md`.
"""

import time
from pathlib import Path
from typing import TypeVar

from study import Campaign, Row, carry_out
from study_tables import STUDIES, filled, rows_of, with_interval, write_pages

from toolchain.fidelity import Comparison
from toolchain.fidelity.outputs import OutputErrors
from toolchain.files.toml import read_toml
from toolchain.workflow.build_facts import Sizes
from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import check_build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import Experiment, parse_experiment
from toolchain.workflow.train import train

TASKS = Path(__file__).parent / "tasks"
SEEDS, ON_LAVA = 5, 8
CHIP, MOST_CHIPS = "loihi1", 128
NAMES = {
    "nmnist_conv": "N-MNIST, convolutional, SCA",
    "nmnist_recurrent": "N-MNIST, recurrent, LNP",
    "braille": "Braille letters, recurrent, LNP",
    "spoken_digits": "spoken digits, recurrent, LNP",
    "spoken_digits_clustered": "spoken digits, clustered, LNP",
    "fashion_conv": "Fashion-MNIST, convolutional, SCA",
    "fashion_rows": "Fashion-MNIST row by row, recurrent, LNP",
    "weather": "weather of the next day, recurrent, LNP",
}
Value = TypeVar("Value")


def experiment_of(task: str, seed: int, data: Path) -> Experiment:
    """Return the experiment of a task, with the path of its data where they lie."""
    document = read_toml(TASKS / f"{task}.toml", "experiment file")
    document["data"]["path"] = str(data / document["data"]["path"])
    return parse_experiment(document | {"seed": seed})


def measured(task: str, seed: int, data: Path, work: Path) -> Row:
    """Train, prune, compile and compare; return the figures."""
    started = time.monotonic()
    folder = work / f"{task}-{seed}"
    run = train(experiment_of(task, seed, data), folder / "run")
    build = compile_run(folder / "run", target="lava")
    judgement = compare_build(build, exact=("lava",), samples=ON_LAVA)
    build.save(folder / "build", judgement)
    sizes, comparison = build.facts.sizes, judgement.comparison
    if sizes is None:
        raise ValueError(f"'{task}' trains no unpruned network")
    return {
        "task": task,
        "seed": seed,
        "validation": run.history.validation,
        **(
            accuracies_of(sizes, comparison)
            if comparison.outputs is None
            else errors_of(sizes, comparison.outputs)
        ),
        "spike_f1": comparison.spike_f1,
        "test_samples": comparison.samples,
        "lava_samples": judgement.exact["lava"].samples,
        "lava_equal": judgement.exact["lava"].equal,
        "neurons": [sizes.neurons.before, sizes.neurons.after],
        "synapses": [sizes.synapses.before, sizes.synapses.after],
        "parameters": None if sizes.parameters is None else [sizes.parameters.before, sizes.parameters.after],
        "operations": [sizes.operations.before, sizes.operations.after],
        **on_chip(build),
        "seconds": round(time.monotonic() - started),
    }


def accuracies_of(sizes: Sizes, comparison: Comparison) -> Row:
    """Return the accuracies of a task with classes, in percent."""
    change = expected(sizes.accuracy)
    return {"unpruned": change.before, "pruned": change.after, "integers": comparison.fixed_accuracy}


def errors_of(sizes: Sizes, outputs: OutputErrors) -> Row:
    """Return the errors of a forecast, in standard deviations, and that of the last value held."""
    change = expected(sizes.error)
    return {
        "unpruned_rmse": change.before,
        "pruned_rmse": change.after,
        "integers_rmse": expected(outputs.fixed_error).together,
        "persistence_rmse": expected(outputs.persistence_error).together,
    }


def expected(value: Value | None) -> Value:
    """Return what a build of such a task has."""
    if value is None:
        raise ValueError("the build lacks a figure that its task should have")
    return value


def on_chip(build: Build) -> Row:
    """Return cores and energy of a sample on a chip, at least and at most of what is published."""
    fit = check_build(build, CHIP, chips=MOST_CHIPS).fit
    energies = [each.dynamic_joules for each in fit.estimates if each.dynamic_joules is not None]
    micro = [1e6 * fit.steps * joules for joules in energies]
    return {"cores": fit.packing.cores, "microjoules": [min(micro), max(micro)] if micro else None}


CAMPAIGN = Campaign(
    Path(__file__),
    ("task", "seed"),
    lambda seeds: [(task, seed) for seed in range(seeds) for task in NAMES],
    lambda key, given: measured(key[0], key[1], given.data, given.work),
    seeds=SEEDS,
)
RESULTS = CAMPAIGN.results


def read_rows() -> list[Row]:
    """Return the figures that are there, the last of each task and seed."""
    return list(CAMPAIGN.rows().values())


def accuracies(rows: list[Row]) -> str:
    """Return the table of accuracies: mean and 95 % interval over the seeds."""
    head = (
        "task",
        "seeds",
        "unpruned",
        "pruned",
        "integers",
        "lost by pruning",
        "by integers",
        "spike F1",
        "on Lava",
    )
    table: list[list[str]] = []
    for task, mine in of_tasks(rows, "integers"):
        stages = [[row[name] for row in mine] for name in ("unpruned", "pruned", "integers")]
        losses = [
            [one - other for one, other in zip(*pair, strict=True)] for pair in (stages[:2], stages[1:])
        ]
        table.append(
            [
                NAMES[task],
                str(len(mine)),
                *(with_interval(each) for each in (*stages, *losses)),
                f"{sum(row['spike_f1'] for row in mine) / len(mine):.3f}",
                on_lava(mine),
            ]
        )
    return rows_of(head, table)


def errors(rows: list[Row]) -> str:
    """Return the table of errors of forecasts: mean and 95 % interval over the seeds."""
    head = ("task", "seeds", "last value held", "unpruned", "pruned", "integers", "spike F1", "on Lava")
    table: list[list[str]] = []
    for task, mine in of_tasks(rows, "integers_rmse"):
        stages = [[row[f"{name}_rmse"] for row in mine] for name in ("unpruned", "pruned", "integers")]
        table.append(
            [
                NAMES[task],
                str(len(mine)),
                f"{mine[0]['persistence_rmse']:.3f}",
                *(with_interval(each, 3) for each in stages),
                f"{sum(row['spike_f1'] for row in mine) / len(mine):.3f}",
                on_lava(mine),
            ]
        )
    return rows_of(head, table)


def on_lava(mine: list[Row]) -> str:
    """Return how many samples ran on Lava, and whether all were equal."""
    equal = "equal" if all(row["lava_equal"] for row in mine) else "different"
    return f"{sum(row['lava_samples'] for row in mine)} samples {equal}"


def sizes(rows: list[Row]) -> str:
    """Return the table of sizes and costs: means over the seeds."""
    head = (
        "task",
        "neurons",
        "synapses",
        "parameters",
        "synaptic operations a sample",
        "cores",
        "energy, uJ",
    )
    table: list[list[str]] = []
    for task, mine in of_tasks(rows):
        cells = [arrow([row[name] for row in mine if row[name] is not None]) for name in _SIZES]
        energy = [row["microjoules"] for row in mine if row["microjoules"] is not None]
        band = "-"
        if energy:
            low, high = (sum(each[i] for each in energy) / len(energy) for i in (0, 1))
            band = f"{low:,.3g} to {high:,.3g}"
        cores = sum(row["cores"] for row in mine) / len(mine)
        table.append([NAMES[task], *cells, f"{cores:,.0f}", band])
    return rows_of(head, table)


_SIZES = ("neurons", "synapses", "parameters", "operations")


def arrow(pairs: list[list[float]]) -> str:
    """Return means before and after pruning."""
    if not pairs:
        return "-"
    before, after = (sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
    return f"{before:,.0f} -> {after:,.0f} ({100 * after / before:.0f} %)"


def of_tasks(rows: list[Row], figure: str = "task") -> list[tuple[str, list[Row]]]:
    """Return the rows of each task that has some with a figure, in the order of the page."""
    pairs = [(task, [row for row in rows if row["task"] == task and figure in row]) for task in NAMES]
    return [(task, mine) for task, mine in pairs if mine]


def pages() -> dict[Path, str]:
    """Return the page with its tables."""
    rows = read_rows()
    tables = {"accuracies": accuracies(rows), "errors": errors(rows), "sizes": sizes(rows)}
    return filled(STUDIES / "real-tasks.md", tables)


if __name__ == "__main__":
    carry_out(CAMPAIGN)
    write_pages(pages())
