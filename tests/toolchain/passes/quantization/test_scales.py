"""The scale of a neuron: how many integers a unit of its model is."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.graphs import chain, dense, lif
from tests.nodes import node_of
from toolchain import ir
from toolchain.ir import Decode, Graph
from toolchain.passes import QuantizeGraph


def _readout(weights: Any, **changes: Any) -> Graph:
    """A read-out of potentials that are compared with one another."""
    values = np.array(weights, float)
    neurons = lif("readout", ("decode",), len(values), vth=np.inf, dv=0.1, **changes)
    return chain(dense("decode", "x", values), neurons, shape=(values.shape[1],), decode=Decode.LAST_V)


def _integers(graph: Graph) -> NDArray[Any]:
    return np.asarray(node_of(graph, "decode", ir.FixedDense).weights)


@pytest.mark.parametrize("per_neuron", [True, False])
def test_a_readout_neuron_without_synapses_does_not_hold_down_the_scale_of_the_others(
    *, per_neuron: bool
) -> None:
    weights = [[0.011, -0.003], [-0.002, 0.009]]
    quantize = QuantizeGraph(per_neuron=per_neuron, steps=10)
    alone, beside = quantize(_readout(weights)), quantize(_readout([*weights, [0.0, 0.0]]))
    assert np.array_equal(_integers(beside)[:2], _integers(alone))
    assert np.abs(_integers(alone)).max() > 100
    assert len(set(node_of(beside, "readout", ir.FixedLif).scale)) == 1


def test_a_readout_without_any_synapse_becomes_integers() -> None:
    fixed = QuantizeGraph(steps=10)(_readout([[0.0, 0.0], [0.0, 0.0]]))
    assert not _integers(fixed).any()


def test_a_neuron_of_a_bias_alone_has_a_fine_threshold() -> None:
    silent = [[0.4, 0.2], [0.0, 0.0]]
    neurons = lif("n", ("w",), 2, vth=0.37, bias=np.array([0.0, 0.05]))
    fixed = QuantizeGraph(steps=10)(chain(dense("w", "x", np.array(silent)), neurons, shape=(2,)))
    after = node_of(fixed, "n", ir.FixedLif)
    assert after.vth[1] / after.scale[1] == pytest.approx(0.37, rel=1e-3)
    bias = after.bias_mantissa[1] * 2.0 ** after.bias_exponent[1] / (64 * after.scale[1])
    assert bias == pytest.approx(0.05, rel=1e-2)


def test_a_neuron_without_synapses_does_not_lack_a_threshold_profile() -> None:
    neurons = lif("n", ("w",), 2, vth=0.37)
    graph = chain(dense("w", "x", np.array([[0.4, 0.2], [0.0, 0.0]])), neurons, shape=(2,))
    fixed = QuantizeGraph(threshold_profiles=1, steps=10)(graph)
    assert len(set(node_of(fixed, "n", ir.FixedLif).vth)) == 1
