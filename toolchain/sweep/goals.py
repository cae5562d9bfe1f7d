"""What a point reached in the objectives of a search."""

from collections.abc import Sequence

from toolchain.sweep.rows import Figures
from toolchain.sweep.search_section import Objective


def measured(figures: Figures, objective: Objective) -> float | None:
    """Return what was measured of a point; None where it was not.

    Energies are published as a band; its upper end counts.
    """
    match objective:
        case Objective.ACCURACY:
            return figures.fixed_validation
        case Objective.RMSE:
            return figures.fixed_validation_rmse
        case Objective.OPERATIONS:
            return figures.operations
        case Objective.CORES:
            return figures.cores
        case Objective.MICROJOULES:
            return None if figures.microjoules is None else figures.microjoules[1]


def goals_of(figures: Figures, objectives: Sequence[Objective]) -> tuple[float | None, ...]:
    """Return what a point reached in each objective, more being better."""
    values = (measured(figures, each) for each in objectives)
    return tuple(
        value if value is None or each.maximized else -value
        for each, value in zip(objectives, values, strict=True)
    )
