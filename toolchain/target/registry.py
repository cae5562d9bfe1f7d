"""How installed targets are found by entry point."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from toolchain.errors import TargetError, TargetUnavailableError, ToolchainError, UnknownNameError
from toolchain.intake import name_of
from toolchain.target.protocol import ChipTarget, Target


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
