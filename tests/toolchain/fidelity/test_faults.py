"""Builds broken on purpose: every fault is caught, and the culprit is named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.graphs import recurrent, spikes
from tests.networks import images, small_preresnet
from tests.nodes import node_of, sparse, weights_of
from toolchain import ir
from toolchain.errors import FaultyIntegersError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import check_integers, find_faults, first_mismatch
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.ir.matrix import values_of, with_values
from toolchain.passes import Calibration, QuantizeGraph, SplitSigns, explain_quantization
from toolchain.reset import Reset
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build


@pytest.fixture
def graphs(rng: np.random.Generator) -> tuple[Graph, Graph]:
    late = recurrent(rng).map(lambda node: replace(node, steps=2) if isinstance(node, ir.Delay) else node)
    graph = SplitSigns()(late)
    return graph, QuantizeGraph()(graph)


def _changed(graph: Graph, name: str, **fields: Any) -> Graph:
    return graph.map(lambda node: replace(node, **fields) if node.name == name else node)


def _weight_changed(graph: Graph, name: str, index: int, by: int) -> Graph:
    node = graph[name]
    assert isinstance(node, ir.FixedDense)
    values = values_of(node.weights).copy()
    values[index] += by
    return _changed(graph, name, weights=with_values(node.weights, values))


def _threshold_changed(graph: Graph, neuron: int, by: int) -> Graph:
    node = graph["hidden"]
    assert isinstance(node, ir.FixedLif)
    vth = node.vth.copy()
    vth[neuron] += by
    return _changed(graph, "hidden", vth=vth)


def _without_delay(graph: Graph) -> Graph:
    """What was two steps on its way is one step on its way."""
    return graph.map(lambda node: replace(node, steps=1) if isinstance(node, ir.Delay) else node)


def _caught(graphs: tuple[Graph, Graph], broken: Graph) -> FaultyIntegersError:
    build = Build(graphs[0], broken, "emulator", explain_quantization(*graphs))
    with pytest.raises(FaultyIntegersError) as caught:
        compare_build(build, Stimulus.of(np.ones((1, 4, 6), bool)))
    assert caught.value.exit_code == 4
    return caught.value


def test_one_threshold_off_by_one_names_the_neuron(graphs: tuple[Graph, Graph]) -> None:
    fixed = graphs[1]["hidden"]
    assert isinstance(fixed, ir.FixedLif)
    error = _caught(graphs, _threshold_changed(graphs[1], 7, 1))
    right = fixed.vth[7]
    assert error.node == "hidden"
    assert f"threshold of neuron 7 (element 7 of 'layers.hidden') is {right + 1}, expected {right}" in str(
        error
    )


def test_one_weight_changed_names_the_connection_and_the_weight(graphs: tuple[Graph, Graph]) -> None:
    values = values_of(weights_of(graphs[1], "recur.excitatory"))
    index = int(np.argmax((values > 10) & (values < 200)))
    error = _caught(graphs, _weight_changed(graphs[1], "recur.excitatory", index, 2))
    assert error.node == "recur.excitatory"
    assert f"weight {index} (target" in str(error)
    assert f"is {values[index] + 2}, expected" in str(error)


def test_one_delay_missing_names_the_delay(graphs: tuple[Graph, Graph]) -> None:
    error = _caught(graphs, _without_delay(graphs[1]))
    assert error.node == "wait"
    assert "delay is 1, expected 2" in str(error)


@pytest.mark.parametrize(
    ("field", "said"),
    [("dv", "dv of neuron 3"), ("du", "du of neuron 3"), ("bias_mantissa", "bias of neuron 3")],
)
def test_other_registers_are_checked_too(field: str, said: str, graphs: tuple[Graph, Graph]) -> None:
    node = graphs[1]["hidden"]
    register = getattr(node, field).copy()
    register[3] += 5
    (fault,) = find_faults(graphs[0], _changed(graphs[1], "hidden", **{field: register}))
    assert fault.node == "hidden"
    assert said in fault.what


@pytest.mark.parametrize("field", ["reset_amount", "refractory", "adaptation", "adaptation_decay"])
def test_what_a_spike_does_is_checked_too(field: str, rng: np.random.Generator) -> None:
    fields = {"reset": Reset.SUBTRACT, "reset_amount": np.full(12, 1.5), "refractory": np.arange(12)}
    raised = {"adaptation": np.full(12, 0.5), "adaptation_decay": np.full(12, 0.01)}
    graph = _changed(recurrent(rng), "hidden", **fields, **raised)
    fixed = QuantizeGraph()(graph)
    assert list(find_faults(graph, fixed)) == []
    values = getattr(fixed["hidden"], field).copy()
    values[3] += 1
    (fault,) = find_faults(graph, _changed(fixed, "hidden", **{field: values}))
    assert fault.what.startswith(f"{field} of neuron 3 ")
    (fault,) = find_faults(graph, _changed(fixed, "hidden", max_spikes=2))
    assert (fault.what, fault.expected.split(", ")[1], fault.got.split(", ")[1]) == (
        "effect of a spike",
        "1",
        "2",
    )


def test_a_decay_far_below_what_rounding_takes_is_a_fault(graphs: tuple[Graph, Graph]) -> None:
    node = graphs[1]["hidden"]
    assert isinstance(node, ir.FixedLif)
    (fault,) = find_faults(
        graphs[0], _changed(graphs[1], "hidden", dv=node.dv - (np.arange(12) == 3) * (node.dv // 2))
    )
    assert "dv of neuron 3" in fault.what


def test_synapses_that_moved_to_another_row_and_a_connection_nobody_reads_are_faults(
    graphs: tuple[Graph, Graph],
) -> None:
    graph, fixed = graphs
    weights = sparse(weights_of(fixed, "recur.excitatory"))
    ends = weights.indptr.copy()
    ends[1] += 1 if ends[1] < ends[2] else -1
    moved = csr_array((weights.data, weights.indices, ends), shape=weights.shape)
    assert any(
        f.what == "synapses" for f in find_faults(graph, _changed(fixed, "recur.excitatory", weights=moved))
    )
    hidden = fixed["hidden"]
    deaf = _changed(fixed, "hidden", inputs=hidden.inputs[1:])
    assert {f.what for f in find_faults(graph, deaf)} == {"target", "source"}


def test_structure_is_checked(graphs: tuple[Graph, Graph]) -> None:
    graph, fixed = graphs
    fewer = fixed.with_nodes(node for node in fixed if node.name != "skip.excitatory")
    texts = [str(fault) for fault in find_faults(graph, fewer)]
    assert "'skip.excitatory': node is missing, expected a dense" in texts
    other = fixed.map(lambda n: replace(n, inputs=("x",)) if n.name == "decode.inhibitory" else n)
    assert any(fault.what in {"source", "shape"} for fault in find_faults(graph, other))
    renamed = fixed.map(lambda n: replace(n, classes=("x", "y", "z")) if isinstance(n, ir.Output) else n)
    (fault,) = find_faults(graph, renamed)
    assert (fault.node, fault.what) == ("output", "classes")
    assert next(find_faults(graph, graph)).what == "stage"


@given(seed=st.integers(0, 10_000), bits=st.integers(2, 8), calibrated=st.booleans())
@settings(max_examples=25)
def test_what_the_compiler_makes_has_no_faults(seed: int, bits: int, calibrated: bool) -> None:
    rng = np.random.default_rng(seed)
    graph, x = SplitSigns()(recurrent(rng)), spikes(rng, 3, 12, 6)
    calibration = Calibration.observe(graph, Stimulus.of(x), reference.run(graph, x)) if calibrated else None
    check_integers(graph, QuantizeGraph(weight_bits=bits, calibration=calibration)(graph))


def test_networks_of_images_have_no_faults_and_one_is_found_in_a_kernel() -> None:
    network = small_preresnet(0)
    graph = from_torch(network)
    x = np.repeat(images(network, 3).numpy()[:, None], 3, axis=1)
    calibration = Calibration.observe(graph, Stimulus.of(x), reference.run(graph, x))
    fixed = QuantizeGraph(calibration=calibration, steps=3)(graph)
    check_integers(graph, fixed)
    name = next(node.name for node in fixed.synapses if node.kind == "fixed_conv2d")
    weights = node_of(fixed, name, ir.FixedConv2d).weights.copy()
    weights[0, 0, 0, 0] = -weights[0, 0, 0, 0] if abs(weights[0, 0, 0, 0]) > 8 else 100
    with pytest.raises(FaultyIntegersError, match=f"'{name}': weight 0"):
        check_integers(graph, _changed(fixed, name, weights=weights))


@pytest.mark.parametrize(
    ("breakage", "record", "said"),
    [
        ("threshold", "hidden.spikes", "its threshold"),
        ("weight", "hidden.u", "a weight, an exponent or a delay"),
        ("delay", "hidden.u", "a weight, an exponent or a delay"),
        ("decay", "hidden.v", "its decay or bias"),
    ],
)
def test_a_target_that_runs_a_broken_network_is_caught_at_the_neuron_and_register(
    breakage: str, record: str, said: str, graphs: tuple[Graph, Graph], rng: np.random.Generator
) -> None:
    """Nobody hands over the broken graph here: only what it did. Step and neuron are those of the fault."""
    fixed, x = graphs[1], spikes(rng, 8, 40, 6)
    hidden = fixed["hidden"]
    assert isinstance(hidden, ir.FixedLif)
    column = values_of(weights_of(fixed, "encode.excitatory"))
    decays = hidden.dv.copy()
    decays[5] += 1
    broken = {
        "threshold": lambda: _threshold_changed(fixed, 5, -max(1, hidden.vth[5] // 20)),
        "weight": lambda: _weight_changed(fixed, "encode.excitatory", 0, -1 if column[0] > 1 else 1),
        "delay": lambda: _without_delay(fixed),
        "decay": lambda: _changed(fixed, "hidden", dv=decays),
    }[breakage]()
    mismatch = first_mismatch(reference.run(fixed, x), reference.run(broken, x))
    assert mismatch is not None
    assert mismatch.record == record
    assert said in str(mismatch)
    if breakage in {"threshold", "decay"}:
        assert mismatch.neuron == 5
    if breakage == "weight":
        rows = np.flatnonzero(np.diff(sparse(weights_of(fixed, "encode.excitatory")).indptr))
        assert mismatch.neuron == rows[0]
