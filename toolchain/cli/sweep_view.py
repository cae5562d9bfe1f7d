"""How far a sweep is, as a table that is drawn over on standard error, and as lines in a pipe."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, final

from toolchain.cli.console import err

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from toolchain.cluster import Cluster
    from toolchain.sweep.tally import Tally

_AGAIN_S: Final = 30.0
"""Least time between two lines in a pipe."""
_PER_SECOND: Final = 4
_SHOWN_STAGES: Final = 8


@final
class SweepView:
    """What is shown of a sweep while it runs.

    Args:
        quiet: Whether nothing at all is shown.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live: Live | None = None
        self._tally: Tally | None = None
        self._where: list[tuple[str, str]] = []
        self._said = time.monotonic()

    def opened(self, cluster: "Cluster") -> None:
        """Take note of where points are computed."""
        self._where = [("on", cluster.where)]
        if cluster.dashboard is not None:
            self._where.append(("dashboard", cluster.dashboard))
        if self._live is None and not self._quiet:
            err.print("; ".join(text for _, text in self._where), soft_wrap=True)

    def watch(self, tally: "Tally") -> None:
        """Take note of how far it is."""
        self._tally = tally
        if self._live is None and not self._quiet and time.monotonic() > self._said + _AGAIN_S:
            self._said = time.monotonic()
            err.print("; ".join((f"points: {counted(tally)}", *tally.stages)), soft_wrap=True)

    def table(self) -> "Table":
        """Return the table of this moment."""
        from rich.table import Table

        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
        table.add_column(style="bold", no_wrap=True, min_width=9)
        table.add_column(overflow="ellipsis", no_wrap=True)
        for row in (*self._where, *([] if self._tally is None else _rows(self._tally))):
            table.add_row(*row)
        return table

    def add_note(self, error: BaseException) -> None:
        """Say in an error how many points were done before."""
        if self._tally is not None:
            error.add_note(f"points: {counted(self._tally)}; the same command goes on from there")

    @contextmanager
    def drawn(self) -> Generator[None, None, None]:
        """Draw the table while the block runs, if somebody looks."""
        if self._quiet or not err.is_terminal:
            yield
            return
        from rich.live import Live

        with Live(console=err, refresh_per_second=_PER_SECOND, get_renderable=self.table) as self._live:
            yield


def counted(tally: "Tally") -> str:
    """Return how many points there are of each kind, in words."""
    of_all = "" if tally.total is None else f" of {tally.total}"
    parts = [f"{tally.done}{of_all} done"]
    parts += [f"{tally.before} of them before"] if tally.before else []
    parts += [f"{tally.failed} failed"] if tally.failed else []
    parts += [f"{tally.pruned} given up"] if tally.pruned else []
    parts += [] if tally.total is None else [f"{max(tally.total - tally.ended, 0)} left"]
    return ", ".join(parts)


def best_of(tally: "Tally") -> str:
    """Return the best figure and where it was reached, in words; empty if there is none."""
    from toolchain.sweep.point import spelled

    if tally.best is None:
        return ""
    name, value = tally.best
    unit = "" if name.endswith("RMSE") else " %"
    return f"{name} of the integers {value:.4g}{unit} at {spelled(tally.best_settings)}"


def _rows(tally: "Tally") -> list[tuple[str, str]]:
    rows = [
        ("points", counted(tally)),
        (
            "in hand",
            f"{tally.training} trainings, {tally.measuring} comparisons, {tally.waiting} points wait",
        ),
    ]
    rows += [("training", stage) for stage in tally.stages[:_SHOWN_STAGES]]
    if tally.best is not None:
        rows.append(("best", best_of(tally)))
    left = "" if tally.seconds_left is None else f", about {_clock(tally.seconds_left)} left"
    rows.append(("time", f"{_clock(tally.seconds)} so far{left}"))
    return rows + [("failed", said) for said in failures_of(tally)]


def failures_of(tally: "Tally") -> list[str]:
    """Return the last points that failed, and why."""
    from toolchain.sweep.point import spelled

    return [f"{spelled(settings)}: {error}" for settings, error in tally.failures]


def _clock(seconds: float) -> str:
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}"
