"""Windows of a series enter as the code of a series says, value by value."""

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from toolchain.data import SeriesCode, SeriesEncoding
from toolchain.data.codes.input_encoder import InputEncoder
from toolchain.data.codes.options import CodeOptions
from toolchain.data.sets.data_set import DataSet, Part, SampleKind
from toolchain.models.input_code import InputCode


@pytest.fixture
def windows(rng: np.random.Generator) -> DataSet:
    part = Part(rng.normal(size=(5, 4, 2)), rng.normal(size=(5, 2)))
    return DataSet("s", SampleKind.WINDOWS, (4, 2), ("x", "y"), part, part, part)


def _encoder(windows: DataSet, **options: Any) -> InputEncoder:
    return InputEncoder(windows, TypeAdapter[Any](CodeOptions).validate_python(options))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (
            {"name": "values", "steps": 3, "reach": 2.0, "bits": 5},
            SeriesCode(2, SeriesEncoding.DIRECT, steps=3, reach=2.0, bits=5),
        ),
        (
            {"name": "fields", "steps": 3, "fields": 4, "reach": 2.0, "max_rate": 0.5},
            SeriesCode(2, SeriesEncoding.POPULATION, steps=3, fields=4, reach=2.0, max_rate=0.5),
        ),
        (
            {"name": "poisson_fields", "steps": 3, "fields": 4},
            SeriesCode(2, SeriesEncoding.POISSON, steps=3, fields=4),
        ),
        (
            {"name": "delta", "steps": 3, "unit": 0.25},
            SeriesCode(2, SeriesEncoding.DELTA, steps=3, unit=0.25),
        ),
    ],
)
def test_what_enters_is_what_the_code_of_a_series_gives(
    options: dict[str, Any], code: SeriesCode, windows: DataSet
) -> None:
    encoder = _encoder(windows, **options)
    entered = encoder.part(windows.train, np.random.default_rng(3), [0])
    assert np.array_equal(entered, code.encode_all(windows.train.samples, np.random.default_rng(3)))
    assert entered.shape == (5, encoder.steps, encoder.channels)
    assert entered.nbytes >= 5 * encoder.bytes_per_sample
    assert encoder.input_code == code.input_code


def test_values_become_integers_as_the_code_says_and_not_as_samples_do(windows: DataSet) -> None:
    assert _encoder(windows, name="values", reach=2.0, bits=5).input_code == InputCode(15.5, 5)
