"""One update of a training with integers by both paths: `python -m tests.benchmarks.integer_training`.

Both paths have the same graph, weights and samples and take turns in one process of one thread. Times are
those of the processor. What is believed are ratios: per turn, the time of one over the other's, their median
and its 95 % interval. Scores of the two must be equal, and their gradients are compared.
"""

import argparse
import os
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from experiments.nir_tasks import braille_fold, nmnist_part
from tests.benchmarks.training import ratio_of, times_by_turns
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.models import HrsnnShape, build_hrsnn
from toolchain.passes import Calibration, Pipeline, QuantizeGraph
from toolchain.target.registry import load_target
from toolchain.training import FitOptions, GraphNetwork
from toolchain.workflow.compile_file import compile_file

COMPILED, STEPWISE = "compiled", "step by step"
BEGIN, END = "<!-- integers: begin -->", "<!-- integers: end -->"
DATA = Path(os.environ.get("PUMICE_DATA") or Path(__file__).parents[2] / "shared" / "data")
_CONSOLE = Console(width=110)


@dataclass(frozen=True)
class Case:
    """What one update learns from.

    Attributes:
        graph: Float graph.
        fixed: Its integers.
        x: Samples `[batch, time, *features]`.
        labels: Their classes.
    """

    graph: Graph
    fixed: Graph
    x: Tensor
    labels: Tensor

    @classmethod
    def of(cls, graph: Graph, fixed: Graph, samples: Stimulus, count: int) -> "Case":
        """Return a case of the first samples."""
        assert samples.labels is not None
        (values,) = samples.values.values()
        x = torch.from_numpy(np.asarray(values[:count], np.float32))
        return cls(graph, fixed, x, torch.from_numpy(samples.labels[:count].astype(np.int64)))


def braille(data: Path) -> Case:
    """Return the recurrent network of the NIR paper that reads Braille: 12 channels, 38 and 7 neurons."""
    samples = braille_fold(data, 0).take(slice(0, 64))
    built = compile_file(
        data / "nir" / "braille_zero.nir", convention="snntorch", reset="zero", stimulus=samples
    )
    return Case.of(built.float_graph, built.fixed_graph, samples, 64)


def nmnist(data: Path) -> Case:
    """Return the convolutional network of the NIR paper that reads digits of an event camera."""
    samples = nmnist_part(data, slice(0, 16))
    built = compile_file(
        data / "nir" / "nmnist_sinabs.nir",
        convention="sinabs",
        reset="zero",
        stimulus=samples.take(slice(0, 4)),
    )
    return Case.of(built.float_graph, built.fixed_graph, samples, 16)


def recurrent(neurons: int = 256, steps: int = 100, samples: int = 32) -> Case:
    """Return a random recurrent network, 10 % of whose synapses exist, and noise of 10 classes."""
    rng = np.random.default_rng(0)
    shape = HrsnnShape(channels=64, classes=10, neurons=neurons)
    graph = from_torch(build_hrsnn(shape, rng))
    noise = Stimulus({"input": rng.random((samples, steps, 64)) < 0.1}, rng.integers(0, 10, samples))
    trace = load_target("emulator").build(graph).run(noise, record=QUANTITIES)
    calibration = Calibration.observe(graph, noise, trace)
    fixed = Pipeline((QuantizeGraph(steps=steps, calibration=calibration),))(graph)
    return Case.of(graph, fixed, noise, samples)


CASES: dict[str, Callable[[Path], Case]] = {
    "Braille, recurrent": braille,
    "N-MNIST, convolutions": nmnist,
    "random, 256 neurons, recurrent": lambda _: recurrent(),
}
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "Braille, recurrent": ("nir/braille_zero.nir", "braille/encoded_val_0.npz"),
    "N-MNIST, convolutions": ("nir/nmnist_sinabs.nir", "nmnist/nmnist_train_1000.zip"),
}


class IntegerUpdate:
    """Updates by one path.

    Args:
        case: What is learnt.
        compiled: Whether in compiled loops.
    """

    def __init__(self, case: Case, *, compiled: bool) -> None:
        self._case = case
        self.network = GraphNetwork(case.graph, case.fixed, precision=torch.float32)
        self.network.compiled = compiled
        # Weights stay, so that neurons spike as often in either path.
        self._optimizer = FitOptions(1, 1, 0.0).build(self.network)

    def backward(self) -> Tensor:
        """Compute gradients, and return the scores."""
        self._optimizer.zero_grad()
        scores = self.network(self._case.x).scores
        nn.functional.cross_entropy(scores, self._case.labels).backward()
        return scores.detach()

    def update(self) -> None:
        """Learn once."""
        self.backward()
        self._optimizer.step()
        self.network.hold_in_range()

    def gradients(self) -> dict[str, Tensor]:
        """Return the last gradients by parameter."""
        return {
            name: each.grad.clone() for name, each in self.network.named_parameters() if each.grad is not None
        }


def difference(learners: Mapping[str, IntegerUpdate]) -> float:
    """Return how far gradients of the two paths are apart, in units of the largest of each parameter.

    Raises:
        ValueError: The two compute other scores.
    """
    scores = {name: learner.backward() for name, learner in learners.items()}
    if not torch.equal(scores[COMPILED], scores[STEPWISE]):
        raise ValueError("the two paths compute other scores")
    got, expected = learners[COMPILED].gradients(), learners[STEPWISE].gradients()
    apart = [0.0]
    for name, gradient in expected.items():
        if gradient.any():
            apart.append(float((got[name] - gradient).abs().max() / gradient.abs().max()))
    return max(apart)


def measure(case: Case, turns: int) -> dict[str, Any]:
    """Time both paths by turns."""
    learners = {
        name: IntegerUpdate(case, compiled=compiled)
        for name, compiled in ((COMPILED, True), (STEPWISE, False))
    }
    apart = difference(learners)
    times = times_by_turns(learners, turns, time.process_time)
    return {
        "samples": len(case.x),
        "steps": case.x.shape[1],
        "ms": {name: 1e3 * float(np.median(own)) for name, own in times.items()},
        "ratio": ratio_of(times[STEPWISE], times[COMPILED]),
        "difference": apart,
    }


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the figures in Markdown."""
    lines = [
        f"| network | samples x steps | {COMPILED}, ms | {STEPWISE}, ms | times as long | gradients apart |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        ratio, low, high = row["ratio"]
        lines.append(
            f"| {name} | {row['samples']} x {row['steps']} | {row['ms'][COMPILED]:,.1f} | "
            f"{row['ms'][STEPWISE]:,.1f} | {ratio:.1f} ({low:.1f} to {high:.1f}) | {row['difference']:.0e} |"
        )
    said = (
        "Milliseconds are those of the processor, one thread, on a machine that may do other work; only the "
        f"ratios count. torch {torch.__version__}."
    )
    return "\n".join((*lines, "", *textwrap.wrap(said, 100)))


def write_table(page: Path, text: str) -> None:
    """Write a text between the two marks of a page."""
    content = page.read_text(encoding="utf-8")
    head, tail = content[: content.index(BEGIN) + len(BEGIN)], content[content.index(END) :]
    page.write_text(f"{head}\n{text}\n{tail}", encoding="utf-8")


def main() -> None:
    """Measure and print, or write into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of networks and recordings by others")
    parser.add_argument("--page", type=Path, help="page whose table is written anew")
    parser.add_argument("--turns", type=int, default=9, help="turns of each path")
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES), help="some of them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[str, Any]] = {}
    for name in options.only:
        missing = [part for part in _NEEDS.get(name, ()) if not (options.data / part).exists()]
        if missing:
            parser.error(
                f"'{options.data}' holds no {missing[0]}; give its folder as --data, or others as --only"
            )
        rows[name] = measure(CASES[name](options.data), options.turns)
    _CONSOLE.print(table(rows), markup=False)
    if options.page is not None:
        write_table(options.page, table(rows))


if __name__ == "__main__":
    main()
