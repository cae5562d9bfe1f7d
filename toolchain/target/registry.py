"""How installed targets are found by entry point, and whether each is usable here."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, final

from toolchain.errors import (
    TargetError,
    TargetUnavailableError,
    ToolchainError,
    UnknownNameError,
)
from toolchain.intake import name_of
from toolchain.target.protocol import ChipTarget, Target

if TYPE_CHECKING:
    pass


def load_chip(name: str) -> ChipTarget:
    """Import and return an installed target that knows a chip.

    Raises:
        UnknownNameError: No target of that name is installed.
        TargetError: It knows no chip.
    """
    target = load_target(name)
    if not isinstance(target, ChipTarget):
        raise TargetError(
            f"target '{name}' has no cores to fill; check a build against a chip, such as 'loihi1' or "
            "'loihi2'"
        )
    return target


@final
@dataclass(frozen=True)
class TargetStatus:
    """Whether an installed target is usable here.

    Attributes:
        name: As typed on the command line.
        stages: The stages it accepts; empty if it could not be loaded.
        problem: Why it is not usable, or None.
    """

    name: str
    stages: tuple[str, ...]
    problem: str | None


def installed_targets() -> Mapping[str, EntryPoint]:
    """Return the installed targets by name, none of them imported yet."""
    return {point.name: point for point in entry_points(group="toolchain.targets")}


def load_target(name: str) -> Target:
    """Import and return an installed target.

    Raises:
        UnknownNameError: No target of that name is installed.
        TargetUnavailableError: Its code cannot be loaded, or gives something else than a target.
    """
    points = installed_targets()
    name = name_of(name, "target")
    if name not in points:
        raise UnknownNameError("target", name, points)
    try:
        target = points[name].load()()
        found = isinstance(target, Target)
    except ToolchainError:
        raise
    except (Exception, SystemExit) as error:
        raise _unloadable(points[name], f"{type(error).__name__}: {error}") from error
    if not found:
        raise _unloadable(
            points[name], f"'{points[name].value}' gives a {type(target).__name__}, not a target"
        )
    return target


def _unloadable(point: EntryPoint, reason: str) -> TargetUnavailableError:
    """Return the error for a target whose code is broken, missing, or hidden by a file of the same name."""
    package = point.module.partition(".")[0]
    distribution = package if point.dist is None else point.dist.name
    place = _place(package)
    advice = (
        f"there is no '{package}'"
        if place is None
        else f"if {place!r} is no part of '{distribution}', rename it or run from another folder, otherwise "
        "install it again"
    )
    missing = f"it cannot be loaded ({reason}); {advice}"
    return TargetUnavailableError(
        point.name, missing, f"python -m pip install --force-reinstall {distribution}"
    )


def _place(package: str) -> str | None:
    """Return the file, or the folder, that Python takes for a package."""
    try:
        spec = find_spec(package)
    except ValueError:
        return None
    folders = iter(() if spec is None else spec.submodule_search_locations or ())
    return None if spec is None else spec.origin or next(folders, None)


def target_statuses() -> tuple[TargetStatus, ...]:
    """Return every installed target and whether it is usable here, by name."""
    return tuple(_status(name) for name in sorted(installed_targets()))


def _status(name: str) -> TargetStatus:
    stages: tuple[str, ...] = ()
    try:
        target = load_target(name)
        stages = tuple(sorted(stage.value for stage in target.stages))
        target.check()
    except TargetUnavailableError as error:
        return TargetStatus(name, stages, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a stranger's target raises, the others are listed
        return TargetStatus(name, stages, f"its check failed: {type(error).__name__}: {error}")
    return TargetStatus(name, stages, None)
