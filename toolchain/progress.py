"""How long work says how far it is; the command line draws bars from it."""

from typing import Protocol


class Progress(Protocol):
    """Told how much of one piece of work is done."""

    def __call__(self, done: int, total: int) -> None:
        """Take note that `done` of `total` units are finished."""
        ...


class StageProgress(Protocol):
    """Told which stage a piece of work is in, and how far."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note that `done` of `total` units of `stage` are finished."""
        ...


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""
    del done, total


def no_stages(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
    del stage, done, total


def of_stage(progress: StageProgress, stage: str) -> Progress:
    """Return a callback that reports one stage."""

    def told(done: int, total: int) -> None:
        progress(stage, done, total)

    return told


def of_part(progress: Progress, before: int, size: int, total: int) -> Progress:
    """Return a callback that reports one part of a piece of work, in the units of the whole.

    Args:
        progress: Told about the whole; as the part tells it if the part is the whole.
        before: Units that are done when the part begins.
        size: Units of the part.
        total: Units of the whole.
    """
    whole = total

    def told(done: int, total: int) -> None:
        progress(before + size * done // max(total, 1), whole)

    return progress if size == whole else told
