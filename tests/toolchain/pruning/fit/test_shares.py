"""How many synapses each connection gets."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.small_training import small_network
from toolchain.errors import PruningError
from toolchain.models import HrsnnShape, Network, VggShape, build_hrsnn, build_vgg
from toolchain.pruning.fit import Saliency
from toolchain.pruning.fit.shares import PricedChoice, prices_of
from toolchain.pruning.fit.weighted_parts import is_dead, parts_of, thinned

_NETWORK = small_network()
_GRADIENTS = {part.name: torch.randn_like(part.weight) for part in parts_of(_NETWORK)}


@given(
    part=st.floats(0, 1.2),
    prices=st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
    saliency=st.sampled_from(Saliency),
)
def test_connections_share_a_total_and_none_gets_more_than_it_has(
    part: float, prices: list[float], saliency: Saliency
) -> None:
    choice = PricedChoice(parts_of(_NETWORK), saliency, _GRADIENTS)
    total = round(part * sum(choice.before))
    counts = choice.counts(total, dict(zip(choice.names, prices, strict=True)))
    assert sum(counts.values()) == min(max(total, sum(choice.least)), sum(choice.before))
    for name, least, most in zip(choice.names, choice.least, choice.before, strict=True):
        assert least <= counts[name] <= most


def test_the_dearer_a_connection_the_fewer_synapses_it_gets() -> None:
    choice = PricedChoice(parts_of(_NETWORK))
    even = choice.counts(200)
    dear = choice.counts(200, {"encode": 0.1, "recur": 1.0, "decode": 0.1})
    assert dear["recur"] < even["recur"]
    assert dear["encode"] > even["encode"]


def test_lamp_says_the_square_over_those_of_the_stronger() -> None:
    network = build_hrsnn(HrsnnShape(channels=2, classes=2, neurons=4), np.random.default_rng(0))
    part = next(part for part in parts_of(network) if part.name == "decode")
    squares = np.sort(part.weight[part.mask].double().numpy() ** 2)[::-1]
    expected = squares / np.cumsum(squares)
    scores = PricedChoice([part]).scores[0].numpy()
    np.testing.assert_allclose(scores, expected)


def test_prices_are_in_those_of_the_dearest_and_equal_if_nothing_is_charged() -> None:
    assert prices_of({"a": 4.0, "b": 1.0, "c": 0.0, "d": float("nan")}) == {
        "a": 1,
        "b": 0.25,
        "c": 0.05,
        "d": 1,
    }
    assert prices_of({"a": 0.0, "b": -1.0}) == {"a": 1.0, "b": 1.0}


@given(count=st.integers(1, 150))
def test_the_strongest_weights_are_left_and_the_network_stays_as_it_was(count: int) -> None:
    before = {part.name: (part.count, part.weight.clone()) for part in parts_of(_NETWORK)}
    small = thinned(_NETWORK, {"encode": count})
    for part in parts_of(small):
        there, weight = before[part.name]
        expected = min(count, there) if part.name == "encode" else there
        assert part.count == expected
        assert bool((part.weight[~part.mask] == 0).all())
        if part.name == "encode" and count < there:
            assert part.weight[part.mask].abs().min() >= (weight * ~part.mask).abs().max()
    assert {part.name: part.count for part in parts_of(_NETWORK)} == {
        name: there for name, (there, _) in before.items()
    }


def test_neurons_that_have_to_live_keep_an_input_and_an_output() -> None:
    choice = PricedChoice(parts_of(_NETWORK))
    lean = {part.name: part for part in parts_of(thinned(_NETWORK, choice.leanest, alive=True))}
    for part in parts_of(_NETWORK):
        if part.name != "recur":
            for axis in (0, 1):
                if part.name == "decode" or axis == 1:
                    assert torch.equal(lean[part.name].mask.any(axis), part.mask.any(axis))


def test_weights_of_convolutions_that_are_zero_are_absent() -> None:
    shape = VggShape(plan=(4,), image=(1, 6, 6), classes=3, hidden=())
    network = build_vgg(shape, torch.Generator().manual_seed(0))
    parts = parts_of(network)
    counts = {part.name: part.count // 2 for part in parts}
    assert {part.name: part.count for part in parts_of(thinned(network, counts))} == counts
    assert not is_dead(network)


def test_a_network_whose_outputs_no_input_reaches_is_dead() -> None:
    network = small_network()
    assert not is_dead(network)
    assert is_dead(_without(network, "encode"))
    with pytest.raises(PruningError, match="no synapses that could be pruned"):
        parts_of(_without(_without(_without(network, "encode"), "recur"), "decode"))


def _without(network: Network, name: str) -> Network:
    return thinned(network, {name: 0})
