"""Parts of a data set: nothing twice, nothing lost, every class its share, the seed decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.data.sets.data_set import OnDemand, Part
from toolchain.data.sets.split import chosen, split_off, thinned

_LABELS = st.lists(st.integers(0, 5), max_size=60).map(lambda labels: np.array(labels, np.int64))
_SEED = st.integers(0, 2**32)


@given(labels=_LABELS, share=st.floats(0, 1), seed=_SEED)
def test_a_split_loses_nothing_and_takes_nothing_twice(labels: np.ndarray, share: float, seed: int) -> None:
    rest, taken = split_off(Part(np.arange(len(labels)), labels), share, [seed])
    assert len(taken) == round(share * len(labels))
    assert sorted([*rest.samples, *taken.samples]) == list(range(len(labels)))
    for part in (rest, taken):
        assert np.array_equal(part.labels, labels[part.samples])


@given(labels=_LABELS, count=st.integers(0, 70), seed=_SEED)
def test_every_class_has_its_share(labels: np.ndarray, count: int, seed: int) -> None:
    places = chosen(labels, count, [seed])
    assert len(places) == min(count, len(labels))
    assert np.array_equal(np.unique(places), places)
    for name in np.unique(labels):
        exact = len(places) * (labels == name).sum() / len(labels)
        assert abs((labels[places] == name).sum() - exact) < 1


def test_the_seed_decides() -> None:
    labels = np.arange(100) % 4
    assert np.array_equal(chosen(labels, 20, [1]), chosen(labels, 20, [1]))
    assert not np.array_equal(chosen(labels, 20, [1]), chosen(labels, 20, [2]))


def test_samples_that_are_read_on_demand_are_split_unread() -> None:
    def read(item: int) -> np.ndarray:
        raise AssertionError(item)

    part = thinned(Part(OnDemand(read, range(40)), np.arange(40) % 2), 10, [0])
    assert len(part.samples) == len(part) == 10
    with pytest.raises(AssertionError):
        part.samples[0]
    assert thinned(part, None, [0]) is part
