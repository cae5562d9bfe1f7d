"""What lies in the folder of a sweep, in a stable order, and how its settings were repeated over seeds."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

from toolchain.sweep.rows import Figures, PointRow, PointState, Setting
from toolchain.sweep.search_checks import default_point, within
from toolchain.sweep.search_journal import JOURNAL, count_repeated
from toolchain.sweep.search_section import Objective, SearchSection
from toolchain.sweep.sweep_folder import SweepFolder

SEEDS: Final = ("seed", "data.split_seed")
"""Keys that repeat an experiment; the first of them that is varied is what intervals are over."""
QUALITIES: Final = {
    "fixed_validation": "the accuracy of the integers on the samples for validation",
    "fixed_validation_rmse": "the error of the integers on the samples for validation",
    "fixed_accuracy": "the accuracy of the integers on the test samples",
    "fixed_rmse": "the error of the integers on the test samples",
}
"""Fields of `Figures` that say how well a network does its task, and what they are in words."""


@final
@dataclass(frozen=True)
class SweepResults:
    """The rows of a sweep.

    Attributes:
        keys: Keys that are varied, as the file names them.
        rows: Rows of all points that have ended, by their settings.
        search: What was looked for; None for a grid.
        own: Name of the point that the file describes without its search; empty for a grid.
        planned: Number of points; None where values were repeated.
    """

    keys: tuple[str, ...]
    rows: tuple[PointRow, ...]
    search: SearchSection | None = None
    own: str = ""
    planned: int | None = None

    @cached_property
    def done(self) -> list[PointRow]:
        """Rows of the points that were measured."""
        return [row for row in self.rows if row.state is PointState.DONE]

    @cached_property
    def failed(self) -> list[PointRow]:
        """Rows of the points that failed."""
        return [row for row in self.rows if row.state is PointState.FAILED]

    @cached_property
    def pruned(self) -> list[PointRow]:
        """Rows of the points whose training was ended early."""
        return [row for row in self.rows if row.state is PointState.PRUNED]

    @property
    def repeated(self) -> str:
        """The seed that is varied; empty if none is."""
        return next((key for key in SEEDS if key in self.keys), "")

    @cached_property
    def quality(self) -> str:
        """Field of `Figures` that says how well networks do their task, by which they are chosen.

        That of the validation part where there is one: whoever chooses by test samples flatters the choice.
        """
        known = (
            name for name in QUALITIES if any(getattr(row.figures, name) is not None for row in self.done)
        )
        return next(known, next(iter(QUALITIES)))

    @property
    def counts(self) -> str:
        """How many points ended in which way."""
        named = {"done": self.done, "failed": self.failed, "pruned": self.pruned}
        listed = [f"{len(rows):,} {name}" for name, rows in named.items() if rows or name == "done"]
        missing = 0 if self.planned is None else self.planned - len(self.rows)
        return ", ".join([*listed, *([f"{missing:,} not computed yet"] if missing > 0 else [])])


@final
@dataclass(frozen=True)
class Design:
    """Settings without their seed, and the points that repeat them.

    Attributes:
        settings: Values by key.
        rows: The points, by seed.
    """

    settings: dict[str, Setting]
    rows: tuple[PointRow, ...]

    def mean(self, figure: str) -> float | None:
        """Return the mean of what was measured; None if that is nothing."""
        values = [value for row in self.rows if (value := value_of(row.figures, figure)) is not None]
        return math.fsum(values) / len(values) if values else None


def read_results(folder: SweepFolder) -> SweepResults:
    """Return all rows of a sweep, whether it is finished or not.

    Raises:
        MissingFileError: It is no folder of a sweep.
        CorruptArtifactError: A row is damaged: names its file.
    """
    document = folder.document()
    search = document.search
    varied = document.grid or {} if search is None else search.space
    rows = sorted(
        folder.rows(), key=lambda row: (*(order_of(row.settings.get(key)) for key in varied), row.name)
    )
    if search is None:
        planned = math.prod(len(set(map(order_of, values))) for values in (document.grid or {}).values())
        return SweepResults(tuple(varied), tuple(rows), planned=planned)
    own = default_point(document.shared, search)
    beside = within(search.space, own.settings) is None
    planned = search.trials - count_repeated(folder.path / JOURNAL) + beside
    return SweepResults(tuple(varied), tuple(rows), search, own.name, planned)


def designs_of(rows: Iterable[PointRow], repeated: str) -> list[Design]:
    """Return points with equal settings but for the seed together, in the order of the first of each.

    Args:
        rows: The points.
        repeated: Key of the seed; empty if each point stands for itself.
    """
    same: dict[str, list[PointRow]] = {}
    for row in rows:
        same.setdefault(word({k: v for k, v in row.settings.items() if k != repeated}), []).append(row)
    return [
        Design({k: v for k, v in alike[0].settings.items() if k != repeated}, tuple(alike))
        for alike in same.values()
    ]


def value_of(figures: Figures, name: str) -> float | None:
    """Return a figure; of a band its upper end."""
    value = getattr(figures, name)
    return value[1] if isinstance(value, tuple) else value


def better_is_more(name: str) -> bool:
    """Return whether more of a figure is better: of accuracies it is, of errors and costs it is not."""
    return name in {"validation", "fixed_validation", "float_accuracy", "fixed_accuracy", "spike_f1"}


def goal_of(value: float | None, name: str) -> float | None:
    """Return a figure so that more is better."""
    return value if value is None or better_is_more(name) else -value


def figure_of(objective: Objective) -> str:
    """Return the figure by which an objective is judged."""
    match objective:
        case Objective.ACCURACY:
            return "fixed_validation"
        case Objective.RMSE:
            return "fixed_validation_rmse"
        case Objective.OPERATIONS | Objective.CORES | Objective.MICROJOULES:
            return objective.value


def word(value: Setting | Mapping[str, Setting]) -> str:
    """Return a value, or values by key, as text that differs where they do."""
    return json.dumps(value)


def order_of(value: Setting) -> tuple[int, float, str]:
    """Return what values are sorted by: numbers by size, and then all others by their text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 1, 0.0, word(value)
    return 0, float(value), ""


def shown_settings(settings: Mapping[str, Setting], keys: Sequence[str]) -> list[str]:
    """Return the values of keys as cells of a table."""
    return [shown(settings.get(key)) for key in keys]


def shown(value: Setting) -> str:
    """Return a value as a person reads it, real numbers to four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
