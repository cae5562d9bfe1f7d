"""How long work says how far it is; the command line draws bars from it."""

from typing import Protocol


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


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""
    del done, total


def no_stages(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
    del stage, done, total


def stage_progress(progress: StageProgress, stage: str) -> Progress:
    """Return a callback that reports one stage."""

    def report(done: int, total: int) -> None:
        progress(stage, done, total)

    return report


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
