"""Which targets are installed, and whether each can be used on this machine."""

from dataclasses import dataclass
from typing import final

from toolchain.errors import TargetUnavailableError
from toolchain.target.registry import installed_targets, load_target


@final
@dataclass(frozen=True)
class TargetStatus:
    """Whether an installed target is usable here.

    Attributes:
        name: Name of the target, as users type it.
        stages: The stages it accepts; empty if it could not be loaded.
        problem: Reason why it is not usable; None if it is.
    """

    name: str
    stages: tuple[str, ...]
    problem: str | None


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
