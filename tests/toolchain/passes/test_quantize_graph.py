"""Integers that keep every promise: nothing clipped, nothing wraps, spikes nearly the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs import chain, dense, feed_forward, lif, recurrent, spikes
from tests.nodes import neurons_of, node_of, sparse, weights_of
from tests.random_graphs import firing_reals
from toolchain import fixedpoint, ir
from toolchain.errors import PreconditionError
from toolchain.execution import reference
from toolchain.execution.rise import before_reset, rises
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import find_faults
from toolchain.fidelity.metrics import compare_spikes
from toolchain.fixedpoint import SignMode
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, Stage
from toolchain.passes import Calibration, DequantizeGraph, FoldDelays, QuantizeGraph, explain_quantization
from toolchain.reset import Reset


def _wide(rng: np.random.Generator) -> Graph:
    """Time constants from 1 to 100 steps, written with an input gain: weights differ by 50 times."""
    graph = recurrent(rng, neurons=60, channels=20)
    dv = np.exp(rng.uniform(np.log(0.01), np.log(0.6), 60))

    def gained(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.Dense) and node.name == "encode":
            return replace(node, weights=node.weights * dv[:, None] * 2)
        if isinstance(node, ir.Dense) and node.name == "recur":
            return replace(node, weights=sparse(node.weights).toarray() * dv[:, None])
        hidden = isinstance(node, ir.Lif) and node.name == "hidden"
        return replace(node, dv=dv, vth=np.ones(60)) if hidden else node

    return graph.map(gained)


def test_names_order_and_origins_stay(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    result = QuantizeGraph()(graph)
    assert result.stage is Stage.FIXED
    assert [node.name for node in result] == [node.name for node in graph]
    assert neurons_of(result, "hidden").origin is neurons_of(graph, "hidden").origin


def test_a_scale_per_neuron_keeps_the_spikes_that_a_common_scale_loses(rng: np.random.Generator) -> None:
    graph = _wide(rng)
    x = spikes(rng, 4, 60, 20)
    expected = reference.run(graph, x).spikes["hidden"]
    f1 = {}
    for per_neuron in (True, False):
        fixed = QuantizeGraph(per_neuron=per_neuron, steps=60)(graph)
        f1[per_neuron] = compare_spikes(expected, reference.run(fixed, x).spikes["hidden"]).f1
    assert f1[True] > 0.9
    assert f1[True] > f1[False] + 0.02


@given(seed=st.integers(0, 10_000), bits=st.integers(4, 8))
@settings(max_examples=25)
def test_weights_thresholds_and_decays_are_the_nearest_integers(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    graph = recurrent(rng)
    fixed = QuantizeGraph(weight_bits=bits)(graph)
    hidden = fixed["hidden"]
    assert isinstance(hidden, ir.FixedLif)
    for name in ("encode", "recur"):
        node = fixed[name]
        assert isinstance(node, ir.FixedDense)
        wanted, integers = (
            sparse(each).toarray() if name == "recur" else np.asarray(each)
            for each in (weights_of(graph, name), node.weights)
        )
        exact = wanted * hidden.scale[:, None] / 2.0**node.exponent
        step = fixedpoint.weight_granularity(node.sign_mode, bits)
        assert (np.abs(integers - exact) <= step / 2 + 1e-6).all(), "a weight was clipped"
    assert (np.abs(hidden.vth - neurons_of(graph, "hidden").vth * hidden.scale) <= 0.5).all()
    assert (np.abs(hidden.dv - neurons_of(graph, "hidden").dv * 4096) <= 0.5).all()


def test_neurons_of_a_read_out_share_one_scale_and_never_fire(rng: np.random.Generator) -> None:
    readout = QuantizeGraph()(recurrent(rng))["readout"]
    assert isinstance(readout, ir.FixedLif)
    assert np.unique(readout.scale).size == 1
    assert (readout.vth == 2**17 - 1).all()


def test_without_data_ranges_are_proved(rng: np.random.Generator) -> None:
    graph = _wide(rng)
    document = explain_quantization(graph, QuantizeGraph()(graph))
    for row in document.populations.values():
        assert row.range == "proved"
        assert row.potential_bound is not None
        assert row.potential_bound <= 1
        assert row.current_bound is not None
        assert row.current_bound <= 1


def test_with_data_scales_may_be_larger_than_what_can_be_proved(rng: np.random.Generator) -> None:
    graph = _wide(rng)
    x = spikes(rng, 8, 40, 20)
    calibration = Calibration.observe(graph, Stimulus.of(x), reference.run(graph, x))
    measured = QuantizeGraph(calibration=calibration)(graph)
    proved = QuantizeGraph()(graph)
    scales = (node_of(each, "readout", ir.FixedLif).scale for each in (measured, proved))
    assert np.greater_equal(*scales).all()
    trace = reference.run(measured, x)
    for values in (trace.v["readout"], *trace.u.values()):
        assert np.abs(values).max() < 2**22 * 1.05, "the head-room is not twofold"
    # Lower than any spike depends on, a potential may saturate.
    for population in measured.populations:
        assert isinstance(population, ir.FixedLif)
        lowest = calibration.v_low[population.name] * 64 * population.scale
        assert lowest.min() > -(2**22) * 1.05, "the head-room is not twofold"


def test_a_graded_input_is_absorbed_into_the_weights() -> None:
    graph = feed_forward().map(
        lambda n: replace(n, edge=EdgeKind.GRADED, scale=16.0, bits=5) if isinstance(n, ir.Input) else n
    )
    x = np.random.default_rng(0).integers(0, 17, (3, 20, 2)) / 16
    expected, got = reference.run(graph, x), reference.run(QuantizeGraph()(graph), x)
    assert compare_spikes(expected.spikes["hidden"], got.spikes["hidden"]).f1 > 0.95


def test_a_bias_becomes_mantissa_and_exponent() -> None:
    graph = feed_forward().map(
        lambda n: replace(n, bias=np.array([0.05, -0.02, 0.3])) if n.name == "hidden" else n
    )
    hidden = QuantizeGraph()(graph)["hidden"]
    assert isinstance(hidden, ir.FixedLif)
    assert np.allclose(hidden.bias / (64 * hidden.scale), [0.05, -0.02, 0.3], rtol=1e-3)


def test_slow_integrators_without_data_shrink_until_proved_and_report_it() -> None:
    down, up = dense("w", "x", -np.ones((1, 50))), dense("up", "x", np.ones((1, 50)) * 0.5)
    graph = chain(down, up, lif("p", ("w", "up"), 1, dv=0.001, vth=5.0), shape=(50,))
    fixed = QuantizeGraph()(graph)
    document = explain_quantization(graph, fixed)
    assert document.populations["p"].range == "proved"
    assert node_of(fixed, "p", ir.FixedLif).scale[0] < 254 / 2


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_no_connection_has_a_larger_exponent_than_its_weights_need(seed: int) -> None:
    """Where the range holds the scale down, weights at a large exponent would use few of their integers."""
    rng = np.random.default_rng(seed)
    both = dense("w", "x", rng.normal(size=(6, 20)) * rng.gamma(0.5, 8, (6, 20)))
    down = dense("down", "x", -rng.uniform(0, 40, (6, 20)))
    graph = chain(both, down, lif("p", ("w", "down"), 6, dv=0.01, vth=1.0), shape=(20,))
    fixed = QuantizeGraph(steps=200)(graph)
    assert explain_quantization(graph, fixed).populations["p"].limited_by.range > 0
    for name in ("w", "down"):
        node = fixed[name]
        assert isinstance(node, ir.FixedDense)
        largest = np.abs(np.asarray(node.weights)).max()
        highest = 254 if node.sign_mode is fixedpoint.SignMode.MIXED else 255
        assert node.exponent == 0 or 2 * largest >= highest - 2


def test_a_read_out_stays_below_the_largest_threshold() -> None:
    """Between 2^17 - 1 thresholds and saturation lie 63 units in which it would fire."""
    graph = chain(dense("w", "x", [[1.0]]), lif("p", ("w",), 1, dv=0.0, vth=np.inf), decode=Decode.LAST_V)
    for steps in range(500, 540):
        fixed = QuantizeGraph(steps=steps)(graph)
        trace = reference.run(fixed, np.ones((1, steps, 1)))
        assert not trace.spikes["p"].any()
        assert trace.v["p"].max() <= fixedpoint.SILENT_LIMIT
        assert trace.v["p"].max() > 0.9 * fixedpoint.SILENT_LIMIT


def test_decays_that_no_register_holds_are_counted() -> None:
    graph = feed_forward().map(
        lambda n: (
            replace(n, du=np.array([0.0, 1.0, 0.5]), dv=np.array([1.0, 0.5, 0.5]))
            if n.name == "hidden"
            else n
        )
    )
    document = explain_quantization(graph, QuantizeGraph(steps=20)(graph))
    assert document.populations["hidden"].inexact_decays == 1


def test_an_integrator_that_nothing_bounds_asks_for_data() -> None:
    graph = chain(dense("w", "x", [[-1.0]]), lif("p", ("w",), 1, dv=0.0, vth=np.inf), decode=Decode.LAST_V)
    with pytest.raises(PreconditionError, match="give samples as `calibration`"):
        QuantizeGraph()(graph)
    assert QuantizeGraph(steps=100)(graph).stage is Stage.FIXED


def test_integers_and_unfolded_delays_are_refused(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    with pytest.raises(PreconditionError, match="in integers already"):
        QuantizeGraph()(QuantizeGraph()(graph))
    varied = graph.map(lambda n: replace(n, steps=np.arange(1, 13)) if n.name == "wait" else n)
    with pytest.raises(PreconditionError, match="run 'fold-delays' first"):
        QuantizeGraph()(varied)
    assert QuantizeGraph()(FoldDelays()(varied)).stage is Stage.FIXED
    with pytest.raises(PreconditionError, match="2 to 15 weight bits"):
        QuantizeGraph(weight_bits=1)(graph)


def test_a_connection_into_two_populations_is_refused() -> None:
    graph = feed_forward()
    second = lif("second", ("encode",), 3)
    with pytest.raises(PreconditionError, match="2 readers"):
        QuantizeGraph()(graph.with_nodes([*graph.nodes[:3], second, *graph.nodes[3:]]))


def test_the_explanation_finds_neurons_that_never_or_always_fire() -> None:
    neurons = lif("p", ("w",), 3, dv=0.5, vth=[1.5, 5.0, 0.5], bias=[0.0, 0.0, 2.0])
    graph = chain(dense("w", "x", [[1.0], [0.01], [0.5]]), neurons)
    fixed = QuantizeGraph()(graph)
    row = explain_quantization(graph, fixed).populations["p"]
    assert (row.never_fire, row.always_fire) == (1, 1)
    assert 0 < row.largest_decay_loss < 0.01
    trace = reference.run(fixed, np.ones((1, 50, 1)))
    assert trace.spikes["p"][0, :, 1].sum() == 0
    assert trace.spikes["p"][0, :, 2].all()


def test_the_explanation_counts_what_rounds_to_zero() -> None:
    weights = np.array([[1.0, 1e-6], [0.3, 0.9], [-1.0, 2.0]])
    graph = feed_forward().map(lambda n: replace(n, weights=weights) if n.name == "encode" else n)
    document = explain_quantization(graph, QuantizeGraph()(graph))
    row = document.connections["encode"]
    assert (row.rounded_to_zero, row.clipped, row.sign_mode) == (1, 0, SignMode.MIXED)


def _observed(graph: Graph, x: np.ndarray) -> Calibration:
    return Calibration.observe(graph, Stimulus.of(x), reference.run(graph, x))


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), calibrated=st.booleans(), known=st.booleans())
@settings(max_examples=15)
def test_whatever_a_spike_does_nothing_leaves_its_register(
    seed: int, *, calibrated: bool, known: bool
) -> None:
    """Proved for any input, or observed with room for twice as much; the integers are those of the reals."""
    rng = np.random.default_rng(seed)
    graph = firing_reals(recurrent(rng), rng)
    x = spikes(rng, 2, 12, 6)
    observed = _observed(graph, x) if calibrated else None
    fixed = QuantizeGraph(calibration=observed, steps=12 if known else None)(graph)
    report = explain_quantization(graph, fixed, steps=12 if known else None, calibration=observed)
    assert list(find_faults(graph, fixed)) == []
    any_other = spikes(rng, 2, 12, 6, rate=float(rng.uniform(0.1, 1)))
    traces = {kind: reference.run(fixed, each) for kind, each in {"measured": x, "proved": any_other}.items()}
    for node in fixed.populations:
        real = neurons_of(graph, node.name)
        row = report.populations[node.name]
        assert (row.firing is None) is real.is_plain
        whole = traces["measured" if row.range == "measured" else "proved"]
        limit = fixedpoint.SILENT_LIMIT if np.isinf(real.vth).any() else fixedpoint.STATE_LIMIT - 2
        assert np.abs(whole.u[node.name]).max() < fixedpoint.STATE_LIMIT
        if np.isinf(real.vth).any() or real.reset in {Reset.SUBTRACT, Reset.NONE}:
            high = before_reset(node, whole.v[node.name], whole.spikes[node.name])
            assert np.abs(high).max() <= limit
        assert whole.v[node.name].min() >= -limit
        risen = rises(node, whole.spikes[node.name])
        assert risen is None or risen.max() <= limit


@pytest.mark.parametrize("kind", ["zero", "subtract", "several", "alif"])
def test_integers_cost_little_more_than_the_rounding_of_weights_whatever_a_spike_does(kind: str) -> None:
    rng = np.random.default_rng(5)
    graph = recurrent(rng, neurons=40, channels=16, density=0.3)
    vth = neurons_of(graph, "hidden").vth
    fields: dict[str, dict[str, Any]] = {
        "zero": {},
        "subtract": {"reset": Reset.SUBTRACT, "reset_amount": vth},
        "several": {"reset": Reset.SUBTRACT, "reset_amount": vth / 2, "max_spikes": 15},
        "alif": {"adaptation": 0.3 * vth, "adaptation_decay": 1 / rng.uniform(20, 200, 40)},
    }
    edge = EdgeKind.GRADED if kind == "several" else EdgeKind.SPIKE

    def change(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.Dense) and node.name == "recur":
            return replace(node, weights=node.weights * 0.5)
        if isinstance(node, ir.Delay):
            return replace(node, edge=edge)
        return replace(node, **fields[kind]) if isinstance(node, ir.Lif) and node.name == "hidden" else node

    graph = graph.map(change)
    x = spikes(rng, 4, 60, 16, rate=0.2)
    fixed = QuantizeGraph(calibration=_observed(graph, x), steps=60)(graph)
    rounded = DequantizeGraph()(fixed)
    weights = graph.map(
        lambda node: (
            replace(node, weights=weights_of(rounded, node.name)) if isinstance(node, ir.Dense) else node
        )
    )
    expected, *others = (reference.run(each, x).spikes["hidden"] for each in (graph, weights, fixed))
    alone, together = (compare_spikes(expected, each).f1 for each in others)
    assert together > max(0.94, alone - 0.01)


def test_amounts_that_no_register_holds_shrink_the_scale_and_what_is_lost_is_said() -> None:
    fields = {"adaptation": [1e-9, 0.5, 1e5], "adaptation_decay": [0.5, 1e-5, 0.5]}
    neurons = lif("p", ("w",), 3, reset=Reset.VALUE, reset_amount=[0.1, -1e6, 0.1], **fields)
    graph = chain(dense("w", "x", [[1.0], [1.0], [1.0]]), neurons)
    fixed = QuantizeGraph(steps=100)(graph)
    node = node_of(fixed, "p", ir.FixedLif)
    assert list(find_faults(graph, fixed)) == []
    assert node.reset_amount is not None
    assert node.reset_amount[1] == -(2**23 - 1)
    assert node.scale[0] > 1000 * node.scale[1:].max()
    row = explain_quantization(graph, fixed, steps=100)
    assert row.populations["p"].firing is not None
    assert row.populations["p"].firing.lost_adaptations == 1
    said = " ".join(item.text for item in row.warnings if item.node == "p")
    assert "in 1 neurons a spike no longer raises the threshold" in said
    assert "a threshold time constant is off by" in said
