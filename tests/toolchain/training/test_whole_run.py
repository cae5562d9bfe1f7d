"""Graphs over all steps at once: spikes and gradients are those of the run step by step."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.image_graphs import ImageRecipe, image_recipes, random_images, random_pictures
from tests.random_graphs import Recipe, random_fixed, random_stimulus, recipes
from tests.toolchain.training.test_graph_network import _real
from toolchain.ir import Graph
from toolchain.models.surrogates import Surrogate
from toolchain.training import GraphNetwork


def _results(network: GraphNetwork, x: Any, *, compiled: bool) -> tuple[Tensor, dict[str, Tensor | None]]:
    """Scores, and gradients of a random sum of them."""
    network.compiled = compiled
    network.zero_grad()
    scores = network(torch.from_numpy(np.array(x))).scores
    onto = torch.from_numpy(np.random.default_rng(1).normal(size=scores.shape))
    (scores * onto).sum().backward()
    return scores.detach(), {name: each.grad for name, each in network.named_parameters()}


def _check_alike(network: GraphNetwork, x: Any) -> None:
    (scores, gradients), (expected, references) = (_results(network, x, compiled=c) for c in (True, False))
    assert torch.allclose(scores, expected, rtol=1e-12, atol=1e-12)
    for name, reference in references.items():
        gradient = gradients[name]
        if reference is None or gradient is None or not reference.numel():
            assert not any(each is not None and each.any() for each in (reference, gradient)), name
            continue
        assert (gradient - reference).abs().max() <= 1e-10 * reference.abs().max(), name


def _networks(graph: Graph, surrogate: Surrogate) -> list[GraphNetwork]:
    real = _real(graph)
    return [GraphNetwork(real, fixed, surrogate=surrogate) for fixed in (graph, None)]


@given(recipe=recipes)
@settings(max_examples=20)
def test_gradients_are_those_of_the_run_step_by_step(recipe: Recipe) -> None:
    surrogate = list(Surrogate)[recipe.seed % 3]
    for network in _networks(random_fixed(recipe), surrogate):
        _check_alike(network, random_stimulus(recipe, 3, 14))


@given(recipe=image_recipes)
@settings(max_examples=10)
def test_gradients_of_images_are_those_of_the_run_step_by_step(recipe: ImageRecipe) -> None:
    for network in _networks(random_images(recipe), Surrogate.FAST_SIGMOID):
        _check_alike(network, random_pictures(recipe, 3, 5))


def test_what_the_loops_do_not_know_is_said() -> None:
    network = _networks(random_images(ImageRecipe(seed=1, feedback=True)), Surrogate.ARCTAN)[0]
    assert network.obstacle() == "convolution 'r0' feeds back"
    assert network.obstacle(record=True) == "potentials and currents are recorded with their gradients"
    network.compiled = False
    assert network.obstacle() == "`compiled` is False"


@pytest.mark.parametrize("compiled", [True, False])
def test_a_threshold_that_was_rounded_to_zero_has_a_finite_gradient(compiled: bool) -> None:
    recipe = Recipe(seed=3, sizes=(4,), recurrent=True)
    silent = random_fixed(recipe).map(
        lambda n: n if not hasattr(n, "vth") else type(n)(**{**vars(n), "vth": np.zeros_like(n.vth)})
    )
    _, gradients = _results(
        _networks(silent, Surrogate.FAST_SIGMOID)[0], np.zeros((2, 5, 2)), compiled=compiled
    )
    assert all(each is None or torch.isfinite(each).all() for each in gradients.values())
