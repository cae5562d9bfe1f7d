"""The processes of one run of Lava are a group of their own: ended together, and waited for."""

import os
import signal
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROCESSES: Final = Path("/proc")
_PATIENCE_S: Final = 5.0


def end_group(group: int) -> None:
    """Kill all processes of a group, and wait until the last one is gone: most are not our children."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE_S
    while group_lives(group) and time.monotonic() < deadline:
        time.sleep(0.005)


def group_lives(group: int) -> bool:
    """Return whether any process of a group still runs.

    Dead ones that nobody has asked for yet do not count: they hold nothing, and who adopted them may take
    a second to ask.
    """
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    if not _PROCESSES.is_dir():
        return True
    return any(state not in "ZX" for state in _states(group))


def _states(group: int) -> Generator[str]:
    """Yield the states of the processes of a group, from Linux's table of processes."""
    for entry in _PROCESSES.glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group, *_ = (
                entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            )
            if int(its_group) == group:
                yield state
