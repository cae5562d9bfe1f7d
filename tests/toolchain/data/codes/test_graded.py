"""Codes of graded inputs are taken from the values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolchain.data import load_digits
from toolchain.data.codes.graded import input_code_of, input_code_of_all
from toolchain.models import InputCode


def test_digits_have_sixteen_levels_and_pictures_255() -> None:
    assert input_code_of(load_digits(0.3, 0).train) == InputCode(16.0, 5)
    assert input_code_of(np.arange(256, dtype=np.float32) / np.float32(255)) == InputCode(255.0, 8)


@given(st.lists(st.integers(-(2**12), 2**12), min_size=1, max_size=50), st.integers(1, 100))
def test_multiples_of_a_fraction_become_exact_integers(numbers: list[int], levels: int) -> None:
    values = np.array(numbers, np.float32) / np.float32(levels)
    code = input_code_of(values)
    integers = np.rint(values.astype(float) * code.scale)
    assert np.abs(integers).max() < 2**code.bits
    np.testing.assert_allclose(integers / code.scale, values, atol=1e-3)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
def test_no_value_is_beyond_the_largest_integer(numbers: list[float]) -> None:
    code = input_code_of(np.array(numbers))
    assert np.abs(np.rint(np.array(numbers) * code.scale)).max() < 2**code.bits


def test_an_input_that_is_always_nothing_has_a_code() -> None:
    assert input_code_of(np.zeros(5)) == InputCode(1.0, 1)


def test_all_samples_say_how_far_values_go_and_what_they_are_multiples_of() -> None:
    fourths = np.arange(1000, dtype=np.float32)[:, None] % 5 / 4
    assert input_code_of_all(fourths, 10) == input_code_of(fourths)
    late = np.concatenate([fourths, [[7.0]]])
    assert input_code_of_all(late, 10) == input_code_of(late) == InputCode(4.0, 5)
    odd = np.concatenate([fourths, [[-7.31234]]])
    assert input_code_of_all(odd, 10) == InputCode.up_to(float(np.float64(odd.min())) * -1, 8)
    hidden = np.concatenate([fourths, [[0.13]]])
    assert input_code_of_all(hidden, 10) == InputCode.up_to(1.0, 8)
    assert input_code_of_all(np.zeros((9, 2)), 4) == InputCode(1.0, 1)
