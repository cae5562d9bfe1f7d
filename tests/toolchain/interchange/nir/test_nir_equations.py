"""Random NIR graphs are what their equations say, or refused by name; `make nir-sweep` tries thousands."""

from tests.oracles.nir_parity import Tally, check

GRAPHS = 150


def test_random_graphs_are_equal_to_their_equations_or_refused_by_name() -> None:
    tally = Tally()
    for seed in range(GRAPHS):
        check(seed, tally)
    assert not tally.differences
    assert tally.outcomes["equal"] > GRAPHS / 2
    assert tally.outcomes["written"] > GRAPHS / 4
    assert tally.outcomes["refused"] > GRAPHS / 10
