"""The study at equal budgets: equal epochs, equal operations, and a page from what is there."""

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def budgets(experiment: Callable[[str], ModuleType]) -> ModuleType:
    return experiment("lnp_budget_study")


@pytest.fixture(scope="module")
def tables(experiment: Callable[[str], ModuleType]) -> ModuleType:
    return experiment("lnp_budget_tables")


def _network(synapses: int, power: float) -> dict[str, float]:
    recurrent = 0.3 * synapses**power
    return {"synapses": synapses, "recurrent_operations": recurrent, "operations": 900 + recurrent}


@pytest.mark.parametrize("power", [1.0, 1.4, 0.7])
@pytest.mark.parametrize("wanted", [1000.0, 2000.0, 5000.0])
def test_synapses_are_changed_until_operations_are_equal_to_5_percent(
    power: float, wanted: float, budgets: ModuleType
) -> None:
    found = budgets.at_operations(lambda n: _network(n, power), _network(1500, power), wanted, 10**6)
    assert found["operations"] == pytest.approx(wanted, rel=0.05)


def test_operations_that_no_number_of_synapses_has_are_met_as_nearly_as_can_be(budgets: ModuleType) -> None:
    found = budgets.at_operations(lambda n: _network(n, 1.0), _network(1500, 1.0), 500.0, 10**6)
    assert found["synapses"] == 1
    found = budgets.at_operations(lambda n: _network(n, 1.0), _network(1500, 1.0), 1e9, 3000)
    assert found["synapses"] == 3000


def test_epochs_between_the_rounds_of_activity_pruning_count(budgets: ModuleType) -> None:
    assert budgets.epochs_left("AP, magnitude", 20) == 10
    assert [budgets.epochs_left(arm, 20) for arm in ("LNP", "random", "unpruned")] == [20, 20, 20]
    assert budgets.epochs_left("AP, magnitude", 0) == 0


def test_what_a_point_needs_is_a_point_of_the_study(budgets: ModuleType) -> None:
    points = set(budgets.points(2))
    assert all(need in points for key in points for need in budgets.needs(key))


def test_clusters_have_the_mean_time_constant_of_the_one_pool(budgets: ModuleType) -> None:
    taus = budgets.KINDS["clustered"]["cluster_tau_ms"]
    assert sum(taus) / len(taus) == pytest.approx(budgets.MEAN_TAU_MS)


def test_lines_are_points_and_have_what_the_tables_show(budgets: ModuleType) -> None:
    rows = budgets.CAMPAIGN.rows()
    assert rows.keys() <= set(budgets.points(budgets.SEEDS))
    for row in rows.values():
        assert {"neurons", "synapses", "operations", "nanojoules"} <= row["figures"].keys()


def test_rows_say_how_many_seeds_they_have_and_none_is_compared_over_others(
    budgets: ModuleType, tables: ModuleType
) -> None:
    measured = tables.Budgets(budgets.CAMPAIGN.figures())
    for task, epochs in measured.places:
        lines = tables.table(measured, task, epochs).splitlines()[2:]
        for arm, line in zip(measured.arms(task, epochs), lines, strict=True):
            assert line.startswith(f"| {arm} |")
            assert line.endswith(f"| {len(measured.values(task, arm, epochs, 'operations'))} |")
