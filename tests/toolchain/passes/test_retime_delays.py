"""Retiming: every connection gets its step, and the network does what it did, later."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, note, settings

from tests.graphs import feed_forward, recurrent, wired
from tests.random_graphs import Recipe, random_fixed, random_stimulus, recipes
from toolchain import ir
from toolchain.errors import FeedbackError, PreconditionError
from toolchain.execution import reference
from toolchain.ir import Decode, Graph, print_graph, same_structure
from toolchain.passes import FoldDelays, RetimeDelays, find_schedule

_STEPS = 10


def _without_bias(graph: Graph) -> Graph:
    return graph.map(
        lambda n: replace(n, bias_mantissa=np.zeros(n.vth.shape)) if isinstance(n, ir.FixedLif) else n
    )


@given(recipe=recipes)
@settings(max_examples=40)
def test_every_population_does_the_same_at_its_offset(recipe: Recipe) -> None:
    # Bias is integrated from the first step on; targets gate it by the sample window.
    graph = _without_bias(random_fixed(recipe))
    note(print_graph(graph))
    schedule, retimed = find_schedule(graph), RetimeDelays()(graph)
    x = random_stimulus(recipe, 2, _STEPS)
    longer = np.concatenate([x, np.zeros((2, schedule.latest, recipe.channels), x.dtype)], axis=1)
    expected, got = reference.run(graph, x), reference.run(retimed, longer)
    for name in expected.v:
        window = slice(schedule.offsets[name], schedule.offsets[name] + _STEPS)
        assert np.array_equal(got.v[name][:, window], expected.v[name])
        assert np.array_equal(got.u[name][:, window], expected.u[name])


def test_a_skip_waits_at_the_input_where_waiting_is_free(rng: np.random.Generator) -> None:
    schedule = find_schedule(recurrent(rng))
    assert schedule.offsets == {"x": 0, "hidden": 1, "readout": 2}


def test_the_shorter_chain_of_relays_is_chosen() -> None:
    """A wide and a narrow population could wait for each other: the narrow one does."""
    links = {
        "a": ("x", "wide", 0),
        "b": ("wide", "narrow", 0),
        "c": ("narrow", "end", 0),
        "d": ("wide", "end", 0),
    }
    retimed = RetimeDelays()(wired({"wide": 50, "narrow": 2, "end": 1}, links))
    waits = {n.name: n.steps for n in retimed if isinstance(n, ir.Delay)}
    assert waits == {"a.wait": 1, "b.wait": 1, "c.wait": 1, "d.wait": 2}


def test_a_loop_of_two_connections_needs_two_steps_and_is_named() -> None:
    sizes, links = {"p": 1, "q": 1}, {"in": ("x", "p", 0), "on": ("p", "q", 0)}
    with pytest.raises(FeedbackError, match="at least 2 steps") as caught:
        find_schedule(wired(sizes, links | {"back": ("q", "p", 1)}))
    assert set(caught.value.cycle) == {"p", "q"}
    assert find_schedule(wired(sizes, links | {"back": ("q", "p", 2)})).offsets["q"] == 2


def test_a_schedule_is_found_once_for_whoever_needs_both(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    schedule = find_schedule(graph)
    assert same_structure(RetimeDelays(schedule=schedule)(graph), RetimeDelays()(graph))
    with pytest.raises(PreconditionError, match="that of another graph"):
        RetimeDelays(schedule=schedule)(wired({"p": 1}, {"in": ("x", "p", 0)}))


def test_delays_per_neuron_must_be_folded_first(rng: np.random.Generator) -> None:
    graph = recurrent(rng).map(lambda n: replace(n, steps=np.arange(1, 13)) if n.name == "wait" else n)
    with pytest.raises(PreconditionError, match="fold-delays"):
        RetimeDelays()(graph)


def test_folding_moves_delays_into_synapses_and_changes_nothing(rng: np.random.Generator) -> None:
    graph = recurrent(rng).map(lambda n: replace(n, steps=rng.integers(1, 5, 12)) if n.name == "wait" else n)
    folded = FoldDelays()(graph)
    assert all(isinstance(n.steps, int) for n in folded if isinstance(n, ir.Delay))
    x = rng.random((2, 20, 6)) < 0.4
    expected, got = reference.run(graph, x), reference.run(folded, x)
    assert np.array_equal(expected.spikes["hidden"], got.spikes["hidden"])
    assert np.allclose(expected.v["readout"], got.v["readout"], atol=1e-12)


def test_folding_has_nothing_to_do_without_such_delays() -> None:
    graph = feed_forward()
    assert FoldDelays()(graph) is graph


def test_an_output_cannot_look_through_a_delay() -> None:
    graph = feed_forward()
    late = ir.Delay(name="late", inputs=("readout",), shape=(2,), steps=np.array([1, 2]))
    nodes = [*graph.nodes[:-1], late, ir.Output(name="output", inputs=("late",), decode=Decode.NONE)]
    with pytest.raises(PreconditionError, match="reads a delay"):
        FoldDelays()(graph.with_nodes(nodes))
