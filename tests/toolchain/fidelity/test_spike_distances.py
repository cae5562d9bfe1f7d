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


@given(seed=st.integers(0, 10_000), cost=st.sampled_from([0.05, 0.2, 0.7, 1.0, 2.0, 3.0]))
@settings(max_examples=60)
def test_the_edit_distance_of_counts_is_that_of_as_many_spikes(seed: int, cost: float) -> None:
    """Against its definition (Victor & Purpura 1996): spike by spike, every way to pair, add and delete."""
    rng = np.random.default_rng(seed)
    steps, most = int(rng.integers(1, 20)), int(rng.choice([1, 2, 5]))
    pair = rng.integers(0, most + 1, (2, steps)) * (rng.random((2, steps)) < rng.random())
    a, b = (np.repeat(np.arange(steps), each) for each in pair)
    row = np.arange(len(b) + 1.0)
    for i in range(len(a)):
        before, row = row, np.full(len(b) + 1, i + 1.0)
        for j in range(len(b)):
            moved = before[j] + cost * abs(a[i] - b[j])
            row[j + 1] = min(before[j + 1] + 1, row[j] + 1, moved)
    kind = bool if most == 1 else np.uint8
    first, other = (each.astype(kind)[None, :, None] for each in pair)
    assert victor_purpura(first, other, cost) == pytest.approx(row[-1], abs=1e-9)


def test_distances_of_counts_see_how_many_and_do_not_overflow() -> None:
    many, none = np.full((1, 300, 1), 255, np.uint8), np.zeros((1, 300, 1), np.uint8)
    assert victor_purpura(many, none) == 255 * 300
    assert victor_purpura(none, many) == 255 * 300
    assert van_rossum(many, none) == pytest.approx(van_rossum(many > 0, none > 0) * 255)
