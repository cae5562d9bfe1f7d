"""Distances of spike trains: by hand, as metrics, and against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.fidelity.spike_distances import van_rossum, victor_purpura


def _train(*steps: int, length: int = 40) -> np.ndarray:
    train = np.zeros((1, length, 1), bool)
    train[0, list(steps)] = True
    return train


def test_equal_trains_are_at_distance_zero_and_silent_ones_do_not_count() -> None:
    silent, one = _train(), _train(5)
    assert van_rossum(one, one) == victor_purpura(one, one) == 0
    assert van_rossum(silent, silent) == victor_purpura(silent, silent) == 0
    both = np.concatenate([one, silent], axis=2), np.concatenate([_train(6), silent], axis=2)
    assert victor_purpura(*both) == pytest.approx(0.2)


def test_moving_a_spike_costs_its_way_and_at_most_two() -> None:
    for late, cost in ((1, 0.2), (5, 1.0), (9, 1.8), (11, 2.0), (30, 2.0)):
        assert victor_purpura(_train(5), _train(5 + late)) == pytest.approx(cost)
    assert victor_purpura(_train(3, 9), _train(3)) == 1


def test_one_spike_too_many_is_about_one_and_a_late_one_little() -> None:
    assert van_rossum(_train(2), _train(), tau=4.0) == pytest.approx(1.0, abs=0.15)
    near, far = van_rossum(_train(5), _train(6)), van_rossum(_train(5), _train(25))
    assert 0 < near < 0.5 < far < 1.5


def test_van_rossum_is_its_definition(rng: np.random.Generator) -> None:
    a, b = (rng.random((2, 20, 3)) < 0.3 for _ in range(2))
    kernel = np.exp(-np.arange(20) / 10)
    filtered = [
        np.apply_along_axis(lambda s: np.convolve(s, kernel)[:20], 1, each.astype(float)) for each in (a, b)
    ]
    squares = 2 / 10 * ((filtered[0] - filtered[1]) ** 2).sum(axis=1)
    assert van_rossum(a, b) == pytest.approx(np.sqrt(squares).mean())


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_both_are_symmetric_and_keep_the_triangle(seed: int) -> None:
    a, b, c = np.random.default_rng(seed).random((3, 1, 15, 1)) < 0.4
    if not (a.any() and b.any() and c.any()):
        return
    for distance in (van_rossum, victor_purpura):
        assert distance(a, b) == pytest.approx(distance(b, a))
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9
