"""Sparse convolutional networks against whole ones: accuracy, size, operations, and the time of training.

Every arm trains for the same number of epochs with the settings of its task (`experiments/tasks`), which were
not tuned for any arm. `static` is chance: weights drawn before the training. Test samples are looked at once,
after training. Time is that of the processor for the whole training, its data and measurements included; with
one thread (`OMP_NUM_THREADS=1`) it matters little who else computes. Run it with `make conv-study`, or a part
of it with `--task fashion_conv --seed 0`; `--data`, or PUMICE_DATA, names the folder of published data. It
writes the tables of `docs/studies/sparse-convolutions.md`.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from study import Campaign, Given, Key, Row, carry_out
from study_tables import STUDIES, bullet, filled, paragraph, rows_of, with_interval, write_pages

from toolchain.files.toml import read_toml
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.train import train

SEEDS = 5
TASKS = {
    "fashion_conv": "Fashion-MNIST",
    "fashion_wide": "Fashion-MNIST, wide dense layer",
    "nmnist_conv": "N-MNIST",
}
WIDE = ("fashion_wide",)
FRACTIONS = (0.05, 0.02, 0.01)
WHOLE = "whole"
ARMS = {
    WHOLE: "not pruned",
    "gradual": "gradual, one threshold for all layers",
    "gradual_operations": "gradual, one threshold, by operations",
    "gradual_layers": "gradual, Erdős–Rényi",
    "static": "at random (static)",
    "rigl": "RigL",
    "set": "SET",
}
PRUNED = tuple(arm for arm in ARMS if arm != WHOLE)
AHEAD = ("gradual", "gradual_operations", "static")
"""Arms at the smaller sizes and of wide networks: one threshold for all layers, by two prices, and chance."""
VARIANTS = {
    "gradual": {"method": "gradual", "allocation": "global", "price": "synapse"},
    "gradual_operations": {"method": "gradual", "allocation": "global", "price": "operations"},
    "gradual_layers": {"method": "gradual", "allocation": "erdos_renyi", "price": "synapse"},
}
"""What stands under `[pruning]` of arms that are a method with other options than its own."""


def points(seeds: int) -> Iterator[Key]:
    """Return the points of some seeds: task, arm, share of the weights, seed."""
    for seed in range(seeds):
        for task in TASKS:
            yield task, WHOLE, 1.0, seed
            for fraction in FRACTIONS[: 1 if task in WIDE else None]:
                for arm in PRUNED if fraction == FRACTIONS[0] and task not in WIDE else AHEAD:
                    yield task, arm, fraction, seed


def measured(key: Key, given: Given) -> Row:
    """Train, compile and compare; return the figures."""
    task, arm, fraction, seed = key
    document = read_toml(Path(__file__).parent / "tasks" / f"{task}.toml", "experiment file")
    document["data"]["path"] = str(given.data / document["data"]["path"])
    sparse = VARIANTS.get(arm, {"method": arm}) | {"fraction": fraction, "baseline": False}
    document |= {"seed": seed, "pruning": False if arm == WHOLE else sparse}
    given.work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=given.work) as folder:
        begun = time.process_time()
        run = train(parse_experiment(document), Path(folder) / "run")
        trained = time.process_time() - begun
        judgement = compare_build(compile_run(Path(folder) / "run", target="emulator"))
    comparison, (cost, _) = judgement.comparison, judgement.costs
    return {
        "validation": run.history.validation,
        "float": comparison.float_accuracy,
        "integers": comparison.fixed_accuracy,
        "parameters": sum(cost.parameters.values()),
        "synapses": sum(cost.synapses.values()),
        "operations": cost.total_operations,
        "training": round(trained, 1),
    }


FIGURES = ("float", "integers", "parameters", "operations", "training")
CAMPAIGN = Campaign(Path(__file__), ("task", "arm", "fraction", "seed"), points, measured, seeds=SEEDS)


def by_seed(rows: Mapping[Key, Row], point: Key, name: str) -> dict[int, float]:
    """Return a figure of a task, arm and fraction by its seed."""
    return {key[-1]: row[name] for key, row in rows.items() if key[:-1] == point}


def differences(rows: Mapping[Key, Row], point: Key) -> list[float]:
    """Return the test accuracies of a point minus those of the whole network of the same seed."""
    whole = by_seed(rows, (point[0], WHOLE, 1.0), "float")
    return [value - whole[seed] for seed, value in by_seed(rows, point, "float").items() if seed in whole]


def times(rows: Mapping[Key, Row], point: Key) -> list[float]:
    """Return the times of training of a point in those of the whole network of the same seed."""
    whole = by_seed(rows, (point[0], WHOLE, 1.0), "training")
    return [value / whole[seed] for seed, value in by_seed(rows, point, "training").items() if seed in whole]


def table(rows: Mapping[Key, Row], task: str) -> str:
    """Return the table of a task."""
    head = (
        "weights",
        "arm",
        "seeds",
        "left",
        "operations a sample",
        "test, %",
        "minus whole",
        "integers, %",
        "training, of the whole one's time",
    )
    lines: list[list[str]] = []
    for point in points_of(rows, task):
        figures = {name: list(by_seed(rows, point, name).values()) for name in FIGURES}
        parameters, operations, integers = (
            float(np.mean(figures[name])) for name in ("parameters", "operations", "integers")
        )
        pruned = point[1] != WHOLE
        lines.append(
            [
                f"{100 * point[2]:g} %",
                ARMS[point[1]],
                str(len(figures["float"])),
                f"{parameters:,.0f}",
                f"{operations:,.0f}",
                with_interval(figures["float"], 2),
                with_interval(differences(rows, point), 2, "+") if pruned else "",
                f"{integers:.2f}",
                with_interval(times(rows, point), 2) if pruned else "1",
            ]
        )
    return rows_of(head, lines)


def points_of(rows: Mapping[Key, Row], task: str) -> list[Key]:
    """Return the tasks, arms and fractions of a task that were measured, in the order of the study."""
    measured = {key[:-1] for key in rows}
    every = dict.fromkeys(key[:-1] for key in points(1) if key[0] == task)
    return [point for point in every if point in measured]


def in_short(rows: Mapping[Key, Row]) -> str:
    """Return what was found, in a sentence for each arm."""
    lines: list[str] = []
    for task, title in TASKS.items():
        for point in points_of(rows, task):
            if point[1] == WHOLE or not differences(rows, point):
                continue
            lines.append(
                bullet(
                    f"{title}, {100 * point[2]:g} % of the weights, {ARMS[point[1]]}: "
                    f"{with_interval(differences(rows, point), 2, '+')} points from the whole network of the "
                    f"same seed, trained in {with_interval(times(rows, point), 2)} of its time."
                )
            )
    return "\n".join(lines)


def study(rows: Mapping[Key, Row]) -> str:
    """Return what was measured, task by task."""
    text = paragraph(
        "Test accuracy is that of real numbers, with 95 % intervals over seeds (Student's t); 'minus whole' "
        "is the difference from the whole network of the same seed; operations are those of a test sample, "
        "all layers together; time is that of the processor, for the whole training on one core."
    )
    there = [task for task in TASKS if points_of(rows, task)]
    return "\n\n".join([text, *(f"### {TASKS[task]}\n\n{table(rows, task)}" for task in there)])


def pages() -> dict[Path, str]:
    """Return the page of the study, with its tables renewed."""
    rows = CAMPAIGN.rows()
    texts = {"in short": in_short(rows), "study": study(rows)}
    return filled(STUDIES / "sparse-convolutions.md", texts)


if __name__ == "__main__":
    carry_out(CAMPAIGN)
    write_pages(pages())
