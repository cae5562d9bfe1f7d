"""What the pages say of the LNP study is what its figures say."""

from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def tables(experiment: Callable[[str], ModuleType]) -> ModuleType:
    return experiment("lnp_tables")


@pytest.fixture(scope="module")
def study(tables: ModuleType) -> Any:
    return tables.Study(tables.CAMPAIGN.figures())


def test_the_pages_are_up_to_date(tables: ModuleType, study: Any) -> None:
    for path, text in tables.pages(study).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: python experiments/lnp_tables.py"


def test_every_arm_is_compared_with_lnp_once_per_task(study: Any) -> None:
    assert len(study.arms) == 33
    assert len(study.to_lnp.comparisons) == 4 * 32


def test_all_operations_are_more_than_the_recurrent_ones(study: Any) -> None:
    found = [figures for figures in study.figures.values() if "operations" in figures]
    assert len(found) == 4 * 33 * 8 + 5 * 8
    assert all(figures["operations"] > figures["recurrent_operations"] for figures in found)


def test_ratios_are_those_of_the_means(study: Any) -> None:
    ours, theirs = (
        np.mean([study.figures["lorenz63", arm, seed]["operations"] for seed in range(8)])
        for arm in ("unpruned", "LNP")
    )
    assert study.ratio("lorenz63", "unpruned", "LNP", "operations") == pytest.approx(ours / theirs)


def test_activity_pruning_is_trained_longer_and_the_page_says_so(
    experiment: Callable[[str], ModuleType], tables: ModuleType, study: Any
) -> None:
    epochs = experiment("lnp_figures").epochs
    assert (epochs("LNP"), epochs("AP"), epochs("AP, magnitude, clustered")) == (20, 30, 30)
    assert "trained for 20 epochs after pruning, but AP and AP, magnitude for 30" in " ".join(
        tables.tables(study).split()
    )


def test_what_needs_more_operations_is_not_called_fewer(experiment: Callable[[str], ModuleType]) -> None:
    fewer = experiment("lnp_figures").fewer
    assert (fewer(11.37), fewer(0.625)) == (
        "11.4 \N{MULTIPLICATION SIGN} fewer",
        "1.6 \N{MULTIPLICATION SIGN} more",
    )


def test_operations_that_differ_are_not_called_equal(tables: ModuleType, study: Any) -> None:
    assert "equal operations" not in tables.tables(study)


def test_every_table_has_as_many_cells_in_every_row(tables: ModuleType, study: Any) -> None:
    lines = tables.tables(study).replace("\\|", "").splitlines()
    for above, below in pairwise(lines):
        if above.startswith("|") and below.startswith("|"):
            assert above.count("|") == below.count("|"), below
