"""How installed targets are found by entry point."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from inspect import getattr_static
from typing import Final

from toolchain.errors import TargetError, TargetUnavailableError, ToolchainError, UnknownNameError
from toolchain.target.protocol import BoardTarget, ChipTarget, MemoryTarget, ProcessorTarget, Target

DEFAULT_EXECUTOR: Final = "emulator"
"""The target that runs graphs where nothing else is asked for."""
STANDALONE: Final = "lava"
"""The target whose program stands in every build, as files that run without this toolchain."""
PORTABLE: Final = ("onnx", "c", "rtl", STANDALONE)
"""Targets whose programs can be written as files that run without this toolchain."""
_MEMBERS: Final = ("name", "profile", "capabilities", "check", "legalization", "build")
"""What a `Target` has; a value is not asked for any of it before it is used."""


def load_chip(name: str) -> ChipTarget:
    """Import and return an installed target that knows a chip.

    Raises:
        UnknownNameError: No target of that name is installed.
        TargetError: It knows no chip.
    """
    target = load_target(name)
    if not isinstance(target, ChipTarget):
        raise TargetError(
            f"target '{name}' has no cores to fill",
            'name a chip, "loihi1" or "loihi2"; a processor, "c", has flash and RAM in their place',
        )
    return target


def load_writer(name: str) -> ProcessorTarget:
    """Import and return an installed target that writes programs for processors.

    Raises:
        UnknownNameError: No target of that name is installed.
        TargetError: It writes none.
    """
    target = load_target(name)
    if not isinstance(target, ProcessorTarget):
        raise TargetError(
            f"target '{name}' writes no programs for processors",
            'name "c", which does; a chip such as "loihi1" has cores in their place',
        )
    return target


def writes_programs(name: str) -> bool:
    """Return whether an installed target writes programs for processors."""
    return isinstance(load_target(name), ProcessorTarget)


def load_designer(name: str) -> BoardTarget:
    """Import and return an installed target that makes designs for FPGAs.

    Raises:
        UnknownNameError: No target of that name is installed.
        TargetError: It makes none.
    """
    target = load_target(name)
    if not isinstance(target, BoardTarget):
        raise TargetError(
            f"target '{name}' makes no designs for FPGAs", 'choose one that does: `target="rtl"`'
        )
    return target


def load_memories(name: str) -> MemoryTarget:
    """Import and return an installed target that lays out memories of an FPGA.

    Raises:
        UnknownNameError: No target of that name is installed.
        TargetError: It lays out none.
    """
    target = load_target(name)
    if not isinstance(target, MemoryTarget):
        raise TargetError(
            f"target '{name}' lays out no memories of an FPGA", 'choose one that does: `target="rtl"`'
        )
    return target


def makes_designs(name: str) -> bool:
    """Return whether an installed target makes designs for FPGAs."""
    return isinstance(load_target(name), BoardTarget)


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
    # A caller may give anything.
    if not isinstance(name, str) or name not in points:  # pyright: ignore[reportUnnecessaryIsInstance]
        from toolchain.intake import name_of  # noqa: PLC0415 - needs NumPy, and most names are known

        raise UnknownNameError("target", name_of(name, "target"), points)
    try:
        target = points[name].load()()
    except ToolchainError:
        raise
    except (Exception, SystemExit) as error:
        raise _unloadable(points[name], f"{type(error).__name__}: {error}") from error
    lacks = [member for member in _MEMBERS if getattr_static(target, member, None) is None]
    if lacks:
        what = f"'{points[name].value}' gives a {type(target).__name__}, not a target"
        raise _unloadable(points[name], f"{what}: it has no {', '.join(lacks)}")
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
