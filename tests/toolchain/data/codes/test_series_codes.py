"""Codes of single values: what can be read back from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.data import SeriesCode, SeriesEncoding
from toolchain.errors import UsageError
from toolchain.models import InputCode

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("encoding", list(SeriesEncoding))
def test_a_code_has_the_shape_and_type_it_says(encoding: SeriesEncoding) -> None:
    code = SeriesCode(3, encoding, steps=7, fields=5)
    x, state = code.encode(RNG.normal(size=(4, 3)), code.start(4), RNG)
    assert x.shape == (4, 7, code.channels)
    assert (x.dtype == np.float64) == (code.input_code is not None)
    assert state.shape == (4, 3)
    assert code.encode_all(RNG.normal(size=(2, 6, 3)), RNG).shape == (2, 42, code.channels)


def test_the_direct_code_is_the_value_and_its_largest_message_is_the_reach() -> None:
    code = SeriesCode(2, steps=3, bits=8, reach=4.0)
    x, _ = code.encode(np.array([[0.5, 9.0]]), code.start(1), RNG)
    assert x.tolist() == [[[0.5, 4.0]] * 3]
    assert code.input_code == InputCode(255 / 4.0, 8)


@given(value=st.floats(-3, 3))
def test_the_centre_of_mass_of_a_population_is_the_value(value: float) -> None:
    code = SeriesCode(1, SeriesEncoding.POPULATION, steps=200)
    x, _ = code.encode(np.array([[value]]), code.start(1), RNG)
    counts = x[0].sum(axis=0)
    assert counts @ np.linspace(-4, 4, 16) / counts.sum() == pytest.approx(value, abs=0.06)


def test_a_poisson_population_fires_at_the_rates_of_the_even_one() -> None:
    even, chance = (
        SeriesCode(1, kind, steps=4000).encode(np.array([[0.3]]), np.zeros((1, 1)), RNG)[0].mean(axis=(0, 1))
        for kind in (SeriesEncoding.POPULATION, SeriesEncoding.POISSON)
    )
    assert chance == pytest.approx(even, abs=0.04)


@given(seed=st.integers(0, 10**6))
def test_the_delta_code_follows_a_series_to_within_a_unit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = np.cumsum(rng.uniform(-0.3, 0.3, size=(1, 40, 2)), axis=1).clip(-3, 3)
    code = SeriesCode(2, SeriesEncoding.DELTA, steps=20, unit=0.05)
    spikes = code.encode_all(series, rng).reshape(1, 40, 20, 4).sum(axis=2)
    told = np.cumsum(spikes[..., :2].astype(float) - spikes[..., 2:], axis=1) * 0.05
    assert np.abs(told - series).max() <= 0.05 + 1e-9


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dimensions", 0),
        ("steps", 0),
        ("steps", 10**30),
        ("fields", True),
        ("bits", 0),
        ("bits", 400),
        ("reach", 0.0),
        ("reach", np.nan),
        ("unit", -1.0),
        ("max_rate", 1.5),
        ("encoding", "morse"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        SeriesCode(**{"dimensions": 1, name: value})
