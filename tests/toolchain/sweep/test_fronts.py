"""Fronts are those of the definition, with ties, gaps and infinities."""

import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from toolchain.sweep.fronts import dominates, front, is_known

_GOAL = st.one_of(st.integers(-3, 3).map(float), st.sampled_from([None, math.nan, math.inf, -math.inf, -0.0]))


def _points(objectives: int) -> st.SearchStrategy[list[list[float | None]]]:
    return st.lists(st.lists(_GOAL, min_size=objectives, max_size=objectives), max_size=30)


_ANY = st.integers(1, 4).flatmap(_points)


@given(_ANY)
def test_a_front_is_what_no_known_point_dominates(points: list[list[float | None]]) -> None:
    known = [i for i, goals in enumerate(points) if all(map(is_known, goals))]
    by_definition = [i for i in known if not any(dominates(points[other], points[i]) for other in known)]
    assert front(points) == by_definition


@given(_ANY, st.randoms())
def test_no_order_of_points_changes_the_front(points: list[list[float | None]], random: Random) -> None:
    order = list(range(len(points)))
    random.shuffle(order)
    shuffled = front([points[i] for i in order])
    assert sorted(order[i] for i in shuffled) == front(points)


@given(_ANY)
def test_a_front_of_a_front_is_all_of_it(points: list[list[float | None]]) -> None:
    best = [points[i] for i in front(points)]
    assert front(best) == list(range(len(best)))


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(_GOAL, min_size=n, max_size=n), min_size=2, max_size=2)
    )
)
def test_two_points_never_dominate_one_another(pair: list[list[float | None]]) -> None:
    one, other = pair
    assert not (dominates(one, other) and dominates(other, one))
    assert not dominates(one, one)


def test_equal_points_are_on_the_front_together() -> None:
    assert front([(1.0, 2.0), (2.0, 1.0), (1.0, 2.0), (1.0, 1.0)]) == [0, 1, 2]


def test_what_is_not_known_is_on_no_front_and_beats_nobody() -> None:
    assert front([(None, 9.0), (math.nan, 9.0), (1.0, 1.0)]) == [2]
    assert not dominates((None, 9.0), (1.0, 1.0))
    assert not dominates((9.0, 9.0), (None, 1.0))


def test_no_points_have_no_front() -> None:
    assert front([]) == []
    assert front([()]) == []
