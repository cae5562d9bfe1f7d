"""One threshold for all connections: LAMP scores, and what a connection keeps whatever they are."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolchain.errors import PruningError
from toolchain.pruning.sparse.global_choice import Rivals, chosen, lamp, least_of


def test_lamp_scores_are_those_calculated_by_hand() -> None:
    weight = torch.tensor([[3.0, -1.0], [2.0, 5.0]])
    every = torch.ones(2, 2, dtype=torch.bool)
    # Squares 9, 1, 4, 25, which are 39 in all.
    expected = torch.tensor([[9 / 34, 1 / 39], [4 / 38, 1.0]], dtype=torch.float64)
    assert torch.allclose(lamp(weight, every), expected)
    mask = torch.tensor([[True, True], [True, False]])
    expected = torch.tensor([[1.0, 1 / 14], [4 / 13, 0.0]], dtype=torch.float64)
    assert torch.allclose(lamp(weight, mask), expected)
    assert not lamp(torch.zeros(2, 2), every).any()


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 30))
def test_lamp_ranks_a_connection_by_magnitude_and_gives_its_strongest_one(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    weight = torch.from_numpy(rng.normal(size=(1, size)))
    scores = lamp(weight, torch.ones(1, size, dtype=torch.bool))
    assert torch.equal(scores.argsort(), weight.abs().argsort())
    assert float(scores.max()) == pytest.approx(1.0)


@given(
    shapes=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6), st.booleans()), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.05, 1),
)
def test_the_number_is_exact_and_no_connection_dies(
    shapes: list[tuple[int, int, bool]], seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    masks = [torch.from_numpy(rng.random((targets, sources)) < 0.8) for targets, sources, _ in shapes]
    for mask in masks:
        mask[0, 0] = True
    synapses = [int(mask.sum()) for mask in masks]
    guards = [int(mask.any(1).sum()) * guarded for mask, (_, _, guarded) in zip(masks, shapes, strict=True)]
    total = max(1, round(share * sum(synapses)))
    needed = sum(max(1, guard) for guard in guards)
    if total < needed:
        with pytest.raises(PruningError, match=f"{total} synapses are fewer than the"):
            least_of(synapses, guards, total)
        return
    try:
        least = least_of(synapses, guards, total)
    except PruningError:
        assert total < 1.1 * needed + len(masks), "what stays is enough"
        return
    rivals = [
        Rivals(torch.from_numpy(rng.random(mask.shape)), mask, count, guarded)
        for mask, count, (_, _, guarded) in zip(masks, least, shapes, strict=True)
    ]
    places = chosen(rivals, total)
    assert sum(map(len, places)) == total
    assert all(len(stays) >= count for stays, count in zip(places, least, strict=True))
    for each, stays in zip(rivals, places, strict=True):
        left = torch.zeros_like(each.mask).view(-1)
        left[stays] = True
        left = left.reshape(each.mask.shape)
        assert left.any()
        assert not (left & ~each.mask).any()
        if each.guarded:
            assert torch.equal(left.any(1), each.mask.any(1)), "a neuron that is read lost its inputs"


def test_those_of_highest_score_of_all_stay() -> None:
    first = Rivals(torch.tensor([[5.0, 1.0, 4.0]]), torch.ones(1, 3, dtype=torch.bool), 1, guarded=False)
    second = Rivals(
        torch.tensor([[0.1, 0.2], [9.0, 8.0]]), torch.ones(2, 2, dtype=torch.bool), 1, guarded=True
    )
    places = chosen([first, second], 4)
    assert [each.tolist() for each in places] == [[0], [1, 2, 3]]
    assert [each.tolist() for each in chosen([first, second], 3)] == [[0], [1, 2]]


def test_connections_keep_a_tenth_of_the_density_of_all() -> None:
    assert least_of((1000, 4000, 200), (0, 0, 10), 520) == (10, 40, 10)
    assert least_of((1000, 4000, 200), (0, 0, 0), 520) == (10, 40, 2)
    with pytest.raises(PruningError, match="11 synapses are fewer than the 12 that connections keep"):
        least_of((1000, 4000, 200), (0, 0, 10), 11)
