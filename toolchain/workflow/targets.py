"""Which targets are installed, what each can, and whether it can be used on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, final

from toolchain.errors import TargetUnavailableError
from toolchain.target.capability_words import graph_words, neuron_words
from toolchain.target.protocol import ChipTarget, MemoryTarget, ProcessorTarget, Target
from toolchain.target.registry import installed_targets, load_target

_LIMITS: Final[Mapping[type, tuple[str, ...]]] = {
    ChipTarget: ("cores",),
    ProcessorTarget: ("flash", "ram"),
    MemoryTarget: ("bram",),
    Target: ("synops",),
}
"""Limits of a place that say how large a network may be, by what knows them."""


@final
@dataclass(frozen=True)
class TargetStatus:
    """What an installed target can, and whether it is usable here.

    Attributes:
        name: Name of the target, as users type it.
        stages: The stages it accepts; empty if it could not be loaded.
        problem: Reason why it is not usable; None if it is.
        can: What it can, by aspect, in words.
        place: What it is, in words; empty if it could not be loaded.
        budgets: The limits that networks can be pruned to fit there, by name.
    """

    name: str
    stages: tuple[str, ...]
    problem: str | None
    can: Mapping[str, str] = field(default_factory=dict[str, str])
    place: str = ""
    budgets: tuple[str, ...] = ()


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
    status = TargetStatus(name, (), None)
    try:
        target = load_target(name)
        declared = target.capabilities
        status = replace(
            status,
            stages=tuple(sorted(stage.value for stage in declared.stages)),
            can={**neuron_words(declared), **graph_words(declared)},
            place=declared.name,
            budgets=tuple(
                limit for kind, limits in _LIMITS.items() if isinstance(target, kind) for limit in limits
            ),
        )
        target.check()
    except TargetUnavailableError as error:
        return replace(status, problem=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a stranger's target raises, the others are listed
        return replace(status, problem=f"its check failed: {type(error).__name__}: {error}")
    return status
