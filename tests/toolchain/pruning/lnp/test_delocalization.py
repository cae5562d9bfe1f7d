"""Step III: which edges come back."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from toolchain.pruning.lnp import Preference
from toolchain.pruning.lnp.delocalization import added_edges
from toolchain.pruning.pool import localisation

TARGETS, SOURCES = np.array([0, 1, 2, 3, 4]), np.array([1, 2, 3, 4, 0])
DEGREE = np.array([1, 1, 5, 9, 2])


@pytest.mark.parametrize(("prefer", "expected"), [(Preference.HUBS, [2, 3]), (Preference.LEAVES, [0, 4])])
def test_hubs_or_leaves_come_first(prefer: Preference, expected: list[int], rng: np.random.Generator) -> None:
    assert added_edges(TARGETS, SOURCES, DEGREE, 2, prefer, rng).tolist() == expected


def test_hubs_raise_the_variance_of_degrees_most(rng: np.random.Generator) -> None:
    targets, sources = (ends.ravel() for ends in np.meshgrid(np.arange(30), np.arange(30)))
    degree = rng.integers(1, 20, 30)

    def variance(prefer: Preference) -> float:
        chosen = added_edges(targets, sources, degree, 60, prefer, rng)
        after = degree + sum(np.bincount(ends[chosen], minlength=30) for ends in (targets, sources))
        return float(after.var())

    hubs, chance, leaves = (
        variance(each) for each in (Preference.HUBS, Preference.RANDOM, Preference.LEAVES)
    )
    assert hubs > chance > leaves


@pytest.mark.parametrize("prefer", list(Preference))
@pytest.mark.parametrize("count", [0, 1, 4, 5, 99])
def test_no_edge_comes_twice_and_no_more_than_there_are(
    prefer: Preference, count: int, rng: np.random.Generator
) -> None:
    chosen = added_edges(TARGETS, SOURCES, DEGREE, count, prefer, rng)
    assert len(np.unique(chosen)) == len(chosen) == min(count, 5)


def test_a_star_is_localised_and_a_ring_is_not() -> None:
    star = np.zeros((50, 50))
    star[0, 1:] = 1.0
    ring = np.roll(np.eye(50), 1, axis=0)
    assert localisation(csr_array(ring)) < 0.05
    assert localisation(csr_array(star)) > 2 * localisation(csr_array(ring))


def test_localisation_is_the_same_by_both_solvers(rng: np.random.Generator) -> None:
    weights = csr_array((rng.random((450, 450)) < 0.05).astype(float))
    dense = weights.toarray() != 0
    both = dense | dense.T
    np.fill_diagonal(both, val=False)
    vectors = np.linalg.eigh(np.diag(both.sum(axis=1)) - both.astype(float))[1][:, -16:]
    assert localisation(weights) == pytest.approx((vectors**4).sum(axis=0).mean(), rel=1e-2)
