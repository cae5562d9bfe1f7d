"""Sweeps of seconds, and stages for workers that count what they do."""

import os
from pathlib import Path
from typing import Any

from tests.small_run import TOML
from toolchain.sweep.rows import Figures, PointRow
from toolchain.sweep.stages import PointTask, Stages, measure_point, row_of, train_point
from toolchain.sweep.sweep_file import Sweep, load_sweep, parse_sweep
from toolchain.workflow.run_folder import RUN

LOG = "log"
"""File beside the folder of a sweep in which stages write what they do."""


def small_sweep(folder: Path, grid: str, more: str = "") -> Sweep:
    """Return a sweep of networks that train in seconds, with some lines under `[grid]`."""
    (folder / "small.toml").write_text(TOML)
    file = folder / "sweep.toml"
    file.write_text(f'experiment = "small.toml"\n{more}\n[grid]\n{grid}\n')
    return load_sweep(file)


def trivial_sweep(**grid: Any) -> Sweep:
    """Return a sweep whose points nobody trains; `__` stands for the dot of a key."""
    return parse_sweep({"grid": {key.replace("__", "."): values for key, values in grid.items()}})


def logged(task: PointTask, what: str) -> None:
    """Write what a stage does in one go, whoever writes beside it."""
    with (task.place.parent / LOG).open("a", encoding="utf-8") as file:
        file.write(f"{what} {task.run_name} {task.name} {os.getpid()}\n")


def log_of(folder: Path) -> list[list[str]]:
    """Return what stages wrote beside the folder of a sweep: what, run, point, process."""
    log = folder.parent / LOG
    return [line.split() for line in log.read_text().splitlines()] if log.is_file() else []


def train_nothing(task: PointTask) -> None:
    """Leave what says that a network is trained."""
    run = task.folder.run(task.run_name)
    run.mkdir(parents=True, exist_ok=True)
    (run / RUN).touch()
    logged(task, "train")


def measure_nothing(task: PointTask) -> PointRow:
    """Say the seed for the accuracy; seed 13 fails."""
    logged(task, "measure")
    seed = task.point.experiment.seed
    if seed == 13:
        raise ValueError("the seed is 13")
    row = row_of(task, figures=Figures(fixed_accuracy=float(seed % 100)))
    task.folder.write_row(row)
    return row


def train_logged(task: PointTask) -> None:
    """Train, and write when it begins and when it has ended."""
    logged(task, "begin")
    done = task.folder.is_trained(task.run_name)
    train_point(task)
    logged(task, "found" if done else "trained")


def measure_logged(task: PointTask) -> PointRow:
    """Measure, and write that."""
    row = measure_point(task)
    logged(task, "measured")
    return row


NOTHING = Stages(train_nothing, measure_nothing)
LOGGED = Stages(train_logged, measure_logged)
