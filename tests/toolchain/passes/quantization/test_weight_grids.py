"""Steps of which all weights are multiples."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolchain.passes.quantization.weight_grids import grid_steps


@given(seed=st.integers(0, 2**32 - 1), single=st.booleans(), shared=st.booleans())
def test_the_step_of_quantized_weights_is_found(seed: int, single: bool, shared: bool) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(30, 60))
    whole = rng.integers(-127, 128, (rows, columns))
    whole[:, 0], whole[:, 1] = 127, 1
    whole[rng.random(whole.shape) < 0.2] = 0
    whole[:, 0], whole[:, 1] = 127, 1
    step = 10 ** rng.uniform(-6, 3, (1 if shared else rows, 1))
    weights = whole * step
    weights = (weights.astype(np.float32) if single else weights).astype(np.float64)
    index = np.repeat(np.arange(rows), columns)
    found = grid_steps(index, weights.ravel(), rows + 1)
    assert found is not None
    assert np.isinf(found[rows])
    np.testing.assert_allclose(found[:rows], np.broadcast_to(step[:, 0], rows), rtol=1e-6)
    order = rng.permutation(index.size)
    permuted = grid_steps(index[order], weights.ravel()[order], rows + 1)
    assert permuted is not None
    assert np.array_equal(found, permuted)


@given(seed=st.integers(0, 2**32 - 1))
def test_weights_that_were_not_quantized_have_no_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(3, 12))
    index = np.repeat(np.arange(3), 12)
    assert grid_steps(index, weights.ravel(), 3) is None
    # One row among quantized ones is enough.
    whole = np.tile(np.arange(-6, 6), (3, 1)).astype(np.float64)
    whole[1] = weights[1]
    assert grid_steps(index, whole.ravel(), 3) is None


def test_few_different_weights_are_on_a_step_by_accident() -> None:
    assert grid_steps(np.arange(5), np.ones(5), 5) is None
    assert grid_steps(np.zeros(0, int), np.zeros(0), 2) is None
    assert grid_steps(np.zeros(7, int), np.arange(7).astype(np.float64), 1) is None
    assert grid_steps(np.zeros(9, int), np.arange(9).astype(np.float64), 1) is not None
