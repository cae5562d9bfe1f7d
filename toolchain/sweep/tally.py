"""How far a sweep is: numbers of points, the best so far, and how long the rest may take."""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final, final

from toolchain.sweep.rows import Figures, PointRow, PointState, Setting

_KEPT_FAILURES: Final = 5


@final
@dataclass
class Tally:
    """Points of a sweep, counted while it runs.

    Attributes:
        total: Number of points; None where a search decides.
        done: Points with results, those of earlier starts included.
        before: Points whose results were there at the start.
        failed: Points that failed in this start.
        pruned: Points that were given up, since they were no good.
        training: Trainings at workers.
        measuring: Points at workers.
        waiting: Points that wait for their training or for a worker.
        stages: How far trainings are, a line each.
        best: The best figure so far, and its name.
        best_settings: Settings of the point that has it.
        failures: Settings and errors of the last points that failed.
        started: When it started, by the monotonic clock.
    """

    total: int | None = None
    done: int = 0
    before: int = 0
    failed: int = 0
    pruned: int = 0
    training: int = 0
    measuring: int = 0
    waiting: int = 0
    stages: tuple[str, ...] = ()
    best: tuple[str, float] | None = None
    best_settings: dict[str, Setting] = field(default_factory=dict[str, Setting])
    failures: deque[tuple[dict[str, Setting], str]] = field(
        default_factory=lambda: deque[tuple[dict[str, Setting], str]](maxlen=_KEPT_FAILURES)
    )
    started: float = field(default_factory=time.monotonic)

    @property
    def ended(self) -> int:
        """Points that have ended."""
        return self.done + self.failed + self.pruned

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self.started

    @property
    def seconds_left(self) -> float | None:
        """Time that the rest may take, as the points until now; None before there is one."""
        now = self.ended - self.before
        if self.total is None or now <= 0:
            return None
        return self.seconds / now * (self.total - self.ended)

    def count(self, row: PointRow, *, before: bool = False) -> None:
        """Count a point that has ended.

        Args:
            row: Its row.
            before: Whether it was there at the start.
        """
        self.before += before
        match row.state:
            case PointState.DONE:
                self.done += 1
                self._compare(row)
            case PointState.FAILED:
                self.failed += 1
                self.failures.append((row.settings, row.error))
            case PointState.PRUNED:
                self.pruned += 1

    def _compare(self, row: PointRow) -> None:
        figure = _judged_by(row.figures)
        if figure is None:
            return
        if self.best is None or _better(figure, self.best):
            self.best, self.best_settings = figure, row.settings


def _better(figure: tuple[str, float], other: tuple[str, float]) -> bool:
    """Return whether a figure is better than another of the same name."""
    if figure[0] != other[0]:
        return False
    return figure[1] < other[1] if figure[0].endswith("RMSE") else figure[1] > other[1]


def _judged_by(figures: Figures) -> tuple[str, float] | None:
    """Return the figure by which points are compared: that of validation where there is one."""
    named = {
        "validation accuracy": figures.fixed_validation,
        "validation RMSE": figures.fixed_validation_rmse,
        "test accuracy": figures.fixed_accuracy,
        "test RMSE": figures.fixed_rmse,
    }
    return next(((name, value) for name, value in named.items() if value is not None), None)
