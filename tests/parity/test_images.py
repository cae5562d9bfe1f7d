"""Networks on images: integer reference == emulator == Lava (our `Conv` model and its own), bit for bit."""

import numpy as np
import pytest
from hypothesis import example, given, note, settings

from targets.emulator.target import EmulatorTarget
from targets.lava.runtime.models import Models
from tests.exactness import Make, check_equal, check_on_lava, check_samples_on_lava
from tests.image_graphs import (
    ImageRecipe,
    random_image_recipe,
    random_images,
    random_pictures,
    random_stimuli_of_pictures,
    wide_image_recipes,
)
from toolchain.execution import reference
from toolchain.ir import print_graph

_STEPS = 6
_PLAIN = ImageRecipe()
_EVERYTHING = ImageRecipe(5, 2, 4, (7, 8), *[True] * 10)
_RESIDUAL = ImageRecipe(9, 3, 2, (6, 5), graded=True, skip=True, biased=True)


@given(recipe=wide_image_recipes)
@settings(max_examples=40)
@example(recipe=_EVERYTHING)
def test_the_emulator_equals_the_reference_on_random_images(recipe: ImageRecipe) -> None:
    graph = random_images(recipe)
    note(print_graph(graph))
    stimuli = random_stimuli_of_pictures(recipe, samples=2, steps=_STEPS)
    check_equal(graph, reference.run(graph, stimuli), EmulatorTarget(), stimuli)


@pytest.mark.slow
def test_lava_equals_the_reference_on_images() -> None:
    check_on_lava((_PLAIN, _EVERYTHING, _RESIDUAL), _make(_STEPS))


def _make(steps: int) -> Make[ImageRecipe]:
    return lambda recipe: (random_images(recipe), random_stimuli_of_pictures(recipe, 2, steps))


def test_sums_of_convolutions_wrap_in_the_extreme_networks() -> None:
    trace = reference.run(random_images(_EVERYTHING), random_pictures(_EVERYTHING, 3, 20))
    jumps = [np.abs(np.diff(u.astype(np.int64), axis=1)).max() for u in trace.u.values()]
    assert max(jumps) > 2**23, "no current wrapped: the parity tests would prove less than they say"


@pytest.mark.long
@pytest.mark.parametrize("models", Models)
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_lava_equals_the_reference_on_hundreds_of_images(steps: int, models: Models) -> None:
    rng = np.random.default_rng([2026, steps])
    check_samples_on_lava([random_image_recipe(rng) for _ in range(40)], _make(steps), models)
