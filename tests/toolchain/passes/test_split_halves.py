"""Weights of more than eight bits: two synapses each, and a float graph that means the same."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.graphs import feed_forward, recurrent, spikes
from tests.networks import images, small_vgg
from tests.nodes import sparse
from toolchain import fixedpoint, ir
from toolchain.errors import PreconditionError
from toolchain.execution import reference
from toolchain.fidelity import check_integers
from toolchain.fidelity.metrics import compare_spikes
from toolchain.fixedpoint import SignMode
from toolchain.frontends import from_torch
from toolchain.hardware import LAVA_FIXED_POINT
from toolchain.ir import AnyNode, Graph
from toolchain.passes import (
    FoldDelays,
    JoinSigns,
    QuantizeGraph,
    SplitHalves,
    SplitSigns,
    explain_quantization,
)
from toolchain.passes.quantization.integers import COARSE, FINE


@given(
    mode=st.sampled_from(SignMode),
    bits=st.integers(9, fixedpoint.WIDE_BITS),
    drawn=st.lists(st.floats(-70_000, 70_000), min_size=1, max_size=50),
)
def test_halves_are_weights_of_the_chip_and_add_up(mode: SignMode, bits: int, drawn: list[float]) -> None:
    wide = fixedpoint.round_weights(np.array(drawn), mode, bits)
    coarse, fine = fixedpoint.halve_weights(wide, mode, bits)
    assert np.array_equal(coarse * 2 ** (bits - 8) + fine, wide)
    for half in (coarse, fine):
        assert np.array_equal(fixedpoint.apply_weight_rule(half, mode, 8), half)


@pytest.mark.parametrize("mode", SignMode)
@pytest.mark.parametrize("bits", range(9, fixedpoint.WIDE_BITS + 1))
def test_every_wide_weight_has_halves(mode: SignMode, bits: int) -> None:
    lowest, highest = fixedpoint.weight_limits(mode, bits)
    step = fixedpoint.weight_granularity(mode, bits)
    every = np.arange(lowest, highest + 1, step, dtype=np.int32)
    assert np.array_equal(fixedpoint.round_weights(every.astype(float), mode, bits), every)
    coarse, fine = fixedpoint.halve_weights(every, mode, bits)
    assert np.array_equal(coarse * 2 ** (bits - 8) + fine, every)
    for half in (coarse, fine):
        assert np.array_equal(fixedpoint.apply_weight_rule(half, mode, 8), half)


def _heavy(graph: Graph, rng: np.random.Generator) -> Graph:
    """Return the graph with a few weights that are many times the others."""

    def change(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.Dense) and node.name in ("encode", "recur"):
            weights = node.weights
            values = weights.data if isinstance(weights, csr_array) else weights
            heavier = values * np.where(rng.random(values.shape) < 0.05, 30.0, 1.0)
            whole = (
                csr_array((heavier, weights.indices, weights.indptr), shape=weights.shape)
                if isinstance(weights, csr_array)
                else heavier
            )
            return replace(node, weights=whole)
        return node

    return graph.map(change)


@pytest.mark.parametrize("split", [True, False])
def test_more_bits_keep_spikes_that_eight_bits_lose(rng: np.random.Generator, split: bool) -> None:
    graph = _heavy(recurrent(rng, neurons=40, channels=20), rng)
    graph = SplitSigns()(graph) if split else graph
    x = spikes(rng, 4, 40, 20)
    expected = reference.run(graph, x).spikes["hidden"]
    f1 = [
        compare_spikes(
            expected, reference.run(QuantizeGraph(weight_bits=bits, steps=40)(graph), x).spikes["hidden"]
        ).f1
        for bits in (8, 12, 15)
    ]
    assert f1[1] > f1[0]
    assert f1[2] > 0.99


@given(seed=st.integers(0, 10_000), bits=st.integers(9, 15), split=st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_float_graph_gets_the_halves_and_computes_the_same(seed: int, bits: int, split: bool) -> None:
    rng = np.random.default_rng(seed)
    graph = _heavy(FoldDelays()(recurrent(rng)), rng)
    graph = SplitSigns()(graph) if split else graph
    fixed = QuantizeGraph(weight_bits=bits, steps=30)(graph)
    halved = SplitHalves(fixed=fixed)(graph)
    assert [node.name for node in halved] == [node.name for node in fixed]
    check_integers(halved, fixed)
    x = spikes(rng, 2, 30, 6)
    expected, got = reference.run(graph, x), reference.run(halved, x)
    for name in expected.v:
        assert np.allclose(expected.v[name], got.v[name], atol=1e-9)
    joined = JoinSigns()(halved)
    assert [node.name for node in joined] == [node.name for node in JoinSigns()(graph)]


def test_synapses_that_one_half_holds_are_not_doubled(rng: np.random.Generator) -> None:
    """Small weights need the fine half only: memory grows by the large ones."""
    graph = SplitSigns()(_heavy(recurrent(rng, neurons=40, channels=20), rng))
    fixed = QuantizeGraph(weight_bits=12, steps=40)(graph)
    for node in graph.synapses:
        if node.name + COARSE not in fixed:
            continue
        coarse, fine = fixed[node.name + COARSE], fixed[node.name + FINE]
        assert isinstance(coarse, ir.FixedDense)
        assert isinstance(fine, ir.FixedDense)
        large, small, whole = (sparse(each.weights) for each in (coarse, fine, node))
        assert (large.data != 0).all()
        assert large.nnz + small.nnz < 2 * np.count_nonzero(whole.toarray())
        stored = (large + small).astype(bool)
        assert stored.nnz <= whole.nnz


def test_halves_are_not_warned_about(rng: np.random.Generator) -> None:
    """The coarse one uses few integers and the fine one small ones: that is how they are made."""
    graph = SplitSigns()(_heavy(recurrent(rng, neurons=40, channels=20), rng))
    fixed = QuantizeGraph(weight_bits=12, steps=40)(graph)
    document = explain_quantization(SplitHalves(fixed=fixed)(graph), fixed, steps=40)
    assert not [item for item in document.warnings if item.node.endswith((COARSE, FINE))]


def test_images_have_halves_too() -> None:
    network = small_vgg()
    graph, x = from_torch(network), np.repeat(images(network, 2).numpy()[:, None], 4, axis=1)
    fixed = QuantizeGraph(weight_bits=12, steps=4)(graph)
    assert any(node.name.endswith(COARSE) for node in fixed if isinstance(node, ir.FixedConv2d))
    halved = SplitHalves(fixed=fixed)(graph)
    check_integers(halved, fixed)
    expected, got = reference.run(graph, x), reference.run(halved, x)
    for name in expected.v:
        assert np.allclose(expected.v[name], got.v[name], atol=1e-9)


def test_a_graph_of_eight_bits_has_no_halves(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    assert SplitHalves(fixed=QuantizeGraph()(graph))(graph) is graph


def test_wide_weights_need_exponents() -> None:
    profile = replace(LAVA_FIXED_POINT, exponents=(0, 0))
    with pytest.raises(PreconditionError, match="need exponents"):
        QuantizeGraph(weight_bits=9, profile=profile)(feed_forward())
    with pytest.raises(PreconditionError, match="2 to 15 weight bits"):
        QuantizeGraph(weight_bits=16)(feed_forward())
    with pytest.raises(PreconditionError, match="needs a float graph"):
        SplitHalves(fixed=QuantizeGraph()(feed_forward()))(QuantizeGraph()(feed_forward()))
