"""A graph as a module: the integers bit for bit, real numbers to rounding, gradients that go through both."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tests.graphs import chain, fixed_dense, fixed_lif, recurrent, spikes, varied
from tests.image_graphs import ImageRecipe, image_recipes, random_images, random_pictures
from tests.networks import images, small_preresnet
from tests.nodes import node_of, sparse, weights_of
from tests.random_graphs import Recipe, random_fixed, random_stimulus, recipes
from toolchain import fixedpoint, ir
from toolchain.errors import TrainingError
from toolchain.execution import reference
from toolchain.execution.trace import Trace
from toolchain.frontends import from_torch
from toolchain.ir import AnyNode, EdgeKind, Graph
from toolchain.ir.graph import same_node
from toolchain.ir.matrix import values_of, with_values
from toolchain.passes import FoldDelays, QuantizeGraph, Rounding, SplitSigns
from toolchain.reset import Reset
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
                    reset=node.reset,
                    reset_amount=_real_units(node.reset_amount, 64),
                    refractory=node.refractory,
                    adaptation=_real_units(node.adaptation, 64),
                    adaptation_decay=_real_units(node.adaptation_decay, 4096),
                    max_spikes=node.max_spikes,
                )
            case _:
                return node

    return graph.map(change)


def _real_units(integers: NDArray[np.int32] | None, unit: int) -> NDArray[np.float64] | None:
    return None if integers is None else integers / unit


def _run(network: GraphNetwork, x: Any, dtype: type = np.int64) -> Trace:
    counts = {node.name: node.max_spikes > 1 for node in network.graph.populations}
    with torch.no_grad():
        activity = network(torch.from_numpy(np.array(x)), record=True)
    return Trace(
        {
            name: each.numpy().astype(np.uint8 if counts[name] else bool)
            for name, each in activity.spikes.items()
        },
        {name: each.numpy().astype(dtype) for name, each in activity.v.items()},
        {name: each.numpy().astype(dtype) for name, each in activity.u.items()},
    )


def _check_equal(expected: Trace, got: Trace) -> None:
    for record, values in expected.by_key().items():
        assert np.array_equal(values, got.by_key()[record]), record


_NUMBERS = ("reset_amount", "refractory", "adaptation", "adaptation_decay")


def _firing(node: AnyNode, **changes: Any) -> AnyNode:
    """A hidden population with other spikes; numbers hold for every neuron."""
    if not isinstance(node, ir.Lif) or node.name != "hidden":
        return node
    numbers = {name: np.full(node.vth.shape, value) for name, value in changes.items() if name in _NUMBERS}
    return replace(node, **changes | numbers)


@given(recipe=recipes)
@settings(max_examples=40)
def test_all_rules_are_the_integers_bit_for_bit(recipe: Any) -> None:
    graph, x = random_fixed(recipe), random_stimulus(recipe, 2, 12)
    _check_equal(reference.run(graph, x), _run(GraphNetwork(_real(graph), graph), x))


def _without_leak(graph: Graph) -> Graph:
    """The graph with neurons whose state is exact in float32: nothing of it decays in part."""

    def change(node: AnyNode) -> AnyNode:
        if not isinstance(node, ir.FixedLif):
            return node
        decay = node.adaptation_decay
        return replace(
            node,
            du=np.full_like(node.du, 4095),
            dv=np.zeros_like(node.dv),
            adaptation_decay=None if decay is None else np.full_like(decay, 4096),
        )

    return graph.map(change)


@given(recipe=recipes)
@settings(max_examples=30)
def test_what_does_not_leak_is_exact_in_single_precision(recipe: Recipe) -> None:
    graph, x = _without_leak(random_fixed(recipe)), random_stimulus(recipe, 2, 12)
    network = GraphNetwork(_real(graph), graph, precision=torch.float32)
    _check_equal(reference.run(graph, x), _run(network, x))


@given(recipe=recipes.map(lambda recipe: replace(recipe, firing=True)))
@settings(max_examples=30)
def test_every_neuron_of_real_numbers_is_that_of_the_reference(recipe: Recipe) -> None:
    graph, x = _real(random_fixed(recipe)), random_stimulus(recipe, 2, 12)
    expected, got = reference.run(graph, x), _run(GraphNetwork(graph), x, np.float64)
    for name, values in expected.v.items():
        assert np.array_equal(expected.spikes[name], got.spikes[name])
        assert np.allclose(got.v[name], values, rtol=1e-9, atol=1e-9)


@given(recipe=image_recipes)
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
    if graded:
        spiking = {"reset": Reset.SUBTRACT, "reset_amount": 0.7, "refractory": 1}
        graph = graph.map(lambda node: _firing(node, **spiking, adaptation=0.3, adaptation_decay=0.2))
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


@pytest.mark.parametrize(
    ("bits", "changes"),
    [
        (8, {}),
        (3, {}),
        (8, {"reset": Reset.VALUE, "reset_amount": -0.4, "refractory": 1}),
        (6, {"reset": Reset.SUBTRACT, "reset_amount": 1.3, "max_spikes": 7}),
        (6, {"reset": Reset.SUBTRACT, "reset_amount": 2.1, "adaptation": 0.7, "adaptation_decay": 0.05}),
    ],
)
def test_training_with_the_integers_learns_and_ends_with_the_integers_it_used(
    bits: int, changes: dict[str, Any], rng: np.random.Generator
) -> None:
    graph = SplitSigns()(recurrent(rng, neurons=16)).map(lambda node: _firing(node, **changes))
    if changes.get("max_spikes", 1) > 1:
        graph = graph.map(lambda n: replace(n, edge=EdgeKind.GRADED) if isinstance(n, ir.Delay) else n)
    x = spikes(rng, 60, 12, 6)
    labels = x[:, :, :3].sum(axis=1).argmax(axis=1)
    fixed = QuantizeGraph(weight_bits=bits)(graph)
    options = FitOptions(6, 20, 0.05, device="cpu")

    def biases(node: ir.FixedLif) -> dict[str, Any]:
        return {name: getattr(node, name) for name in ("bias_mantissa", "bias_exponent")}

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
        assert same_node(replace(node, **biases(kept)), kept)


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


def test_sums_of_connections_of_several_exponents_are_exact() -> None:
    """A large message times a large exponent, and one unit more, need 31 bits together."""
    weights = {"large": ([[254] * 15], 7), "small": ([[2] + [0] * 14], 0)}
    dense = [fixed_dense(name, "x", each, exponent=exponent) for name, (each, exponent) in weights.items()]
    neurons = fixed_lif("p", ("large", "small"), 1, dv=0)
    graph = chain(*dense, neurons, shape=(15,), edge=ir.EdgeKind.GRADED, scale=1.0, bits=12)
    x = np.full((1, 3, 15), 4001.0)
    _check_equal(reference.run(graph, x), _run(GraphNetwork(_real(graph), graph), x))
