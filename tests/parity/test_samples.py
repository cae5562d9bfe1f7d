"""Samples that touch: nothing of one reaches the next, in batches, sessions, blocks, and whole ONNX models.

What Lava does with them is part of the other parity tests: most of their samples are shorter than the delays.
"""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from targets.emulator.compiled.network import CompiledNetwork
from targets.emulator.compiled.session import CompiledSession
from targets.emulator.program import EmulatorProgram
from targets.onnx.target import OnnxTarget
from tests.exactness import check_apart, check_blocks, check_session
from tests.image_graphs import ImageRecipe, random_images, random_stimuli_of_pictures, wide_image_recipes
from tests.random_graphs import Recipe, random_fixed, random_stimuli, wide_recipes
from toolchain.execution import reference

_PHASES = [Phase.generate, Phase.shrink]
_LONGEST = 5
blocks_of_steps = st.lists(st.integers(1, _LONGEST), min_size=_LONGEST, max_size=_LONGEST)


@pytest.mark.long
@given(
    recipe=wide_recipes,
    samples=st.sampled_from([2, 9, 40, 65]),
    steps=st.integers(1, _LONGEST),
    blocks=blocks_of_steps,
)
@settings(max_examples=1500, phases=_PHASES)
def test_the_emulator_keeps_samples_of_graphs_apart(
    recipe: Recipe, samples: int, steps: int, blocks: list[int]
) -> None:
    graph, stimuli = random_fixed(recipe), random_stimuli(recipe, samples, steps)
    expected = reference.run(graph, stimuli)
    check_session(EmulatorProgram(graph, "cpu"), graph, stimuli, expected)
    session = CompiledSession(CompiledNetwork.of(graph), samples, _LONGEST)
    for _ in range(2):
        check_blocks(session, graph, stimuli, expected, blocks)
        session.reset()


@pytest.mark.long
@given(recipe=wide_recipes, steps=st.integers(1, _LONGEST))
@settings(max_examples=500, phases=_PHASES)
def test_tensors_keep_samples_of_graphs_apart(recipe: Recipe, steps: int) -> None:
    graph, stimuli = random_fixed(recipe), random_stimuli(recipe, 3, steps)
    program, expected = EmulatorProgram(graph, "cpu", tensors=True), reference.run(graph, stimuli)
    check_apart(program, graph, stimuli, expected)
    check_session(program, graph, stimuli, expected)


@pytest.mark.long
@given(recipe=wide_image_recipes, steps=st.integers(1, _LONGEST), blocks=blocks_of_steps)
@settings(max_examples=500, phases=_PHASES)
def test_the_emulator_keeps_samples_of_images_apart(
    recipe: ImageRecipe, steps: int, blocks: list[int]
) -> None:
    graph, stimuli = random_images(recipe), random_stimuli_of_pictures(recipe, 3, steps)
    expected = reference.run(graph, stimuli)
    check_session(EmulatorProgram(graph, "cpu"), graph, stimuli, expected)
    session = CompiledSession(CompiledNetwork.of(graph), 3, _LONGEST)
    for _ in range(2):
        check_blocks(session, graph, stimuli, expected, blocks)
        session.reset()


@pytest.mark.long
@given(recipe=wide_recipes, samples=st.sampled_from([2, 33]), steps=st.integers(1, _LONGEST))
@settings(max_examples=500, phases=_PHASES)
def test_onnx_keeps_samples_of_graphs_apart(recipe: Recipe, samples: int, steps: int) -> None:
    graph, stimuli = random_fixed(recipe), random_stimuli(recipe, samples, steps)
    program, expected = OnnxTarget().build(graph), reference.run(graph, stimuli)
    check_apart(program, graph, stimuli, expected)
    check_session(program, graph, stimuli, expected)


@pytest.mark.long
@given(recipe=wide_image_recipes, steps=st.integers(1, _LONGEST))
@settings(max_examples=150, phases=_PHASES)
def test_onnx_keeps_samples_of_images_apart(recipe: ImageRecipe, steps: int) -> None:
    graph, stimuli = random_images(recipe), random_stimuli_of_pictures(recipe, 2, steps)
    program, expected = OnnxTarget().build(graph), reference.run(graph, stimuli)
    check_apart(program, graph, stimuli, expected)
    check_session(program, graph, stimuli, expected)
