"""Running a build on a target: records in memory, or written to a file a part at a time."""

from dataclasses import dataclass
from typing import Any, Final, final

from numpy.typing import NDArray

from toolchain.bars import draws
from toolchain.errors import TargetError, ToolchainError
from toolchain.execution.clipping import ClippedInput, ClippingTally, clipped_inputs, warn_clipped
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace, check_quantities
from toolchain.files.archive import writing_arrays
from toolchain.intake import PathText, count_of, path_of
from toolchain.ir import Graph, Stage
from toolchain.memory import enough_memory
from toolchain.progress import Progress, default_progress, part_progress
from toolchain.target.parts import in_parts
from toolchain.target.protocol import Program, forget_samples, resumed
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.workflow.build_folder import Build, check_is_build

_RECORDED_BYTES: Final = 512 * 2**20
"""What a part of a run that is written to a file may record."""


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
    """

    samples: int
    spikes: dict[str, int]
    clipped: tuple[ClippedInput, ...] = ()


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

    Raises:
        UsageError: There is no stimulus.
        TargetError: The target cannot resume.
    """
    check_quantities(record)
    path = path_of(path, "path")
    fitted = check_is_build(build).stimulus_for(stimulus).take(slice(0, first_samples(samples)))
    graph = build.graph(stage)
    program = program_of(target or build.target, graph)
    per_sample = recorded_bytes(graph, fitted.steps, record)
    room = _RECORDED_BYTES
    store = None if resume is None else path_of(resume, "resume")
    if store is not None:
        program, room = resumed(program, store), per_sample * fitted.samples
    counts, clipping = dict.fromkeys((node.name for node in graph.populations), 0), ClippingTally.of(graph)
    with writing_arrays(path) as writer:
        for start, part in in_parts(fitted, per_sample, program, room):
            report = part_progress(progress, start, part.samples, fitted.samples)
            clipping.add(part.values)
            try:
                trace = program.run(part, record=record, progress=report)
            except ToolchainError as error:
                if part.samples < fitted.samples:
                    error.add_note(f"this was in a part of the run that begins at sample {start}")
                raise
            writer.append(trace.by_key())
            for name, spikes in trace.spikes.items():
                counts[name] += int(spikes.sum())
            del trace  # Before the next part is recorded.
    if store is not None:
        forget_samples(store)
    return Recording(fitted.samples, counts, clipping.clipped)


def program_of(name: str, graph: Graph) -> Program:
    """Return a graph made ready for a target.

    Raises:
        TargetError: The target does not run graphs of this stage.
    """
    target = load_target(name)
    if graph.stage not in target.stages:
        kinds = {Stage.FIXED: "integers", Stage.FLOAT: "real numbers"}
        raise TargetError(
            f"target '{name}' runs {' and '.join(kinds[stage] for stage in target.stages)} only, not "
            f"{kinds[graph.stage]}",
            f'run another `stage`, or on `target="{DEFAULT_EXECUTOR}"`, which runs both',
        )
    return target.build(graph)


def first_samples(samples: int | None) -> int | None:
    """Return a number of samples as a caller gave it; None for all."""
    return None if samples is None else count_of(samples, "samples", least=1)
