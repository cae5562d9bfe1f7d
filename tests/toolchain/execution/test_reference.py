"""The reference by hand: a few steps that can be checked on paper."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from tests.graphs import chain, dense, feed_forward, fixed_dense, fixed_lif, lif
from toolchain import ir
from toolchain.errors import UnknownNameError
from toolchain.execution import reference
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, EdgeKind, Graph


def _one(**changes: float) -> Graph:
    return chain(dense("w", "x", [[1.0]]), lif("p", ("w",), 1, **changes))


def _input(*values: float) -> np.ndarray:
    return np.array(values).reshape(1, -1, 1)


def test_a_neuron_leaks_integrates_fires_and_resets_to_zero() -> None:
    trace = reference.run(_one(dv=0.5, vth=1.2), _input(1, 1, 1, 0))
    assert trace.v["p"].ravel().tolist() == [1.0, 0.0, 1.0, 0.5]
    assert trace.spikes["p"].ravel().tolist() == [False, True, False, False]


def test_the_threshold_must_be_exceeded_strictly() -> None:
    assert not reference.run(_one(dv=0.0, vth=1.0), _input(1)).spikes["p"].any()
    assert reference.run(_one(dv=0.0, vth=np.nextafter(1.0, 0)), _input(1)).spikes["p"].any()


def test_the_current_filter_keeps_part_of_the_input() -> None:
    trace = reference.run(_one(du=0.5, dv=1.0, vth=10.0), _input(1, 0, 0))
    assert trace.u["p"].ravel().tolist() == [1.0, 0.5, 0.25]
    assert trace.v["p"].ravel().tolist() == [1.0, 0.5, 0.25]


def test_the_bias_is_added_every_step() -> None:
    trace = reference.run(_one(dv=0.0, vth=10.0, bias=0.25), _input(0, 0))
    assert trace.v["p"].ravel().tolist() == [0.25, 0.5]


def test_a_delay_per_neuron_holds_each_as_long_as_it_says() -> None:
    wait = ir.Delay(name="d", inputs=("x",), shape=(3,), steps=np.array([0, 1, 3]))
    graph = chain(wait, dense("w", "d", np.eye(3)), lif("p", ("w",), 3, dv=1.0, vth=10.0), shape=(3,))
    x = np.zeros((1, 5, 3))
    x[0, 0] = 1
    assert reference.run(graph, x).v["p"][0].argmax(axis=0).tolist() == [0, 1, 3]


@pytest.mark.parametrize("sparse", [False, True])
def test_a_delay_per_synapse_holds_each_as_long_as_it_says(sparse: bool) -> None:
    weights, delays = np.array([[1.0, 2.0]]), np.array([[2, 0]])
    stored = (csr_array(weights), csr_array((np.array([2, 0]), ([0, 0], [0, 1])), shape=(1, 2)))
    values = stored if sparse else (weights, delays)
    synapses = dense("w", "x", values[0], delays=values[1])
    graph = chain(synapses, lif("p", ("w",), 1, dv=1.0, vth=10.0), shape=(2,))
    x = np.zeros((1, 4, 2))
    x[0, 0] = 1
    assert reference.run(graph, x).u["p"].ravel().tolist() == [2.0, 0.0, 1.0, 0.0]


def test_a_negative_exponent_rounds_once_per_delay_slot() -> None:
    def potential(delays: np.ndarray | None) -> int:
        synapses = ir.FixedDense(
            name="w",
            inputs=("x",),
            weights=np.array([[2, -6]]),
            exponent=-2,
            sign_mode=SignMode.MIXED,
            delays=delays,
        )
        nodes = (
            ir.Input(name="x", shape=(2,)),
            synapses,
            fixed_lif("p", ("w",), 1, vth=1000),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
        x = np.zeros((1, 2, 2))
        x[0] = [[1, 0], [0, 1]] if delays is not None else [[0, 0], [1, 1]]
        return int(reference.run(Graph(nodes), x).u["p"][0, 1, 0])

    assert potential(None) == -1 << 6
    assert potential(np.array([[1, 0]])) == -2 << 6


def test_a_graded_input_is_scaled_rounded_and_multiplied() -> None:
    synapses = fixed_dense("w", "x", [[10]], exponent=1, sign_mode=SignMode.EXCITATORY)
    neurons = fixed_lif("p", ("w",), 1, vth=10_000)
    graph = chain(synapses, neurons, edge=EdgeKind.GRADED, scale=4.0, bits=3)
    trace = reference.run(graph, np.array([0.6, -0.6, 5.0]).reshape(1, 3, 1))
    assert (trace.u["p"].ravel() >> 6).tolist() == [40, -40, 140]


def test_samples_do_not_see_each_other(rng: np.random.Generator) -> None:
    x = rng.random((3, 6, 2)) < 0.5
    together = reference.run(feed_forward(), x)
    for i in range(3):
        alone = reference.run(feed_forward(), x[i : i + 1])
        assert np.array_equal(alone.v["readout"][0], together.v["readout"][i])


def test_an_unknown_quantity_is_named() -> None:
    with pytest.raises(UnknownNameError, match="known: spikes, u, v"):
        reference.run(feed_forward(), np.zeros((1, 1, 2)), record=("w",))
