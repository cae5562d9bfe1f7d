"""What a worker does for a sweep: it trains a network, or makes integers of one and measures them.

Both are tried by any number of processes at once without harm: whoever has the lock works, and whoever gets
it later finds the result.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from toolchain.cluster import RemoteError
from toolchain.cluster.work import here
from toolchain.errors import ArtifactError, StorageError, ToolchainError
from toolchain.files.documents import read_document, write_document
from toolchain.progress import no_stages
from toolchain.sweep.compare_section import CompareSection
from toolchain.sweep.judging import STOPPED, HopelessWatch, Phase, StoppedError, StoppedRun, is_judged
from toolchain.sweep.measuring import figures_of, tested_figures, trial_figures, validation_samples
from toolchain.sweep.point import Point, located
from toolchain.sweep.rows import Figures, PointRow, PointState
from toolchain.sweep.sweep_folder import SweepFolder, TrainingRecord
from toolchain.sweep.training_note import NotedProgress
from toolchain.visible import visible
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.judgement import Judgement
from toolchain.workflow.quantization import Quantization
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import train

_MOST_TEXT: Final = 4000
"""Characters at either end of an error that a row holds."""


@final
@dataclass(frozen=True)
class PointTask:
    """A point on its way to a worker, which may have been started in another folder.

    Attributes:
        place: Folder of the sweep, from the root.
        name: Name of the point.
        run_name: Name of its run.
        point: The point, with paths from the root.
    """

    place: Path
    name: str
    run_name: str
    point: Point

    @classmethod
    def of(cls, point: Point, place: Path) -> "PointTask":
        """Return the task of a point whose relative paths are seen from the folder of this process."""
        there = replace(point, experiment=located(point.experiment, Path.cwd()))
        return cls(place.absolute(), point.name, point.run_name, there)

    @property
    def folder(self) -> SweepFolder:
        """The folder of the sweep."""
        return SweepFolder(self.place)


@final
@dataclass(frozen=True)
class Stages:
    """The two functions that workers call, each a public one of a module that they have.

    Attributes:
        train: Trains the network of a point, or goes on where that was left, or finds it done.
        measure: Compiles and compares a point whose network is trained, and returns its row, which it has
            written.
    """

    train: Callable[[PointTask], None]
    measure: Callable[[PointTask], PointRow]


def train_point(task: PointTask) -> None:
    """Train the network of a point, unless that is done; a training that was begun goes on.

    One that is hopeless ends early.

    Raises:
        ToolchainError: It cannot be trained.
    """
    folder, name = task.folder, task.run_name
    if folder.is_trained(name):
        return
    with folder.run_lock(name):
        if folder.is_trained(name):
            return
        started = time.monotonic()
        watch = HopelessWatch(folder.run(name), task.point.judging.limits)
        progress = NotedProgress(folder.training_note(name))
        try:
            # A training that was ended early leaves a note, which its points find.
            with suppress(StoppedError):
                watch.begin()
                task.point.check_code()
                train(task.point.run_experiment, folder.run(name), progress, watch=watch)
        finally:
            progress.remove()
        seconds = time.monotonic() - started
        write_document(folder.training(name), TrainingRecord(seconds=seconds, worker=here()))


def measure_point(task: PointTask) -> PointRow:
    """Compile and compare a point, and return its row, which then stands in the folder.

    A point that cannot be compiled or compared has a row that says why.

    Raises:
        StorageError: The disk is full or refuses, which is not the fault of the point.
    """
    folder = task.folder
    with folder.point_lock(task.name):
        row = folder.row(task.name)
        if row is not None and row.state is PointState.DONE and is_judged(row, task.point.judging):
            return row
        before = Figures() if row is None else row.figures
        started = time.monotonic()
        try:
            row = _row(task, before)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the other points
            row = row_of(task, figures=before, error=text_of(error))
        row = row.model_copy(update={"compile_seconds": time.monotonic() - started})
        folder.write_row(row)
        shutil.rmtree(folder.unfinished(task.name), ignore_errors=True)
        return row


def row_of(task: PointTask, *, figures: Figures | None = None, error: str = "", worker: str = "") -> PointRow:
    """Return the row of a point that is done, or of one that failed.

    Args:
        task: The point.
        figures: What was measured of it.
        error: Why it failed; empty if it did not.
        worker: Where it was computed; by default here.
    """
    folder, run, build = task.folder, task.folder.run(task.run_name), task.folder.build(task.name)
    return PointRow(
        name=task.name,
        settings=task.point.settings,
        state=PointState.FAILED if error else PointState.DONE,
        error=error,
        run=folder.relative(run) if run.is_dir() else "",
        build=folder.relative(build) if build.is_dir() else "",
        figures=figures or Figures(),
        train_seconds=_train_seconds(folder.training(task.run_name)),
        worker=worker or here(),
    )


def _train_seconds(record: Path) -> float | None:
    """Return how long a training took; None where that is not known, which is no reason to fail."""
    try:
        return read_document(record, TrainingRecord).seconds
    except ToolchainError:
        return None


def text_of(error: Exception) -> str:
    """Return what a row says of an error: its message, and of a bug its class, too.

    The text may be that of anybody's code: it is made visible, since half characters have no place in a file,
    and the middle of a very long one is left out.
    """
    if isinstance(error, ToolchainError):
        text = "; ".join((str(error), *getattr(error, "__notes__", ())))
    else:
        text = str(error) if isinstance(error, RemoteError) else f"{type(error).__name__}: {error}"
    if (rest := len(text) - 2 * _MOST_TEXT) > 0:
        text = f"{text[:_MOST_TEXT]} [{rest:,} characters are left out] {text[-_MOST_TEXT:]}"
    return visible(text) or type(error).__name__


def _row(task: PointTask, before: Figures) -> PointRow:
    """Return the row of a point that can be measured, or whose training was ended early."""
    run = task.folder.run(task.run_name)
    if not task.folder.is_trained(task.run_name) and (run / STOPPED).is_file():
        why = read_document(run / STOPPED, StoppedRun).sentence
        return row_of(task).model_copy(update={"state": PointState.PRUNED, "error": why})
    return row_of(task, figures=_measured(task, before))


def _measured(task: PointTask, before: Figures) -> Figures:
    """Write the build of a point with its report, and return its figures.

    Args:
        task: The point.
        before: What was measured of it until now, if it was a trial of a search.
    """
    folder, compare = task.folder, task.point.compare
    trained = _trained(folder.run(task.run_name))
    build = _compiled(task)
    match task.point.judging.phase:
        case Phase.WHOLE:
            judgement = _compared(build, compare)
            figures = figures_of(trained, build, judgement, compare)
        case Phase.SEARCH:
            stimulus = validation_samples(trained)
            judgement = compare_build(build, stimulus, progress=no_stages)
            figures = trial_figures(build, judgement, compare, stimulus)
        case Phase.FINAL:
            judgement = _compared(build, compare)
            figures = before.model_copy(update=tested_figures(judgement))
    build.save(folder.build(task.name), judgement)
    return figures


def _trained(run: Path) -> TrainedRun:
    try:
        return TrainedRun.load(run)
    except ArtifactError as error:
        error.add_note(f"delete '{run}', and the same sweep trains this network again")
        raise


def _compared(build: Build, compare: CompareSection) -> Judgement:
    return compare_build(build, exact=compare.exact, samples=compare.samples, progress=no_stages)


def _compiled(task: PointTask) -> Build:
    section = task.point.experiment.quantization
    # The run is that of all bits, so its own `[quantization]` says nothing.
    return compile_run(
        task.folder.run(task.run_name),
        target=task.point.target,
        quantization=Quantization(**section.model_dump(exclude={"qat_epochs"})),
        qat_epochs=section.qat_epochs,
        resume=task.folder.unfinished(task.name) if section.qat_epochs else None,
        progress=no_stages,
    )


STAGES: Final = Stages(train_point, measure_point)
"""What workers do for a sweep of experiments."""
