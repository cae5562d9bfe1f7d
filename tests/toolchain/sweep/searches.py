"""Searches whose points cost nothing: figures are computed from settings, and folders hold rows alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolchain.sweep.compare_section import CompareSection
from toolchain.sweep.judging import Phase, is_judged
from toolchain.sweep.point import Point, SharedSettings
from toolchain.sweep.rows import Figures, PointRow, PointState
from toolchain.sweep.search import SearchPlan
from toolchain.sweep.search_section import SearchSection
from toolchain.sweep.sweep_file import Sweep
from toolchain.sweep.sweep_folder import SweepFolder

SPACE: dict[str, Any] = {
    "pruning.neurons": {"low": 10, "high": 200},
    "quantization.weight_bits": [4, 8],
    "training.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
}
DOCUMENT: dict[str, Any] = {
    "data": {"name": "digits", "validation_fraction": 0.2},
    "pruning": {"method": "lnp"},
}


def section_of(**keys: Any) -> SearchSection:
    return SearchSection.model_validate_json(json.dumps({"space": SPACE, "trials": 10, "startup": 3} | keys))


def shared_of(**document: Any) -> SharedSettings:
    return SharedSettings(DOCUMENT | document, compare=CompareSection())


def search_folder(path: Path, section: SearchSection, shared: SharedSettings | None = None) -> SweepFolder:
    folder = SweepFolder(path)
    folder.claim(Sweep(shared or shared_of(), search=section))
    return folder


def measured(point: Point, before: PointRow | None = None) -> PointRow:
    """Return the row of a point: more neurons are more accurate, and more expensive."""
    experiment = point.experiment
    assert experiment.pruning is not None
    neurons, rate = float(getattr(experiment.pruning, "neurons", 0)), experiment.training.learning_rate
    bits = experiment.quantization.weight_bits
    assert isinstance(bits, int)
    accuracy = min(99.0, 50 + neurons / 5 + bits - 100 * abs(rate - 0.02))
    figures = Figures(fixed_validation=accuracy, operations=neurons * bits)
    if point.judging.phase is Phase.FINAL:
        assert before is not None
        figures = before.figures.model_copy(update={"fixed_accuracy": accuracy - 1})
    return PointRow(
        name=point.name,
        settings=point.settings,
        state=PointState.DONE,
        figures=figures,
        run=f"runs/{point.run_name}",
        build=f"builds/{point.name}",
    )


def carried_out(
    plan: SearchPlan,
    folder: SweepFolder,
    *,
    free: int = 1,
    most: int | None = None,
    measure: Callable[[Point, PointRow | None], PointRow] = measured,
) -> list[Point]:
    """Carry out a plan, as `Execution` does; return the points that were computed.

    Args:
        plan: The plan.
        folder: The folder.
        free: Points that are asked for at a time; those of a time end in reverse.
        most: Points after which the process is killed.
        measure: What computes a row.
    """
    computed: list[Point] = []
    while not plan.finished:
        points = list(plan.next(free))
        for point in reversed(points):
            row = folder.row(point.name)
            if row is None or not is_judged(row, point.judging):
                if most is not None and len(computed) >= most:
                    return computed
                row = measure(point, row)
                folder.write_row(row)
                computed.append(point)
            plan.ended(point, row)
    return computed
