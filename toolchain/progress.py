"""How long work says how far it is; the command line and Python draw bars from it."""

from abc import ABC, abstractmethod
from typing import Final, Protocol, final


class Progress(Protocol):
    """A callback that takes how much of one piece of work is done."""

    def __call__(self, done: int, total: int, /) -> None:
        """Take note that `done` of `total` units are finished."""
        ...


class StageProgress(Protocol):
    """A callback that takes the stage of a piece of work, and how much of the stage is done."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Take note that `done` of `total` units of `stage` are finished."""
        ...


class Display(ABC):
    """A `StageProgress` that shows more than whole units, where the work has more to say."""

    @abstractmethod
    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Take note that `done` of `total` units of `stage` are finished."""

    @abstractmethod
    def detail(self, stage: str, done: float, total: int, text: str) -> None:
        """Show how much is done to a part of a unit, and a few words beside it."""

    @abstractmethod
    def say(self, line: str) -> None:
        """Show a line that stays."""


@final
class StageReport:
    """A `Progress` of one stage of a larger work.

    Args:
        progress: Takes the stages of the whole.
        name: Name of the stage.
    """

    def __init__(self, progress: StageProgress, name: str) -> None:
        self.name = name
        self._progress = progress
        self._display = progress if isinstance(progress, Display) else None

    def __call__(self, done: int, total: int, /) -> None:
        """Take note that `done` of `total` units of the stage are finished."""
        self._progress(self.name, done, total)

    def detail(self, done: float, total: int, text: str) -> None:
        """Show a part of a unit and a few words, if the whole is shown to somebody."""
        if self._display is not None:
            self._display.detail(self.name, done, total, text)

    def say(self, text: str) -> None:
        """Say something of the stage in a line that stays, if the whole is shown to somebody."""
        if self._display is not None:
            self._display.say(f"{self.name}: {text}")


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""
    del done, total


def no_stages(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
    del stage, done, total


def default_progress(done: int, total: int) -> None:
    """Stand for bars where somebody looks, as the default of a call that `toolchain.bars.draws`."""
    del done, total


def default_stages(stage: str, done: int, total: int) -> None:
    """Stand for bars where somebody looks, as the default of a call that `toolchain.bars.draws`."""
    del stage, done, total


DEFAULTS: Final = frozenset((default_progress, default_stages))
"""What a call replaces by bars."""


def stage_progress(progress: StageProgress, stage: str) -> StageReport:
    """Return a callback that reports one stage."""
    return StageReport(progress, stage)


def part_progress(progress: Progress, before: int, size: int, total: int) -> Progress:
    """Return a callback that reports one part of a piece of work, in the units of the whole.

    Args:
        progress: Callback for the whole; returned as it is if the part is the whole.
        before: Units that are done when the part begins.
        size: Units of the part.
        total: Units of the whole.
    """
    whole = total

    def report(done: int, total: int) -> None:
        progress(before + size * done // max(total, 1), whole)

    return progress if size == whole else report
