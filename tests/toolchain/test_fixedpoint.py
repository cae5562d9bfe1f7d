"""Integer rules against their definition in plain Python integers."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.graphs import Registers
from toolchain import fixedpoint
from toolchain.fixedpoint import SignMode
from toolchain.reset import Reset

registers = st.integers(0, 4095)
states = st.integers(-(2**23) + 1, 2**23 - 1)


def _decay(x: int, amount: int) -> int:
    magnitude = (abs(x) * (4096 - amount)) >> 12
    return magnitude if x >= 0 else -magnitude


@dataclass(frozen=True)
class _Neuron:
    """One neuron in unbounded integers."""

    du: int
    dv: int
    vth: int
    bias: int
    reset: Reset
    amount: int
    refractory: int
    adaptation: int
    adaptation_decay: int
    max_spikes: int

    def registers(self) -> Registers:
        """The same as arrays of one element."""
        return Registers(
            reset=self.reset,
            reset_amount=_one(self.amount) if self.reset.has_amount else None,
            refractory=_one(self.refractory) if self.refractory else None,
            adaptation=_one(self.adaptation) if self.adaptation else None,
            adaptation_decay=_one(self.adaptation_decay) if self.adaptation else None,
            max_spikes=self.max_spikes,
            **{name: _one(getattr(self, name)) for name in ("du", "dv", "vth", "bias")},
        )


def _one(value: int) -> NDArray[np.int32]:
    return np.array([value], np.int32)


def _step(state: tuple[int, int, int, int], a: int, of: _Neuron) -> tuple[tuple[int, int, int, int], int]:
    """The update written out once more, spike by spike, in unbounded integers."""
    u, v, wait, rise = state
    c = _decay(u, of.du + 1) + (a << 6)
    if c > 2**23:
        c -= 2**24
    elif c <= -(2**23):
        c += 2**24
    threshold, sent = (of.vth << 6) + rise, 0
    if wait:
        wait -= 1
    else:
        v = max(-(2**23) + 1, min(2**23 - 1, _decay(v, of.dv) + c + of.bias))
        sent = int(v > threshold)
        if of.reset is Reset.SUBTRACT:
            v -= sent * of.amount
            while sent and sent < of.max_spikes and v > threshold:
                v -= of.amount
                sent += 1
        elif sent and of.reset is not Reset.NONE:
            v = of.amount if of.reset is Reset.VALUE else 0
        wait = of.refractory if sent else 0
    if of.adaptation:
        rise = min(_decay(rise, of.adaptation_decay) + of.adaptation * sent, 2**23 - 1)
    return (c, v, wait, rise), sent


amounts = st.one_of(st.integers(0, 200), st.integers(0, 2**23 - 1))


@st.composite
def neurons(draw: st.DrawFn) -> _Neuron:
    reset = draw(st.sampled_from(Reset))
    several = draw(st.integers(1, 255)) if reset is Reset.SUBTRACT and draw(st.booleans()) else 1
    amount = draw(amounts)
    return _Neuron(
        du=draw(registers),
        dv=draw(registers),
        vth=draw(st.one_of(st.integers(0, 20), st.integers(0, 2**17 - 1))),
        bias=draw(st.integers(-4096, 4095)) << draw(st.integers(0, 7)),
        reset=reset,
        amount=-amount if reset is Reset.VALUE and draw(st.booleans()) else max(amount, several > 1),
        refractory=draw(st.sampled_from([0, 1, 3, 4095])),
        adaptation=draw(st.one_of(st.just(0), amounts)),
        adaptation_decay=draw(st.integers(1, 4096)),
        max_spikes=several,
    )


@given(
    neuron=neurons(),
    state=st.tuples(states, states, st.sampled_from([0, 0, 1, 4095]), st.integers(0, 2**23 - 1)),
    inputs=st.lists(
        st.integers(-fixedpoint.INPUT_LIMIT, fixedpoint.INPUT_LIMIT) | st.integers(-(2**12), 2**12),
        min_size=1,
        max_size=6,
    ),
)
def test_a_step_follows_its_definition(
    neuron: _Neuron, state: tuple[int, int, int, int], inputs: list[int]
) -> None:
    got = fixedpoint.NeuronState(*map(_one, state if neuron.adaptation else (*state[:3], 0)))
    expected: tuple[int, int, int, int] = tuple(part.item() for part in got)
    for a in inputs:
        got, spikes = fixedpoint.lif_step(got, _one(a), neuron.registers())
        expected, sent = _step(expected, a, neuron)
        assert (*(part.item() for part in got), spikes.item()) == (*expected, sent)
        assert {part.dtype for part in got} == {np.dtype(np.int32)}
        assert spikes.dtype == (np.uint8 if neuron.max_spikes > 1 else np.bool_)


@given(u=states, du=registers)
def test_one_wrap_keeps_the_current_in_24_bits(u: int, du: int) -> None:
    for a in (-fixedpoint.INPUT_LIMIT, fixedpoint.INPUT_LIMIT):
        decayed = fixedpoint.decay(np.array([u], np.int32), np.array([du + 1], np.int32))
        wrapped = fixedpoint.wrap(decayed + np.int32(a << 6)).item()
        assert -(2**23) < wrapped <= 2**23


def test_a_full_decay_register_forgets_the_current_at_once_and_zero_still_leaks() -> None:
    u = np.array([2**20], np.int32)
    assert fixedpoint.decay(u, np.array([4096], np.int32)).item() == 0
    assert fixedpoint.decay(u, np.array([1], np.int32)).item() == 2**20 - 2**8


def test_shifts_round_down_where_decays_round_toward_zero() -> None:
    assert fixedpoint.shift(np.array([-10]), -2).item() == -3
    assert fixedpoint.decay(np.array([-10], np.int32), np.array([3072], np.int32)).item() == -2


@pytest.mark.parametrize(
    ("weights", "mode", "bits", "expected"),
    [
        ([3, -3, 300, -300], SignMode.MIXED, 8, [2, -4, 254, -256]),
        ([3, 255, 300, -1], SignMode.EXCITATORY, 8, [3, 255, 255, 0]),
        ([-3, -255, -300, 1], SignMode.INHIBITORY, 8, [-3, -255, -255, 0]),
        ([7, -7, 100], SignMode.MIXED, 6, [0, -8, 96]),
    ],
)
def test_the_weight_rule_gives_what_lava_uses(
    weights: list[int], mode: SignMode, bits: int, expected: list[int]
) -> None:
    assert fixedpoint.apply_weight_rule(np.array(weights), mode, bits).tolist() == expected


@given(
    weights=st.lists(st.floats(-400, 400), min_size=1, max_size=8),
    mode=st.sampled_from(SignMode),
    bits=st.integers(2, 8),
)
def test_rounded_weights_are_left_unchanged_by_the_rule(
    weights: list[float], mode: SignMode, bits: int
) -> None:
    rounded = fixedpoint.round_weights(np.array(weights), mode, bits)
    assert np.array_equal(fixedpoint.apply_weight_rule(rounded, mode, bits), rounded)


@given(weights=st.lists(st.floats(-250, 250), min_size=1, max_size=8))
def test_rounding_a_mixed_weight_errs_by_at_most_one(weights: list[float]) -> None:
    rounded = fixedpoint.round_weights(np.array(weights), SignMode.MIXED, 8)
    assert (np.abs(rounded - np.array(weights)) <= 1 + 1e-9).all()


@given(bias=st.floats(-4096 * 128, 4095 * 128))
def test_a_split_bias_errs_by_at_most_half_its_unit(bias: float) -> None:
    mantissa, exponent = fixedpoint.split_bias(np.array([bias]))
    unit = 2 ** int(exponent[0])
    assert abs(int(mantissa[0]) * unit - bias) <= unit / 2 + 1e-9
    assert -4096 <= int(mantissa[0]) <= 4095


@pytest.mark.parametrize(
    ("weights", "mode"),
    [
        ([1, 2], SignMode.EXCITATORY),
        ([0, 0], SignMode.EXCITATORY),
        ([], SignMode.EXCITATORY),
        ([-1, 0], SignMode.INHIBITORY),
        ([-1, 1], SignMode.MIXED),
    ],
)
def test_the_sign_mode_is_the_narrowest_that_holds_the_weights(weights: list[int], mode: SignMode) -> None:
    assert fixedpoint.sign_mode_of(np.array(weights)) is mode


def test_graded_values_are_rounded_and_clipped_to_their_bits() -> None:
    encoded = fixedpoint.encode_graded(np.array([0.51, -0.26, 9.0]), 2.0, 3)
    assert encoded.tolist() == [1, -1, 7]
