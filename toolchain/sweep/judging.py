"""How a point of a search is judged: on which samples, and when its training is hopeless."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, ClassVar, Final, final

import numpy as np
from pydantic import Field

from toolchain.files.documents import FileDocument, read_document, write_document
from toolchain.sweep.rows import PointRow, PointState
from toolchain.training import EpochRecord

STOPPED: Final = "stopped.json"
"""File of a run that was ended early. The list of a finished run is never there beside it."""
Score = Annotated[float, Field(allow_inf_nan=False)]


class StoppedError(Exception):
    """A training was ended after an epoch, since others did better at that time."""


class Phase(Enum):
    """Which samples a point is measured on."""

    WHOLE = "whole"
    """Those of validation, if there are some, and those of the test: a point of a grid."""
    SEARCH = "search"
    """Those of validation alone: a trial of a search."""
    FINAL = "final"
    """Those of the test, in addition: a trial that was one of the best when the search ended."""


@final
@dataclass(frozen=True)
class Judging:
    """What of a point is looked at. It changes no number of the network, and is no part of a point's name.

    Attributes:
        phase: Samples that it is measured on.
        limits: Least score that the training must have reached after each epoch; none where empty.
    """

    phase: Phase = Phase.WHOLE
    limits: tuple[float, ...] = ()


@final
class StoppedRun(FileDocument):
    """A training that was ended early.

    Attributes:
        scores: Score after each epoch, larger being better.
        limit: What had to be reached after the last of them.
    """

    FORMAT: ClassVar[str] = "pumice-stopped-run"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "note of a training that was ended early"
    WRITTEN_BY: ClassVar[str] = "pumice sweep"

    format: str = FORMAT
    version: int = VERSION
    scores: Annotated[tuple[Score, ...], Field(min_length=1)]
    limit: Score

    @property
    def sentence(self) -> str:
        """Say why it was ended."""
        return (
            f"ended after epoch {len(self.scores)}: the best score on the validation part was "
            f"{max(self.scores):.4g}, half of the trials before had {self.limit:.4g}"
        )


@final
class HopelessWatch:
    """Ends a training that has never done as well as half of those before it did at the same epoch.

    The limits are known before the training begins, so the same training is ended at the same epoch on
    whatever machine.

    Args:
        folder: The run folder, which gets a note of a training that is ended.
        limits: Least score after each epoch.
    """

    def __init__(self, folder: Path, limits: Sequence[float]) -> None:
        self._path, self._limits = folder / STOPPED, tuple(limits)

    def begin(self) -> None:
        """Take back the note of before, where the training is not hopeless by the limits of now.

        Raises:
            StoppedError: It is hopeless still.
        """
        if self._path.is_file():
            self._check(read_document(self._path, StoppedRun).scores)
            self._path.unlink()

    def __call__(self, records: Sequence[EpochRecord]) -> None:
        """Take note of the epochs that are done.

        Raises:
            StoppedError: The training is hopeless.
        """
        self._check(scores_of(records))

    def _check(self, scores: Sequence[float]) -> None:
        epoch = len(scores)
        if not 0 < epoch <= len(self._limits) or max(scores) >= self._limits[epoch - 1]:
            return
        note = StoppedRun(scores=tuple(scores), limit=self._limits[epoch - 1])
        write_document(self._path, note)
        raise StoppedError(note.sentence)


def is_judged(row: PointRow, judging: Judging) -> bool:
    """Return whether a row says already what is asked for.

    A point that failed, or whose training was ended early, is not tried again.
    """
    figures = row.figures
    tested = figures.fixed_accuracy is not None or figures.fixed_rmse is not None
    return row.state is not PointState.DONE or tested or judging.phase is not Phase.FINAL


def scores_of(records: Sequence[EpochRecord]) -> tuple[float, ...]:
    """Return how well a network did on the validation part after each epoch, larger being better.

    That is the accuracy; where values are learnt, the loss with a minus.
    """
    scores: list[float] = []
    for each in records:
        if each.validation_accuracy is not None:
            scores.append(each.validation_accuracy)
        elif each.validation_loss is not None:
            scores.append(-each.validation_loss)
    return tuple(scores)


def limits_of(trials: Sequence[Sequence[float]], *, least: int, epochs: int) -> tuple[float, ...]:
    """Return what a training must have reached after each epoch: the median of the trials before.

    After the first quarter of the epochs only, and never after the last one.

    Args:
        trials: Scores after each epoch, of trials that ended by themselves.
        least: Number of trials that a median needs; with fewer there are no limits.
        epochs: Epochs of a training.
    """
    whole = [scores for scores in trials if len(scores) == epochs]
    if len(whole) < least or epochs <= 1:
        return ()
    medians = np.median(np.array(whole), axis=0)[:-1]
    warm_up = -(-epochs // 4)
    # What is finite can be stored: no score is below.
    lowest = float(np.finfo(np.float64).min)
    return (*[lowest] * min(warm_up, epochs - 1), *(float(each) for each in medians[warm_up:]))
