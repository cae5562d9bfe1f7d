"""Integer reference == emulator == Lava, bit for bit: u, v and spikes, every step."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, note, settings

from targets.emulator.target import EmulatorTarget
from targets.lava.job import Models
from targets.lava.target import LavaTarget
from tests.exactness import check_equal
from tests.graphs import Recipe, random_fixed, random_stimulus, recipes, union
from toolchain import reference
from toolchain.ir import print_graph

_STEPS = 12

_PLAIN = Recipe()
_BIASED = Recipe(seed=3, sizes=(4, 3), channels=3, skip=True, sparse=True, biased=True)
_EVERYTHING = Recipe(7, (4, 3, 5), 4, *[True] * 8)


@given(recipe=recipes)
@settings(max_examples=60)
@example(recipe=_EVERYTHING)
def test_the_emulator_equals_the_reference_on_random_graphs(recipe: Recipe) -> None:
    graph = random_fixed(recipe)
    note(print_graph(graph))
    stimulus = random_stimulus(recipe, samples=3, steps=_STEPS)
    check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


@pytest.mark.parametrize("models", Models)
def test_lava_equals_the_reference(models: Models) -> None:
    recipes = (_PLAIN, _EVERYTHING, _BIASED)
    graph = union([random_fixed(recipe) for recipe in recipes])
    stimulus = {f"g{i}-x": random_stimulus(recipe, 3, _STEPS) for i, recipe in enumerate(recipes)}
    check_equal(graph, reference.run(graph, stimulus), LavaTarget(models=models), stimulus)


def test_currents_wrap_and_potentials_saturate_in_the_extreme_graphs() -> None:
    trace = reference.run(random_fixed(_EVERYTHING), random_stimulus(_EVERYTHING, 3, 40))
    jumps = [np.abs(np.diff(u.astype(np.int64), axis=1)).max() for u in trace.u.values()]
    assert max(jumps) > 2**23, "no current wrapped: the parity tests would prove less than they say"
    assert max(np.abs(v).max() for v in trace.v.values()) == 2**23 - 1


@pytest.mark.long
@given(recipe=recipes)
@settings(max_examples=3000, phases=[Phase.generate, Phase.shrink])
def test_the_emulator_equals_the_reference_on_thousands_of_graphs(recipe: Recipe) -> None:
    graph = random_fixed(recipe)
    note(print_graph(graph))
    stimulus = random_stimulus(recipe, samples=2, steps=20)
    check_equal(graph, reference.run(graph, stimulus), EmulatorTarget(), stimulus)


@pytest.mark.long
@pytest.mark.parametrize("block", range(30))
def test_lava_equals_the_reference_on_hundreds_of_graphs(block: int) -> None:
    rng = np.random.default_rng([2024, block])
    parts = [_random_recipe(rng) for _ in range(10)]
    graph = union([random_fixed(recipe) for recipe in parts])
    stimulus = {f"g{i}-x": random_stimulus(recipe, samples=2, steps=_STEPS) for i, recipe in enumerate(parts)}
    check_equal(graph, reference.run(graph, stimulus), LavaTarget(), stimulus)


def _random_recipe(rng: np.random.Generator) -> Recipe:
    flags = [bool(flag) for flag in rng.integers(0, 2, 8)]
    sizes = tuple(int(size) for size in rng.integers(1, 7, rng.integers(1, 4)))
    return Recipe(int(rng.integers(2**32)), sizes, int(rng.integers(1, 6)), *flags)


@pytest.mark.long
@given(recipe=recipes)
@settings(max_examples=25, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink])
def test_lava_equals_the_reference_with_shrinking(recipe: Recipe) -> None:
    graph = random_fixed(recipe)
    note(print_graph(graph))
    stimulus = random_stimulus(recipe, samples=2, steps=_STEPS)
    check_equal(graph, reference.run(graph, stimulus), LavaTarget(), stimulus)
