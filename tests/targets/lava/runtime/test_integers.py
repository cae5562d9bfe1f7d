"""The rules that are exported are those of the toolchain."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from targets.lava.runtime import integers
from tests.graphs import Registers, rest_with
from toolchain import fixedpoint


def _int32(low: int, high: int) -> st.SearchStrategy[NDArray[np.int32]]:
    """Return arrays of seven numbers, the ends of the range among them more often than not."""
    return st_numpy.arrays(np.int32, 7, elements=st.sampled_from([low, high]) | st.integers(low, high))


_STATES = _int32(-(2**23), 2**23)
_DECAYS = _int32(0, 4095)


@given(
    u=_STATES,
    v=_STATES,
    a=_int32(-(2**31), 2**31 - 1),
    du=_DECAYS,
    dv=_DECAYS,
    vth=_int32(0, 2**17 - 1),
    bias=_int32(-(2**19), 2**19),
)
def test_a_step_of_neurons_is_that_of_the_toolchain(
    u: NDArray[np.int32],
    v: NDArray[np.int32],
    a: NDArray[np.int32],
    du: NDArray[np.int32],
    dv: NDArray[np.int32],
    vth: NDArray[np.int32],
    bias: NDArray[np.int32],
) -> None:
    after, spikes = fixedpoint.lif_step(rest_with(u, v), a, Registers(du, dv, vth, bias))
    got = integers.lif_step(u, v, a, du=du, dv=dv, vth=vth, bias=bias)
    for ours, expected in zip(got, (after.u, after.v, spikes), strict=True):
        assert ours.dtype == expected.dtype
        assert np.array_equal(ours, expected)


@given(st_numpy.arrays(np.int64, 7, elements=st.integers(-(2**40), 2**40)), st.integers(-8, 7))
def test_sums_are_shifted_and_wrapped_as_in_the_toolchain(total: NDArray[np.int64], exponent: int) -> None:
    for ours, expected in (
        (integers.shift(total, exponent), fixedpoint.shift(total, exponent)),
        (integers.wrap_sum(total), fixedpoint.wrap_sum(total)),
    ):
        assert ours.dtype == expected.dtype
        assert np.array_equal(ours, expected)


@given(
    st_numpy.arrays(np.float64, 7, elements=st.floats(-1e12, 1e12)),
    st.floats(1e-6, 1e6),
    st.integers(1, fixedpoint.MESSAGE_BITS),
)
def test_numbers_become_messages_as_in_the_toolchain(x: NDArray[Any], scale: float, bits: int) -> None:
    ours, expected = integers.encode_graded(x, scale, bits), fixedpoint.encode_graded(x, scale, bits)
    assert ours.dtype == expected.dtype
    assert np.array_equal(ours, expected)
