"""What the pages say of the study of channel pruning is what its figures say."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def tables(experiment: Callable[[str], ModuleType]) -> ModuleType:
    return experiment("sca_tables")


@pytest.fixture(scope="module")
def study(tables: ModuleType) -> Any:
    return tables.Study(tables.CAMPAIGN.rows())


def test_the_pages_are_up_to_date(tables: ModuleType, study: Any) -> None:
    for path, text in tables.pages(study).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: python experiments/sca_tables.py"


def test_operations_are_those_of_all_layers(study: Any) -> None:
    for row in study.rows.values():
        assert row["operations"] == pytest.approx(sum(row["layers"].values()))


def test_every_arm_is_compared_with_the_dense_network_at_both_widths(study: Any) -> None:
    assert len(study.to_dense.comparisons) == 2 * 19


def test_a_network_without_spikes_is_called_silent(tables: ModuleType, study: Any) -> None:
    assert study.fewer("half", "random regrowth") is None
    assert tables.line(study, "half", "random regrowth")[5] == "silent"


def test_integers_are_shown_only_where_all_seeds_were_fed_alike(tables: ModuleType, study: Any) -> None:
    assert study.integers("half", "recommended, strict").size == 0
    assert study.integers("full", "recommended, strict").size == 5
