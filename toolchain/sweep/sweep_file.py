"""The sweep file: an experiment, and the values of its keys, in all combinations or by a search."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Annotated, Any, Final, final

from pydantic import Field, ValidationError

from toolchain.errors import ExperimentError, SweepError, TargetError, UnknownNameError
from toolchain.files.documents import Document, explain
from toolchain.files.toml import read_toml
from toolchain.intake import PathText, path_of
from toolchain.sweep.compare_section import CompareSection
from toolchain.sweep.dotted import flat_keys
from toolchain.sweep.plan import GridPlan
from toolchain.sweep.point import TARGET, SharedSettings
from toolchain.sweep.rows import Setting
from toolchain.sweep.search_checks import check_search
from toolchain.sweep.search_section import SearchSection
from toolchain.target.registry import DEFAULT_EXECUTOR, load_chip, load_target
from toolchain.workflow.experiment import Experiment, load_experiment

_MOST_VALUES: Final = 10**6
"""Values of one key that a range may count."""
_MOST_POINTS: Final = 10**5
"""Combinations of a grid. Each is validated before anything runs, which takes a millisecond."""
_FILE: Final = "sweep file"


_End = Annotated[int, Field(ge=-(2**53), le=2**53)]


class CountedValues(Document):
    """Values of a key that are counted: `{ range = 8 }` for 0 .. 7, `{ range = [2, 8] }` for 2 .. 7."""

    ends: Annotated[int, Field(gt=0, le=_MOST_VALUES)] | tuple[_End, _End] = Field(
        alias="range", description="how many from 0, or the first and the end, which is left out"
    )

    @property
    def values(self) -> Sequence[int]:
        """The values."""
        return range(self.ends) if isinstance(self.ends, int) else range(*self.ends)


class SweepSections(Document):
    """A sweep in TOML: an experiment, and what is varied of it."""

    experiment: str | dict[str, Any] = Field(
        default_factory=dict,
        description="an experiment file, seen from the sweep file; or the sections of one",
    )
    target: str = Field(
        default=DEFAULT_EXECUTOR, description="where the networks are to run, if that is not varied"
    )
    grid: dict[str, Any] | None = Field(
        default=None,
        description="lists of values by dotted key, in all combinations; { range = 8 } means 0 .. 7",
    )
    compare: CompareSection = Field(default=CompareSection(), description="what is measured of every point")
    search: SearchSection | None = Field(
        default=None, description="values that are chosen by what the points before them have measured"
    )


@final
@dataclass(frozen=True)
class Sweep:
    """A sweep whose points are valid, as far as that can be known before they are computed.

    Attributes:
        shared: What all points share.
        grid: Values by key; None for a search.
        search: What is looked for; None for a grid.
        points: Number of different points; None where a search decides.
    """

    shared: SharedSettings = field(default_factory=SharedSettings)
    grid: Mapping[str, tuple[Setting, ...]] | None = None
    search: SearchSection | None = None
    points: int | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """All targets that take part, each once."""
        compare = self.shared.compare
        varied = (self.grid or {}).get(TARGET) or (self.search.space if self.search else {}).get(TARGET)
        places = varied if isinstance(varied, tuple) else (self.shared.target,)
        chips = () if compare.chip is None else (compare.chip,)
        return tuple(dict.fromkeys(str(name) for name in (*places, *compare.exact, *chips)))


def load_sweep(path: PathText) -> Sweep:
    """Read a sweep file and validate every point of its grid.

    Raises:
        MissingFileError: It does not exist, or the experiment file that it names.
        SweepError: It is not TOML, or no sweep.
        ExperimentError: Names the first key that is varied and unknown, or has a value that is not accepted.
        UnknownNameError: A target is not installed.
    """
    path = path_of(path, "path")
    try:
        return parse_sweep(read_toml(path, _FILE), path.parent)
    except ValueError as error:
        raise SweepError("(file)", str(error)) from None
    except (ExperimentError, TargetError, UnknownNameError) as error:
        error.add_note(f"in {_FILE} '{path}'")
        raise


def parse_sweep(document: Mapping[str, Any], folder: Path | None = None) -> Sweep:
    """Return a validated sweep; see `load_sweep`.

    Args:
        document: What stands in the file.
        folder: Folder from which the path of an experiment is seen; by default that of the process.
    """
    try:
        sections = SweepSections.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise _sweep_error(error) from None
    shared = SharedSettings(_experiment(sections.experiment, folder), sections.target, sections.compare)
    if (sections.grid is None) == (sections.search is None):
        given = "neither" if sections.grid is None else "both"
        raise SweepError("grid", f"expected either [grid] or [search], got {given}")
    _check_comparison(sections.compare)
    if sections.search is not None:
        return _search(shared, sections.search)
    return _grid(shared, _flat(sections.grid or {}))


def _experiment(given: str | Mapping[str, Any], folder: Path | None) -> Mapping[str, Any]:
    """Return the document of the experiment that a sweep file names or holds."""
    if not isinstance(given, str):
        return given
    path = (folder or Path()) / given
    try:
        return read_toml(path, "experiment file")
    except ValueError:
        # It says what is wrong in the words of experiments.
        load_experiment(path)
        raise


def _search(shared: SharedSettings, search: SearchSection) -> Sweep:
    _check_keys(search.space)
    for settings in ({}, *search.ends()):
        load_target(shared.point(settings).target)
    check_search(shared, search)
    return Sweep(shared, search=search)


def _grid(shared: SharedSettings, grid: Mapping[str, Any]) -> Sweep:
    if not grid:
        raise SweepError("grid", "expected at least one key with its values, such as seed = { range = 8 }")
    _check_keys(grid)
    values = {key: _values(key, given) for key, given in grid.items()}
    for target in values.get(TARGET, (shared.target,)):
        load_target(str(target))
    if (size := prod(len(each) for each in values.values())) > _MOST_POINTS:
        raise SweepError("grid", f"expected at most {_MOST_POINTS:,} combinations of values, got {size:,}")
    # Here, every point is validated; only their names are kept.
    names = {point.name for point in GridPlan(shared, values).points()}
    return Sweep(shared, values, points=len(names))


def _check_comparison(compare: CompareSection) -> None:
    for name in compare.exact:
        _named("exact", load_target, name)
    if compare.chip is not None:
        _named("chip", load_chip, compare.chip)


def _named(key: str, load: Callable[[str], object], name: str) -> None:
    """Load a target, or say which key names it."""
    try:
        load(name)
    except (UnknownNameError, TargetError) as error:
        error.add_note(f"as compare.{key}")
        raise


def _check_keys(keys: Mapping[str, object]) -> None:
    """Raise for a key that is in no section of an experiment; what stands in one, the experiment knows."""
    known = (*Experiment.model_fields, TARGET)
    for key in keys:
        section, dot, _ = key.partition(".")
        if section not in known or (dot and section == TARGET):
            raise ExperimentError(key if section == TARGET else section, "is not known", known=known)
        outer = next((each for each in keys if key.startswith(f"{each}.")), None)
        if outer is not None:
            raise ExperimentError(
                key, f"cannot be varied beside '{outer}', which sets it, too; leave out one"
            )


def _flat(grid: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return flat_keys(grid, frozenset(("range",)))
    except ValueError as error:
        raise SweepError("grid", str(error)) from None


def _values(key: str, given: object) -> tuple[Setting, ...]:
    """Return the values of a key of a grid."""
    expected = "expected a list of values, such as [0.1, 0.2], or { range = 8 }"
    if isinstance(given, Mapping):
        try:
            counted = CountedValues.model_validate_json(json.dumps(given)).values
        except ValidationError as error:
            place, reason = explain(error)
            inside = f"'{place}' " if place not in {"", "range"} else ""
            raise SweepError(f"grid.{key}", f"{inside}{reason}; {expected}") from None
        if not 0 < len(counted) <= _MOST_VALUES:
            raise SweepError(f"grid.{key}", f"expected a range of 1 .. {_MOST_VALUES} values, got {given}")
        return tuple(counted)
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise SweepError(f"grid.{key}", f"{expected}, got {json.dumps(given)}")
    return tuple(_value(key, each) for each in given)


def _value(key: str, given: object) -> Setting:
    if isinstance(given, list):
        return tuple(_scalar(key, each) for each in given)
    return _scalar(key, given)


def _scalar(key: str, given: object) -> bool | int | float | str:
    if isinstance(given, bool | int | float | str):
        return given
    raise SweepError(f"grid.{key}", f"expected numbers, texts, true, false, and lists of those, got {given}")


def _sweep_error(error: ValidationError) -> SweepError:
    """Return what is wrong with the sections of a sweep file."""
    errors = error.errors(include_url=False)
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    place = [str(part) for part in first["loc"]]
    key, reason = explain(error)
    if first["type"] != "extra_forbidden":
        return SweepError(key or "(file)", reason)
    if place[0] in Experiment.model_fields:
        return SweepError(
            place[0],
            "is a key of an experiment: write it below [experiment], or name the file of the experiment, as "
            'in experiment = "digits.toml"',
        )
    sections: dict[str, type[Document]] = {"compare": CompareSection, "search": SearchSection}
    kind = sections.get(place[0], SweepSections) if len(place) > 1 else SweepSections
    return SweepError(".".join(place), "is not known", known=tuple(kind.model_fields))
