"""Whether a search can be, before anything runs; and the point that its file describes."""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, Final

from toolchain.errors import SweepError
from toolchain.files.documents import Document
from toolchain.sweep.point import TARGET, Point, SharedSettings
from toolchain.sweep.rows import Setting
from toolchain.sweep.search_section import Objective, Range, SearchSection, Space
from toolchain.target.protocol import ChipTarget
from toolchain.target.registry import load_target
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.sections.task import is_series, usual_task

ON_CHIPS: Final = frozenset((Objective.CORES, Objective.MICROJOULES))
"""What only chips have; a network that is too large for one has neither."""
_EPOCHS: Final = "training.epochs"


def check_search(shared: SharedSettings, section: SearchSection) -> None:
    """Raise for a search that nothing could judge.

    Raises:
        SweepError: Says what is missing.
    """
    points = [shared.point(settings) for settings in ({}, *section.ends())]
    for point in points:
        _check_validation(point.experiment)
        _check_objectives(section, point)
    if section.prune and _EPOCHS in section.space:
        raise SweepError(
            "search.prune",
            f"trainings are compared after the same epoch, and those of different '{_EPOCHS}' cannot be; "
            "leave out one of them",
        )


def default_point(shared: SharedSettings, section: SearchSection) -> Point:
    """Return the point that the file describes without its search, with the keys that the search varies.

    A key of a section that the file does not have is None.
    """
    point = shared.point({})
    return replace(point, settings={key: _looked_up(point, key) for key in section.space})


def within(space: Mapping[str, Space], settings: Mapping[str, Setting]) -> dict[str, Setting] | None:
    """Return settings as values of a space; None if one of them is no such value."""
    values: dict[str, Setting] = {}
    for key, allowed in space.items():
        value = settings.get(key)
        if isinstance(allowed, Range):
            if value not in allowed:
                return None
            values[key] = value
            continue
        alike = [
            each for each in allowed if each == value and isinstance(each, bool) == isinstance(value, bool)
        ]
        if not alike:
            return None
        values[key] = alike[0]
    return values


def _check_validation(experiment: Experiment) -> None:
    data = experiment.data
    if not is_series(data) and not getattr(data, "validation_fraction", 0.0):
        raise SweepError(
            "search",
            "a search judges by samples for validation, so that its best points can be compared on the test "
            "part once, and there are none; set validation_fraction in [experiment.data], such as 0.2",
        )


def _check_objectives(section: SearchSection, point: Point) -> None:
    task = point.experiment.task
    learnt = usual_task(point.experiment.data) if task is None else task.name
    wrong = {"": None, "classification": Objective.RMSE}.get(learnt, Objective.ACCURACY)
    if wrong in section.objectives:
        other = Objective.ACCURACY if wrong is Objective.RMSE else Objective.RMSE
        raise SweepError(
            "search.objectives",
            f"'{wrong.value}' is not measured of {learnt}; give '{other.value}'",
        )
    asked = [each.value for each in section.objectives if each in ON_CHIPS]
    if asked and point.compare.chip is None and not isinstance(load_target(point.target), ChipTarget):
        raise SweepError(
            "search.objectives",
            f"'{asked[0]}' is measured of chips, and target '{point.target}' is none; set chip in [compare], "
            "such as 'loihi2'",
        )


def _looked_up(point: Point, key: str) -> Setting:
    """Return what a point has under a dotted key, as a file would say it; None where that is a section."""
    value: Any = point if key == TARGET else point.experiment
    for part in key.split("."):
        value = getattr(value, part, None)
    value = _plain(value)
    if isinstance(value, list):
        return tuple(map(_plain, value))
    if isinstance(value, dict | Document):
        return None
    # Sections that are left out are false in a file.
    return False if value is None and key in Experiment.model_fields else value


def _plain(value: Any) -> Any:  # noqa: ANN401 - a value of an experiment
    return value.value if isinstance(value, Enum) else list(value) if isinstance(value, tuple) else value
