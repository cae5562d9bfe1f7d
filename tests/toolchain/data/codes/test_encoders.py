"""Codes keep what they are asked to keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.data import Encoding, encode, load_digits
from toolchain.data.codes.encoders import latency_code, rate_code
from toolchain.errors import ArgumentError


@given(rate=st.floats(0, 1), steps=st.integers(1, 64))
def test_a_rate_code_fires_as_often_as_its_rate_says(rate: float, steps: int) -> None:
    assert abs(rate_code(np.array([[rate]]), steps).sum() - rate * steps) <= 1


def test_a_full_rate_fires_every_step_and_none_never() -> None:
    train = rate_code(np.array([[1.0, 0.0]]), 16)
    assert train[0, :, 0].all()
    assert not train[0, :, 1].any()


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=10), steps=st.integers(2, 40))
def test_a_brighter_channel_never_fires_later(values: list[float], steps: int) -> None:
    train = latency_code(np.array([values]), steps)[0]
    order = np.argsort(values)
    times = [train[:, i].argmax() for i in order if values[i] > 0]
    assert times == sorted(times, reverse=True)
    assert (train.sum(axis=0) == (np.array(values) > 0)).all()


def test_a_poisson_code_fires_at_its_rate(rng: np.random.Generator) -> None:
    train = encode(np.full((50, 10), 0.5), Encoding.POISSON, 100, rng=rng, max_rate=0.4)
    assert train.mean() == pytest.approx(0.2, abs=0.01)


def test_the_direct_code_repeats_the_value(rng: np.random.Generator) -> None:
    train = encode(np.array([[0.25, 1.0]]), Encoding.DIRECT, 3, rng=rng)
    assert train.tolist() == [[[0.25, 1.0]] * 3]


@pytest.mark.parametrize("encoding", Encoding)
def test_trains_that_do_not_fit_into_the_memory_are_refused(
    encoding: Encoding, rng: np.random.Generator
) -> None:
    with pytest.raises(ArgumentError, match="steps: expected trains that fit.*the batch needs"):
        encode(np.ones((1, 1)), encoding, 10**12, rng=rng)


def test_the_digits_are_split_by_class_and_apart() -> None:
    images = load_digits(0.3, seed=0)
    assert (len(images.train), len(images.test)) == (1257, 540)
    shares = [np.bincount(labels) / len(labels) for labels in (images.train_labels, images.test_labels)]
    assert np.abs(shares[0] - shares[1]).max() < 0.01
    assert 0 <= images.train.min() <= images.train.max() <= 1
    same = load_digits(0.3, seed=0)
    assert np.array_equal(same.test, images.test)
