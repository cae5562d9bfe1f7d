"""Whether a search has found better settings than those of its file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from toolchain.sweep.fronts import dominates, front
from toolchain.sweep.results import SweepResults, figure_of, goal_of, value_of
from toolchain.sweep.rows import PointRow
from toolchain.sweep.search_section import Objective

_WORDS = {
    Objective.ACCURACY: "validation accuracy",
    Objective.RMSE: "validation RMSE",
    Objective.OPERATIONS: "synaptic operations",
    Objective.CORES: "cores",
    Objective.MICROJOULES: "energy",
}


@final
@dataclass(frozen=True)
class Verdict:
    """The best points of a search beside the settings of its file.

    Attributes:
        best: Points that no other beats in the objectives, by the validation part.
        own: The settings of the file; None if they were not measured.
        better: Those of `best` that are nowhere worse than the file's settings, and better somewhere.
        better_on_test: Those of `better` that still are on the test part.
    """

    best: tuple[PointRow, ...]
    own: PointRow | None
    better: tuple[PointRow, ...]
    better_on_test: tuple[PointRow, ...]
    objectives: tuple[Objective, ...]

    def sentences(self) -> list[str]:
        """Say whether the search was worth it."""
        named = " and ".join(_WORDS[each] for each in self.objectives)
        if not self.best:
            return ["No point has been measured in all objectives yet, so there is no front."]
        size = _count(len(self.best), "point")
        if self.own is None:
            return [f"The front has {size}; the file's own settings were not measured to compare it with."]
        if not self.better:
            beaten = f"none of them is as good in {named} and better in one of them"
            return [f"The front of {size} does NOT dominate the file's own settings: {beaten}."]
        verb = "is" if len(self.better) == 1 else "are"
        beating = (
            f"{len(self.better)} of its {size} {verb} nowhere worse in {named} and better in one of them"
        )
        said = [f"The front dominates the file's own settings: {beating}."]
        if all(_tested(row) is not None for row in (self.own, *self.better)):
            said.append(
                f"On the test part, which the search has not seen, {len(self.better_on_test)} of these "
                f"{len(self.better)} still dominate{'s' * (len(self.better_on_test) == 1)} them."
            )
        return said


def verdict_of(results: SweepResults) -> Verdict | None:
    """Return what a search has found; None for a grid."""
    if results.search is None:
        return None
    objectives = results.search.objectives
    done = results.done
    goals = [_goals(row, objectives) for row in done]
    best = [done[i] for i in front(goals)]
    own = next((row for row in done if row.name == results.own), None)
    better: list[PointRow] = []
    on_test: list[PointRow] = []
    if own is not None:
        better = [row for row in best if dominates(_goals(row, objectives), _goals(own, objectives))]
        on_test = [
            row
            for row in better
            if dominates(_goals(row, objectives, test=True), _goals(own, objectives, test=True))
        ]
    return Verdict(tuple(best), own, tuple(better), tuple(on_test), objectives)


def _goals(row: PointRow, objectives: Sequence[Objective], *, test: bool = False) -> tuple[float | None, ...]:
    names = [figure_of(each) for each in objectives]
    on_test = {"fixed_validation": "fixed_accuracy", "fixed_validation_rmse": "fixed_rmse"}
    names = [on_test.get(name, name) if test else name for name in names]
    return tuple(goal_of(value_of(row.figures, name), name) for name in names)


def _tested(row: PointRow) -> float | None:
    figures = row.figures
    return figures.fixed_rmse if figures.fixed_accuracy is None else figures.fixed_accuracy


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
