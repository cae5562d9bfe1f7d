"""The search for the largest network that fits, with a place that counts by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.small_training import small_network
from toolchain.errors import PruningError, UnknownNameError
from toolchain.models import Connection, FeedForward, Network
from toolchain.models.neurons import CubaLif
from toolchain.pruning.fit import BudgetLimit, FitSearch, SizeAnswer, SizeBudget
from toolchain.pruning.fit.search import neurons_of
from toolchain.pruning.fit.weighted_parts import is_dead, parts_of, thinned

_WHOLE = sum(part.count for part in parts_of(small_network()))


def _budget(amount: int) -> SizeBudget:
    return SizeBudget(limit=BudgetLimit.FLASH, amount=amount, target="c")


def _place(prices: dict[str, float], each_neuron: float = 0.0):
    def ask(network: Network | FeedForward) -> SizeAnswer:
        charge = sum(prices[part.name] * part.count for part in parts_of(network))
        charge += each_neuron * neurons_of(network)
        return SizeAnswer(float(np.ceil(charge)), charge)

    return ask


@settings(max_examples=20)
@given(amount=st.integers(70, 1200), recur=st.floats(0.2, 4))
def test_the_plan_fits_and_a_few_more_synapses_would_not(amount: int, recur: float) -> None:
    ask = _place({"encode": 1.0, "recur": recur, "decode": 1.0})
    search = FitSearch(_budget(amount), ask)
    plan = search.plan(small_network())
    answer = ask(thinned(plan.of(small_network()), plan.counts))
    assert answer.amount is not None
    assert answer.amount <= amount
    if sum(plan.counts.values()) < _WHOLE and not plan.neurons:
        assert answer.amount >= 0.9 * amount - 2
        # What is charged decides what a synapse of a connection costs.
        dearest = max(plan.prices.values())
        assert plan.prices["recur"] == pytest.approx(min(dearest, max(recur, 1) / max(recur, 1)), abs=1)


@pytest.mark.parametrize("names", [("recure",), ("decode", "recure")])
def test_connections_that_a_network_lacks_are_named(names: tuple[str, ...]) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'recur'"):
        FitSearch(_budget(10_000), _place({}), names=names).require_possible(small_network())


def test_a_network_that_says_nothing_is_not_asked_for_a_larger_budget() -> None:
    network = small_network()
    next(part for part in parts_of(network) if part.name == "decode").thin(0)
    with pytest.raises(PruningError, match="before anything is pruned"):
        FitSearch(_budget(80), _place({"encode": 1.0, "recur": 1.0})).plan(network)


def test_a_network_is_alive_whose_connections_are_modules_of_pytorch() -> None:
    layers = {"hidden": CubaLif(3), "out": CubaLif(2)}
    arrows = {
        Connection("a", "in", "hidden"): nn.Linear(4, 3),
        Connection("b", "hidden", "out"): nn.Linear(3, 2),
    }
    network = Network(inputs={"in": 4}, layers=layers, connections=arrows, output="out")
    assert not is_dead(network)
    nn.init.zeros_(arrows[Connection("b", "hidden", "out")].weight)
    assert is_dead(network)


def test_a_network_that_fits_is_left_whole() -> None:
    search = FitSearch(_budget(10_000), _place({"encode": 1.0, "recur": 1.0, "decode": 1.0}))
    plan = search.plan(small_network())
    assert sum(plan.counts.values()) == _WHOLE
    assert [step.fits for step in search.steps] == [True]


def test_dear_connections_become_sparser() -> None:
    def left(price: float) -> float:
        search = FitSearch(_budget(100), _place({"encode": 1.0, "recur": price, "decode": 1.0}))
        plan = search.plan(small_network())
        return plan.counts["recur"] / sum(plan.counts.values())

    assert left(4.0) < left(1.0) < left(0.1)


def test_neurons_go_where_they_are_what_is_charged() -> None:
    network = small_network()
    ask = _place({"encode": 0.1, "recur": 0.1, "decode": 0.1}, each_neuron=10)
    search = FitSearch(_budget(200), ask)
    search.require_possible(network)
    plan = search.plan(network)
    small = plan.of(network)
    assert isinstance(small, Network)
    assert small.layer("readout").size == 2
    assert len(plan.neurons["hidden"]) == small.layer("hidden").size < 18
    assert ask(thinned(small, plan.counts)).amount == pytest.approx(200, abs=12)


def test_a_budget_below_the_smallest_network_says_the_smallest() -> None:
    search = FitSearch(_budget(20), _place({"encode": 1.0, "recur": 1.0, "decode": 1.0}, each_neuron=10))
    with pytest.raises(PruningError, match="nearest budget that is possible is 3[0-9] bytes of flash"):
        search.require_possible(small_network())
    with pytest.raises(PruningError, match="cannot be met"):
        search.plan(small_network())
    nothing = FitSearch(_budget(20), lambda _: SizeAnswer(None, 1.0))
    with pytest.raises(PruningError, match="takes more than a core holds"):
        nothing.require_possible(small_network())


def test_the_nearest_budget_of_operations_is_one_that_is_possible() -> None:
    def ask(network: Network | FeedForward) -> SizeAnswer:
        operations = 1.11 * sum(part.count for part in parts_of(network))
        return SizeAnswer(operations, operations)

    network = small_network()
    with pytest.raises(PruningError, match="nearest budget that is possible") as caught:
        FitSearch(_budget(1), ask).require_possible(network)
    nearest = int(str(caught.value).rpartition("possible is ")[2].split()[0])
    FitSearch(_budget(nearest), ask).require_possible(network)


def test_neurons_go_until_the_strongest_synapses_fit_as_well() -> None:
    """A training leaves the strongest ones, which may take more than as many that join all neurons."""
    network = small_network()

    def ask(candidate: Network | FeedForward) -> SizeAnswer:
        assert isinstance(candidate, Network)
        encode = next(part for part in parts_of(candidate) if part.name == "encode")
        lonely = int((encode.mask.sum(1) == 0).sum())
        charge = 10.0 * candidate.layer("hidden").size + encode.count + 2.0 * lonely
        return SizeAnswer(charge, charge)

    search = FitSearch(_budget(202), ask, names=("encode",))
    search.require_possible(network)
    plan = search.plan(network)
    amount = ask(thinned(plan.of(network), plan.counts)).amount
    assert amount is not None
    assert amount <= 202


def test_a_budget_that_leaves_nothing_of_what_may_be_pruned_says_so() -> None:
    ask = _place({"encode": 0.0, "recur": 0.0, "decode": 0.0}, each_neuron=10)
    search = FitSearch(_budget(35), ask, names=("recur",))
    search.require_possible(small_network())
    with pytest.raises(PruningError, match="no synapses of recur are left"):
        search.plan(small_network())


def test_operations_are_the_prices_where_they_are_charged() -> None:
    rates = {"encode": 3.0, "recur": 1.0, "decode": 1.0}

    def ask(network: Network | FeedForward) -> SizeAnswer:
        operations = {part.name: rates[part.name] * part.count for part in parts_of(network)}
        return SizeAnswer(sum(operations.values()), sum(operations.values()), operations)

    plan = FitSearch(_budget(150), ask).plan(small_network())
    assert plan.prices == pytest.approx({"encode": 1.0, "recur": 1 / 3, "decode": 1 / 3})


def test_a_trained_network_that_does_not_fit_any_more_is_pruned_further() -> None:
    prices = {"encode": 1.0, "recur": 1.0, "decode": 1.0}
    search = FitSearch(_budget(100), _place(prices))
    counts = search.shrunk(small_network(), prices, 0.9)
    assert 80 <= sum(counts.values()) <= 90


def test_what_is_too_large_for_a_core_is_said_in_the_words_of_the_place() -> None:
    refusal = "'recur' needs 100 steps of delay, there are 62; shorten its delays"
    search = FitSearch(_budget(80), lambda _: SizeAnswer(None, 100.0, refusal=refusal))
    with pytest.raises(PruningError, match="takes more than a core holds: 'recur' needs 100 steps of delay"):
        search.require_possible(small_network())
