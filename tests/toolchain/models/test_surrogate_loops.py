"""The surrogate's derivative in compiled loops against the same in PyTorch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolchain.compiled import njit
from toolchain.models.surrogate_loops import SIGMOID, derive, in_loops
from toolchain.models.surrogates import Surrogate, derivative

Kind = Any
CLOSE: dict[Kind, float] = {np.float32: 1e-6, np.float64: 1e-12}
kinds = st.sampled_from(list(CLOSE))
slopes = st.one_of(st.sampled_from([0.0, 1.0, 4.0, 25.0]), st.floats(0, 1e4))


def distances(kind: Kind) -> st.SearchStrategy[list[float]]:
    """Return distances of any size, among them those that are none."""
    width = 32 if kind is np.float32 else 64
    near = st.floats(-100, 100, width=width)
    return st.lists(st.one_of(near, st.floats(width=width)), min_size=1, max_size=70)


def both(kind: Kind, values: list[float], surrogate: Surrogate, slope: float) -> tuple[Any, Any]:
    """Return the derivative in the loops and the reference."""
    x = np.array(values, kind)
    shape, factor = in_loops(surrogate, slope)
    expected = derivative(torch.from_numpy(x.copy()), surrogate, slope).numpy()
    derive(x, shape, kind(factor))
    return x, expected


@given(st.data(), kinds, st.sampled_from(Surrogate), slopes)
def test_the_loops_compute_what_the_reference_computes(
    data: st.DataObject, kind: Kind, surrogate: Surrogate, slope: float
) -> None:
    values = data.draw(distances(kind))
    computed, expected = both(kind, values, surrogate, slope)
    # Where numbers are subnormal, either may hold a few bits or none.
    nothing = 64 * float(np.finfo(kind).tiny)
    np.testing.assert_allclose(computed, expected, rtol=CLOSE[kind], atol=nothing)


@pytest.mark.parametrize("kind", list(CLOSE))
@pytest.mark.parametrize("surrogate", Surrogate)
def test_far_from_the_threshold_nothing_is_left_and_no_number_stays_none(
    kind: Kind, surrogate: Surrogate
) -> None:
    most = float(np.finfo(kind).max)
    quiet, odd = np.nan, np.array([0x7FC00001], np.uint32).view(np.float32)[0]
    values = [0.0, np.inf, -np.inf, most, -most, quiet, odd]
    computed, expected = both(kind, values, surrogate, 10.0)
    assert computed[:5].tolist() == expected[:5].tolist() == [1, 0, 0, 0, 0]
    assert np.isnan(computed[5:]).all()
    flat, _ = both(kind, [-3.0, 0.0, 5.0, np.inf], surrogate, 0.0)
    assert flat[:3].tolist() == [1, 1, 1]
    assert np.isnan(flat[3])


def test_the_exponential_function_of_the_loops_makes_vectors() -> None:
    @njit()
    def run(x: Any, slope: Any) -> None:
        derive(x, SIGMOID, slope)

    run(np.zeros(64, np.float32), np.float32(4))
    (assembly,) = run.inspect_asm().values()
    assert "expf" not in assembly
