"""Two halves that are the whole, with one bit more."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from tests.graphs import feed_forward, recurrent, spikes
from tests.nodes import sparse, weights_of
from tests.random_graphs import Recipe, random_fixed
from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.cost import measure_cost
from toolchain.fidelity.metrics import compare_spikes
from toolchain.fixedpoint import SignMode
from toolchain.ir import Graph
from toolchain.ir.matrix import values_of
from toolchain.passes import QuantizeGraph, SplitSigns


def test_the_halves_add_up_to_the_connection(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    split = SplitSigns()(graph)
    for name in ("encode", "recur", "decode", "skip"):
        halves = [
            sparse(weights_of(split, f"{name}.{sign}")).toarray() for sign in ("excitatory", "inhibitory")
        ]
        whole = weights_of(graph, name)
        assert np.array_equal(sum(halves), whole.toarray() if isinstance(whole, csr_array) else whole)
        assert halves[0].min() >= 0 >= halves[1].max()


def test_network_and_cost_stay_the_same(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    split, x = SplitSigns()(graph), spikes(rng, 3, 30, 6)
    expected, got = reference.run(graph, x), reference.run(split, x)
    assert np.array_equal(expected.spikes["hidden"], got.spikes["hidden"])
    assert np.allclose(expected.v["readout"], got.v["readout"], atol=1e-12)
    stimulus = Stimulus.of(x)
    costs = [measure_cost(g, stimulus, t).total_operations for g, t in ((graph, expected), (split, got))]
    assert costs[0] == pytest.approx(costs[1])


def test_each_half_has_its_sign_and_uses_odd_weights(rng: np.random.Generator) -> None:
    fixed = QuantizeGraph()(SplitSigns()(recurrent(rng)))
    modes = {
        node.name.rpartition(".")[2]: node.sign_mode for node in fixed if isinstance(node, ir.FixedDense)
    }
    assert modes == {"excitatory": SignMode.EXCITATORY, "inhibitory": SignMode.INHIBITORY}
    assert any((values_of(node.weights) % 2).any() for node in fixed if isinstance(node, ir.FixedDense))


def test_the_bit_that_is_saved_brings_spikes_closer() -> None:
    f1 = np.zeros(2)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        graph = recurrent(rng, neurons=60, channels=20)
        x = spikes(rng, 4, 40, 20)
        expected = reference.run(graph, x).spikes["hidden"]
        for i, prepared in enumerate((graph, SplitSigns()(graph))):
            fixed = QuantizeGraph(weight_bits=5)(prepared)
            f1[i] += compare_spikes(expected, reference.run(fixed, x).spikes["hidden"]).f1
    assert f1[1] > f1[0]


def test_delays_go_with_their_synapses(rng: np.random.Generator) -> None:
    delays = rng.integers(0, 4, (3, 2))
    graph = feed_forward().map(lambda n: replace(n, delays=delays) if n.name == "encode" else n)
    x = spikes(rng, 2, 15, 2)
    expected, got = reference.run(graph, x), reference.run(SplitSigns()(graph), x)
    assert np.allclose(expected.u["hidden"], got.u["hidden"], atol=1e-12)


def _with(weights: np.ndarray) -> Graph:
    nodes = {"encode": np.abs(weights), "decode": np.ones((2, 3))}
    return feed_forward().map(lambda n: replace(n, weights=nodes[n.name]) if isinstance(n, ir.Dense) else n)


def test_connections_of_one_sign_stay() -> None:
    graph = _with(np.ones((3, 2)))
    assert SplitSigns()(graph) is graph


def test_integers_are_refused() -> None:
    with pytest.raises(PreconditionError, match="before 'quantize-graph'"):
        SplitSigns()(random_fixed(Recipe()))
