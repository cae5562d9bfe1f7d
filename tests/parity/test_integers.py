"""Integer reference == emulator == Lava, bit for bit: u, v and spikes, every step."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, note, settings

from targets.emulator.target import EmulatorTarget
from targets.lava.runtime.models import Models
from targets.lava.target import LavaTarget
from tests import exactness
from tests.exactness import Make, check_equal, check_on_lava, check_samples_on_lava, shrink
from tests.graphs import fixed_lif
from tests.random_graphs import (
    Recipe,
    random_fixed,
    random_recipe,
    random_stimuli,
    random_stimulus,
    wide_recipes,
)
from tests.targets import conformance
from toolchain import ir
from toolchain.execution import reference
from toolchain.execution.trace import Trace
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, EdgeKind, Graph, print_graph

_STEPS = 12

_PLAIN = Recipe()
_BIASED = Recipe(seed=3, sizes=(4, 3), channels=3, skip=True, sparse=True, biased=True)
_EVERYTHING = Recipe(7, (4, 3, 5), 4, *[True] * 9)
_ON_LAVA = replace(_EVERYTHING, sizes=(4, 3), longest=2)
"""The same with fewer connections: every delay of a synapse is a process of Lava's."""


@given(recipe=wide_recipes)
@settings(max_examples=60)
@example(recipe=_EVERYTHING)
def test_the_emulator_equals_the_reference_on_random_graphs(recipe: Recipe) -> None:
    graph = random_fixed(recipe)
    note(print_graph(graph))
    stimuli = random_stimuli(recipe, samples=3, steps=_STEPS)
    check_equal(graph, reference.run(graph, stimuli), EmulatorTarget(), stimuli)


@pytest.mark.slow
def test_lava_equals_the_reference() -> None:
    check_on_lava((_PLAIN, _ON_LAVA, _BIASED, conformance.FIRING), _make(2))


def test_what_differs_is_shrunk_to_what_matters() -> None:
    smallest = shrink(_EVERYTHING, lambda recipe: recipe.skip and recipe.biased)
    assert smallest == Recipe(seed=7, skip=True, biased=True)


class _Broken:
    """A target whose biases are wrong."""

    name = "broken"

    def __init__(self, **_: object) -> None:
        self.graph = Graph(())

    def build(self, graph: Graph) -> "_Broken":
        self.graph = graph
        return self

    def run(self, stimulus: Any, record: tuple[str, ...]) -> Trace:
        worse = {node.name: int(node.bias.any()) for node in self.graph.populations}
        trace = reference.run(self.graph, stimulus, record)
        return Trace(spikes=trace.spikes, v={k: v + worse[k] for k, v in trace.v.items()}, u=trace.u)


def test_a_graph_on_which_lava_differs_is_found_among_many_shrunk_and_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exactness, "LavaTarget", _Broken)
    with pytest.raises(AssertionError) as caught:
        check_on_lava((_PLAIN, _EVERYTHING), _make(2))
    told = str(caught.value)
    assert "g1-p0.v" in told
    assert str(Recipe(seed=7, biased=True)) in told
    assert "graph random (fixed" in told


def _make(samples: int, steps: int = _STEPS) -> Make[Recipe]:
    return lambda recipe: (random_fixed(recipe), random_stimuli(recipe, samples, steps))


def test_a_sum_that_leaves_32_bits_wraps_as_lavas_does() -> None:
    """Before a negative exponent is applied: found by reading, since small messages never get there."""
    graph = Graph(
        (
            ir.Input(name="x", shape=(1,), edge=EdgeKind.GRADED, scale=1.0, bits=24),
            ir.FixedDense(
                name="w",
                inputs=("x",),
                weights=np.array([[255]], np.int32),
                exponent=-8,
                sign_mode=SignMode.EXCITATORY,
            ),
            fixed_lif("p", ("w",), 1, vth=2**17 - 1),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    stimulus = np.full((1, 2, 1), 2.0**24 - 1)
    expected = reference.run(graph, stimulus)
    assert abs(255 * (2**24 - 1)) >= 2**31
    for target in (EmulatorTarget(), LavaTarget(models=Models.STOCK)):
        check_equal(graph, expected, target, stimulus)


@pytest.mark.parametrize("recipe", [_EVERYTHING, _ON_LAVA])
def test_currents_wrap_and_potentials_saturate_in_the_extreme_graphs(recipe: Recipe) -> None:
    trace = reference.run(random_fixed(recipe), random_stimulus(recipe, 2, _STEPS))
    jumps = [np.abs(np.diff(u.astype(np.int64), axis=1)).max() for u in trace.u.values()]
    assert max(jumps) > 2**23, "no current wrapped: the parity tests would prove less than they say"
    assert max(np.abs(v).max() for v in trace.v.values()) == 2**23 - 1


@pytest.mark.long
@pytest.mark.parametrize("models", Models)
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 12])
def test_lava_equals_the_reference_on_hundreds_of_graphs(steps: int, models: Models) -> None:
    """Most samples are shorter than the delays: much is on its way when the next begins."""
    rng = np.random.default_rng([2024, steps])
    check_samples_on_lava([random_recipe(rng) for _ in range(76)], _make(2, steps), models)
