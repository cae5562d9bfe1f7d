"""Random graphs of every neuron on Lava and ONNX: `python -m tests.parity.neuron_sweep PLACE COUNT`.

In each, what a spike does differs from population to population: every reset, refractory periods, adaptive
thresholds, several spikes a step. Integers are compared with the reference by `==`, real numbers to 1e-9 with
equal spikes. A batch of graphs is known by its seed; on Lava they share a simulation.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from targets.lava.runtime.models import Models
from targets.lava.target import LavaTarget
from targets.onnx.target import OnnxTarget
from tests.exactness import Case, check_on_lava
from tests.graphs import union
from tests.image_graphs import ImageRecipe, random_image_recipe, random_images, random_stimuli_of_pictures
from tests.random_graphs import Recipe, random_fixed, random_recipe, random_stimuli
from tests.real_graphs import check_close, in_reals
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph
from toolchain.target.protocol import Target

_BATCH: Final = 8
_OURS: Final = (Models.MIXED, Models.LAYERS)
"""Lava's own processes have none of these neurons."""

Stimuli = Mapping[str, NDArray[Any]]


def _graphs(rng: np.random.Generator) -> tuple[list[Recipe], Callable[[Recipe], tuple[Graph, Stimuli]]]:
    steps = int(rng.choice([1, 3, 8, 20]))
    recipes = [replace(random_recipe(rng), firing=True) for _ in range(_BATCH)]
    return recipes, lambda recipe: (random_fixed(recipe), random_stimuli(recipe, 2, steps))


def _images(
    rng: np.random.Generator,
) -> tuple[list[ImageRecipe], Callable[[ImageRecipe], tuple[Graph, Stimuli]]]:
    steps = int(rng.choice([1, 3, 6]))
    recipes = [replace(random_image_recipe(rng), firing=True) for _ in range(_BATCH)]
    return recipes, lambda recipe: (random_images(recipe), random_stimuli_of_pictures(recipe, 2, steps))


def _check_reals(cases: Sequence[tuple[Graph, Stimuli]], place: Target) -> None:
    graph = union([in_reals(graph) for graph, _ in cases])
    stimuli = {f"g{i}-{name}": x for i, (_, each) in enumerate(cases) for name, x in each.items()}
    expected = reference.run(graph, stimuli)
    check_close(expected, place.build(graph).run(stimuli, record=QUANTITIES))


def _on_onnx(cases: Sequence[tuple[Graph, Stimuli]]) -> None:
    for graph, stimuli in cases:
        mismatch = first_mismatch(
            reference.run(graph, stimuli), OnnxTarget().build(graph).run(stimuli, record=QUANTITIES)
        )
        assert mismatch is None, str(mismatch)


def check_batch(place: str, seed: int) -> None:
    """Run a batch of graphs; every third is of images, and every third of real numbers."""
    rng = np.random.default_rng([seed, 7])
    drawn, make = _images(rng) if seed % 3 == 1 else _graphs(rng)
    recipes: list[Any] = [*drawn]
    made: Callable[[Any], tuple[Graph, Stimuli]] = make
    cases = [Case(recipe, *made(recipe)) for recipe in recipes]
    whole = [(case.graph, case.stimuli) for case in cases]
    if place == "onnx" and seed % 3 == 2:
        _check_reals(whole, OnnxTarget())
    elif place == "onnx":
        _on_onnx(whole)
    elif seed % 3 == 2:
        for models in _OURS:
            runnable = [(case.graph, case.stimuli) for case in cases if case.runs_on(models)]
            _check_reals(runnable, LavaTarget(models=models))
    else:
        check_on_lava(recipes, made, _OURS)


def _verdicts(place: str, seeds: range) -> Iterator[tuple[bool, str]]:
    for seed in seeds:
        try:
            check_batch(place, seed)
        except Exception as error:  # noqa: BLE001 - whatever is raised is a bug to be shown with its seed
            yield False, f"batch {seed} differs: {error!r}"
        else:
            yield True, f"batch {seed} is equal"


def main() -> int:
    """Run the sweep; 1 if a batch differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", choices=["lava", "onnx"])
    parser.add_argument("count", type=int, help="graphs")
    parser.add_argument("--first", type=int, default=0, help="the first batch")
    given = parser.parse_args()
    batches, different = -(-given.count // _BATCH), 0
    for equal, verdict in _verdicts(given.place, range(given.first, given.first + batches)):
        different += not equal
        sys.stdout.write(f"{verdict}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{given.place}: {batches * _BATCH} graphs, {different} batches differ\n")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
