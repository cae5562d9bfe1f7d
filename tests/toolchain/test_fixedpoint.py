"""Integer rules against their definition in plain Python integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain import fixedpoint
from toolchain.fixedpoint import SignMode

registers = st.integers(0, 4095)
states = st.integers(-(2**23) + 1, 2**23 - 1)


def _decay(x: int, amount: int) -> int:
    magnitude = (abs(x) * (4096 - amount)) >> 12
    return magnitude if x >= 0 else -magnitude


def _step(u: int, v: int, a: int, du: int, dv: int, vth: int, bias: int) -> tuple[int, int, bool]:
    """The update written out once more, in unbounded integers."""
    c = _decay(u, du + 1) + (a << 6)
    if c > 2**23:
        c -= 2**24
    elif c <= -(2**23):
        c += 2**24
    w = max(-(2**23) + 1, min(2**23 - 1, _decay(v, dv) + c + bias))
    fired = w > (vth << 6)
    return c, 0 if fired else w, fired


@given(
    u=states,
    v=states,
    a=st.integers(-fixedpoint.INPUT_LIMIT, fixedpoint.INPUT_LIMIT),
    du=registers,
    dv=registers,
    vth=st.integers(0, 2**17 - 1),
    mantissa=st.integers(-4096, 4095),
    exponent=st.integers(0, 7),
)
def test_a_step_follows_its_definition(
    u: int, v: int, a: int, du: int, dv: int, vth: int, mantissa: int, exponent: int
) -> None:
    bias = mantissa << exponent
    got = fixedpoint.lif_step(
        *(np.array([value], np.int32) for value in (u, v, a)),
        du=np.array([du], np.int32),
        dv=np.array([dv], np.int32),
        vth=np.array([vth], np.int32),
        bias=np.array([bias], np.int32),
    )
    assert tuple(part.item() for part in got) == _step(u, v, a, du, dv, vth, bias)


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
