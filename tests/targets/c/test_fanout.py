"""Whatever form a matrix takes in C, its synapses are all there."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.c.fanout import Fanout, FanoutForm, fan_out, stored_weights
from targets.c.layout import lay_out
from tests.graphs import fixed_lif
from toolchain import ir
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph


def _fanned(weights: NDArray[np.int32], mode: SignMode, delays: NDArray[np.int64] | None = None) -> Fanout:
    targets, sources = weights.shape
    node = ir.FixedDense(name="w", inputs=("x",), weights=weights, exponent=0, sign_mode=mode, delays=delays)
    graph = Graph(
        (
            ir.Input(name="x", shape=(sources,)),
            node,
            fixed_lif("p", ("w",), targets),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    return fan_out("w", node, lay_out(graph).arrivals["p"])


def _unfolded(fanout: Fanout, mode: SignMode, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Walk the tables as the templates do; return `[delays, targets, sources]`."""
    targets, sources = shape
    sums = np.zeros((len(fanout.waits), sources, targets), np.int64)
    tables = {table.name.removeprefix("w_"): table.values.astype(np.int64) for table in fanout.tables}
    for place in range(len(fanout.waits) * sources):
        row = sums.reshape(-1, targets)[place]
        if fanout.form is FanoutForm.MATRIX:
            row += tables["weights"].reshape(-1, targets)[place]
            continue
        i = 0
        for k in range(tables["starts"][place], tables["starts"][place + 1]):
            i = tables["targets"][k] if fanout.form is FanoutForm.TARGETS else i + tables["distances"][k]
            row[i] += tables["weights"][k]
    scale = {SignMode.MIXED: 2, SignMode.EXCITATORY: 1, SignMode.INHIBITORY: -1}[mode]
    return sums.transpose(0, 2, 1) * scale


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.sampled_from([1, 3, 40, 300, 3000]), st.sampled_from([1, 2, 7, 260])),
    density=st.sampled_from([0.001, 0.02, 0.3, 1.0]),
    mode=st.sampled_from(SignMode),
    delayed=st.booleans(),
)
def test_every_synapse_is_found_again(
    seed: int, shape: tuple[int, int], density: float, mode: SignMode, *, delayed: bool
) -> None:
    rng = np.random.default_rng(seed)
    low, high, step = {
        SignMode.MIXED: (-128, 128, 2),
        SignMode.EXCITATORY: (0, 256, 1),
        SignMode.INHIBITORY: (-255, 1, 1),
    }[mode]
    weights = (rng.integers(low, high, shape) * step * (rng.random(shape) < density)).astype(np.int32)
    delays = rng.integers(0, 4, shape) if delayed else None
    assume(weights.any())
    fanout = _fanned(weights, mode, delays)
    assert fanout.synapses == np.count_nonzero(weights)
    unfolded = _unfolded(fanout, mode, shape)
    for place, wait in enumerate(fanout.waits):
        here = weights if delays is None else np.where(delays == wait, weights, 0)
        assert np.array_equal(unfolded[place], here)


@pytest.mark.parametrize(
    ("shape", "density", "form"),
    [
        ((200, 30), 0.9, FanoutForm.MATRIX),
        ((200, 30), 0.05, FanoutForm.TARGETS),
        ((5000, 30), 0.05, FanoutForm.STEPS),
    ],
)
def test_the_smallest_form_is_taken(shape: tuple[int, int], density: float, form: FanoutForm) -> None:
    rng = np.random.default_rng(3)
    fanout = _fanned(np.where(rng.random(shape) < density, 2, 0).astype(np.int32), SignMode.MIXED)
    assert fanout.form is form
    if form is not FanoutForm.MATRIX:
        # A byte of weight and one of distance, or as many as a target needs, for each synapse.
        assert sum(t.bytes for t in fanout.tables) <= 2.2 * fanout.synapses + 4 * (shape[1] + 1)


def test_the_widest_weights_fit_a_byte() -> None:
    weights = csr_array(np.array([[-256, 254]], np.int32))
    node = ir.FixedDense(name="w", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.MIXED)
    stored, shift, adds = stored_weights(node, weights.data)
    assert (stored.tolist(), stored.dtype, shift, adds) == ([-128, 127], np.dtype(np.int8), 1, "+=")
