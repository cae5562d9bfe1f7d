"""What pruning channels saves while a network trains: `python -m tests.benchmarks.channel_training`.

The network and its options are those of the study of channel pruning: digits, four convolutions, strict
masks. Every seed is a process of its own.
Three trainings take turns epoch by epoch in one process, each in a thread of its own that waits for its turn:
neurons step by step in PyTorch and all channels computed, as before there were compiled loops; compiled loops
and all channels; compiled loops and living channels. Times are those of the processor, on one core.
"""

import argparse
import json
import multiprocessing
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from toolchain.data import as_pictures, load_digits
from toolchain.models import POOL, FeedForward, VggShape, build_vgg, integration
from toolchain.progress import no_progress
from toolchain.pruning import ChannelPruning, Masking, ScaOptions
from toolchain.training import Callback, FitOptions, Optimizer, Position, ScoreModel, fit

CONTENDERS = ("step by step, all channels", "compiled, all channels", "compiled, living channels")
SHOWN = (2, 4, 6, 8)
"""Epochs after which weights are compared."""
BEGIN, END = "<!-- channels: begin -->", "<!-- channels: end -->"


class EnoughError(Exception):
    """Ends a training early."""


class Turns:
    """Lets several threads go on one after the other, one epoch at a time."""

    def __init__(self, count: int) -> None:
        self._waiting, self._turn = list(range(count)), 0
        self._change = threading.Condition()

    def wait(self, number: int) -> None:
        with self._change:
            self._change.wait_for(lambda: self._waiting[self._turn % len(self._waiting)] == number)

    def pass_on(self, number: int, *, leaves: bool = False) -> None:
        with self._change:
            if leaves:
                self._waiting.remove(number)
            else:
                self._turn += 1
            self._turn %= max(len(self._waiting), 1)
            self._change.notify_all()


class Clock(Callback):
    """Notes the seconds of every epoch, and gives way to the others after each."""

    def __init__(self, turns: Turns, number: int, stop: int) -> None:
        self.seconds: list[float] = []
        self.weights: list[list[torch.Tensor]] = []
        self._stop = stop
        self._turns, self._number, self._since = turns, number, 0.0

    def stand_in(self, network: ScoreModel, at: Position) -> ScoreModel:
        if at.step == 1:
            self._turns.wait(self._number)
            # One switch for all: whoever has the turn is the only one that computes.
            integration.loops_obstacle = (lambda _: "asked") if self._number == 0 else _OBSTACLE
            self._since = time.thread_time()
        return network

    def after_epoch(self, network: torch.nn.Module, epoch: int) -> None:
        self.seconds.append(time.thread_time() - self._since)
        self.weights.append([parameter.detach().clone() for parameter in network.parameters()])
        self._turns.pass_on(self._number)
        if epoch == self._stop:
            raise EnoughError


_OBSTACLE: Callable[[torch.Tensor], str | None] = integration.loops_obstacle


def train(number: int, turns: Turns, epochs: int, kind: torch.dtype, seed: int, stop: int) -> dict[str, Any]:
    """Train one network beside the others; return what came out."""
    pictures = as_pictures(load_digits(0.3, 0))
    shape = VggShape(plan=(64, 64, POOL, 128, 128, POOL), image=(1, 8, 8))
    network: FeedForward = build_vgg(shape, torch.Generator().manual_seed(seed)).to(kind)
    options = ScaOptions(sparsity=0.75, masking=Masking.STRICT, seed=seed)
    pruning = ChannelPruning(network, options, compute_pruned=number < 2)
    clock = Clock(turns, number, stop)
    training = FitOptions(epochs, 32, 0.05, gradient_clip=float("inf"), optimizer=Optimizer.SGD, device="cpu")
    try:
        fit(
            network,
            pictures.train,
            pictures.train_labels,
            training,
            seed=seed,
            callbacks=(pruning, clock),
            progress=no_progress,
        )
    except EnoughError:
        pass
    finally:
        turns.pass_on(number, leaves=True)
    with torch.inference_mode():
        guesses = network(torch.from_numpy(pictures.test).to(kind)).scores.argmax(1).numpy()
    return {
        "seconds": clock.seconds,
        "weights": clock.weights,
        "masks": pruning.masks,
        "accuracy": 100 * float(np.mean(guesses == pictures.test_labels)),
    }


def race(
    numbers: tuple[int, ...], epochs: int, kind: torch.dtype, seed: int, stop: int = 0
) -> list[dict[str, Any]]:
    """Train several networks by turns."""
    turns, results = Turns(3), [dict[str, Any]() for _ in CONTENDERS]
    for number in {0, 1, 2} - set(numbers):
        turns.pass_on(number, leaves=True)
    threads = [
        threading.Thread(target=lambda k=k: results[k].update(train(k, turns, epochs, kind, seed, stop)))
        for k in numbers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    integration.loops_obstacle = _OBSTACLE
    return [results[k] for k in numbers]


def measure(seed: int, epochs: int, kind: str) -> dict[str, Any]:
    """Train the three networks of a seed; return seconds by epoch, accuracies and living channels.

    Args:
        seed: Seed of weights, order and pruning.
        epochs: Epochs of each.
        kind: Type of the numbers.
    """
    torch.set_num_threads(1)
    race((0, 1, 2), 2, getattr(torch, kind), seed)
    rows = race((0, 1, 2), epochs, getattr(torch, kind), seed)
    return {
        "seed": seed,
        "seconds": [row["seconds"] for row in rows],
        "accuracy": [row["accuracy"] for row in rows],
        "channels": [[int(mask.sum()) for mask in row["masks"].values()] for row in rows],
    }


def distances(seed: int, epochs: int) -> list[float]:
    """Return how far weights of the second and third are apart after each epoch, in double precision."""
    masked, living = race((1, 2), epochs, torch.float64, seed, stop=min(max(SHOWN), epochs))
    return [
        max(float((a - b).abs().max()) for a, b in zip(*weights, strict=True))
        for weights in zip(masked["weights"], living["weights"], strict=True)
    ]


def sentences(seeds: list[dict[str, Any]], apart: list[float]) -> str:
    """Return a table of all seeds, and a sentence about rounding."""
    seconds = np.array([each["seconds"] for each in seeds])
    accuracy = np.array([each["accuracy"] for each in seeds])
    first, last, whole = seconds[:, :, 0], seconds[:, :, -5:].mean(2), seconds.sum(2)
    lines = [
        "| | first epoch | last five, mean | first / last | all epochs | faster | accuracy, % | channels |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for k, name in enumerate(CONTENDERS):
        living = np.mean([sum(each["channels"][k]) for each in seeds])
        lines.append(
            f"| {name} | {first[:, k].mean():.2f} s | {last[:, k].mean():.2f} s "
            f"| {_spread(first[:, k] / last[:, k])} | {whole[:, k].mean():.1f} s "
            f"| {_spread(whole[:, 0] / whole[:, k])} | {_spread(accuracy[:, k])} | {living:.0f} |"
        )
    shown = ", ".join(f"{apart[epoch - 1]:.0e} after {epoch}" for epoch in SHOWN if epoch <= len(apart))
    said = (
        f"Mean of {len(seeds)} seeds, lowest and highest in brackets; {seconds.shape[2]} epochs each. In "
        "double precision the largest difference between a weight of the second and of the third (seed 0) is "
        f"{shown} epochs: rounding, which training makes larger until a spike differs."
    )
    return "\n".join((*lines, "", *textwrap.wrap(said, 100)))


def _spread(values: np.ndarray[Any, Any]) -> str:
    return f"{values.mean():.2f} ({values.min():.2f} .. {values.max():.2f})"


def main() -> None:
    """Measure and print, or write into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="seeds that are trained at the same time")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--page", type=Path, help="page whose part between the two marks is written")
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    arguments = parser.parse_args()
    work = partial(measure, epochs=arguments.epochs, kind=arguments.dtype)
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        apart = pool.submit(distances, 0, arguments.epochs)
        seeds = list(pool.map(work, range(arguments.seeds)))
        text = sentences(seeds, apart.result())
    Console(width=110).print(text, markup=False)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(seeds), encoding="utf-8")
    if arguments.page is not None:
        page = arguments.page.read_text(encoding="utf-8")
        head, tail = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
        arguments.page.write_text(f"{head}\n{text}\n{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
