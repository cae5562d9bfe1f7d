"""Bars that show how far work is, where somebody looks: in a terminal or a notebook, never in a pipe."""

import builtins
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from inspect import signature
from typing import Any, Final, ParamSpec, TypeVar, final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from toolchain.progress import (
    DEFAULTS,
    Display,
    StageProgress,
    default_progress,
    no_stages,
    stage_progress,
)
from toolchain.visible import visible

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_NOTEBOOK_S: Final = 0.25
"""Least time between two updates of a notebook, which come to a browser as messages."""
_NOTEBOOK_SHELL: Final = "ZMQInteractiveShell"


@final
class Bars(Display):
    """One bar per stage on a console; in a pipe, a line where a stage begins.

    Args:
        bars: The bars of Rich.
        console: The console on which they are drawn.
        quiet: Whether nothing at all is shown.
    """

    def __init__(self, bars: Progress, console: Console, *, quiet: bool) -> None:
        self._bars, self._console, self._quiet = bars, console, quiet
        self._tasks: dict[str, Any] = {}

    def __call__(self, stage: str, done: float, total: int, /) -> None:
        """Move the bar of a stage."""
        self._bars.update(self._task(stage, total), completed=done, total=total)

    def detail(self, stage: str, done: float, total: int, text: str) -> None:
        """Move the bar of a stage, and write beside it."""
        self._bars.update(self._task(stage, total), completed=done, total=total, detail=visible(text))

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        if not self._quiet:
            self._console.print(visible(line), soft_wrap=True)

    def _task(self, stage: str, total: int) -> Any:  # noqa: ANN401 - Rich's number of a task
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(visible(stage), total=total, detail="")
            if not self._console.is_terminal:
                self.say(f"{stage} ...")
        return self._tasks[stage]


@contextmanager
def bars_on(console: Console, *, quiet: bool = False) -> Generator[Display, None, None]:
    """Yield what draws one bar per stage on a console.

    Args:
        console: The console; in a pipe, it gets a line where a stage begins.
        quiet: Whether nothing at all is shown.
    """
    # In a narrow terminal the bar gives way, then what stands last.
    number = lambda: Column(no_wrap=True, min_width=7)  # noqa: E731
    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=5)),
        TimeElapsedColumn(table_column=number()),
        TimeRemainingColumn(table_column=number()),
        TextColumn("{task.fields[detail]}", markup=False, table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bars:
        yield Bars(bars, console, quiet=quiet)


@dataclass
class _Line:
    """A line of a notebook: where it is, since when and with how much done already, and what it says."""

    handle: Any
    started: float
    already: float
    text: str = ""


@final
class NotebookLines(Display):
    """One line per stage below a cell of a notebook, written over as the stage goes on.

    Args:
        show: IPython's `display`.
    """

    def __init__(self, show: Callable[..., Any]) -> None:
        self._show = show
        self._lines: dict[str, _Line] = {}
        self._shown_at = 0.0

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Write the line of a stage over."""
        line = self._lines.get(stage)
        self.detail(stage, done, total, "" if line is None else line.text)

    def detail(self, stage: str, done: float, total: int, text: str) -> None:
        """Write the line of a stage over, unless that was done a moment ago."""
        now = time.monotonic()
        line = self._lines.get(stage)
        if line is None:
            handle = self._show(_plain(f"{stage} ..."), raw=True, display_id=True)
            line = self._lines[stage] = _Line(handle, now, done)
        elif done < total and now < self._shown_at + _NOTEBOOK_S:
            return
        self._shown_at, line.text = now, text
        seconds, gone = now - line.started, done - line.already
        parts = [f"{stage}: {int(done)}/{total}", *([text] if text else []), f"{_clock(seconds)} so far"]
        if gone > 0 and done < total:
            parts.append(f"{_clock(seconds * (total - done) / gone)} left")
        line.handle.update(_plain(", ".join(parts)), raw=True)

    def say(self, line: str) -> None:
        """Show a line of its own."""
        self._show(_plain(line), raw=True)


def draws(stage: str = "") -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Give a function that takes `progress` bars where it is called without, while somebody looks.

    Args:
        stage: Name of the stage if the function takes a `Progress`; empty if it takes a `StageProgress`.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        with_bars: Any = function
        place = list(signature(function).parameters).index("progress")

        @wraps(function)
        def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            given = args[place] if len(args) > place else kwargs.get("progress", default_progress)
            if given not in DEFAULTS:
                return function(*args, **kwargs)
            with _bars_for_whom() as bars:
                kwargs["progress"] = stage_progress(bars, stage) if stage else bars
                return with_bars(*args[:place], **kwargs)

        return call

    return decorate


@contextmanager
def _bars_for_whom() -> Generator[StageProgress, None, None]:
    shell = getattr(builtins, "get_ipython", None)
    if shell is not None and type(shell()).__name__ == _NOTEBOOK_SHELL:
        yield NotebookLines(import_module("IPython.display").display)
    elif sys.stderr is not None and sys.stderr.isatty():
        with bars_on(Console(stderr=True, highlight=False, markup=False, emoji=False)) as bars:
            yield bars
    else:
        yield no_stages


def _plain(text: str) -> dict[str, str]:
    return {"text/plain": visible(text)}


def _clock(seconds: float) -> str:
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}"
