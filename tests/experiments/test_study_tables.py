"""Comparisons over seeds and what many of them cost, against the definitions."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def tables(experiment: Callable[[str], ModuleType]) -> ModuleType:
    return experiment("study_tables")


def _holm_survivors(p: list[float], level: float) -> set[int]:
    """Reject the smallest of n at level / n, the next at level / (n - 1), until one is not rejected."""
    survivors: set[int] = set()
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[index] > level / (len(p) - rank):
            break
        survivors.add(index)
    return survivors


def _discoveries(p: list[float], level: float) -> set[int]:
    """Reject all up to the largest rank k whose p value is at most level k / n."""
    order = sorted(range(len(p)), key=p.__getitem__)
    ranks = [rank for rank, index in enumerate(order, 1) if p[index] <= level * rank / len(p)]
    return set(order[: max(ranks, default=0)])


def test_holm_by_hand(tables: ModuleType) -> None:
    corrected = tables.holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert tables.holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])


def test_what_survives_is_what_the_definitions_say(tables: ModuleType, rng: np.random.Generator) -> None:
    for _ in range(300):
        p = [float(each) for each in rng.random(rng.integers(1, 40)) ** rng.integers(1, 6)]
        family = tables.judged_together({i: tables.Comparison(1.0, 0.5, each) for i, each in enumerate(p)})
        assert family.holm == _holm_survivors(p, 0.05)
        assert family.discovered == _discoveries(p, 0.05)
        assert family.holm <= family.discovered


def test_a_difference_is_marked_and_worded_by_what_it_survives(tables: ModuleType) -> None:
    p = {"sure": 1e-6, "likely": 0.03, "alone": 0.049, "chance": 0.9}
    family = tables.judged_together({key: tables.Comparison(-1.25, 1.0, each) for key, each in p.items()})
    assert family.marked("sure", 2) == "**-1.25 ± 1.00**"
    assert family.in_sentence("sure", 2) == "-1.25 ± 1.00 (Holm)"
    assert family.marked("alone", 2) == "-1.25 ± 1.00"
    assert family.in_sentence("alone", 2) == "-1.25 ± 1.00 (not shown)"
    less = tables.judged_together({key: tables.Comparison(2.0, 1.0, p[key]) for key in ("likely", "alone")})
    assert less.marked("likely") == "*+2.0 ± 1.0*"
    assert less.in_sentence("likely") == "+2.0 ± 1.0 (B-H)"
    assert less.counted().startswith("2 comparisons, of which 2 exceed their own 95 % interval")
    assert less.counted().endswith("2 survive Benjamini-Hochberg and 0 survive Holm")


def test_seeds_are_paired_and_must_be_the_same(tables: ModuleType) -> None:
    found = tables.compare({0: 3.0, 1: 5.0, 2: 4.0}, {2: 1.0, 1: 3.0, 0: 2.0})
    assert found.mean == pytest.approx(2.0)
    # Differences 1, 2, 3: sd 1, t(0.975, 2) = 4.3027.
    assert found.half == pytest.approx(4.302653 / np.sqrt(3))
    assert found.p == pytest.approx(0.0741799)
    assert not found.beyond_interval
    with pytest.raises(ValueError, match="expected the same seeds"):
        tables.compare({0: 1.0, 1: 2.0}, {0: 1.0, 2: 2.0})
    with pytest.raises(ValueError, match="at least two"):
        tables.compare({0: 1.0}, {0: 1.0})


@pytest.mark.parametrize(("by", "p"), [(0.0, 1.0), (0.5, 0.0)])
def test_differences_that_do_not_vary_have_a_p_value(tables: ModuleType, by: float, p: float) -> None:
    assert tables.compare({0: 1.0 + by, 1: 2.0 + by}, {0: 1.0, 1: 2.0}).p == p


def test_only_what_stands_between_the_marks_is_renewed(tables: ModuleType) -> None:
    page = "a\n<!-- one: begin -->\nold\n<!-- one: end -->\nb <!-- two: begin -->keep<!-- two: end -->"
    new = tables.replaced(page, "one", "new")
    assert new == page.replace("old", "new")
    assert tables.replaced(new, "one", "new") == new


def test_a_paragraph_is_wrapped_between_words(tables: ModuleType) -> None:
    text = tables.bullet("\n        **One** " + "word " * 80)
    assert text.startswith("- **One** word")
    assert all(len(line) <= 100 for line in text.splitlines())
    assert all(line.startswith("  word") for line in text.splitlines()[1:])
    assert text.split() == ["-", "**One**", *["word"] * 80]


def test_equal_ends_of_a_span_are_said_once(tables: ModuleType) -> None:
    assert tables.span([2.04, 1.96, 2.0]) == "2.0"
    assert tables.span([1.41, 2.14], 2) == "1.41 to 2.14"
