"""The course of sparse training: when synapses are renewed, how many, and how many are left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.errors import ArgumentError, PruningError
from toolchain.pruning.sparse.options import Allocation, Price, SparseMethod, SparseOptions

_TOTALS = st.integers(1, 500)


@given(total=_TOTALS, interval=st.integers(1, 600), frozen=st.floats(0, 1), fraction=st.floats(0.001, 1))
def test_gradual_pruning_ends_at_its_fraction_however_short_the_training(
    total: int, interval: int, frozen: float, fraction: float
) -> None:
    options = SparseOptions(method=SparseMethod.GRADUAL, interval=interval, frozen=frozen, fraction=fraction)
    steps = [step for step in range(1, total + 1) if options.renews(step, total)]
    shares = [options.share_at(step, total) for step in steps]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == fraction
    assert steps[-1] == options.last_step(total) <= total
    assert all(step % interval == 0 for step in steps[:-1])


@given(total=_TOTALS, renewed=st.floats(0, 1))
def test_fewer_and_fewer_synapses_are_renewed_and_none_at_the_end(total: int, renewed: float) -> None:
    options = SparseOptions(renewed=renewed)
    shares = [options.renewed_at(step, total) for step in range(total + 1)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == renewed
    assert shares[options.last_step(total)] == 0


@pytest.mark.parametrize(
    "given_options",
    [{"fraction": 0.0}, {"fraction": 1.1}, {"interval": 0}, {"connections": "recur"}, {"renewed": -0.1}],
)
def test_options_that_mean_nothing_are_refused(given_options: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(given_options))):
        SparseOptions(**given_options)  # pyright: ignore[reportArgumentType]


def test_soft_rewiring_needs_noise() -> None:
    with pytest.raises(PruningError, match="temperature above 0"):
        SparseOptions(method=SparseMethod.SOFT_DEEP_REWIRING)


@pytest.mark.parametrize("method", [SparseMethod.SET, SparseMethod.RIGL, SparseMethod.STATIC])
def test_methods_without_scores_that_compare_have_no_global_allocation(method: SparseMethod) -> None:
    with pytest.raises(PruningError, match="no global allocation; use erdos_renyi or uniform"):
        SparseOptions(method=method, allocation=Allocation.GLOBAL)


@pytest.mark.parametrize("method", [SparseMethod.SYNFLOW, SparseMethod.DEEP_REWIRING, SparseMethod.STATIC])
def test_methods_without_scores_or_data_weigh_no_operations(method: SparseMethod) -> None:
    with pytest.raises(PruningError, match="weigh operations; use gradual, set, rigl, snip"):
        SparseOptions(method=method, price=Price.OPERATIONS)


def test_allocation_is_that_of_the_method_unless_it_is_given() -> None:
    assert SparseOptions(method=SparseMethod.SNIP).allocated is Allocation.GLOBAL
    assert SparseOptions(method=SparseMethod.RIGL).allocated is Allocation.ERDOS_RENYI
    given_one = SparseOptions(method=SparseMethod.SYNFLOW, allocation=Allocation.UNIFORM)
    assert given_one.allocated is Allocation.UNIFORM
