"""The innermost loops over vector registers against NumPy: they check no places, so every length is tried."""

# pyright: reportCallIssue=false
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.compiled import njit
from toolchain.models.loops import vectors

KINDS = [np.float32, np.float64]


@njit(nogil=True)
def _add_rows(
    rows: Any, shift: int, places: Any, factors: Any, start: int, stop: int, out: Any, at: int
) -> None:
    vectors.add_rows(rows, shift, places, factors, start, stop, out, at)


@njit(nogil=True)
def _sum_lines(
    lines: Any, shift: int, places: Any, weights: Any, start: int, stop: int, out: Any, at: int
) -> None:
    vectors.sum_lines(lines, shift, places, weights, start, stop, out, at)


@njit(nogil=True)
def _wide(lines: Any, shift: int, rows: Any, begin: int, length: int, out: Any, at: int) -> None:
    vectors.add_wide_lines(lines, shift, rows, begin, length, out, at)


@njit(nogil=True)
def _which(numbers: Any, start: int) -> list[int]:
    bits, listed = vectors.which_of_64(numbers, start), []
    while bits:
        listed.append(vectors.lowest(bits))
        bits &= bits - np.uint64(1)
    return listed


@njit(nogil=True)
def _turn(source: Any, start: int, stride: int, target: Any, place: int, step: int) -> None:
    vectors.turn(source, start, stride, target, place, step)


def _whole(rng: np.random.Generator, kind: type, *shape: int) -> np.ndarray:
    """Small whole numbers: every sum of them is exact in any order."""
    return rng.integers(-9, 10, shape).astype(kind)


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=st.integers(0, 2**32 - 1), count=st.integers(0, 13), start=st.integers(0, 5), shift=st.integers(0, 3)
)
@settings(max_examples=30)
def test_rows_and_lines_are_added_where_they_are_listed(
    kind: type, seed: int, count: int, start: int, shift: int
) -> None:
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 6, start + count + 2).astype(np.uint32)
    factors, stop = _whole(rng, kind, len(places)), start + count
    for width, loop in ((vectors.ROW_BYTES, _add_rows), (vectors.LINE_BYTES, _sum_lines)):
        lanes = width // np.dtype(kind).itemsize
        rows, out = _whole(rng, kind, 9, lanes), _whole(rng, kind, 3, lanes)
        expected = out.copy()
        total = factors[start:stop] @ rows[shift + places[start:stop].astype(int)]
        expected[1] = total + (out[1] if loop is _add_rows else 0)
        flat = out.reshape(-1)
        loop(rows.reshape(-1), shift, places, factors, start, stop, flat, 1)
        assert np.array_equal(flat.reshape(out.shape), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("places", [np.uint8, np.uint16, np.uint32])
def test_rows_are_added_once_each_where_no_factors_are_given(
    kind: type, places: type, rng: np.random.Generator
) -> None:
    lanes = vectors.ROW_BYTES // np.dtype(kind).itemsize
    rows, out = _whole(rng, kind, 250, lanes), _whole(rng, kind, 1, lanes)
    listed = rng.integers(0, 248, 11).astype(places)
    expected = out[0] + rows[2 + listed[3:9].astype(int)].sum(axis=0)
    _add_rows(rows.reshape(-1), 2, listed, None, 3, 9, out.reshape(-1), 0)
    assert np.array_equal(out[0], expected)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1), start=st.integers(0, 5), share=st.sampled_from([0.0, 0.05, 0.5, 1.0]))
@settings(max_examples=30)
def test_what_is_not_zero_among_64_numbers_is_listed(kind: type, seed: int, start: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.choice([1.0, -2.5, np.nan, np.inf, 1e-40], 70).astype(kind)
    numbers[rng.random(70) >= share] = rng.choice([0.0, -0.0])
    listed = _which(numbers, start)
    assert listed == np.flatnonzero(numbers[start : start + 64]).tolist()


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=st.integers(0, 2**32 - 1), length=st.integers(0, 9), shift=st.integers(0, 3), begin=st.integers(0, 4)
)
@settings(max_examples=30)
def test_several_rows_of_weights_meet_each_line_once(
    kind: type, seed: int, length: int, shift: int, begin: int
) -> None:
    rng, lanes = np.random.default_rng(seed), vectors.LINE_BYTES // np.dtype(kind).itemsize
    lines, out = _whole(rng, kind, shift + length + 1, lanes), _whole(rng, kind, vectors.WIDE + 2, lanes)
    rows = _whole(rng, kind, begin + vectors.WIDE * length + 1)
    weights = rows[begin : begin + vectors.WIDE * length].reshape(vectors.WIDE, length)
    expected = out.copy()
    expected[1 : 1 + vectors.WIDE] += weights @ lines[shift : shift + length]
    _wide(lines.reshape(-1), shift, rows, begin, length, out.reshape(-1), 1)
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("start", "stride", "place", "step"), [(0, 16, 0, 16), (3, 40, 5, 21), (1, 17, 0, 64)]
)
def test_a_square_is_turned(
    kind: type, start: int, stride: int, place: int, step: int, rng: np.random.Generator
) -> None:
    lanes = vectors.LINE_BYTES // np.dtype(kind).itemsize
    source, target = rng.random(start + lanes * stride).astype(kind), np.zeros(place + lanes * step, kind)
    expected = target.copy()
    for row in range(lanes):
        for column in range(lanes):
            expected[place + column * step + row] = source[start + row * stride + column]
    _turn(source, start, stride, target, place, step)
    assert np.array_equal(target, expected)
