"""Thousands of random graphs on the emulator: `python -m tests.parity.sweep KIND COUNT`, or `make sweep`.

Every graph is compared with the reference, `==`, in several ways of cutting the stimulus into
samples, blocks of steps and threads. They run in child processes, which say the graph that they are about to
run: one that ends its process is known by its seed, and the sweep goes on after it.
"""

import argparse
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from targets.emulator.program import Cut, EmulatorProgram
from targets.emulator.target import EmulatorTarget
from tests.image_graphs import ImageRecipe, random_image_recipe, random_images, random_stimuli_of_pictures
from tests.random_graphs import random_fixed, random_recipe, random_stimuli
from tests.real_graphs import in_reals, uneven
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph, print_graph

_CHUNK = 200
_CUTS = 3
_BEGINS, _DIFFERS = "begins", "differs"


Made = tuple[Graph, Mapping[str, NDArray[Any]]]
"""A graph and what its inputs get."""


@dataclass
class Verdict:
    """What a sweep found.

    Attributes:
        graphs: How many were tried.
        differences: Seed and text of each that differs.
        deaths: Seed and exit status of each that ended its process.
    """

    graphs: int = 0
    differences: list[tuple[int, str]] = field(default_factory=list)
    deaths: list[tuple[int, int]] = field(default_factory=list)


def _wide_images(rng: np.random.Generator) -> Made:
    return _pictured(random_image_recipe(rng, wide=True), rng)


def _images(rng: np.random.Generator) -> Made:
    return _pictured(random_image_recipe(rng), rng)


def _pictured(recipe: ImageRecipe, rng: np.random.Generator) -> Made:
    samples, steps = int(rng.integers(1, 4)), int(rng.integers(1, 7))
    return random_images(recipe), random_stimuli_of_pictures(recipe, samples, steps)


def _integers(rng: np.random.Generator) -> Made:
    recipe = random_recipe(rng)
    return random_fixed(recipe), random_stimuli(
        recipe, int(rng.choice([1, 2, 3, 9])), int(rng.integers(1, 21))
    )


def _reals(rng: np.random.Generator) -> Made:
    """Every second of images; sums depend on their order, and a third of the graphs delays every element."""
    graph, stimuli = _images(rng) if rng.random() < 0.5 else _integers(rng)
    return uneven(in_reals(graph), rng, longest=int(rng.choice([0, 0, 5]))), stimuli


KINDS: dict[str, Callable[[np.random.Generator], Made]] = {
    "wide-images": _wide_images,
    "images": _images,
    "integers": _integers,
    "reals": _reals,
}


def check_seed(kind: str, seed: int) -> str | None:
    """Return how the emulator differs from the reference on one graph, or None."""
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    graph, stimulus = KINDS[kind](rng)
    expected = reference.run(graph, stimulus)
    program = EmulatorTarget().build(graph)
    samples, steps = next(iter(expected.spikes.values())).shape[:2]
    for cut in itertools.chain([program.cut(samples, steps)], _cuts(rng, samples, steps)):
        with patch.object(EmulatorProgram, "cut", lambda *_, cut=cut: cut):
            torch.set_num_threads(cut.workers if cut.workers > 1 else int(rng.integers(1, 4)))
            mismatch = first_mismatch(expected, program.run(stimulus, record=QUANTITIES))
        if mismatch is not None:
            return f"{cut}: {mismatch}\n{print_graph(graph)}"
    return _stepped(program, stimulus, expected)


def _cuts(rng: np.random.Generator, samples: int, steps: int) -> Iterator[Cut]:
    for _ in range(_CUTS):
        yield Cut(int(rng.integers(1, samples + 1)), int(rng.integers(1, steps + 1)), int(rng.integers(1, 4)))


def _stepped(program: EmulatorProgram, stimulus: Mapping[str, NDArray[Any]], expected: Trace) -> str | None:
    """Step by hand, and once more after a reset."""
    samples, steps = next(iter(stimulus.values())).shape[:2]
    session = program.session(samples)
    for turn in range(2):
        for t in range(steps):
            for name, spikes in session.step({x: values[:, t] for x, values in stimulus.items()}).items():
                if not np.array_equal(spikes, expected.spikes[name][:, t]):
                    return f"session, turn {turn}: {name} at step {t}"
        session.reset()
    return None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _child(kind: str, first: int, stop: int) -> None:
    for seed in range(first, stop):
        _say(f"{_BEGINS} {seed}")
        difference = check_seed(kind, seed)
        if difference is not None:
            _say(f"{_DIFFERS} {seed} {difference!r}")


def _run_chunk(kind: str, first: int, stop: int) -> Verdict:
    """Run some seeds in children; after a death go on behind it."""
    verdict = Verdict()
    while first < stop:
        command = [sys.executable, "-m", "tests.parity.sweep", kind, "--child", str(first), str(stop)]
        child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        seed = first
        for line in child.stdout.splitlines():
            word, number, *rest = line.split(maxsplit=2)
            seed = int(number)
            if word == _DIFFERS:
                verdict.differences.append((seed, rest[0]))
        if child.returncode == 0:
            verdict.graphs += stop - first
            break
        verdict.deaths.append((seed, child.returncode))
        verdict.graphs += seed + 1 - first
        first = seed + 1
    return verdict


def sweep(kind: str, count: int, *, first: int = 0, processes: int = 2) -> Verdict:
    """Compare `count` graphs with the reference and return what was found."""
    total = Verdict()
    chunks = [
        (kind, start, min(start + _CHUNK, first + count)) for start in range(first, first + count, _CHUNK)
    ]
    with ThreadPoolExecutor(processes) as pool:
        for verdict in pool.map(lambda chunk: _run_chunk(*chunk), chunks):
            total.graphs += verdict.graphs
            total.differences += verdict.differences
            total.deaths += verdict.deaths
    return total


def main() -> None:
    """Sweep, print what was found, and fail if there was anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("count", type=int, nargs="?", default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(options.kind, *options.child)
        return
    verdict = sweep(options.kind, options.count, first=options.first, processes=options.processes)
    for seed, text in verdict.differences:
        _say(f"seed {seed} differs: {text}")
    for seed, status in verdict.deaths:
        _say(f"seed {seed} ended its process with status {status}")
    _say(
        f"{options.kind}: {verdict.graphs} graphs, {len(verdict.differences)} differences, "
        f"{len(verdict.deaths)} deaths"
    )
    sys.exit(bool(verdict.differences or verdict.deaths))


if __name__ == "__main__":
    main()
