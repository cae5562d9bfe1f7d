"""Metrics by hand, gates, baselines, decoding and cost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs import chain, dense, feed_forward, lif, recurrent, spikes
from toolchain import ir
from toolchain.errors import (
    CorruptArtifactError,
    FidelityError,
    FormatVersionError,
    UnknownNameError,
    UsageError,
)
from toolchain.execution import reference
from toolchain.execution.activity import count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.fidelity import (
    GATES,
    Comparison,
    check_baseline,
    check_gates,
    compare_traces,
    first_mismatch,
    in_model_units,
    parse_gates,
    predictions,
    scores,
    write_baseline,
)
from toolchain.fidelity.cost import measure_cost, recurrent_synapses
from toolchain.fidelity.explorer import explorer_data
from toolchain.fidelity.membrane import MembraneError
from toolchain.fidelity.metrics import RateError, SpikeCounts, TrainCounts, compare_spikes, first_difference
from toolchain.fidelity.neurobench import neurobench
from toolchain.ir import Decode, EdgeKind, Graph
from toolchain.passes import QuantizeGraph
from toolchain.reset import Reset


def _comparison(rng: np.random.Generator) -> Comparison:
    graph = recurrent(rng)
    fixed = QuantizeGraph(weight_bits=5)(graph)
    x = spikes(rng, 6, 30, 6)
    traces = reference.run(graph, x), reference.run(fixed, x)
    return compare_traces((graph, fixed), traces, labels=rng.integers(0, 3, 6))


def test_precision_recall_and_f1_by_hand() -> None:
    expected = np.array([1, 1, 1, 0, 0], bool)
    got = np.array([1, 0, 0, 1, 0], bool)
    agreement, precision, recall, f1 = compare_spikes(expected, got)
    assert (agreement, precision, recall) == (0.4, 0.5, pytest.approx(1 / 3))
    assert f1 == pytest.approx(2 * 0.5 / 3 / (0.5 + 1 / 3))


def test_counts_share_as_many_spikes_as_both_have_and_sums_hold_more_than_255() -> None:
    expected, got = np.array([3, 0, 2, 0], np.uint8), np.array([1, 1, 2, 0], np.uint8)
    agreement, precision, recall, _ = compare_spikes(expected, got)
    assert (agreement, precision, recall) == (0.5, 3 / 4, 3 / 5)
    full = np.full((1, 300, 2), 255, np.uint8)
    assert SpikeCounts.of(full, full) == SpikeCounts(600, 600, 600 * 255, 600 * 255, 600 * 255)
    rates = RateError()
    rates.add(TrainCounts.of(full, full - 1))
    assert rates.value == pytest.approx(1 / 255)
    graph = chain(dense("w", "x", [[1.0], [1.0]]), lif("p", ("w",), 2))
    assert scores(graph, Trace({"p": full}), graph.outputs[0]).tolist() == [[300 * 255.0] * 2]


def test_a_divergence_of_counts_says_how_many_and_from_which_raised_threshold() -> None:
    fields = {"reset": Reset.SUBTRACT, "reset_amount": 1.0, "max_spikes": 7}
    raised = {"adaptation": 0.25, "adaptation_decay": 0.5}
    neurons = lif("p", ("w",), 1, dv=0.0, vth=1.0, **fields, **raised)
    graph = chain(dense("w", "x", [[3.5]]), neurons)
    # 3.5 is above 1 three times while 1 is taken away, and four times while 0.7 is.
    other = graph.map(
        lambda node: replace(node, reset_amount=np.array([0.7])) if isinstance(node, ir.Lif) else node
    )
    x = np.array([[[0], [1], [1]]], bool)
    traces = reference.run(graph, x), reference.run(other, x)
    comparison = compare_traces((graph, other), traces)
    first = comparison.nodes["p"].first
    assert first is not None
    assert (first.step, first.counts) == (1, (3, 4))
    assert first.rise == 0
    assert first.outcome == "its spikes were 3 in float and 4 in integers, from potentials of 3.5 and 3.5"
    late = graph.map(lambda node: replace(node, vth=np.array([1.3])) if isinstance(node, ir.Lif) else node)
    first = compare_traces((graph, late), (traces[0], reference.run(late, x))).nodes["p"].first
    assert first is not None
    assert first.step == 2
    assert first.raised == " + 0.75 by adaptation"
    cost = measure_cost(graph, Stimulus.of(x), traces[0])
    assert cost.spikes == {"p": float(traces[0].spikes["p"].sum())}
    explored = explorer_data((graph, other), traces, [0])["populations"][0]["spikes"]
    assert explored[0][0][0] == [1, 0, 3]
    page = neurobench(graph, count_events(graph, Stimulus.of(x), traces[0]))
    assert page.parameter_count == 1 + 4 + 3
    assert page.activation_sparsity == pytest.approx(1 / 3)


def test_two_silent_executions_agree_and_one_silent_one_does_not() -> None:
    silent, loud = np.zeros(4, bool), np.ones(4, bool)
    assert compare_spikes(silent, silent) == (1.0, 1.0, 1.0, 1.0)
    assert compare_spikes(silent, loud).f1 == 0
    assert compare_spikes(loud, silent).f1 == 0


def test_rate_and_membrane_errors_by_hand() -> None:
    expected = np.array([[[1], [1], [0], [0]]], bool)
    got = np.array([[[1], [0], [0], [0]]], bool)
    rates, membrane = RateError(), MembraneError(np.array([5.0]))
    rates.add(TrainCounts.of(expected, got))
    membrane.add(np.zeros((1, 2, 1)), np.array([[[3.0], [4.0]]]))
    assert rates.value == 0.5
    assert membrane.value == pytest.approx(np.sqrt(12.5) / 5)


def test_the_first_difference_is_the_earliest_step_not_the_earliest_sample() -> None:
    a = np.zeros((2, 5, 3))
    b = a.copy()
    b[0, 4, 0] = 1
    b[1, 2, 1] = 1
    assert first_difference(a, b) == (1, 2, 1)
    assert first_difference(a, a) is None
    one, two = a > 0, b > 0
    assert TrainCounts.of(one, two).first_difference(one, two) == (1, 2, 1)
    assert TrainCounts.of(one, one).first_difference(one, one) is None


def test_a_divergence_tells_whose_neuron_it_is_and_both_potentials(rng: np.random.Generator) -> None:
    first = _comparison(rng).nodes["hidden"].first
    assert first is not None
    assert first.expected is not None
    assert first.got is not None
    assert first.element == first.neuron
    assert first.inputs == ()
    assert "its own rounded numbers" in first.blame
    # At the first flip one side has just fired and is at rest, the other stayed below the threshold.
    assert min(abs(first.expected), abs(first.got)) == 0
    assert max(first.expected, first.got) <= first.threshold * 1.001


def test_a_later_divergence_names_the_input_that_differed_first(rng: np.random.Generator) -> None:
    """Two layers: the second differs only because the first did."""
    nodes = (
        ir.Input(name="x", shape=(3,)),
        ir.Dense(name="w", inputs=("x",), weights=np.eye(3)),
        lif("p", ("w",), 3, vth=0.5),
        ir.Dense(name="r", inputs=("p",), weights=np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])),
        lif("q", ("r",), 2, vth=0.5),
        ir.Output(name="o", inputs=("q",), decode=Decode.SPIKE_COUNT),
    )
    graph = Graph(nodes)
    deaf = graph.map(lambda n: replace(n, vth=np.array([0.5, 5.0, 0.5])) if n.name == "p" else n)
    x = np.zeros((2, 4, 3), bool)
    x[1, 2, 1] = True
    comparison = compare_traces((graph, deaf), (reference.run(graph, x), reference.run(deaf, x)))
    first = comparison.nodes["q"].first
    assert first is not None
    assert (first.sample, first.step, first.neuron) == (1, 2, 0)
    assert [(i.connection, i.source, i.neuron, i.step) for i in first.inputs] == [("r", "p", 1, 2)]
    assert first.blame == "neuron 1 of 'p' had differed at step 2, through 'r'"
    assert comparison.nodes["p"].first is not None
    assert comparison.nodes["p"].first.inputs == ()


def test_equal_executions_have_nothing_to_report(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    trace = reference.run(graph, spikes(rng, 2, 10, 6))
    comparison = compare_traces((graph, graph), (trace, trace))
    assert comparison.spike_f1 == 1
    assert comparison.prediction_agreement == 100
    assert comparison.accuracy_drop is None
    for node in comparison.nodes.values():
        assert node.first is None
        assert node.membrane_error == 0


@pytest.mark.parametrize(
    ("decode", "expected"),
    [
        (Decode.SPIKE_COUNT, [2.0, 0.0]),
        (Decode.NONE, [2.0, 0.0]),
        (Decode.LAST_V, [3.0, -1.0]),
        (Decode.MEAN_V, [2.0, 0.0]),
        (Decode.MAX_V, [3.0, 1.0]),
    ],
)
def test_scores_read_only_valid_steps(decode: Decode, expected: list[float]) -> None:
    graph = feed_forward().map(lambda n: replace(n, decode=decode) if isinstance(n, ir.Output) else n)
    v = np.array([[[1.0, 1.0], [3.0, -1.0], [99.0, 99.0]]])
    fired = np.array([[[1, 0], [1, 0], [1, 1]]], bool)
    trace = Trace(spikes={"readout": fired}, v={"readout": v})
    assert scores(graph, trace, graph.outputs[0], np.array([2])).tolist() == [expected]


def test_an_affine_read_out_is_applied_on_the_host() -> None:
    weights, bias = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([0.5, 0.0])
    graph = feed_forward().map(
        lambda n: replace(n, weights=weights, bias=bias) if isinstance(n, ir.Output) else n
    )
    trace = Trace(v={"readout": np.array([[[1.0, 1.0]]])})
    assert scores(graph, trace, graph.outputs[0]).tolist() == [[3.5, -1.0]]
    assert predictions(graph, trace).tolist() == [0]


def test_integer_potentials_are_read_in_model_units(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    fixed = QuantizeGraph()(graph)
    x = spikes(rng, 2, 20, 6)
    real, integer = reference.run(graph, x), reference.run(fixed, x)
    same = in_model_units(fixed, "readout", integer.v["readout"])
    assert np.abs(same[:, 0] - real.v["readout"][:, 0]).max() < 0.05


def test_first_mismatch_names_record_sample_step_and_values() -> None:
    a = Trace(v={"p": np.array([[[1], [2]]])}, spikes={"p": np.array([[[0], [1]]], bool)})
    b = Trace(v={"p": np.array([[[1], [3]]])}, spikes={"p": np.array([[[0], [1]]], bool)})
    assert first_mismatch(a, a) is None
    assert str(first_mismatch(a, b)) == "p.v of neuron 0 in sample 0 at step 1: expected 2, got 3"
    missing = first_mismatch(a, Trace(spikes=a.spikes))
    assert missing is not None
    assert missing.record == "p.v"


def test_gates_are_parsed_or_refused() -> None:
    assert parse_gates(["accuracy_drop=0.5", "spike_f1=1"]) == {"accuracy_drop": 0.5, "spike_f1": 1.0}
    with pytest.raises(UnknownNameError, match="did you mean 'spike_f1'"):
        parse_gates(["spike_f=1"])
    for text in ("spike_f1", "spike_f1=x", "spike_f1=nan", "spike_f1=inf"):
        with pytest.raises(UsageError, match="finite number"):
            parse_gates([text])


@pytest.mark.parametrize(
    ("gate", "loose", "tight"),
    [
        ("accuracy_drop", 100, -101),
        ("rate_error", 10, -1),
        ("membrane_error", 100, -1),
        ("spike_agreement", 0, 1.1),
        ("spike_f1", 0, 1.1),
        ("prediction_agreement", 0, 101),
    ],
)
def test_every_gate_can_be_met_and_missed(
    gate: str, loose: float, tight: float, rng: np.random.Generator
) -> None:
    comparison = _comparison(rng)
    check_gates(comparison, {gate: loose})
    with pytest.raises(FidelityError, match=f"gate '{gate}' not met at") as caught:
        check_gates(comparison, {gate: tight})
    assert caught.value.exit_code == 4
    assert caught.value.node in {"hidden", "readout", "output"}
    assert gate in GATES


def test_a_gate_that_cannot_be_measured_says_what_it_needs(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    trace = reference.run(graph, spikes(rng, 2, 10, 6))
    with pytest.raises(UsageError, match="needs labels"):
        check_gates(compare_traces((graph, graph), (trace, trace)), {"accuracy_drop": 0.5})


def test_a_baseline_is_met_by_what_wrote_it_and_missed_by_worse(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    comparison, path = _comparison(rng), tmp_path / "baseline.json"
    write_baseline(path, comparison)
    check_baseline(path, comparison)
    worse = replace(comparison, prediction_agreement=(comparison.prediction_agreement or 0) - 1)
    with pytest.raises(FidelityError, match="prediction_agreement"):
        check_baseline(path, worse)
    written = path.read_text()
    path.write_text(written.replace('"version": 2', '"version": 1'))
    with pytest.raises(FormatVersionError):
        check_baseline(path, comparison)
    path.write_text("[]")
    with pytest.raises(CorruptArtifactError, match="not the baseline"):
        check_baseline(path, comparison)
    path.write_text(written.replace('"samples"', '"examples"'))
    with pytest.raises(CorruptArtifactError, match="'samples' is missing"):
        check_baseline(path, comparison)
    path.write_text(written.replace('"spike_f1"', '"spike_f2"'))
    with pytest.raises(CorruptArtifactError, match="spike_f1' is missing"):
        check_baseline(path, comparison)
    path.write_text(written.replace('"readout"', '"output"'))
    with pytest.raises(UsageError, match="again with `write_baseline`"):
        check_baseline(path, comparison)


def test_a_baseline_names_the_layer_that_got_worse(tmp_path: Path, rng: np.random.Generator) -> None:
    """Also where another layer is worse than it: every layer is held to its own figures."""
    comparison, path = _comparison(rng), tmp_path / "baseline.json"
    write_baseline(path, comparison)
    readout = replace(comparison.nodes["readout"], membrane_error=0.9 * 2)
    other = replace(comparison.nodes["hidden"], membrane_error=0.0)
    for nodes in (
        {"hidden": other, "readout": readout},
        {"hidden": comparison.nodes["hidden"], "readout": readout},
    ):
        with pytest.raises(FidelityError, match="gate 'membrane_error' not met at 'readout'"):
            check_baseline(path, replace(comparison, nodes=nodes))


def test_synaptic_operations_are_spikes_times_fan_out() -> None:
    weights = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    graph = Graph(
        (
            ir.Input(name="x", shape=(2,)),
            ir.Dense(name="w", inputs=("x",), weights=weights),
            lif("p", ("w",), 3, vth=100.0),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    x = np.array([[[1, 1], [1, 0]], [[0, 1], [0, 0]]], bool)
    cost = measure_cost(graph, Stimulus.of(x), reference.run(graph, x))
    # Sample 0: channel 0 twice at fan-out 3, channel 1 once at fan-out 1; sample 1: channel 1 once.
    assert cost.synaptic_operations == {"w": (2 * 3 + 1 + 1) / 2}
    assert cost.synapses == {"w": 4}
    assert cost.total_operations == 4.0


def test_a_graded_zero_costs_nothing_and_recurrence_is_recognised(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    x = spikes(rng, 2, 10, 6)
    cost = measure_cost(graph, Stimulus.of(x), reference.run(graph, x))
    assert recurrent_synapses(graph, cost) == cost.synapses["recur"]
    graded = feed_forward().map(
        lambda n: replace(n, edge=EdgeKind.GRADED, scale=4.0, bits=4) if isinstance(n, ir.Input) else n
    )
    values = np.array([[[0.0, 0.5]]])
    assert (
        measure_cost(graded, Stimulus.of(values), reference.run(graded, values)).synaptic_operations["encode"]
        == 3
    )


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ({"spike_f": 0.9}, "did you mean 'spike_f1'"),
        ("spike_f1=0.9", "write them as {'accuracy_drop': 0.5}"),
        ({"spike_f1": "much"}, "spike_f1: expected"),
    ],
)
def test_gates_that_are_none_are_refused(rng: np.random.Generator, gates: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_gates(_comparison(rng), gates)
