"""The rules that are exported are those of the toolchain."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from targets.lava.runtime import integers
from targets.lava.runtime.firing import OPTIONAL, Firing, PopulationState, SpikeEffect
from tests.graphs import Registers
from toolchain import fixedpoint
from toolchain.fixedpoint import NeuronState
from toolchain.reset import Reset


def _int32(low: int, high: int) -> st.SearchStrategy[NDArray[np.int32]]:
    """Return arrays of seven numbers, the ends of the range among them more often than not."""
    return st_numpy.arrays(np.int32, 7, elements=st.sampled_from([low, high]) | st.integers(low, high))


_STATES = _int32(-(2**23), 2**23)
_DECAYS = _int32(0, 4095)
_LARGEST = 2**23 - 1


@st.composite
def _registers(draw: st.DrawFn) -> Registers:
    """Neurons that do anything that `FixedLif` allows."""
    reset = draw(st.sampled_from(Reset))
    several = draw(st.sampled_from([2, 15, 255])) if reset is Reset.SUBTRACT and draw(st.booleans()) else 1
    lowest = -_LARGEST if reset is Reset.VALUE else int(several > 1)
    adapts = draw(st.booleans())
    return Registers(
        du=draw(_DECAYS),
        dv=draw(_DECAYS),
        vth=draw(_int32(0, 2**17 - 1)),
        bias=draw(_int32(-(2**19), 2**19)),
        reset=reset,
        reset_amount=draw(_int32(lowest, _LARGEST)) if reset.has_amount else None,
        refractory=draw(_int32(0, 4095)) if draw(st.booleans()) else None,
        adaptation=draw(_int32(0, _LARGEST)) if adapts else None,
        adaptation_decay=draw(_int32(1, 4096)) if adapts else None,
        max_spikes=several,
    )


def _firing(of: Registers) -> Firing:
    arrays = {name: getattr(of, name) for name in OPTIONAL}
    return Firing(SpikeEffect(of.reset.value), max_spikes=of.max_spikes, **arrays)


@given(
    of=_registers(),
    u=_STATES,
    v=_STATES,
    wait=_int32(0, 4095),
    rise=_int32(0, _LARGEST),
    a=_int32(-(2**31), 2**31 - 1),
)
def test_a_step_of_neurons_is_that_of_the_toolchain(
    of: Registers,
    u: NDArray[np.int32],
    v: NDArray[np.int32],
    wait: NDArray[np.int32],
    rise: NDArray[np.int32],
    a: NDArray[np.int32],
) -> None:
    zero = np.zeros_like(u)
    waits = zero if of.refractory is None else np.minimum(wait, of.refractory)
    before = (u, v, waits, zero if of.adaptation is None else rise)
    expected, fired = fixedpoint.lif_step(NeuronState(*before), a, of)
    plain = {name: getattr(of, name) for name in ("du", "dv", "vth", "bias")}
    got, spikes = integers.lif_step(PopulationState(*before), a, _firing(of), **plain)
    for ours, theirs in zip((*got, spikes), (*expected, fired), strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


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
