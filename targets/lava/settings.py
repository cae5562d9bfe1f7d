"""How Lava is run: under which name, and how long to wait for it."""

from dataclasses import dataclass
from typing import Final, final

from targets.lava.runtime.models import Models

NAMES: Final = {Models.MIXED: "lava", Models.STOCK: "lava-stock", Models.LAYERS: "lava-layers"}
"""Name of the target for every choice of models; its entry points in `pyproject.toml` are called the same."""


@final
@dataclass(frozen=True)
class Limits:
    """How long to wait for Lava.

    Attributes:
        total_s: Seconds for the whole run; None for no limit.
        start_s: Seconds until the first step, in which Lava is imported and builds its processes.
        stall_s: Seconds after that in which no process makes a step.
    """

    total_s: float | None = None
    start_s: float = 300.0
    stall_s: float = 60.0
