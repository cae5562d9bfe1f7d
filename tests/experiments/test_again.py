"""Points of all studies are drawn, measured again and compared without their times."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest


@pytest.fixture
def again(experiment: Callable[[str], ModuleType]) -> ModuleType:
    return experiment("again")


def test_two_published_points_of_every_study_are_drawn(again: ModuleType, repository: Path) -> None:
    drawn = list(again.points(1))
    assert Counter(name for name, _ in drawn) == dict.fromkeys(again.NAMES, 2)
    assert len(set(drawn)) == len(drawn)
    scripts = {path.stem for path in (repository / "experiments").glob("*_study.py")}
    assert {f"{name}_study" for name in again.NAMES} == scripts


def test_figures_of_all_parts_are_compared_and_times_are_not(again: ModuleType) -> None:
    row = {"seconds": 3.0, "float": 91.5, "chip": {"cores": 2, "nanojoules": [1.0, 2.0]}, "lava": True}
    assert dict(again.leaves(row)) == {
        "float": 91.5,
        "chip, cores": 2,
        "chip, nanojoules, 0": 1.0,
        "chip, nanojoules, 1": 2.0,
        "lava": True,
    }


def test_a_figure_moves_by_a_part_of_itself_and_an_answer_by_all(again: ModuleType) -> None:
    assert again.distance(100, 90) == pytest.approx(0.1)
    assert again.distance(True, False) == float("inf")
    assert again.distance(True, 1.0) == float("inf")


def test_a_figure_that_is_there_no_more_has_moved_and_is_shown(
    again: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key, row = ("digits", 0), {"task": "digits", "seed": 0, "float": 91.5, "cores": 2, "seconds": 1.0}
    campaign = SimpleNamespace(
        script=tmp_path, fields=("task", "seed"), rows=lambda: {key: row}, needs=lambda _: ()
    )
    monkeypatch.setattr(again, "campaign_of", lambda _: campaign)
    monkeypatch.setattr(again, "measure_point", lambda *_: {"float": 91.5, "seconds": 9.0})
    given = again.Given(tmp_path, tmp_path)
    measured = again.measured(("lnp", "digits, 0"), given)
    assert (measured["figures"], measured["moved"]) == (2, {"cores": (2, None)})
    assert "| 1 of 2 | cores: 2 to None |" in again.table(
        [{"study": "lnp", "point": "digits, 0", **measured}]
    )
