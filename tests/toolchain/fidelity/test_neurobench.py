"""NeuroBench's metrics on a network small enough to count by hand."""

import numpy as np
import pytest

from tests.graphs import fixed_lif
from toolchain import ir
from toolchain.execution import reference
from toolchain.execution.activity import count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.neurobench import neurobench
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, EdgeKind, Graph


def _graph(edge: EdgeKind) -> Graph:
    scale = {"scale": 1.0, "bits": 4} if edge is EdgeKind.GRADED else {}
    weights = np.array([[100, 0, 2], [0, 100, 0], [0, 0, 0]])
    return Graph(
        (
            ir.Input(name="x", shape=(3,), edge=edge, **scale),
            ir.FixedDense(name="in", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.MIXED),
            fixed_lif("a", ("in",), 3, vth=50),
            ir.Output(name="output", inputs=("a",), decode=Decode.SPIKE_COUNT),
        )
    )


@pytest.mark.parametrize(("edge", "acs", "macs"), [(EdgeKind.SPIKE, 4, 0), (EdgeKind.GRADED, 0, 4)])
def test_effective_operations_are_events_times_weights_that_are_not_zero(
    edge: EdgeKind, acs: int, macs: int
) -> None:
    graph = _graph(edge)
    x = np.zeros((1, 2, 3), bool)
    x[0, 0] = [True, True, True]
    x[0, 1] = [False, True, False]
    stimulus = Stimulus.of(x)
    metrics = neurobench(graph, count_events(graph, stimulus, reference.run(graph, stimulus)))
    # First step 1 + 1 + 1 synapses, second step 1; dense 9 a step.
    assert (metrics.effective_acs, metrics.effective_macs, metrics.dense_operations) == (acs, macs, 18)
    assert metrics.connection_sparsity == pytest.approx(6 / 9)
    # Neuron 0 spikes once, neuron 1 twice, of 3 neurons and 2 steps.
    assert metrics.activation_sparsity == pytest.approx(1 - 3 / 6)
    assert metrics.parameter_count == 9 + 4 * 3
    assert metrics.footprint_bytes == 4 * (9 + 4 * 3 + 2 * 3)
    assert (metrics.neuron_updates, metrics.steps) == (6, 2)
