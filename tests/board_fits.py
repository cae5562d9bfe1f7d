"""A network on a board, as a target would say it."""

from typing import Any

from toolchain.target.board_fit import BoardFit
from toolchain.target.chip_fit import Fact


def board_fit(**changes: Any) -> BoardFit:
    """A small design that fits, but for what is changed."""
    fields: dict[str, Any] = {
        "board": "icebreaker",
        "title": "iCEBreaker",
        "limits": {
            "LUTs": Fact(5280.0, "LUT4", "data sheet", "H"),
            "block RAMs": Fact(30.0, "of 4 kbit", "data sheet", "H"),
        },
        "used": {"LUTs": 2200, "block RAMs": 17},
        "clock": Fact(12e6, "Hz", "the crystal", "H"),
        "highest": 24e6,
        "problem": "",
        "parameters": {"LANES": 1},
        "work": {"instructions": 120.0, "synapses": 1080.0},
        "seconds": 1e-4,
        "line_seconds": 2e-4,
        "step_seconds": 1e-3,
        "steps": 16,
        "tools": ("yosys 1",),
        "notes": ("made by yosys 1",),
        "advice": ("prune synapses",),
    }
    return BoardFit(**(fields | changes))
