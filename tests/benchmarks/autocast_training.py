"""What bfloat16 costs in accuracy and saves in time: `python -m tests.benchmarks.autocast_training`.

Two networks learn handwritten digits with and without `FitOptions.autocast`, from the same weights and with
the same order of samples: the convolutions of the study of channel pruning, and the recurrent network of the
demo before it is pruned. Accuracy is that of the network in float32, on the held-out images, whatever it was
trained in. Trainings run side by side in processes of their own; times are measured afterwards, alone and by
turns.
"""

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from scipy import stats

from tests.benchmarks.training import machine, ratio_of, times_by_turns
from toolchain.data import Encoding, as_pictures, encode, load_digits
from toolchain.models import (
    POOL,
    FeedForward,
    HrsnnShape,
    Network,
    Readout,
    VggShape,
    build_hrsnn,
    build_vgg,
)
from toolchain.progress import no_progress
from toolchain.training import Autocast, FitOptions, Optimizer, fit

SIZES = (32, 512)
"""Samples of the updates that are timed; the first is what the networks are trained with."""
_UPDATES = 4
_TURNS = 7
_CONSOLE = Console(width=110)


@dataclass(frozen=True)
class Task:
    """What is learnt.

    Attributes:
        network: What learns.
        options: How.
        train: Samples to learn from.
        train_labels: Their classes.
        test: Samples to judge by.
        test_labels: Their classes.
    """

    network: FeedForward | Network
    options: FitOptions
    train: NDArray[Any]
    train_labels: NDArray[np.int64]
    test: NDArray[Any]
    test_labels: NDArray[np.int64]


def convolutions(seed: int) -> Task:
    """Return the task of the study of channel pruning at full width."""
    pictures = as_pictures(load_digits(0.3, 0))
    shape = VggShape(plan=(64, 64, POOL, 128, 128, POOL), image=(1, 8, 8))
    network = build_vgg(shape, torch.Generator().manual_seed(seed))
    options = FitOptions(30, 32, 0.05, gradient_clip=float("inf"), optimizer=Optimizer.SGD)
    return Task(network, options, pictures.train, pictures.train_labels, pictures.test, pictures.test_labels)


def recurrent(seed: int) -> Task:
    """Return the task of the demo before it prunes; its random numbers are others."""
    images = load_digits(0.3, 0)
    rng = np.random.default_rng(seed)
    train, test = (encode(part, Encoding.RATE, 16, rng=rng) for part in (images.train, images.test))
    shape = HrsnnShape(
        channels=train.shape[-1],
        classes=len(images.classes),
        density=0.6,
        input_density=0.2,
        readout_tau_ms=100.0,
    )
    network = build_hrsnn(shape, rng, readout=Readout.LAST_V)
    for name in network.layers:
        network.layer(name).slope = 2.0
    options = FitOptions(30, 32, 0.005, label_smoothing=0.1)
    return Task(network, options, train, images.train_labels, test, images.test_labels)


TASKS: dict[str, Callable[[int], Task]] = {"convolutions": convolutions, "recurrent": recurrent}


def accuracy(name: str, autocast: Autocast, seed: int, device: str, epochs: int | None) -> float:
    """Train one network, and return its accuracy in float32 on the held-out images, in percent."""
    torch.set_num_threads(1)
    task = TASKS[name](seed)
    options = replace(task.options, autocast=autocast, device=device)
    options = options if epochs is None else replace(options, epochs=epochs)
    fit(task.network, task.train, task.train_labels, options, seed=seed, progress=no_progress)
    with torch.inference_mode():
        guesses = task.network(torch.from_numpy(task.test)).scores.argmax(1).numpy()
    return 100 * float(np.mean(guesses == task.test_labels))


def accuracies(seeds: int, device: str, epochs: int | None, jobs: int) -> Iterator[dict[str, Any]]:
    """Train all networks, several at a time, and yield what came out as it does."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawned) as pool:
        # The recurrent ones take longest.
        keys = list(product(range(seeds), sorted(TASKS, reverse=True), Autocast))
        waiting = {
            pool.submit(accuracy, name, autocast, seed, device, epochs): (seed, name, autocast)
            for seed, name, autocast in keys
        }
        for done in as_completed(waiting):
            seed, name, autocast = waiting[done]
            yield {"network": name, "autocast": autocast.value, "seed": seed, "accuracy": done.result()}


class TimedUpdates:
    """A few updates by `fit`.

    Args:
        task: What is learnt.
        autocast: In which precision.
        size: Samples of an update.
        device: Where.
    """

    def __init__(self, task: Task, autocast: Autocast, size: int, device: str) -> None:
        self._task = task
        # Weights stay, so that neurons spike as often in either precision.
        still = replace(task.options, epochs=1, batch_size=size, learning_rate=0.0)
        self._options = replace(still, autocast=autocast, device=device)
        rows = np.arange(_UPDATES * size) % len(task.train)
        self._samples, self._labels = task.train[rows], task.train_labels[rows]

    def update(self) -> None:
        """Learn from some batches."""
        fit(self._task.network, self._samples, self._labels, self._options, seed=0, progress=no_progress)


def times(device: str, turns: int) -> Iterator[dict[str, Any]]:
    """Time the updates of both networks in both precisions by turns."""
    for name, size in product(sorted(TASKS), SIZES):
        learners = {each.value: TimedUpdates(TASKS[name](0), each, size, device) for each in Autocast}
        own = times_by_turns(learners, turns)
        whole, half = own[Autocast.OFF.value], own[Autocast.BFLOAT16.value]
        yield {
            "network": name,
            "batch": size,
            "ms": {each: 1e3 * float(np.median(values)) / _UPDATES for each, values in own.items()},
            "faster": ratio_of(whole, half),
        }


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and half of Student's 95 % interval of it."""
    count = len(values)
    if count < 2:
        return float(np.mean(values)), float("nan")
    half = stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count)
    return float(np.mean(values)), float(half)


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return accuracies by network and precision, their means, and the paired difference."""
    result: dict[str, Any] = {}
    for name in sorted(TASKS):
        arms = {
            each.value: [
                row["accuracy"]
                for row in sorted(rows, key=lambda row: row["seed"])
                if (row["network"], row["autocast"]) == (name, each.value)
            ]
            for each in Autocast
        }
        change = np.subtract(arms[Autocast.BFLOAT16.value], arms[Autocast.OFF.value]).tolist()
        result[name] = {
            "accuracies": arms,
            "means": {each: interval(values) for each, values in arms.items()},
            "change": interval(change),
        }
    return result


def show(summed: Mapping[str, Any], timed: Sequence[Mapping[str, Any]]) -> None:
    """Print what came out."""
    for name, row in summed.items():
        for each, values in row["accuracies"].items():
            mean, half = row["means"][each]
            shown = " ".join(f"{value:.2f}" for value in values)
            _CONSOLE.print(f"{name}, {each}: {shown} %; mean {mean:.2f} ± {half:.2f}")
        change, half = row["change"]
        _CONSOLE.print(f"{name}: bfloat16 changes it by {change:+.2f} ± {half:.2f} points, paired over seeds")
    for row in timed:
        ratio, low, high = row["faster"]
        own = ", ".join(f"{each} {value:.2f} ms" for each, value in row["ms"].items())
        _CONSOLE.print(
            f"{row['network']}, {row['batch']} samples an update: {own}; "
            f"bfloat16 is {ratio:.2f} times as fast ({low:.2f} to {high:.2f})"
        )


def main() -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="other than 30")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--jobs", type=int, default=min(10, os.cpu_count() or 1), help="trainings at a time")
    parser.add_argument("--turns", type=int, default=_TURNS, help="turns of each when times are measured")
    options = parser.parse_args()
    torch.set_num_threads(min(options.jobs, torch.get_num_threads()))
    rows: list[dict[str, Any]] = []
    for row in accuracies(options.seeds, options.device, options.epochs, options.jobs):
        rows.append(row)
        _CONSOLE.print(f"seed {row['seed']}, {row['network']}, {row['autocast']}: {row['accuracy']:.2f} %")
    there = "cuda" if options.device != "cpu" and torch.cuda.is_available() else "cpu"
    measured = machine(torch.get_num_threads(), there, options.jobs)
    document: dict[str, Any] = {"machine": measured, "accuracy": summary(rows)}
    document["times"] = list(times(options.device, options.turns)) if options.turns else []
    show(document["accuracy"], document["times"])
    if options.output is not None:
        options.output.write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
