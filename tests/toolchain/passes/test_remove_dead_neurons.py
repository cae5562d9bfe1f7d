"""Neurons that change nothing go; what is left does exactly what it did."""

from dataclasses import replace

import numpy as np
import pytest

from tests.graphs import chain, dense, feed_forward, lif, recurrent, spikes
from tests.nodes import neurons_of, node_of, sparse
from tests.random_graphs import Recipe, random_fixed
from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.execution import reference
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph
from toolchain.passes import RemoveDeadNeurons


def _weights(graph: Graph, name: str, weights: np.ndarray) -> Graph:
    return graph.map(lambda node: replace(node, weights=weights) if node.name == name else node)


def test_nothing_to_do_gives_the_same_graph() -> None:
    graph = feed_forward()
    assert RemoveDeadNeurons()(graph) is graph


def test_a_neuron_without_excitation_goes_and_its_origin_tells_who_stayed() -> None:
    graph = _weights(feed_forward(), "encode", np.array([[1.5, 0.5], [-0.3, -0.9], [-1.0, 2.0]]))
    result = RemoveDeadNeurons()(graph)
    hidden = result["hidden"]
    assert isinstance(hidden, ir.Lif)
    assert hidden.origin.elements.tolist() == [0, 2]
    assert node_of(result, "decode", ir.Dense).weights.shape == (2, 2)


def test_a_neuron_that_nothing_reads_goes() -> None:
    graph = _weights(feed_forward(), "decode", np.array([[1.0, 0.0, 0.5], [-0.5, 0.0, 0.25]]))
    hidden = RemoveDeadNeurons()(graph)["hidden"]
    assert isinstance(hidden, ir.Lif)
    assert hidden.origin.elements.tolist() == [0, 2]


def test_a_positive_bias_keeps_a_neuron_alive() -> None:
    graph = _weights(feed_forward(), "encode", np.array([[1.5, 0.5], [-0.3, -0.9], [-1.0, 2.0]]))
    biased = graph.map(lambda n: replace(n, bias=np.array([0, 0.1, 0])) if n.name == "hidden" else n)
    assert RemoveDeadNeurons()(biased) is biased


def test_a_negative_weight_from_a_graded_input_can_excite() -> None:
    graph = _weights(feed_forward(), "encode", -np.ones((3, 2)))
    graded = graph.map(
        lambda n: replace(n, edge=EdgeKind.GRADED, scale=2.0, bits=3) if isinstance(n, ir.Input) else n
    )
    assert RemoveDeadNeurons()(graded) is graded


def test_a_population_keeps_at_least_one_neuron() -> None:
    result = RemoveDeadNeurons()(_weights(feed_forward(), "encode", -np.ones((3, 2))))
    assert neurons_of(result, "hidden").vth.shape == (1,)


@pytest.mark.parametrize("seed", range(5))
def test_the_read_out_does_what_it_did(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = recurrent(rng, neurons=20)
    dead = rng.random(20) < 0.3

    def silence(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.Dense) and node.name == "encode":
            return replace(node, weights=np.where(dead[:, None], -1.0, np.asarray(node.weights)))
        if isinstance(node, ir.Dense) and node.name == "recur":
            return replace(node, weights=np.where(dead[:, None], 0.0, sparse(node.weights).toarray()))
        return node

    before = graph.map(silence)
    after = RemoveDeadNeurons()(before)
    x = spikes(rng, 2, 25, 6)
    expected, got = reference.run(before, x), reference.run(after, x)
    assert neurons_of(after, "hidden").vth.size == 20 - dead.sum()
    assert np.allclose(got.v["readout"], expected.v["readout"], atol=1e-12)
    kept = neurons_of(after, "hidden").origin.elements
    assert np.array_equal(got.spikes["hidden"], expected.spikes["hidden"][:, :, kept])


def test_delays_per_neuron_shrink_with_their_neurons(rng: np.random.Generator) -> None:
    steps = rng.integers(1, 4, 12)

    def change(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.Delay):
            return replace(node, steps=steps)
        if isinstance(node, ir.Dense) and node.name in {"encode", "recur"}:
            weights = sparse(node.weights).toarray() if node.name == "recur" else np.array(node.weights)
            weights[3:6] = -np.abs(weights[3:6])
            return replace(node, weights=weights)
        return node

    before = recurrent(rng).map(change)
    after, x = RemoveDeadNeurons()(before), spikes(rng, 2, 25, 6)
    kept = neurons_of(after, "hidden").origin.elements
    assert not set(kept) & {3, 4, 5}
    assert np.array_equal(node_of(after, "wait", ir.Delay).steps, steps[kept])
    expected, got = reference.run(before, x), reference.run(after, x)
    assert np.allclose(got.v["readout"], expected.v["readout"], atol=1e-12)


def test_integers_are_refused() -> None:
    with pytest.raises(PreconditionError, match="before 'quantize-graph'") as caught:
        RemoveDeadNeurons()(random_fixed(Recipe()))
    assert "remove-dead-neurons" in caught.value.__notes__[0]


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dead", [(0,), (0, 1), (0, 2), (1, 2, 3)])
def test_groups_behind_dead_channels_keep_their_meaning(
    groups: int, dead: tuple[int, ...], rng: np.random.Generator
) -> None:
    """Equal groups stay groups; unequal ones become one group with weights of 0."""
    weights = np.abs(rng.normal(size=(4, 1, 1, 1))) + 1
    weights[list(dead)] = -1.0
    graph = Graph(
        (
            ir.Input(name="x", shape=(1, 3, 3)),
            ir.Conv2d(name="c", inputs=("x",), weights=weights),
            _image_lif("p", ("c",), 4),
            ir.Conv2d(
                name="g", inputs=("p",), weights=rng.normal(size=(8, 4 // groups, 2, 2)), groups=groups
            ),
            _image_lif("q", ("g",), 8, side=2),
            ir.Dense(name="d", inputs=("q",), weights=rng.normal(size=(2, 32))),
            lif("r", ("d",), 2),
            ir.Output(name="o", inputs=("r",), decode=Decode.SPIKE_COUNT),
        )
    )
    smaller = RemoveDeadNeurons()(graph)
    stimulus = rng.random((3, 6, 1, 3, 3)) < 0.5
    before, after = reference.run(graph, stimulus), reference.run(smaller, stimulus)
    assert len(neurons_of(smaller, "p").vth) == 4 - len(dead)
    assert np.array_equal(before.spikes["r"], after.spikes["r"])
    assert np.allclose(before.v["r"], after.v["r"], atol=1e-12)


def _image_lif(name: str, inputs: tuple[str, ...], channels: int, side: int = 3) -> ir.Lif:
    size = channels * side * side
    flat = lif(name, inputs, size)
    shaped = {
        field: getattr(flat, field).reshape(channels, side, side) for field in ("du", "dv", "vth", "bias")
    }
    return replace(flat, **shaped)


@pytest.mark.parametrize("decode", list(Decode))
def test_an_output_keeps_a_silent_neuron_because_its_place_is_its_class(decode: Decode) -> None:
    """With the first of three gone, what was class 2 would be read as class 1."""
    weights = np.array([[-1.0, -0.5], [1.5, -1.0], [-1.0, 2.0]])
    graph = chain(dense("w", "x", weights), lif("scores", ("w",), 3), shape=(2,), decode=decode)
    graph = graph.map(
        lambda n: replace(n, classes=("silent", "left", "right")) if isinstance(n, ir.Output) else n
    )
    assert RemoveDeadNeurons()(graph) is graph
