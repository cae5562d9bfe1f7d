"""Running a build on a target: records in memory, or written to a file a part at a time."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from numpy.typing import NDArray

from toolchain.bars import draws
from toolchain.errors import ToolchainError, UsageError
from toolchain.execution.clipping import ClippedInput, ClippingTally, clipped_inputs, warn_clipped
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace, check_quantities
from toolchain.files.archive import ArrayWriter, open_arrays, writing_arrays
from toolchain.files.disk import place_of
from toolchain.files.hidden import hidden_folder
from toolchain.intake import PathText, choice_of, count_of, path_of
from toolchain.ir import Graph, Stage
from toolchain.memory import enough_memory
from toolchain.progress import (
    Progress,
    StageProgress,
    default_progress,
    no_stages,
    part_progress,
    stage_progress,
)
from toolchain.target.parts import batch_of, in_parts
from toolchain.target.protocol import Program, forget_samples, resumed
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import load_target
from toolchain.workflow.build_folder import Build, check_is_build
from toolchain.workflow.shards import Computed, OnWorkers, SampleSource, ThisProcess

_RECORDED_BYTES: Final = 512 * 2**20
"""What a part of a run that is written to a file may record."""
_APPENDED_BYTES: Final = 16 * 2**20
"""What is read at once of the records of a shard."""


@enough_memory("running the network")
@draws("run")
def run_build(
    build: Build,
    target: str | None = None,
    stimulus: Stimulus | NDArray[Any] | None = None,
    *,
    stage: Stage = Stage.FIXED,
    samples: int | None = None,
    record: tuple[str, ...] = ("spikes",),
    resume: PathText | None = None,
    progress: Progress = default_progress,
) -> Trace:
    """Run a graph of a build on a target, and return all that is recorded in memory.

    What does not fit there, `record_build` writes to a file. Warns with `ClippedInputWarning` if integers are
    given less than came.

    Args:
        build: The build to run.
        target: Name of an installed target; by default the build's.
        stimulus: Samples to run; by default the build's own.
        stage: Whether the integers run, or the real numbers they came from.
        samples: Number of the first samples that are run; by default all.
        record: Quantities to record, of `spikes`, `v` and `u`.
        resume: Folder for the samples that a run finished before it ended early.
        progress: Callback with how far it is; by default a bar where somebody looks.

    Raises:
        UsageError: There is no stimulus.
        TargetError: The target cannot resume.
    """
    fitted = check_is_build(build).stimulus_for(stimulus).take(slice(0, first_samples(samples)))
    graph = build.graph(stage)
    program = program_of(target or build.target, graph)
    store = None if resume is None else path_of(resume, "resume")
    if store is not None:
        program = resumed(program, store)
    warn_clipped(clipped_inputs(graph, fitted))
    trace = program.run(fitted, record=record, progress=progress)
    if store is not None:
        forget_samples(store)
    return trace


@final
@dataclass(frozen=True)
class Recording:
    """Summary of a run that was written to a file.

    Attributes:
        samples: Number of samples that were run.
        spikes: Number of spikes per population, over all samples.
        clipped: The graded inputs of which the integers were given less than came.
        computed: Where it was computed, if that was on workers.
    """

    samples: int
    spikes: dict[str, int]
    clipped: tuple[ClippedInput, ...] = ()
    computed: Computed | None = field(default=None, compare=False)


@enough_memory("recording the network")
@draws("run")
def record_build(
    build: Build,
    path: PathText,
    target: str | None = None,
    stimulus: Stimulus | NDArray[Any] | None = None,
    *,
    stage: Stage = Stage.FIXED,
    samples: int | None = None,
    record: tuple[str, ...] = ("spikes",),
    resume: PathText | None = None,
    progress: Progress = default_progress,
    on: OnWorkers | None = None,
) -> Recording:
    """Run a graph of a build on a target, a part of the samples at a time, and write the records to a file.

    The file is the one that `run_build(...).save(path)` would write; it appears whole or not at all. Parts
    are as large as the memory allows, since some targets take seconds to start.

    Args:
        build: The build to run.
        path: The `.npz` to write; see `Trace.save`.
        target: Name of an installed target; by default the build's.
        stimulus: Samples to run; by default the build's own.
        stage: Whether the integers run, or the real numbers they came from.
        samples: Number of the first samples that are run; by default all.
        record: Quantities to record, of `spikes`, `v` and `u`.
        resume: Folder for the samples that a run finished before it ended early. Such a run is one part.
        progress: Callback with how far it is; by default a bar where somebody looks.
        on: Workers that compute the samples in shards, see `on_workers`; they have this build and these
            samples. By default this process does.

    Raises:
        UsageError: There is no stimulus, or workers are to resume.
        TargetError: The target cannot resume.
    """
    check_quantities(record)
    path = path_of(path, "path")
    if on is not None and resume is not None:
        raise UsageError("workers compute shards anew: `resume` is for a run in this process", "leave it out")
    fitted = check_is_build(build).stimulus_for(stimulus).take(slice(0, first_samples(samples)))
    wanted = RecordedRun(target or build.target, choice_of(stage, "stage", Stage), record)
    program = program_of(wanted.target, build.graph(wanted.stage))
    if on is not None:
        return _record_on(on.anew(), path, wanted, program, fitted, progress)
    room, store = _RECORDED_BYTES, None if resume is None else path_of(resume, "resume")
    if store is not None:
        program = resumed(program, store)
        room = recorded_bytes(build.graph(wanted.stage), fitted.steps, record) * fitted.samples
    with writing_arrays(path) as writer:
        everything = range(fitted.samples)
        counted = _record(writer, ThisProcess(build, fitted), wanted, program, everything, room, progress)
    if store is not None:
        forget_samples(store)
    return Recording(fitted.samples, counted.spikes, counted.clipping.clipped)


@final
@dataclass(frozen=True)
class RecordedRun:
    """What a run records, and where.

    Attributes:
        target: Name of the target.
        stage: Whether integers run or real numbers.
        record: Quantities to record.
    """

    target: str
    stage: Stage
    record: tuple[str, ...]


@final
@dataclass(frozen=True)
class RecordedShard:
    """What is counted of some samples while they are recorded.

    Attributes:
        spikes: Number of spikes per population.
        clipping: Values of graded inputs that were clipped.
    """

    spikes: dict[str, int]
    clipping: ClippingTally

    def include(self, other: "RecordedShard") -> None:
        """Add what was counted of other samples."""
        for name, count in other.spikes.items():
            self.spikes[name] = self.spikes.get(name, 0) + count
        self.clipping.include(other.clipping)


def record_shard(
    source: SampleSource, wanted: RecordedRun, shard: range, path: str, *, progress: StageProgress
) -> RecordedShard:
    """Record a range of samples in a file of its own.

    Args:
        source: Build and samples.
        wanted: What is recorded.
        shard: Range of the samples.
        path: The file.
        progress: Callback with the stage and how far it is.
    """
    build, _ = source.open()
    program = program_of(wanted.target, build.graph(wanted.stage))
    with writing_arrays(Path(path)) as writer:
        report = stage_progress(progress, "run")
        return _record(writer, source, wanted, program, shard, _RECORDED_BYTES, report)


def _record(
    writer: ArrayWriter,
    source: SampleSource,
    wanted: RecordedRun,
    program: Program,
    shard: range,
    room: int,
    progress: Progress,
) -> RecordedShard:
    """Record a range of samples, a part at a time."""
    build, stimulus = source.open()
    graph = build.graph(wanted.stage)
    per_sample = recorded_bytes(graph, stimulus.steps, wanted.record)
    counts, clipping = dict.fromkeys((node.name for node in graph.populations), 0), ClippingTally.of(graph)
    for start, part in in_parts(stimulus, per_sample, program, room, of=shard):
        report = part_progress(progress, start - shard.start, part.samples, len(shard))
        clipping.add(part.values)
        try:
            trace = program.run(part, record=wanted.record, progress=report)
        except ToolchainError as error:
            if part.samples < stimulus.samples:
                error.add_note(f"this was in a part of the run that begins at sample {start}")
            raise
        writer.append(trace.by_key())
        for name, spikes in trace.spikes.items():
            counts[name] += int(spikes.sum())
        del trace  # Before the next part is recorded.
    return RecordedShard(counts, clipping)


def _record_on(
    on: OnWorkers, path: Path, wanted: RecordedRun, program: Program, stimulus: Stimulus, progress: Progress
) -> Recording:
    """Let workers record the samples in shards, and put their files together in the order of the samples."""
    place, graph = place_of(path), on.build.graph(wanted.stage)
    shards = on.shards(stimulus.samples, batch_of(program, stimulus.steps))
    whole = RecordedShard(
        dict.fromkeys((node.name for node in graph.populations), 0), ClippingTally.of(graph)
    )
    with writing_arrays(path) as writer, hidden_folder(place, place.parent) as folder:
        on.cluster.check_shares(folder)
        files = [folder / f"{number}.npz" for number in range(len(shards))]
        tasks = [(wanted, shard, str(file)) for shard, file in zip(shards, files, strict=True)]
        done, written = set[int](), 0
        for number, each in on.results(record_shard, tasks, no_stages, "run"):
            whole.include(each)
            done.add(number)
            progress(sum(len(shards[k]) for k in done), stimulus.samples)
            while written in done:
                _append(writer, files[written])
                written += 1
    return Recording(stimulus.samples, whole.spikes, whole.clipping.clipped, on.computed)


def _append(writer: ArrayWriter, file: Path) -> None:
    """Append the records of a file, a part at a time, and remove it."""
    arrays = open_arrays(file, held_bytes=0)
    for key, values in arrays.items():
        rows = max(1, _APPENDED_BYTES // max(1, values.dtype.itemsize * math.prod(values.shape[1:])))
        for start in range(0, len(values), rows):
            writer.append({key: values[start : start + rows]})
    file.unlink()


def program_of(name: str, graph: Graph) -> Program:
    """Return a graph made ready for a target.

    Raises:
        TargetError: The target does not run such graphs.
    """
    return load_target(name).build(graph)


def first_samples(samples: int | None) -> int | None:
    """Return a number of samples as a caller gave it; None for all."""
    return None if samples is None else count_of(samples, "samples", least=1)
