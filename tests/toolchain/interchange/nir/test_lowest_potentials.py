"""How far potentials can fall: a bound that no run goes below, and that a run can come close to."""

from dataclasses import replace

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.image_graphs import ImageRecipe, plain_image_recipes, random_images, random_pictures
from tests.random_graphs import Recipe, plain_recipes, random_fixed, random_stimulus
from tests.toolchain.interchange.nir_graphs import DT, V, W, chain, full, imported, lif
from toolchain.execution import reference
from toolchain.interchange.nir.conventions import convention
from toolchain.interchange.nir.from_nir import from_nir
from toolchain.interchange.nir.lowest_potentials import falling, lowest_potentials
from toolchain.ir import Graph
from toolchain.passes import DequantizeGraph


def _holds(graph: Graph, x: np.ndarray) -> None:
    bounds, trace = lowest_potentials(graph), reference.run(graph, x)
    paths = {node.origin.path: node.name for node in graph.populations}
    for path, lowest in bounds.items():
        assert trace.v[paths[path]].min() >= lowest - 1e-9 * abs(lowest)


@settings(max_examples=25)
@given(recipe=plain_recipes)
def test_no_run_goes_below_the_bound(recipe: Recipe) -> None:
    fixed = random_fixed(replace(recipe, extreme=False))
    _holds(DequantizeGraph()(fixed), random_stimulus(recipe, 2, 12))


@settings(max_examples=15)
@given(recipe=plain_image_recipes)
def test_no_run_of_images_goes_below_the_bound(recipe: ImageRecipe) -> None:
    fixed = random_images(replace(recipe, extreme=False))
    _holds(DequantizeGraph()(fixed), random_pictures(recipe, 1, 6))


@given(leak=st.floats(0.05, 1.0), synapse=st.floats(0.05, 1.0), weight=st.floats(-4.0, -0.1))
@settings(max_examples=20)
def test_a_neuron_that_is_driven_down_for_long_comes_to_the_bound(
    leak: float, synapse: float, weight: float
) -> None:
    node = nir.CubaLIF(
        full(1, DT / synapse), full(1, DT / leak), full(1, 1 / leak), full(1, 0.0), full(1, 1.0),
        w_in=full(1, 1 / synapse),
    )  # fmt: skip
    graph = imported(chain(nir.Linear(np.array([[weight, 1.0]])), node, shape=(2,), out=(1,)))
    x = np.zeros((1, 800, 2), bool)
    x[:, :, 0] = True
    lowest = lowest_potentials(graph)["n1"]
    assert reference.run(graph, x).v["n1"].min() == pytest.approx(lowest, rel=1e-6)
    assert lowest == pytest.approx(weight / (leak * synapse))


def test_what_never_leaks_has_no_bound_and_what_is_only_driven_up_does_not_fall() -> None:
    ends = nir.IF(full(2, 1 / DT), full(2, 1.0))
    assert lowest_potentials(imported(chain(nir.Linear(W), ends)))["n1"] == -np.inf
    assert lowest_potentials(imported(chain(nir.Linear(np.abs(W)), ends)))["n1"] == 0.0
    # A value that enters may be negative.
    assert lowest_potentials(imported(chain(nir.Linear(np.abs(W)), ends), peak=2.0))["n1"] == -np.inf
    assert falling(imported(chain(nir.Affine(np.abs(W), np.array([0.0, -0.1])), ends)), -1.0) == ["n1"]


def test_only_neurons_that_could_fall_below_the_limit_of_sinabs_are_named() -> None:
    down, up = nir.Linear(W), nir.Linear(np.abs(V))
    slow = nir.LIF(full(2, 20.0), full(2, 1.0), full(2, 0.0), full(2, 1.0))
    quick = nir.LIF(full(2, 0.2), full(2, 1.0), full(2, 0.0), full(2, 1.0))
    chosen = convention("sinabs", reset="zero")
    notes = from_nir(chain(down, slow, up, slow, nir.Linear(-0.2 * np.abs(V)), quick), chosen).notes
    (said,) = (note for note in notes if "may fall below" in note)
    assert "potentials of 'n1' may fall below -1, where sinabs stops them by default" in said
    assert not any(
        "min_v_mem=None" in note for note in from_nir(chain(up, slow, shape=(2,)), chosen).notes[1:]
    )
    assert not any(
        "may fall below" in note for note in from_nir(chain(down, lif(2)), convention("nir")).notes
    )
