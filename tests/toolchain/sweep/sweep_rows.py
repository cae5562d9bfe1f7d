"""Folders of sweeps whose rows were measured nowhere."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolchain.sweep.point import SharedSettings
from toolchain.sweep.rows import Figures, PointRow, PointState, Setting
from toolchain.sweep.sweep_file import Sweep
from toolchain.sweep.sweep_folder import SweepFolder

Measure = Callable[[dict[str, Setting]], Figures]


def row_of(name: str, settings: dict[str, Setting], figures: Figures | None = None, **more: Any) -> PointRow:
    given: dict[str, Any] = {"state": PointState.DONE, "run": f"runs/{name}", "build": f"builds/{name}"}
    return PointRow(name=name, settings=settings, figures=figures or Figures(), **(given | more))


def grid_folder(path: Path, grid: Mapping[str, Sequence[Setting]], measure: Measure) -> SweepFolder:
    """Return the folder of a grid all of whose points are done."""
    folder = SweepFolder(path)
    values = {key: tuple(each) for key, each in grid.items()}
    folder.claim(Sweep(SharedSettings(), grid=values))
    for i, chosen in enumerate(itertools.product(*values.values())):
        settings = dict(zip(values, chosen, strict=True))
        folder.write_row(row_of(f"{i:020x}", settings, measure(settings)))
    return folder
