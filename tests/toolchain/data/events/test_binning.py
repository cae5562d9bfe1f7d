"""Events are binned into frames; what no sensor could have sent is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.data import Slicing, bin_events
from toolchain.data.events.binning import first_outside
from toolchain.errors import ArgumentError, UsageError

_TYPE = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


def _events(*rows: tuple[int, int, int, int]) -> np.ndarray:
    return np.array(list(rows), _TYPE)


def test_frames_of_equal_duration_cut_the_time() -> None:
    events = _events((0, 0, 100, 0), (1, 0, 149, 1), (2, 1, 151, 0), (0, 1, 200, 1))
    frames = bin_events(events, (2, 2, 3), 2)
    assert np.argwhere(frames).tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [1, 0, 1, 2], [1, 1, 1, 0]]


def test_frames_of_equal_count_share_the_events_whatever_their_order() -> None:
    events = _events((4, 0, 50, 0), (0, 0, 0, 0), (1, 0, 1, 0), (2, 0, 2, 0), (3, 0, 3, 0))
    frames = bin_events(events, (2, 1, 5), 2, slicing=Slicing.COUNT, binary=False)
    assert frames[:, 0, 0].tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]]


@given(
    seed=st.integers(0, 1000),
    number=st.integers(0, 60),
    count=st.integers(1, 9),
    slicing=st.sampled_from(Slicing),
)
def test_no_event_is_lost(seed: int, number: int, count: int, slicing: Slicing) -> None:
    rng = np.random.default_rng(seed)
    events = np.zeros(number, _TYPE)
    for name, limit in (("x", 4), ("y", 3), ("t", 1000), ("p", 2)):
        events[name] = rng.integers(0, limit, number)
    counts = bin_events(events, (2, 3, 4), count, slicing=slicing, binary=False)
    assert counts.shape == (count, 2, 3, 4)
    assert counts.sum() == number
    binary = bin_events(events, (2, 3, 4), count, slicing=slicing)
    assert binary.dtype == bool
    np.testing.assert_array_equal(binary, counts > 0)


def test_impossible_frames_are_named() -> None:
    with pytest.raises(UsageError, match="count: expected a whole number, 1 or more, got 0"):
        bin_events(_events((0, 0, 0, 0)), (2, 1, 1), 0)
    with pytest.raises(UsageError, match="x = 7, but the sensor has 5"):
        bin_events(_events((7, 0, 0, 0)), (2, 1, 5), 1)


@pytest.mark.parametrize(
    ("field", "kind", "value", "said"),
    [
        ("t", float, np.nan, "NaN or infinity in sample 1"),
        ("t", float, np.inf, "NaN or infinity in sample 1"),
        ("t", "U1", "a", "times that are numbers"),
        ("x", float, np.nan, "x = nan, but the sensor has 5"),
        ("x", float, 0.5, "x = 0.5, but"),
        ("x", np.int64, -1, "x = -1, but"),
        ("x", np.uint64, 2**63, "x = 9223372036854775808, but"),
        ("y", np.int64, 3, "y = 3, but the sensor has 3"),
        ("p", np.int64, 2, "p = 2, but the sensor has 2"),
        ("p", "U1", "a", "p = "),
    ],
)
def test_events_that_no_sensor_sends_are_refused(field: str, kind: object, value: object, said: str) -> None:
    types = {"t": np.int64, "x": np.int64, "y": np.int64, "p": np.int64, field: kind}
    events = np.zeros(2, list(types.items()))
    events[field][1] = value
    with pytest.raises(UsageError, match=said):
        bin_events(events, (2, 3, 5), 2)


def test_events_without_the_fields_of_the_sensor_are_refused() -> None:
    with pytest.raises(ArgumentError, match="a structured array with t, x, p, y"):
        bin_events(np.zeros(3), (2, 2, 2), 1)
    with pytest.raises(ArgumentError, match="a structured array with t, x, p, got"):
        bin_events(np.zeros(3, [("t", int), ("x", int)]), (1, 1, 2), 1)
    with pytest.raises(ArgumentError, match="a structured array"):
        bin_events(np.zeros((3, 3), _TYPE), (2, 2, 2), 1)


def test_more_frames_than_memory_are_refused_before_they_are_made() -> None:
    with pytest.raises(ArgumentError, match="that fit into the memory, .*one recording needs"):
        bin_events(_events((0, 0, 0, 0)), (2, 128, 128), 10**15)


def test_counts_do_not_wrap() -> None:
    events = np.zeros(2**16, _TYPE)
    assert bin_events(events[1:], (2, 1, 1), 1, binary=False).max() == 2**16 - 1
    with pytest.raises(UsageError, match="65536 events in one frame, more than 65535: take more frames"):
        bin_events(events, (2, 1, 1), 1, binary=False)
    assert bin_events(events, (2, 1, 1), 1).sum() == 1


@pytest.mark.parametrize(
    ("values", "most", "first"),
    [
        (np.array([], float), 3, None),
        (np.array([False, True]), 1, None),
        (np.array([0, 3], np.uint8), 1000, None),
        (np.array([0.0, 3.0], np.float16), 2**53, None),
        (np.array([0, 2**64 - 1], np.uint64), 2**53, 1),
        (np.array([0.0, np.nan]), 3, 1),
        (np.array(["0"]), 3, 0),
        (np.array([1, -1], np.int8), 3, 1),
    ],
)
def test_the_first_value_outside_is_found_in_every_type(
    values: np.ndarray, most: int, first: int | None
) -> None:
    assert first_outside(values, most) == first
