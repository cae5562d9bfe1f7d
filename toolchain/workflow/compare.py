"""Judging a build: float against integers with metrics, integers against integers with `==`."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import reduce
from typing import Final

from toolchain.bars import draws
from toolchain.errors import TargetError
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.clipping import ClippingTally
from toolchain.execution.reference import run as run_reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import Comparer, MismatchSearch, check_integers
from toolchain.fidelity.cost import cost_of
from toolchain.fidelity.shown import ShownSamples
from toolchain.intake import count_of, names_of
from toolchain.memory import enough_memory
from toolchain.progress import StageProgress, default_stages, part_progress, stage_progress
from toolchain.target.parts import in_parts
from toolchain.target.protocol import ChipTarget
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.workflow.attribution import attribute_loss
from toolchain.workflow.build_folder import Build, check_is_build
from toolchain.workflow.check import Resources, fit_activity
from toolchain.workflow.continuation import continue_series
from toolchain.workflow.judgement import Exactness, Judgement

_COMPARED: Final = ("spikes", "v")
_PART_BYTES: Final = 40 * 2**20
"""What float and fixed may record of a part: memory of this size is used again for the next one."""
_EXECUTIONS: Final = 3
"""The target that must be exact, the integer reference and the emulator."""
_EXACT_BYTES: Final = 512 * 2**20
"""What the records of these may take."""


@enough_memory("comparing the build")
@draws()
def compare_build(
    build: Build,
    stimulus: Stimulus | None = None,
    *,
    exact: Sequence[str] = (),
    samples: int = 32,
    attribute: bool = False,
    progress: StageProgress = default_stages,
) -> Judgement:
    """Compare float with fixed on the emulator, and fixed with further targets bit for bit.

    Before anything runs, the integers are checked to be those of the float graph.

    Args:
        build: The build to compare.
        stimulus: Samples to run; by default the build's own.
        exact: Targets whose `u`, `v` and spikes must equal the integer reference and the
            emulator at every step; see `Judgement.require_exact`.
        samples: Number of samples that those targets run.
        attribute: Whether the loss is split by cause, which takes about ten more runs.
        progress: Callback with the stage and how far it is; by default bars where somebody looks.

    Raises:
        FaultyIntegersError: The fixed graph is not a rounding of the float graph: names node and neuron.
    """
    names, exact_samples = names_of(exact, "exact"), count_of(samples, "samples", least=1)
    for name in names:
        load_target(name)
    fitted = check_is_build(build).stimulus_for(stimulus)
    options = build.quantization.options
    clustered = options is not None and options.decay_profiles is not None
    check_integers(build.float_graph, build.fixed_graph, clustered=clustered)
    comparer = Comparer((build.float_graph, build.fixed_graph), build.facts.outputs)
    shown = ShownSamples()
    clipping = ClippingTally.of(build.fixed_graph)
    activities = _compare_in_parts(build, fitted, comparer, shown, clipping, progress)
    first = fitted.take(slice(0, exact_samples))
    exactness = {name: _check_exact(build, name, first, progress) for name in names}
    resources, misfit = _on_chip(build, activities[1])
    causes = None
    if attribute:
        causes = attribute_loss(build, fitted, progress=stage_progress(progress, "split the loss by cause"))
    return Judgement(
        comparison=comparer.result(),
        costs=(cost_of(build.float_graph, activities[0]), cost_of(build.fixed_graph, activities[1])),
        shown=shown.traces(),
        shown_samples=shown.samples,
        exact=exactness,
        attribution=causes,
        resources=resources,
        misfit=misfit,
        clipped=clipping.clipped,
        continuation=continue_series(build, fitted, progress),
    )


def _compare_in_parts(
    build: Build,
    stimulus: Stimulus,
    comparer: Comparer,
    shown: ShownSamples,
    clipping: ClippingTally,
    progress: StageProgress,
) -> tuple[Activity, Activity]:
    """Run float and fixed a part of the samples at a time; return what their sources sent in all of them.

    The float program says where parts may be cut; integers are the same wherever they are.
    """
    graphs = build.float_graph, build.fixed_graph
    emulator = load_target(DEFAULT_EXECUTOR)
    programs = tuple(emulator.build(graph) for graph in graphs)
    per_sample = sum(recorded_bytes(graph, stimulus.steps, _COMPARED) for graph in graphs)

    def run(start: int, part: Stimulus) -> tuple[Trace, Trace]:
        traces: list[Trace] = []
        clipping.add(part.values)
        for program, label in zip(programs, ("float", "fixed"), strict=True):
            report = part_progress(
                stage_progress(progress, f"emulate {label}"), start, part.samples, stimulus.samples
            )
            traces.append(program.run(part, record=_COMPARED, progress=report))
        return traces[0], traces[1]

    def tally(start: int, part: Stimulus, traces: tuple[Trace, Trace]) -> tuple[Activity, Activity]:
        comparer.add(
            traces, labels=part.labels, lengths=part.lengths, present=part.present, entered=part.values
        )
        shown.keep(start, traces, comparer.firsts())
        return count_events(graphs[0], part, traces[0]), count_events(graphs[1], part, traces[1])

    counted: list[Future[tuple[Activity, Activity]]] = []
    # While one part is compared, the next one runs; there are never more than two.
    with ThreadPoolExecutor(1) as behind:
        for start, part in in_parts(stimulus, per_sample, programs[0], _PART_BYTES):
            traces = run(start, part)
            if counted:
                counted[-1].result()
            counted.append(behind.submit(tally, start, part, traces))
    activities = (each.result() for each in counted)
    return reduce(lambda sums, each: (sums[0].merged(each[0]), sums[1].merged(each[1])), activities)


def _on_chip(build: Build, activity: Activity) -> tuple[Resources | None, str]:
    """Return what the build's chip says of it, or why it does not fit."""
    if not isinstance(load_target(build.target), ChipTarget):
        return None, ""
    try:
        return fit_activity(build.fixed_graph, activity, build.target), ""
    except TargetError as error:
        return None, str(error)


def _check_exact(build: Build, name: str, stimulus: Stimulus, progress: StageProgress) -> Exactness:
    """Compare a target with the integer reference and the emulator, a part of the samples at a time.

    Parts are as large as the memory allows, since some targets take seconds to start.
    """
    graph, stage = build.fixed_graph, stage_progress(progress, f"run on {name}")
    stage(0, stimulus.samples)
    program, emulator = (load_target(each).build(graph) for each in (name, DEFAULT_EXECUTOR))
    searches = {"the integer reference": MismatchSearch(), "the emulator": MismatchSearch()}
    per_sample = _EXECUTIONS * recorded_bytes(graph, stimulus.steps, QUANTITIES)
    for start, part in in_parts(stimulus, per_sample, room=_EXACT_BYTES):
        report = part_progress(stage, start, part.samples, stimulus.samples)
        trace = program.run(part, record=QUANTITIES, progress=report)
        searches["the integer reference"].add(run_reference(graph, part), trace)
        searches["the emulator"].add(emulator.run(part, record=QUANTITIES), trace)
    for other, search in searches.items():
        if search.first is not None:
            return Exactness(stimulus.samples, other, search.first)
    return Exactness(stimulus.samples)
