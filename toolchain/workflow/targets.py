"""Which targets are installed, what each can, and whether it can be used on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from toolchain.errors import TargetUnavailableError
from toolchain.target.capability_words import graph_words, neuron_words
from toolchain.target.registry import installed_targets, load_target


@final
@dataclass(frozen=True)
class TargetStatus:
    """What an installed target can, and whether it is usable here.

    Attributes:
        name: Name of the target, as users type it.
        stages: The stages it accepts; empty if it could not be loaded.
        problem: Reason why it is not usable; None if it is.
        can: What it can, by aspect, in words.
    """

    name: str
    stages: tuple[str, ...]
    problem: str | None
    can: Mapping[str, str] = field(default_factory=dict[str, str])


def target_statuses() -> tuple[TargetStatus, ...]:
    """Return every installed target and whether it is usable here, by name."""
    return tuple(_status(name) for name in sorted(installed_targets()))


def target_status(name: str) -> TargetStatus:
    """Return what an installed target can, and whether it is usable here.

    Raises:
        UnknownNameError: No target of that name is installed.
    """
    if name not in installed_targets():
        load_target(name)
    return _status(name)


def _status(name: str) -> TargetStatus:
    stages: tuple[str, ...] = ()
    can: Mapping[str, str] = {}
    try:
        target = load_target(name)
        declared = target.capabilities
        stages = tuple(sorted(stage.value for stage in declared.stages))
        can = {**neuron_words(declared), **graph_words(declared)}
        target.check()
    except TargetUnavailableError as error:
        return TargetStatus(name, stages, str(error), can)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's target raises, the others are listed
        return TargetStatus(name, stages, f"its check failed: {type(error).__name__}: {error}", can)
    return TargetStatus(name, stages, None, can)
