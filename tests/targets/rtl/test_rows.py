"""Rows of synapses bring every weight to its target, however far."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from targets.rtl.layout import MessageSender
from targets.rtl.rows import SynapseRows, rows_of_matrix
from toolchain import ir
from toolchain.fixedpoint import SignMode


def _walked(rows: SynapseRows, code: int, targets: int) -> Any:
    """What the core adds for a message, by target."""
    lanes = len(rows.words)
    sums = np.zeros(-(-targets // lanes) * lanes, np.int64)
    for lane in range(lanes):
        group = 0
        for word in rows.words[lane, rows.starts[code] : rows.starts[code + 1]]:
            group += int(word) >> 8
            sums[group * lanes + lane] += int(word) & 255
    return sums[:targets]


@given(
    seed=st.integers(0, 999),
    targets=st.sampled_from([1, 7, 700]),
    density=st.sampled_from([0.0, 0.01, 0.4, 1.0]),
    lanes=st.sampled_from([1, 2, 8]),
)
def test_a_message_adds_its_weights(seed: int, targets: int, density: float, lanes: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 256, (targets, 5)) * (rng.random((targets, 5)) < density)
    matrix = csr_array(weights) if seed % 2 else weights
    node = ir.FixedDense(name="w", inputs=("x",), weights=matrix, exponent=0, sign_mode=SignMode.EXCITATORY)
    sender = MessageSender(ir.Input(name="x", shape=(5,)), (5,), lanes)
    rows = rows_of_matrix(node, node.weights, sender)
    for source in range(5):
        assert np.array_equal(_walked(rows, source, targets), weights[:, source])


def test_a_target_that_is_too_far_goes_by_way_of_words_of_weight_zero() -> None:
    weights = np.zeros((600, 1), np.int32)
    weights[[0, 599], 0] = 3, 5
    node = ir.FixedDense(name="w", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.EXCITATORY)
    rows = rows_of_matrix(node, node.weights, MessageSender(ir.Input(name="x", shape=(1,)), (1,), 1))
    assert rows.words.tolist() == [[3, 255 << 8, 255 << 8, 89 << 8 | 5]]
