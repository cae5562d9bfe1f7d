"""Optuna asked for trials: each is drawn by the trials before it and by a seed of its own."""

import json
import math
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from toolchain.errors import CorruptArtifactError, UsageError
from toolchain.sweep.rows import Setting
from toolchain.sweep.search_journal import JOURNAL, REMEDY, SearchJournal
from toolchain.sweep.search_section import Range, SearchSection, Space

_STUDY: Final = "pumice"
_SECTION: Final = "pumice_search"
_DIGITS: Final = 12
"""Digits of a value that is a number of steps from the low end."""
_DIRECTIONS: Final = {True: StudyDirection.MAXIMIZE, False: StudyDirection.MINIMIZE}
_DAMAGE: Final = (KeyError, ValueError, TypeError, IndexError, AttributeError, AssertionError)
"""What Optuna raises on a journal whose lines are JSON, but not its own."""


class TrialEnd(Enum):
    """How a trial ended."""

    MEASURED = "measured"
    PRUNED = "pruned"
    FAILED = "failed"


@final
@dataclass(frozen=True)
class Trial:
    """A trial of a search.

    Attributes:
        number: Its place, from 0.
        settings: Values by key.
        values: What was measured, one per objective; None where it runs or did not come to that.
        running: Whether it was asked for and has not ended.
        pruned: Whether its training was ended early.
    """

    number: int
    settings: dict[str, Setting]
    values: tuple[float, ...] | None
    running: bool
    pruned: bool = False


@final
class SearchStudy:
    """The trials of a search.

    Args:
        section: What is looked for.
        folder: Folder of the journal, which is continued if there is one.

    Raises:
        CorruptArtifactError: The journal is damaged.
        UsageError: It is of another search.
    """

    def __init__(self, section: SearchSection, folder: Path) -> None:
        self._section, self._path = section, folder / JOURNAL
        self._journal = SearchJournal(self._path)
        self._space = {key: _distribution(values) for key, values in section.space.items()}
        with _quiet(), self._journal_is_sound():
            backend: Any = self._journal
            storage, sampler = JournalStorage(backend), RandomSampler(seed=0)
            if self._journal.empty:
                directions = [_DIRECTIONS[each.maximized] for each in section.objectives]
                optuna.create_study(storage=storage, study_name=_STUDY, directions=directions)
            self._study = optuna.load_study(study_name=_STUDY, storage=storage, sampler=sampler)
        self._check_section()
        self.trials()

    def trials(self) -> list[Trial]:
        """Return all trials, by number."""
        with self._journal_is_sound():
            return [self._trial(each) for each in self._study.get_trials(deepcopy=False)]

    def ask(self, settings: Mapping[str, Setting] | None = None) -> Trial:
        """Return a further trial.

        Args:
            settings: Values that it shall have, all within the space; by default the sampler draws them.
        """
        with _quiet():
            if settings is not None:
                given = {key: _inner(self._section.space[key], value) for key, value in settings.items()}
                self._study.enqueue_trial(given)
            self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
            number = self._study.ask(self._space).number
        return self.trials()[number]

    def tell(self, number: int, end: TrialEnd, values: Sequence[float] = ()) -> None:
        """Say how a trial ended.

        Args:
            number: The trial.
            end: How.
            values: What was measured, one per objective.
        """
        states = {TrialEnd.PRUNED: TrialState.PRUNED, TrialEnd.FAILED: TrialState.FAIL}
        with _quiet():
            if end is TrialEnd.MEASURED:
                self._study.tell(number, list(values))
            else:
                self._study.tell(number, state=states[end])

    def save(self) -> None:
        """Write the journal."""
        self._journal.save()

    def _check_section(self) -> None:
        """Raise for a journal of another search; more trials of the same one are fine."""
        wanted = self._section.model_dump_json(exclude={"trials"})
        noted = self._study.user_attrs.get(_SECTION)
        if noted is None:
            self._study.set_user_attr(_SECTION, wanted)
        elif noted != wanted:
            raise UsageError(
                f"'{self._path}' is the journal of another search: [search] says something else now",
                "choose another folder, or take that section back; only `trials` may change",
            )

    def _sampler(self, number: int) -> BaseSampler:
        """Return what draws a trial: of the seed and its number, so that a search can go on anywhere."""
        section = self._section
        state = np.random.SeedSequence([section.seed, number]).generate_state(1)
        seed = int(state[0])
        match section.sampler:
            case "tpe":
                return TPESampler(
                    seed=seed, n_startup_trials=section.startup, multivariate=True, constant_liar=True
                )
            case "nsga2":
                return NSGAIISampler(seed=seed, population_size=max(section.startup, 2))
            case "random":
                return RandomSampler(seed=seed)

    def _trial(self, frozen: FrozenTrial) -> Trial:
        if frozen.state is TrialState.WAITING or dict(frozen.distributions) != self._space:
            raise ValueError(f"trial {frozen.number} has not the keys of the search")
        values = frozen.values if frozen.state is TrialState.COMPLETE else None
        if values is not None and len(values) != len(self._section.objectives):
            raise ValueError(f"trial {frozen.number} has {len(values)} values")
        settings = {key: _outer(self._section.space[key], frozen.params[key]) for key in self._space}
        return Trial(
            frozen.number,
            settings,
            None if values is None else tuple(values),
            running=frozen.state is TrialState.RUNNING,
            pruned=frozen.state is TrialState.PRUNED,
        )

    @contextmanager
    def _journal_is_sound(self) -> Generator[None, None, None]:
        try:
            yield
        except _DAMAGE as error:
            raise CorruptArtifactError(
                self._path, f"is not the journal of a search: {error}; {REMEDY}"
            ) from None


def _distribution(values: Space) -> BaseDistribution:
    """Return values as Optuna knows them. Choices are texts, in which 1 and true differ."""
    if not isinstance(values, Range):
        return CategoricalDistribution([json.dumps(each) for each in values])
    if values.whole:
        low, high, step = int(values.low), int(values.high), values.step
        return IntDistribution(low, high, log=values.log, step=1 if step is None else int(step))
    low, high = values.ends
    return FloatDistribution(low, high, log=values.log, step=values.step)


def _inner(values: Space, value: Setting) -> Any:  # noqa: ANN401 - a text or a number
    return value if isinstance(values, Range) else json.dumps(value)


def _outer(values: Space, value: Any) -> Setting:  # noqa: ANN401 - what Optuna holds
    """Return a value as it stands in an experiment."""
    if not isinstance(values, Range):
        return next(each for each in values if json.dumps(each) == value)
    if values.whole or values.step is None:
        return value
    steps = round((value - values.low) / values.step)
    return _rounded(values.low + steps * values.step)


def _rounded(value: float) -> float:
    """Return a sum of steps without the dust of its last digits."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else value


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Keep Optuna's words, and its warnings of what is experimental, to itself."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
