"""How long the demo trains and how well, in compiled loops and step by step.

`python -m tests.benchmarks.demo_training`: with every seed, the network of the demo is trained as built and
pruned, by both paths in turn, from the same weights and with the same order of samples. Seconds are those of
the processor.
"""

import argparse
import copy
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from tests.benchmarks.training import machine, ratio_of
from tests.small_run import recurrent_of
from toolchain.models import Network
from toolchain.progress import no_progress
from toolchain.training import fit
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.prepare import fit_options, load_data
from toolchain.workflow.prune import prune_stage
from toolchain.workflow.sections.pruning import SynapsePruning
from toolchain.workflow.untrained import untrained_network

PATHS = {"compiled loops": True, "step by step": False}
NETWORKS = ("as built", "pruned")
_CONSOLE = Console(width=110)


def measure(seed: int, epochs: int | None, threads: int, jobs: int) -> list[dict[str, Any]]:
    """Train both networks of one seed by both paths; return seconds and held-out accuracy of each.

    Args:
        seed: Seed of everything.
        epochs: Other than the demo's.
        threads: Cores and threads, no one else's where the machine has enough of them.
        jobs: How many of these run at once.
    """
    cores = sorted(os.sched_getaffinity(0))
    first = threads * (seed % jobs)
    os.sched_setaffinity(0, cores[first : first + threads] or cores)
    torch.set_num_threads(threads)
    experiment = Experiment(seed=seed)
    assert isinstance(experiment.pruning, SynapsePruning)
    encoded = load_data(experiment)
    train, test = encoded.train, encoded.test
    with tempfile.TemporaryDirectory() as folder:
        pruned = prune_stage(experiment, experiment.pruning, Path(folder), encoded).network
    rows: list[dict[str, Any]] = []
    for name, network in zip(
        NETWORKS, (recurrent_of(untrained_network(experiment, encoded)), pruned), strict=True
    ):
        for compiled in PATHS.values():
            # Code is compiled before anything is measured.
            learner: Network = copy.deepcopy(network)
            learner.compiled = compiled
            few = slice(0, 2 * experiment.training.batch_size)
            options = fit_options(experiment, 1)
            fit(learner, train[few], encoded.data.train.labels[few], options, seed=seed, progress=no_progress)
        # Which path comes first changes, so that what else the machine does hits both.
        for path in sorted(PATHS, reverse=bool(seed % 2)):
            learner = copy.deepcopy(network)
            learner.compiled = PATHS[path]
            options = fit_options(experiment, epochs)
            started = time.process_time()
            fit(learner, train, encoded.data.train.labels, options, seed=seed, progress=no_progress)
            seconds = time.process_time() - started
            with torch.inference_mode():
                chosen = learner.scores(torch.from_numpy(test)).argmax(dim=1).numpy()
            accuracy = 100 * float(np.mean(chosen == encoded.data.test.labels))
            rows.append(
                {"seed": seed, "network": name, "path": path, "seconds": seconds, "accuracy": accuracy}
            )
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print means and spreads over seeds, and the ratio of the times."""
    table = Table(title=f"the demo's training, {len(rows) // 4} seeds", title_justify="left")
    for name in ("network", "path", "seconds", "times compiled", "95 %", "held-out accuracy", "spread"):
        table.add_column(name, justify="right" if name not in {"network", "path"} else "left")
    for network in NETWORKS:
        times = {path: _values(rows, network, path, "seconds") for path in PATHS}
        for path in PATHS:
            ratio, low, high = ratio_of(times[path], times["compiled loops"])
            accuracies = _values(rows, network, path, "accuracy")
            spread = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0
            table.add_row(
                network,
                path,
                f"{np.median(times[path]):.1f}",
                f"{ratio:.2f}",
                f"{low:.2f} .. {high:.2f}",
                f"{np.mean(accuracies):.2f} %",
                f"{spread:.2f}",
            )
    _CONSOLE.print(table)


def _values(rows: Sequence[dict[str, Any]], network: str, path: str, key: str) -> list[float]:
    return [row[key] for row in rows if row["network"] == network and row["path"] == path]


def main() -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="other than the demo's")
    parser.add_argument("--threads", type=int, default=1, help="cores and threads of each")
    parser.add_argument("--jobs", type=int, default=1, help="seeds that are trained at the same time")
    options = parser.parse_args()
    work = partial(measure, epochs=options.epochs, threads=options.threads, jobs=options.jobs)
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        for own in pool.map(work, range(options.seeds)):
            rows += own
            show(rows)
    if options.output is not None:
        document = {"machine": machine(options.threads, "cpu", options.jobs), "rows": rows}
        options.output.write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
