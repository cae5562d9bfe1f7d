"""Samples through one session, in one batch, in blocks: each does what it does alone from rest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.emulator.compiled.network import CompiledNetwork
from targets.emulator.compiled.session import CompiledSession
from targets.emulator.program import EmulatorProgram
from tests.exactness import check_apart, check_blocks, check_session
from tests.graphs import recurrent, varied
from tests.image_graphs import ImageRecipe, random_images, random_stimuli_of_pictures, wide_image_recipes
from tests.random_graphs import Recipe, random_fixed, random_stimuli, wide_recipes
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES


@given(recipe=wide_recipes, steps=st.integers(1, 5), samples=st.sampled_from([2, 9]), tensors=st.booleans())
@settings(max_examples=40)
def test_samples_shorter_than_the_delays_do_what_they_do_alone(
    recipe: Recipe, steps: int, samples: int, tensors: bool
) -> None:
    graph, stimuli = random_fixed(recipe), random_stimuli(recipe, samples, steps)
    program, expected = EmulatorProgram(graph, "cpu", tensors=tensors), reference.run(graph, stimuli)
    check_apart(program, graph, stimuli, expected)
    check_session(program, graph, stimuli, expected)


@given(recipe=wide_image_recipes, steps=st.integers(1, 4), tensors=st.booleans())
@settings(max_examples=20)
def test_so_do_samples_of_images(recipe: ImageRecipe, steps: int, tensors: bool) -> None:
    graph, stimuli = random_images(recipe), random_stimuli_of_pictures(recipe, 2, steps)
    program, expected = EmulatorProgram(graph, "cpu", tensors=tensors), reference.run(graph, stimuli)
    check_apart(program, graph, stimuli, expected)
    check_session(program, graph, stimuli, expected)


@given(
    recipe=wide_recipes,
    batch=st.sampled_from([1, 9, 40]),
    steps=st.integers(1, 5),
    blocks=st.lists(st.integers(1, 5), min_size=5, max_size=5),
)
@settings(max_examples=40)
def test_sessions_in_blocks_of_any_length_forget_everything_when_reset(
    recipe: Recipe, batch: int, steps: int, blocks: list[int]
) -> None:
    graph = random_fixed(recipe)
    session = CompiledSession(CompiledNetwork.of(graph), batch, max(blocks))
    for turn in range(2):
        stimuli = {name: np.roll(x, turn, 0) for name, x in random_stimuli(recipe, batch, steps).items()}
        check_blocks(session, graph, stimuli, reference.run(graph, stimuli), blocks)
        session.reset()


@pytest.mark.parametrize("seed", range(3))
def test_delays_per_neuron_keep_samples_of_real_numbers_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, x = varied(recurrent(rng), rng), rng.normal(size=(3, 3, 6))
    assert graph.largest_delay() > 3
    expected = reference.run(graph, x)
    program = EmulatorProgram(graph, "cpu")
    assert all(
        np.abs(values.astype(float) - expected.by_key()[key]).max() <= 1e-9
        for key, values in program.run(x, record=QUANTITIES).by_key().items()
    )
    check_session(program, graph, {"x": x}, expected)
