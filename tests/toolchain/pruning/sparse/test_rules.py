"""How many synapses each connection gets, and which leave and come."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from toolchain.errors import PruningError
from toolchain.pruning.sparse.options import Allocation
from toolchain.pruning.sparse.rules import allocate, drawn_absent, fixed_signs, strongest_absent, weakest

_CONNECTIONS = st.lists(
    st.tuples(st.integers(1, 400), st.integers(1, 400), st.floats(0, 1)), min_size=1, max_size=6
)


@given(connections=_CONNECTIONS, share=st.floats(0, 1), how=st.sampled_from(Allocation))
def test_connections_share_the_total_and_none_gets_more_than_it_has(
    connections: list[tuple[int, int, float]], share: float, how: Allocation
) -> None:
    ends = [(sources, targets) for sources, targets, _ in connections]
    synapses = [max(1, round(density * s * t)) for s, t, density in connections]
    total = max(len(synapses), round(share * sum(synapses)))
    counts = allocate(synapses, ends, total, how)
    assert sum(counts) == total
    assert all(1 <= count <= most for count, most in zip(counts, synapses, strict=True))


def test_shares_are_uniform_or_by_the_neurons_that_are_joined() -> None:
    synapses, ends = (1000, 10_000), ((100, 100), (1000, 1000))
    assert allocate(synapses, ends, 1100, Allocation.UNIFORM) == (100, 1000)
    assert allocate(synapses, ends, 1100, Allocation.ERDOS_RENYI) == (100, 1000)
    assert allocate((10, 10_000), ends, 1100, Allocation.ERDOS_RENYI) == (10, 1090)
    assert allocate((1000, 1000), ((30, 30), (60, 60)), 300, Allocation.ERDOS_RENYI) == (100, 200)
    for total in (1, 11_001):
        with pytest.raises(PruningError, match=f"got {total}"):
            allocate(synapses, ends, total, Allocation.UNIFORM)


@given(
    size=st.lists(st.integers(0, 4), min_size=1, max_size=40),
    bits=st.integers(0, 2**40 - 1),
    count=st.integers(0, 40),
)
def test_the_weakest_leave_and_of_equal_ones_the_first(size: list[int], bits: int, count: int) -> None:
    mask = torch.tensor([bits >> i & 1 == 1 for i in range(len(size))])
    assume(count <= int(mask.sum()))
    values = torch.tensor(size, dtype=torch.float32)
    order = sorted((size[i], i) for i in range(len(size)) if mask[i])
    assert weakest(values, mask, count).tolist() == sorted(i for _, i in order[:count])
    order = sorted((-size[i], i) for i in range(len(size)) if mask[i])
    assert strongest_absent(values, mask, count).tolist() == sorted(i for _, i in order[:count])


@given(bits=st.integers(0, 2**30 - 1), count=st.integers(0, 40), seed=st.integers(0, 2**32 - 1))
def test_drawn_places_are_possible_ones_each_once(bits: int, count: int, seed: int) -> None:
    possible = torch.tensor([bits >> i & 1 == 1 for i in range(30)]).reshape(5, 6)
    places = drawn_absent(possible, count, torch.Generator().manual_seed(seed)).tolist()
    assert len(places) == min(count, int(possible.sum())) == len(set(places))
    assert all(possible.reshape(-1)[place] for place in places)


@given(seed=st.integers(0, 2**32 - 1), targets=st.integers(1, 6), sources=st.integers(1, 6))
def test_signs_are_those_of_present_synapses_and_obey_dale(seed: int, targets: int, sources: int) -> None:
    rng = np.random.default_rng(seed)
    mask = torch.tensor(rng.random((targets, sources)) < 0.5)
    weight = torch.tensor(rng.integers(-2, 3, (targets, sources)).astype(np.float32)) * mask
    signs = fixed_signs(weight, mask, torch.Generator().manual_seed(seed))
    assert set(signs.unique().tolist()) <= {-1.0, 1.0}
    assert (signs * weight >= 0).all()
    for column in range(sources):
        present = weight[:, column][weight[:, column] != 0].sign().unique()
        if len(present) == 1:
            assert (signs[:, column] == present).all()
