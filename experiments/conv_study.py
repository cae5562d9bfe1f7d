"""Sparse convolutional networks against whole ones: accuracy, size, operations, and the time of training.

Every arm trains for the same number of epochs with the settings of its task (`experiments/tasks`), which were
not tuned for any arm. `static` is chance: weights drawn before the training. Test samples are looked at once,
after training. Time is that of the processor for the whole training, its data and measurements included; with
one thread (`OMP_NUM_THREADS=1`) it hardly matters who else computes. Run it with `make conv-study`, or a part
of it with `--task fashion_conv --seed 0`; `--data`, or PUMICE_DATA, names the folder of published data. It
prints its tables; no page has its figures yet.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from study import Campaign, Given, Key, Row, carry_out
from study_tables import interval, paragraph, rows_of

from toolchain.files.toml import read_toml
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.train import train

SEEDS = 5
TASKS = {"fashion_conv": "Fashion-MNIST, convolutions", "nmnist_conv": "N-MNIST, convolutions"}
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
PRUNED = {
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
            for fraction in FRACTIONS:
                for arm in ARMS:
                    if arm != WHOLE:
                        yield task, arm, fraction, seed


def measured(key: Key, given: Given) -> Row:
    """Train, compile and compare; return the figures."""
    task, arm, fraction, seed = key
    document = read_toml(Path(__file__).parent / "tasks" / f"{task}.toml", "experiment file")
    document["data"]["path"] = str(given.data / document["data"]["path"])
    sparse = PRUNED.get(arm, {"method": arm}) | {"fraction": fraction, "baseline": False}
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


CAMPAIGN = Campaign(Path(__file__), ("task", "arm", "fraction", "seed"), points, measured, seeds=SEEDS)


def by_seed(rows: Mapping[Key, Row], point: Key, name: str) -> dict[int, float]:
    """Return a figure of a task, arm and fraction by its seed."""
    return {key[-1]: row[name] for key, row in rows.items() if key[:-1] == point}


def spread(values: list[float], sign: str = "") -> str:
    """Return a mean and half its 95 % interval, if it has one."""
    mean, half = interval(values) if len(values) > 1 else (values[0], None)
    return f"{mean:{sign}.2f}" if half is None else f"{mean:{sign}.2f} ± {half:.2f}"


def table(rows: Mapping[Key, Row], task: str) -> str:
    """Return the table of a task; a difference is that from the whole network of the same seed."""
    head = (
        "weights",
        "arm",
        "left",
        "operations",
        "test, %",
        "minus whole, points",
        "integers, %",
        "time, s",
    )
    whole, lines = by_seed(rows, (task, WHOLE, 1.0), "float"), list[list[str]]()
    for task_and_arm in dict.fromkeys(key[:-1] for key in rows if key[0] == task):
        _, arm, fraction = task_and_arm
        accuracy = by_seed(rows, task_and_arm, "float")
        left, operations, integers, seconds = (
            float(np.mean(list(by_seed(rows, task_and_arm, name).values())))
            for name in ("parameters", "operations", "integers", "training")
        )
        said, minus = spread(list(accuracy.values())), ""
        if arm != WHOLE and accuracy.keys() <= whole.keys():
            minus = spread([value - whole[seed] for seed, value in accuracy.items()], "+")
        lines.append(
            [
                f"{100 * fraction:g} %",
                ARMS[arm],
                f"{left:,.0f}",
                f"{operations:,.0f}",
                said,
                minus,
                f"{integers:.2f}",
                f"{seconds:.0f}",
            ]
        )
    return rows_of(head, lines)


def tables() -> str:
    """Return what was measured, task by task."""
    rows = CAMPAIGN.rows()
    text = paragraph(
        "Test accuracy is that of real numbers, with 95 % intervals over seeds; differences are from the "
        "whole network of the same seed; operations are those of a sample; time is that of the processor."
    )
    there = [task for task in TASKS if any(key[0] == task for key in rows)]
    return "\n\n".join([text, *(f"### {TASKS[task]}\n\n{table(rows, task)}" for task in there)])


if __name__ == "__main__":
    carry_out(CAMPAIGN)
    sys.stdout.write(f"{tables()}\n")
