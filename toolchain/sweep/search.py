"""The points of a search: trials in batches, and at its end the best of them compared on the test part."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, final

from toolchain.errors import ExperimentError, SweepError, UsageError
from toolchain.files.documents import read_document
from toolchain.sweep.fronts import front
from toolchain.sweep.goals import goals_of, measured
from toolchain.sweep.judging import Judging, Phase, is_judged, limits_of, scores_of
from toolchain.sweep.point import Point, SharedSettings, spelled
from toolchain.sweep.rows import PointRow, PointState
from toolchain.sweep.search_checks import ON_CHIPS, check_search, default_point, within
from toolchain.sweep.search_section import SearchSection
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.workflow.run_folder import RUN, RunDocument

if TYPE_CHECKING:
    from toolchain.sweep.search_study import SearchStudy, Trial


_LETTERS: Final = 20
"""Of the name of a point that cannot be: as many as others have."""


@final
class SearchPlan:
    """Trials of a search, a batch at a time.

    Each batch is drawn once all of the one before have ended, and each trial of it by the seed and its
    number: so a search has the same trials with any number of workers, and after any interruption. Trials
    are judged by the validation part. When all have ended, those that no other beats are given out once more,
    to be compared on the test part, and beside them the settings of the file itself.

    Args:
        shared: What all points share.
        section: What is looked for.
        folder: Folder of the sweep, which gets the journal.

    Raises:
        SweepError: The search cannot be: there is no validation part, or an objective that is not measured.
    """

    def __init__(self, shared: SharedSettings, section: SearchSection, folder: SweepFolder) -> None:
        check_search(shared, section)
        self._shared, self._section, self._folder = shared, section, folder
        self._study = _opened(section, folder)
        self._default = default_point(shared, section)
        self._own = within(section.space, self._default.settings)
        self._rows: dict[str, PointRow] = {}
        self._waiting: list[Point] = []
        self._running: dict[str, Point] = {}
        self._batch: list[Trial] = []
        self._batch_names: set[str] = set()
        self._tried: dict[str, int] = {}
        self._ended = False
        trials = self._study.trials()
        if self._own is None:
            # The sampler does not hear of it, since it is none of its values.
            self._give(replace(self._default, judging=self._judging()))
        self._take_again([each for each in trials if not each.running])
        self._take([each for each in trials if each.running])

    @property
    def size(self) -> int | None:
        """Number of points, as far as trials were drawn: what is drawn twice, or refused, is none."""
        without = sum(self._tried.values()) - sum(name != "" for name in self._tried)
        return self._section.trials - without + (self._own is None)

    @property
    def finished(self) -> bool:
        """Whether all trials have ended and the best points were given out."""
        return self._ended and not self._waiting

    def next(self, free: int) -> Sequence[Point]:
        """Return up to `free` further points; none while a batch has not ended.

        Raises:
            SweepError: A point that is done lacks what an objective asks for.
        """
        while not self._waiting and not self._ended and not self._awaited():
            self._go_on()
        given, self._waiting = self._waiting[: max(free, 0)], self._waiting[max(free, 0) :]
        return given

    def ended(self, point: Point, row: PointRow) -> None:
        """Take note of how a point ended."""
        self._running.pop(point.name, None)
        self._rows[point.name] = row

    def _awaited(self) -> bool:
        """Return whether a point runs that must have ended before the search goes on.

        A batch waits for the one before. The end waits for all: for what was tried again, and for the
        settings of the file, which are no trial.
        """
        last = sum(self._tried.values()) >= self._section.trials
        return bool(self._running if last else self._batch_names & self._running.keys())

    def _give(self, point: Point) -> None:
        """Let a point be given out, unless its row says already what is asked for."""
        row = self._rows.get(point.name)
        if point.name not in self._running and (row is None or not is_judged(row, point.judging)):
            self._running[point.name] = point
            self._waiting.append(point)

    def _go_on(self) -> None:
        """Say how the trials of a batch ended, and draw the next one, or give out the best points."""
        self._tell()
        trials = self._study.trials()
        if len(trials) >= self._section.trials:
            self._ended = True
            self._study.save()
            for point in self._best(trials):
                self._give(point)
            return
        number = min(self._section.batch, self._section.trials - len(trials))
        asked = [self._study.ask(None if i or trials else self._own) for i in range(number)]
        # What is asked for is on disk before it is computed.
        self._study.save()
        self._take(asked)

    def _take(self, trials: Sequence["Trial"]) -> None:
        """Give out the points of trials, each once."""
        judging = self._judging()
        for trial in trials:
            self._batch.append(trial)
            point = self._counted(trial)
            if point is not None:
                self._batch_names.add(point.name)
                self._give(replace(point, judging=judging))

    def _take_again(self, trials: Sequence["Trial"]) -> None:
        """Give out the points of trials that ended in an earlier start.

        Most are done and only counted. What failed is tried again: the sampler does not hear of it, so that
        later trials stay the same, but its point may be one of the best. What was given up stays so.
        """
        for trial in trials:
            point = self._counted(trial)
            if point is not None and not (trial.pruned and self._folder.row(point.name) is None):
                self._give(replace(point, judging=Judging(Phase.SEARCH)))

    def _counted(self, trial: "Trial") -> Point | None:
        """Return the point of a trial, and count how often it was drawn."""
        point = self._point(trial)
        name = "" if point is None else point.name
        self._tried[name] = self._tried.get(name, 0) + 1
        return point

    def _tell(self) -> None:
        """Say how the trials of a batch ended, in the order of their numbers."""
        from toolchain.sweep.search_study import TrialEnd  # noqa: PLC0415 - Optuna takes long to load

        for trial in self._batch:
            point = self._point(trial)
            row = None if point is None else self._rows[point.name]
            if row is None or row.state is PointState.FAILED:
                self._study.tell(trial.number, TrialEnd.FAILED)
            elif row.state is PointState.PRUNED:
                self._study.tell(trial.number, TrialEnd.PRUNED)
            else:
                values = self._values(row)
                end = TrialEnd.FAILED if values is None else TrialEnd.MEASURED
                self._study.tell(trial.number, end, values or ())
        self._batch.clear()
        self._batch_names.clear()

    def _values(self, row: PointRow) -> list[float] | None:
        """Return what was measured of a point; None for one that does not fit its chip."""
        values: list[float] = []
        for objective in self._section.objectives:
            value = measured(row.figures, objective)
            if value is None and objective in ON_CHIPS:
                return None
            if value is None:
                raise SweepError(
                    "search.objectives",
                    f"'{objective.value}' was not measured at the point {spelled(row.settings)}",
                )
            values.append(value)
        return values

    def _point(self, trial: "Trial") -> Point | None:
        """Return the point of a trial; None if its values do not go together, which a row then says."""
        try:
            return self._shared.point(trial.settings)
        except ExperimentError as error:
            name = sha256(f"refused: {spelled(trial.settings)}".encode()).hexdigest()[:_LETTERS]
            row = PointRow(name=name, settings=trial.settings, state=PointState.FAILED, error=str(error))
            self._folder.write_row(row)
            return None

    def _best(self, trials: Sequence["Trial"]) -> list[Point]:
        """Return the points of the front, and the file's own settings, to be compared on the test part."""
        # Equal settings are one point.
        points = {each.name: each for trial in trials if (each := self._point(trial)) is not None}
        done = [name for name in points if name in self._rows and self._rows[name].state is PointState.DONE]
        goals = [goals_of(self._rows[name].figures, self._section.objectives) for name in done]
        best = [points[done[i]] for i in front(goals)]
        named = {each.name: each for each in (self._default, *best)}
        return [replace(each, judging=Judging(Phase.FINAL)) for each in named.values()]

    def _judging(self) -> Judging:
        """Return how the next trials are judged: with limits by the trials before them."""
        if not self._section.prune:
            return Judging(Phase.SEARCH)
        points = (self._point(trial) for trial in self._study.trials() if trial.values is not None)
        names = dict.fromkeys(point.run_name for point in points if point is not None)
        histories = [read_document(self._folder.run(name) / RUN, RunDocument).facts.history for name in names]
        limits = limits_of(
            [scores_of(each.network) for each in histories],
            least=self._section.startup,
            epochs=self._default.experiment.training.epochs,
        )
        return Judging(Phase.SEARCH, limits)


def _opened(section: SearchSection, folder: SweepFolder) -> "SearchStudy":
    try:
        from toolchain.sweep.search_study import SearchStudy  # noqa: PLC0415 - Optuna takes long to load
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise UsageError("a search needs optuna", "install it with `pip install 'pumice[sweep]'`") from None
    return SearchStudy(section, folder.path)
