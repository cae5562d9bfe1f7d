"""A graph as a module: the integers bit for bit, real numbers to rounding, gradients that go through both."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from scipy.sparse import csr_array

from tests.graphs import (
    Recipe,
    feed_forward,
    random_fixed,
    random_stimulus,
    recipes,
    recurrent,
    spikes,
    varied,
)
from tests.image_graphs import ImageRecipe, plain_image_recipes, random_images, random_pictures
from tests.networks import images, small_preresnet
from tests.nodes import node_of, sparse, weights_of
from toolchain import fixedpoint, ir
from toolchain.errors import TrainingError
from toolchain.execution import reference
from toolchain.execution.trace import Trace
from toolchain.frontends import from_torch
from toolchain.ir import AnyNode, EdgeKind, Graph
from toolchain.ir.matrix import values_of, with_values
from toolchain.passes import FoldDelays, QuantizeGraph, Rounding, SplitSigns
from toolchain.training import ALL_RULES, FitOptions, GraphNetwork, Rule, tune_graph


def _real(graph: Graph) -> Graph:
    """The real numbers that the integers of a graph are."""

    def change(node: AnyNode) -> AnyNode:
        match node:
            case ir.FixedDense() | ir.FixedConv2d():
                target = graph.readers(node.name)[0]
                assert isinstance(target, ir.FixedLif)
                assert (target.scale == 1).all()
                values = values_of(node.weights) * 2.0**node.exponent * graph.message_scale(node)
                weights = with_values(node.weights, values)
                if isinstance(node, ir.FixedDense):
                    return ir.Dense(name=node.name, inputs=node.inputs, weights=weights, delays=node.delays)
                window = {
                    key: getattr(node, key)
                    for key in ("name", "inputs", "stride", "padding", "dilation", "groups")
                }
                return ir.Conv2d(weights=np.asarray(weights), **window)
            case ir.FixedLif():
                return ir.Lif(
                    name=node.name,
                    inputs=node.inputs,
                    du=(node.du + 1) / 4096,
                    dv=node.dv / 4096,
                    vth=np.maximum(node.vth, 0.5).astype(float),
                    bias=node.bias / 64,
                    origin=node.origin,
                )
            case _:
                return node

    return graph.map(change)


def _run(network: GraphNetwork, x: Any, dtype: type = np.int64) -> Trace:
    with torch.no_grad():
        activity = network(torch.from_numpy(np.array(x)), record=True)
    return Trace(
        {name: each.numpy().astype(bool) for name, each in activity.spikes.items()},
        {name: each.numpy().astype(dtype) for name, each in activity.v.items()},
        {name: each.numpy().astype(dtype) for name, each in activity.u.items()},
    )


def _check_equal(expected: Trace, got: Trace) -> None:
    for record, values in expected.by_key().items():
        assert np.array_equal(values, got.by_key()[record]), record


@given(recipe=recipes)
@settings(max_examples=40)
def test_all_rules_are_the_integers_bit_for_bit(recipe: Any) -> None:
    graph, x = random_fixed(recipe), random_stimulus(recipe, 2, 12)
    _check_equal(reference.run(graph, x), _run(GraphNetwork(_real(graph), graph), x))


@given(recipe=plain_image_recipes)
@example(
    recipe=ImageRecipe(seed=42095, channels=20, size=(7, 10), feedback=True, biased=True, wide=True, rate=0.0)
)
@settings(max_examples=30)
def test_all_rules_are_the_integers_of_images_bit_for_bit(recipe: Any) -> None:
    graph, x = random_images(recipe), random_pictures(recipe, 2, 5)
    _check_equal(reference.run(graph, x), _run(GraphNetwork(_real(graph), graph), x))


@pytest.mark.parametrize("graded", [False, True])
def test_no_rules_are_the_real_numbers(graded: bool, rng: np.random.Generator) -> None:
    graph = varied(recurrent(rng), rng) if graded else recurrent(rng)
    x = rng.normal(size=(3, 30, 6)) if graded else spikes(rng, 3, 30, 6)
    expected = reference.run(graph, x)
    got = _run(GraphNetwork(graph), x, np.float64)
    folded = FoldDelays()(graph)
    fixed = QuantizeGraph()(folded)
    scaled = _run(GraphNetwork(folded, fixed, rules=frozenset()), x, np.float64)
    assert expected.spikes["hidden"].any()
    for name, values in expected.v.items():
        unit = node_of(fixed, name, ir.FixedLif).scale * 64
        assert np.array_equal(expected.spikes[name], got.spikes[name])
        assert np.array_equal(expected.spikes[name], scaled.spikes[name])
        assert np.abs(values - got.v[name]).max() <= 1e-9
        assert np.abs(values - scaled.v[name] / unit).max() <= 1e-9


def test_a_build_with_calibrated_rounding_is_met_from_the_first_step(rng: np.random.Generator) -> None:
    """The weights start where the fixed graph is, not at the nearest integers."""
    graph = SplitSigns()(recurrent(rng))
    fixed = QuantizeGraph(weight_bits=4)(graph)

    def moved(node: AnyNode) -> AnyNode:
        if node.name != "encode.excitatory" or not isinstance(node, ir.FixedDense):
            return node
        values = values_of(node.weights).copy()
        values[::2] = np.where(values[::2] >= 240, 224, values[::2] + 16)
        return replace(node, weights=with_values(node.weights, values))

    other, x = fixed.map(moved), spikes(rng, 3, 20, 6)
    _check_equal(reference.run(other, x), _run(GraphNetwork(graph, other), x))


@pytest.mark.parametrize("rule", list(Rule))
def test_a_rule_alone_changes_only_what_it_is_about(rule: Rule, rng: np.random.Generator) -> None:
    graph = recurrent(rng).map(
        lambda n: (
            replace(n, edge=EdgeKind.GRADED, scale=7.3, bits=4)
            if isinstance(n, ir.Input)
            else (replace(n, bias=rng.uniform(0, 0.011, n.vth.shape)) if isinstance(n, ir.Lif) else n)
        )
    )
    fixed = QuantizeGraph(weight_bits=5)(graph)
    x = rng.normal(size=(2, 3, 6))
    real = _run(GraphNetwork(graph, fixed, rules=frozenset()), x, np.float64)
    alone = _run(GraphNetwork(graph, fixed, rules=frozenset({rule})), x, np.float64)
    first = np.abs(real.u["hidden"][:, 0] - alone.u["hidden"][:, 0]).max()
    later = np.abs(real.v["hidden"] - alone.v["hidden"]).max()
    moves_current = rule in {Rule.WEIGHTS, Rule.INPUT}
    assert bool(first > 0) is moves_current
    if rule in {Rule.BIAS, Rule.DECAYS, Rule.TRUNCATION} or moves_current:
        assert later > 0


def test_gradients_are_those_of_the_real_network_where_nothing_is_rounded(rng: np.random.Generator) -> None:
    """Integers that are exact: the straight-through gradient is the gradient."""
    graph = feed_forward()
    weights = np.array([[16.0, -32.0], [64.0, 16.0], [-48.0, 32.0]])
    graph = graph.map(
        lambda n: (
            replace(n, weights=weights)
            if isinstance(n, ir.Dense) and n.name == "encode"
            else (
                replace(n, dv=np.zeros(3), vth=np.full(3, 90.0))
                if n.name == "hidden" and isinstance(n, ir.Lif)
                else n
            )
        )
    )
    fixed = QuantizeGraph(rounding=Rounding.NEAREST, steps=6)(graph)
    x = torch.from_numpy(spikes(rng, 4, 6, 2))
    gradients = []
    for network in (GraphNetwork(graph), GraphNetwork(graph, fixed)):
        network(x).scores[:, 0].sum().backward()
        gradients.append(network.connection("encode").values.grad)
    assert gradients[0] is not None
    assert gradients[1] is not None
    assert gradients[0].abs().max() > 0
    assert torch.allclose(gradients[0], gradients[1], rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("bits", [8, 3])
def test_training_with_the_integers_learns_and_ends_with_the_integers_it_used(
    bits: int, rng: np.random.Generator
) -> None:
    graph = SplitSigns()(recurrent(rng, neurons=16))
    x = spikes(rng, 60, 12, 6)
    labels = x[:, :, :3].sum(axis=1).argmax(axis=1)
    fixed = QuantizeGraph(weight_bits=bits)(graph)
    options = FitOptions(6, 20, 0.05, device="cpu")
    tuned, records = tune_graph(graph, fixed, x, labels, options, seed=0)
    again = tune_graph(graph, fixed, x, labels, options, seed=0)[0]
    assert records[-1].loss < 0.8 * records[0].loss
    quantized = QuantizeGraph(weight_bits=bits, keep=fixed, rounding=Rounding.NEAREST)(tuned)
    _check_equal(reference.run(quantized, x[:3]), _run(GraphNetwork(tuned, quantized), x[:3]))
    for node, before, repeated in zip(tuned.synapses, graph.synapses, again.synapses, strict=True):
        assert isinstance(node.weights, csr_array)
        assert np.array_equal(node.weights.indices, sparse(before.weights).indices)
        assert np.array_equal(values_of(node.weights), values_of(repeated.weights))
        expected = fixed[node.name]
        assert isinstance(expected, ir.FixedDense)
        limit = fixedpoint.weight_limits(expected.sign_mode)
        integers = values_of(weights_of(quantized, node.name))
        assert limit[0] <= integers.min() <= integers.max() <= limit[1]
    for node in quantized.populations:
        kept = fixed[node.name]
        assert isinstance(node, ir.FixedLif)
        assert isinstance(kept, ir.FixedLif)
        assert np.array_equal(node.scale, kept.scale)
        assert np.array_equal(node.dv, kept.dv)


def test_zeros_of_a_dense_matrix_stay_pruned_and_biases_of_channels_are_shared(
    rng: np.random.Generator,
) -> None:
    network = small_preresnet(0)
    graph = from_torch(network)
    kernels = {node.name: node for node in graph.synapses if isinstance(node, ir.Conv2d)}
    pruned = graph.map(
        lambda n: (
            replace(n, weights=n.weights * (rng.random(n.weights.shape) < 0.5))
            if isinstance(n, ir.Conv2d)
            else n
        )
    )
    x = np.repeat(images(network, 8).numpy()[:, None], 3, axis=1)
    tuned, _ = tune_graph(
        pruned,
        QuantizeGraph(steps=3)(pruned),
        x,
        np.arange(8) % 3,
        FitOptions(2, 4, 0.01, device="cpu"),
        seed=0,
    )
    moved = 0
    for name in kernels:
        before, after = values_of(weights_of(pruned, name)), values_of(weights_of(tuned, name))
        assert (after[before == 0] == 0).all()
        moved += int((after != before).sum())
    assert moved > 0
    for node in tuned.populations:
        if node.vth.ndim == 3:
            assert (node.bias == node.bias[:, :1, :1]).all()


def test_a_fixed_graph_alone_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(TrainingError, match="in integers already"):
        GraphNetwork(QuantizeGraph()(recurrent(rng)))
    assert frozenset(Rule) == ALL_RULES


@pytest.mark.parametrize("seed", range(12))
def test_sums_that_leave_32_bits_wrap_before_a_negative_exponent_drops_bits(seed: int) -> None:
    recipe = Recipe(seed, (6,), 5, graded=True, wide=True, synaptic_delays=seed % 2 == 0)
    graph, x = random_fixed(recipe), random_stimulus(recipe, 2, 12)
    _check_equal(reference.run(graph, x), _run(GraphNetwork(_real(graph), graph), x))
