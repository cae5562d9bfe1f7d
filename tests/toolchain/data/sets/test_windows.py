"""Windows of a series: every part lies behind the one before it in time, and shares no value with it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.data import DataSet, Part, Series
from toolchain.data.sets.options import ChaosData
from toolchain.data.sets.windows import windows_data
from toolchain.errors import SeriesError

_LEAST = 4


def _series(length: int, ends: tuple[int, int], dimensions: int = 2) -> Series:
    """A series whose first dimension is the time itself, so that every value says where it stood."""
    time = np.arange(length, dtype=np.float64)
    others = [np.sin(time * (i + 1)) for i in range(dimensions - 1)]
    return Series("s", np.stack([time, *others], axis=1), *ends, length)


def _opened(series: Series, window: int, horizon: int = 1, **options: Any) -> DataSet:
    increments = options.pop("increments", True)
    return windows_data(ChaosData(name="rossler", **options), series, window, horizon, increments=increments)


def _times(data: DataSet, part: Part, *, increments: bool) -> set[int]:
    """The times of all values that a part has seen, those that follow a window included."""
    assert data.scale is not None
    after = part.labels + part.samples[:, -1] if increments else part.labels
    values = np.concatenate([part.samples.reshape(-1, part.samples.shape[-1]), after])
    times = data.scale.in_units(values)[:, 0]
    assert np.abs(times - np.rint(times)).max() < 1e-6
    return set(np.rint(times).astype(int).tolist())


@given(st.data())
def test_no_part_sees_a_value_of_another(data: st.DataObject) -> None:
    window = data.draw(st.integers(1, 9), "window")
    sizes = [
        data.draw(st.integers(2 * window + _LEAST, 60), name) for name in ("train", "validation", "test")
    ]
    ends = (sizes[0], sizes[0] + sizes[1])
    increments, count = data.draw(st.booleans()), data.draw(st.none() | st.integers(1, 70))
    opened = _opened(
        _series(sum(sizes), ends),
        window,
        data.draw(st.integers(1, _LEAST)),
        train_samples=count,
        increments=increments,
    )
    train, validation, test = (
        _times(opened, part, increments=increments) for part in (opened.train, opened.validation, opened.test)
    )
    assert max(train) < ends[0] <= min(validation)
    assert max(validation) < ends[1] <= min(test)
    assert test == set(range(ends[1], sum(sizes)))
    if count is None:
        assert train == set(range(ends[0]))


@given(st.integers(1, 9), st.integers(20, 60), st.integers(0, 2**32 - 1))
def test_scaling_back_gives_the_values_themselves(window: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.normal(0, 100, 3), rng.uniform(1e-3, 1e3, 3), (3 * size, 3))
    series = Series("s", values, size, 2 * size, 3 * size)
    opened = _opened(series, window)
    assert opened.scale is not None
    test = values[2 * size :]
    tolerance = 1e-13 * (np.abs(values).max() + np.abs(series.mean).max())
    back = opened.scale.in_units(opened.test.samples)
    assert all(np.abs(back[i] - test[i : i + window]).max() <= tolerance for i in range(len(back)))
    after = opened.scale.in_units(opened.test.samples[:, -1] + opened.test.labels)
    assert np.abs(after - test[window:]).max() <= tolerance


def test_the_scale_is_that_of_the_training_part() -> None:
    series = _series(60, (20, 40))
    opened = _opened(series, 3)
    assert opened.scale is not None
    assert opened.scale.names == ("x", "y")
    assert opened.scale.mean[0] == 9.5
    assert opened.scale.deviation == tuple(series.values[:20].std(axis=0).tolist())


def test_fewer_windows_are_spaced_over_the_part_and_the_test_begins_with_it() -> None:
    series = _series(150, (60, 100))
    few, whole = _opened(series, 4, train_samples=8, test_samples=20), _opened(series, 4)
    assert (len(few.train), len(few.validation), len(few.test)) == (8, 6, 20)
    assert np.array_equal(few.train.samples[[0, -1]], whole.train.samples[[0, -1]])
    assert np.array_equal(few.test.samples, whole.test.samples[:20])


def test_a_series_needs_no_validation_part() -> None:
    opened = _opened(_series(60, (40, 40)), 4)
    assert len(opened.validation) == 0
    assert opened.validation.samples.shape == (0, 4, 2)


@pytest.mark.parametrize(
    ("ends", "options", "said"),
    [
        ((4, 30), {}, "training part has 4 values; a window of 4 .* needs 5: .*shorten `window`"),
        ((30, 33), {}, "validation part has 3 values; a window of 4"),
        (
            (30, 50),
            {"test_samples": 5},
            "test part has 5 windows; one of 4 values that goes on for 3 needs 6",
        ),
        ((30, 56), {}, "test part has 4 values; a window"),
    ],
)
def test_a_part_that_is_too_short_is_named(ends: tuple[int, int], options: dict[str, int], said: str) -> None:
    with pytest.raises(SeriesError, match=said):
        _opened(_series(60, ends), 4, 3, **options)
