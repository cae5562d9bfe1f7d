"""The emulator: floats as the reference, sessions, cut batches, wide sums, large sparse matrices."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from targets.emulator import kernels, program
from targets.emulator.target import EmulatorTarget
from tests.graphs import feed_forward, fixed_lif, recurrent, spikes, varied
from tests.targets import conformance
from toolchain import reference
from toolchain.errors import TargetUnavailableError
from toolchain.fidelity import first_mismatch
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, EdgeKind, FixedDense, Graph, Input, Output
from toolchain.trace import QUANTITIES


@pytest.mark.parametrize("seed", range(4))
def test_float_graphs_equal_the_reference_to_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, x = recurrent(rng), spikes(rng, 3, 50, 6)
    expected, got = reference.run(graph, x), EmulatorTarget().build(graph).run(x, record=QUANTITIES)
    for name in expected.v:
        assert np.array_equal(expected.spikes[name], got.spikes[name])
        assert np.abs(expected.v[name] - got.v[name]).max() <= 1e-9


def test_float_graphs_with_varied_delays_and_graded_inputs_equal_the_reference(
    rng: np.random.Generator,
) -> None:
    graph, x = varied(recurrent(rng), rng), rng.normal(size=(3, 30, 6))
    expected, got = reference.run(graph, x), EmulatorTarget().build(graph).run(x, record=QUANTITIES)
    for name in expected.v:
        assert np.array_equal(expected.spikes[name], got.spikes[name])
        assert np.abs(expected.v[name] - got.v[name]).max() <= 1e-9
    assert expected.spikes["hidden"].any()


def test_a_session_stepped_by_hand_does_what_a_run_does() -> None:
    graph, x = conformance.graph(), conformance.stimulus()
    built = EmulatorTarget().build(graph)
    expected = built.run(x)
    session = built.session(batch=3)
    for _ in range(2):
        for t in range(x.shape[1]):
            fired = session.step({"x": x[:, t]})
            assert np.array_equal(fired["p1"], expected.spikes["p1"][:, t])
        session.reset()


def test_a_stimulus_that_does_not_fit_the_memory_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = conformance.graph(), conformance.stimulus(samples=7)
    whole = EmulatorTarget().build(graph).run(x, record=QUANTITIES)
    monkeypatch.setattr(program, "_BATCH_BYTES", 1)
    told: list[int] = []
    built = EmulatorTarget().build(graph)
    cut = built.run(x, record=QUANTITIES, progress=lambda done, _: told.append(done))
    assert told == [1, 2, 3, 4, 5, 6, 7]
    assert first_mismatch(whole, cut) is None


def test_a_large_sparse_matrix_is_multiplied_sparsely(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = conformance.graph(), conformance.stimulus()
    monkeypatch.setattr(kernels, "_DENSE_ELEMENTS", 0)
    trace = EmulatorTarget().build(graph).run(x, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, x), trace) is None


def test_sums_beyond_single_precision_stay_exact() -> None:
    """Odd weights and 20-bit messages: a sum above 2^24 that float32 could not hold."""
    weights = np.array([[255, 1]], dtype=np.int32)
    graph = Graph(
        (
            Input(name="x", shape=(2,), edge=EdgeKind.GRADED, scale=1.0, bits=20),
            FixedDense(name="w", inputs=("x",), weights=weights, exponent=-8, sign_mode=SignMode.EXCITATORY),
            fixed_lif("p", ("w",), 1, vth=2**17 - 1),
            Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    x = np.array([[[2**20 - 1, 1.0], [2**20 - 1, 2.0], [2**20 - 3, 255.0]]])
    trace = EmulatorTarget().build(graph).run(x, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, x), trace) is None


def test_potentials_of_a_read_out_are_kept_unasked() -> None:
    trace = EmulatorTarget().build(feed_forward()).run(np.ones((1, 3, 2)))
    assert set(trace.v) == {"readout"}


def test_an_empty_sparse_connection_sends_nothing() -> None:
    graph = feed_forward().map(
        lambda n: (
            type(n)(name="encode", inputs=("x",), weights=csr_array((3, 2))) if n.name == "encode" else n
        )
    )
    assert not EmulatorTarget().build(graph).run(np.ones((1, 3, 2))).spikes["hidden"].any()


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.torch.cuda, "is_available", lambda: False)
    with pytest.raises(TargetUnavailableError, match="no CUDA device"):
        EmulatorTarget("cuda").build(feed_forward())
