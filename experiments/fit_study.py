"""Prune to fit against training at that size from scratch: networks that are too large for their places.

A network is trained whole, pruned to fit a place by what the place itself says, and trained on meanwhile
(`pumice prune --fit`). Beside it stands a network with as many synapses, drawn before the training, that
trains for as many epochs in all. What is reached is what `pumice check` says of the compiled run. Test
samples are looked at once, after training. Run it with `make fit-study`, or a part of it with
`--task digits --seed 0`; `--data`, or PUMICE_DATA, names the folder of published data. It writes the tables
of `docs/studies/fit.md`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
from study import Campaign, Given, Key, Row, carry_out
from study_tables import STUDIES, bullet, filled, paragraph, rows_of, with_interval, write_pages

from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import check_build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import Experiment, parse_experiment
from toolchain.workflow.firmware import check_firmware
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import prune_to_fit, train

SEEDS = 3
WHOLE, FITTED, JOINT, CHANCE = "whole", "fit", "fit_bits", "static"
ARMS = {
    WHOLE: "not pruned",
    FITTED: "pruned to fit",
    JOINT: "pruned to fit, of 4, 6 and 8 bits the best",
    CHANCE: "of that size from scratch",
}
PROCESSOR = "stm32f411"
FLASH = "flash=64 KiB"
BUDGETS = {
    "loihi2 cores=2": "2 cores of Loihi 2",
    "loihi1 cores=2": "2 cores of Loihi 1",
    FLASH: "64 KiB of flash",
}
TASKS = {"digits": "digits, row by row", "fashion": "Fashion-MNIST, row by row"}
EPOCHS = {"digits": (8, 4), "fashion": (4, 2)}
"""Epochs of the whole network, and of those in which it is pruned."""
DOCUMENTS: dict[str, dict[str, Any]] = {
    "digits": {
        "data": {"name": "sequential_digits", "validation_fraction": 0.1},
        "encoding": {"steps": 4},
        "model": {"neurons": 384},
    },
    "fashion": {
        "data": {
            "name": "fashion_mnist",
            "path": "fashion-mnist",
            "validation_fraction": 0.05,
            "train_samples": 12000,
            "test_samples": 2000,
        },
        "encoding": {"name": "direct", "steps": 1, "rows": True},
        "model": {
            "neurons": 384,
            "density": 0.6,
            "input_density": 1.0,
            "input_gain": 2.0,
            "tau_mean_ms": 8.0,
            "readout": "mean_v",
        },
        "training": {"batch_size": 64, "learning_rate": 0.005, "surrogate_slope": 5.0},
    },
}


def points(seeds: int) -> Iterator[Key]:
    """Return the points of some seeds: task, arm, budget, seed."""
    for seed in range(seeds):
        for task in TASKS:
            yield task, WHOLE, "", seed
            for budget in BUDGETS:
                for arm in (FITTED, *((JOINT,) if budget == FLASH else ()), CHANCE):
                    yield task, arm, budget, seed


def needs(key: Key) -> Sequence[Key]:
    """Return what has to be there: the whole network of a fitted one, and the fitted one of chance."""
    task, arm, budget, seed = key
    whole, fitted = (task, WHOLE, "", seed), (task, FITTED, budget, seed)
    return {WHOLE: (), FITTED: (whole,), JOINT: (whole,), CHANCE: (fitted,)}[arm]


def experiment_of(task: str, seed: int, given: Given, epochs: int, pruning: Any) -> Experiment:
    """Return what is trained."""
    document: dict[str, Any] = DOCUMENTS[task] | {"seed": seed, "pruning": pruning}
    if "path" in document["data"]:
        document["data"] = document["data"] | {"path": str(given.data / document["data"]["path"])}
    document["training"] = document.get("training", {}) | {"epochs": epochs}
    return parse_experiment(document)


def measured(key: Key, given: Given) -> Row:
    """Train, or prune to fit; compile, check and compare; return the figures."""
    task, arm, budget, seed = key
    whole, few = EPOCHS[task]
    base = given.work / f"{task}-{seed}"
    run = base if arm == WHOLE else given.work / "-".join((task, str(seed), arm, budget.replace(" ", "")))
    if arm == WHOLE:
        train(experiment_of(task, seed, given, whole, pruning=False), run)
    elif arm in {FITTED, JOINT}:
        words = [budget, *((f"profile={PROCESSOR}",) if budget == FLASH else ())]
        words += ["weight_bits=4,6,8"] if arm == JOINT else []
        prune_to_fit(base, run, " ".join(words), epochs=few)
    else:
        row = given.rows[task, FITTED, budget, seed]
        share = row["synapses"] / row["whole"]
        pruning = {"method": CHANCE, "fraction": share, "baseline": False}
        train(experiment_of(task, seed, given, whole + few, pruning), run)
    trained = TrainedRun.load(run)
    row = figures(trained, run, budget)
    if arm == CHANCE:
        rmtree(run)
    return row


def figures(trained: TrainedRun, run: Path, budget: str) -> Row:
    """Return what a run is worth, and what it takes."""
    asked = [budget] if budget else list(BUDGETS)
    builds = {each: compile_run(run, target=each.split()[0] if "cores" in each else "c") for each in asked}
    judgement = compare_build(next(iter(builds.values())))
    cost = judgement.costs[0]
    fit = trained.history.fit
    return {
        "validation": trained.history.validation,
        "float": judgement.comparison.float_accuracy,
        "integers": judgement.comparison.fixed_accuracy,
        "synapses": sum(cost.synapses.values()),
        "whole": sum(cost.synapses.values()) if fit is None else sum(each.before for each in fit.connections),
        "operations": cost.total_operations,
        "takes": {each: taken(build, each) for each, build in builds.items()},
        "asked": 0 if fit is None else len(fit.steps),
        "rounds": 0 if fit is None else sum(step.what == "after the training" for step in fit.steps),
        "bits": None if fit is None else fit.weight_bits,
        "left": {} if fit is None else {each.name: [each.before, each.after] for each in fit.connections},
    }


def taken(build: Build, budget: str) -> int:
    """Return what `pumice check` says that a build takes of a budget."""
    if "cores" in budget:
        return len(check_build(build).fit.cores)
    return check_firmware(build, PROCESSOR)[0].fit.used["flash"]


CAMPAIGN = Campaign(Path(__file__), ("task", "arm", "budget", "seed"), points, measured, needs, seeds=SEEDS)


def table(rows: Mapping[Key, Row], task: str) -> str:
    """Return the table of a task: what each arm takes, and how right it is."""
    head = ("budget", "arm", "seeds", "takes", "synapses", "operations a sample", "test, %", "integers, %")
    lines: list[list[str]] = []
    for budget, title in BUDGETS.items():
        for arm, name_of_arm in ARMS.items():
            place = "" if arm == WHOLE else budget
            mine = [row for key, row in rows.items() if key[:-1] == (task, arm, place)]
            if not mine:
                continue
            lines.append(
                [
                    title,
                    name_of_arm,
                    str(len(mine)),
                    ", ".join(f"{value:,}" for value in sorted({row["takes"][budget] for row in mine})),
                    *(f"{np.mean([row[name] for row in mine]):,.0f}" for name in ("synapses", "operations")),
                    *(with_interval([row[name] for row in mine], 2) for name in ("float", "integers")),
                ]
            )
    return rows_of(head, lines)


def in_short(rows: Mapping[Key, Row]) -> str:
    """Return what was reached, in a sentence for each task and budget."""
    lines: list[str] = []
    for (task, title), (budget, place) in product(TASKS.items(), BUDGETS.items()):
        fitted, chance, whole = (
            {key[-1]: row for key, row in rows.items() if key[:-1] == (task, arm, at)}
            for arm, at in ((FITTED, budget), (CHANCE, budget), (WHOLE, ""))
        )
        seeds = sorted(fitted.keys() & chance.keys() & whole.keys())
        if not seeds:
            continue
        most = max(fitted[seed]["takes"][budget] for seed in seeds)
        against = {
            name: with_interval([fitted[seed]["float"] - other[seed]["float"] for seed in seeds], 2, "+")
            for name, other in (("the whole network", whole), ("that size from scratch", chance))
        }
        before = min(whole[seed]["takes"][budget] for seed in seeds)
        compared = " and ".join(f"{figure} points against {name}" for name, figure in against.items())
        lines.append(
            bullet(f"{title}, {place}: takes {most:,} at most, where the whole took {before:,}; {compared}.")
        )
    return "\n".join(lines)


def study(rows: Mapping[Key, Row]) -> str:
    """Return what was measured, task by task."""
    parts: list[str] = []
    for task, title in TASKS.items():
        seeds = {key[-1] for key in rows if key[0] == task}
        if seeds:
            whole, few = EPOCHS[task]
            text = paragraph(
                f"At most {len(seeds)} seeds; {whole} epochs of the whole network and {few} in which it is "
                f"pruned, {whole + few} from scratch. What is taken is what check says of the compiled run. "
                "Test accuracy is that of real numbers, with 95 % intervals over seeds."
            )
            parts.append(f"### {title[:1].upper()}{title[1:]}\n\n{text}\n\n{table(rows, task)}")
    return "\n\n".join(parts)


def pages() -> dict[Path, str]:
    """Return the page of the study, with its tables renewed."""
    rows = CAMPAIGN.rows()
    return filled(STUDIES / "fit.md", {"in short": in_short(rows), "study": study(rows)})


if __name__ == "__main__":
    carry_out(CAMPAIGN)
    write_pages(pages())
