"""Carrying out a plan on a cluster: trainings once for all points that share them, points after them."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, final

from toolchain.cluster import Flow, Outcome
from toolchain.errors import StorageError
from toolchain.sweep.judging import Phase, is_judged
from toolchain.sweep.plan import SweepPlan
from toolchain.sweep.point import Point, spelled
from toolchain.sweep.rows import PointRow, PointState
from toolchain.sweep.stages import PointTask, Stages, row_of, text_of
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.sweep.tally import Tally
from toolchain.sweep.training_note import read_note

_MOST_WAITING: Final = 4096
"""Points that may wait for a training that others of them share."""
_LOOK_S: Final = 1.0
"""Time between two looks at how far trainings are."""
_TRAIN, _MEASURE = "train ", "measure "

Watch = Callable[[Tally], None]
"""Is told of every change."""


def watch_nothing(tally: Tally) -> None:
    """Ignore how far a sweep is."""
    del tally


@final
class Execution:
    """A plan on its way.

    Only the points under way are in memory. What has ended lies in the folder, so that a process that ends
    in whatever way loses nothing but what its workers had begun; and those write themselves what they end.

    Args:
        plan: Says which points come next.
        folder: Folder of the sweep.
        flow: Tasks on the cluster.
        stages: What workers do.
        watch: Is told of every change.
    """

    def __init__(
        self,
        plan: SweepPlan,
        folder: SweepFolder,
        flow: Flow,
        stages: Stages,
        watch: Watch = watch_nothing,
    ) -> None:
        self.tally = Tally(total=plan.size)
        self._plan, self._folder, self._flow, self._stages = plan, folder, flow, stages
        self._watch = watch
        self._points: dict[str, Point] = {}
        self._sharing: dict[str, list[str]] = {}
        self._ready: deque[str] = deque()
        self._untrainable: dict[str, str] = {}
        self._looked = 0.0

    def run(self) -> Tally:
        """Carry out the plan, and return how its points ended.

        Raises:
            ClusterError: The scheduler is lost, or all its workers.
            StorageError: The disk is full or refuses; what is done is there when it is started again.
        """
        while True:
            self._fill()
            self._tell()
            if not self._flow.waiting:
                assert not self._points  # noqa: S101 - whatever ends makes others ready
                assert self._plan.finished  # noqa: S101 - it must not wait where nothing is under way
                return self.tally
            self._take(self._flow.next(self._look))

    def _fill(self) -> None:
        """Give workers what they can take: points that are trained first, then those that come next."""
        while self._flow.free > 0:
            if self._ready:
                name = self._ready.popleft()
                self._submit(_MEASURE, name, name)
                continue
            if len(self._points) >= _MOST_WAITING or self._plan.finished:
                return
            points = self._plan.next(self._flow.free)
            for point in points:
                self._begin(point)
            if not points:
                return

    def _begin(self, point: Point) -> None:
        row = self._folder.row(point.name)
        if row is not None and row.state is not PointState.FAILED and is_judged(row, point.judging):
            self._end(point, row, before=True)
            return
        self._points[point.name] = point
        run = point.run_name
        if run in self._sharing:
            self._sharing[run].append(point.name)
        elif run in self._untrainable:
            self._fail(point.name, self._untrainable[run])
        elif self._folder.is_trained(run):
            self._ready.append(point.name)
        else:
            self._sharing[run] = [point.name]
            self._submit(_TRAIN, run, point.name)

    def _submit(self, stage: str, key: str, name: str) -> None:
        task = PointTask.of(self._points[name], self._folder.path)
        function = self._stages.train if stage == _TRAIN else self._stages.measure
        self._flow.submit(f"{stage}{key}", function, task)

    def _take(self, outcome: Outcome) -> None:
        if isinstance(outcome.error, StorageError):
            raise outcome.error
        error = "" if outcome.error is None else text_of(outcome.error)
        if outcome.key.startswith(_TRAIN):
            self._trained(outcome.key.removeprefix(_TRAIN), error, outcome.worker)
            return
        name = outcome.key.removeprefix(_MEASURE)
        if error:
            self._fail(name, error, outcome.worker)
        else:
            self._end(self._points.pop(name), outcome.result)

    def _trained(self, run: str, error: str, worker: str) -> None:
        names = self._sharing.pop(run)
        # Until the next look: this one is over.
        self.tally.stages = ()
        # A worker that was given up may have done it all the same.
        if not error or self._folder.is_trained(run):
            self._ready.extend(names)
            return
        self._untrainable[run] = error
        for name in names:
            self._fail(name, error, worker)

    def _fail(self, name: str, error: str, worker: str = "") -> None:
        point = self._points.pop(name)
        row = self._folder.row(name)
        # As above; it is not waited for, since it may hang.
        if row is None or row.state is PointState.FAILED:
            row = row_of(PointTask.of(point, self._folder.path), error=error, worker=worker)
            self._folder.write_row(row)
        self._end(point, row)

    def _end(self, point: Point, row: PointRow, *, before: bool = False) -> None:
        # What is compared on the test part at last was counted when it was tried.
        if point.judging.phase is not Phase.FINAL:
            self.tally.count(row, before=before)
        self._plan.ended(point, row)
        if before:
            self._tell()

    def _look(self) -> None:
        """See how far trainings are, and tell it."""
        if time.monotonic() > self._looked + _LOOK_S:
            self._looked = time.monotonic()
            notes = (
                (names, read_note(self._folder.training_note(run))) for run, names in self._sharing.items()
            )
            self.tally.stages = tuple(
                f"{spelled(self._points[names[0]].settings)}: {note.stage}, {note.done} of {note.total}"
                for names, note in notes
                if note is not None
            )
            self._tell()

    def _tell(self) -> None:
        training = len(self._sharing)
        # A search learns on its way which trials are no points of their own.
        self.tally.total = self._plan.size
        self.tally.training = training
        self.tally.measuring = self._flow.waiting - training
        self.tally.waiting = len(self._points) - self.tally.measuring
        self._watch(self.tally)
