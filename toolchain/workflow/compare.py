"""Judging a build: float against integers with metrics, integers against integers with `==`."""

from collections.abc import Sequence

from toolchain.bars import draws
from toolchain.errors import TargetError
from toolchain.execution.activity import Activity
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import MismatchSearch, check_integers
from toolchain.fidelity.agreement import centres_of
from toolchain.fidelity.cost import cost_of
from toolchain.intake import count_of, names_of
from toolchain.memory import enough_memory
from toolchain.progress import StageProgress, default_stages, stage_progress
from toolchain.target.parts import batch_of
from toolchain.target.protocol import ChipTarget
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.workflow.attribution import attribute_loss
from toolchain.workflow.build_folder import Build, check_is_build
from toolchain.workflow.check import Resources, fit_activity
from toolchain.workflow.compared_shard import ComparedShard, check_exact_shard, compare_shard
from toolchain.workflow.continuation import continue_series
from toolchain.workflow.judgement import Exactness, Judgement
from toolchain.workflow.shards import Place, ThisProcess


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
    on: Place | None = None,
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
        on: Workers that compute the samples in shards, see `on_workers`; they have this build and these
            samples. By default this process does.

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
    place = ThisProcess(build, fitted) if on is None else on.anew()
    whole = _compare_all(place, build, fitted, progress)
    first = fitted.take(slice(0, exact_samples))
    exactness = {name: _check_exact(place, name, first.samples, progress) for name in names}
    resources, misfit = _on_chip(build, whole.activities[1])
    causes = None
    if attribute:
        causes = attribute_loss(build, fitted, progress=stage_progress(progress, "split the loss by cause"))
    return Judgement(
        comparison=whole.comparer.result(),
        costs=(
            cost_of(build.float_graph, whole.activities[0]),
            cost_of(build.fixed_graph, whole.activities[1]),
        ),
        shown=whole.shown.traces(),
        shown_samples=whole.shown.samples,
        exact=exactness,
        attribution=causes,
        resources=resources,
        misfit=misfit,
        clipped=whole.clipping.clipped,
        continuation=continue_series(build, fitted, progress),
        computed=place.computed,
    )


def _compare_all(place: Place, build: Build, stimulus: Stimulus, progress: StageProgress) -> ComparedShard:
    """Return what was compared of all samples, wherever that was done."""
    program = load_target(DEFAULT_EXECUTOR).build(build.float_graph)
    batch = batch_of(program, stimulus.steps)
    shards = place.shards(stimulus.samples, batch)
    centres: dict[str, float] = {}
    if len(shards) > 1:
        # Squares are summed around a number that only the first sample decides.
        trace = program.run(stimulus.take(slice(0, batch)), record=("v",))
        centres = centres_of(build.float_graph, trace)
    whole: ComparedShard | None = None
    tasks = [(shard, centres) for shard in shards]
    for _, each in place.results(compare_shard, tasks, progress, "compare"):
        if whole is None:
            whole = each
        else:
            whole.include(each)
    assert whole is not None  # noqa: S101 - there is a sample
    return whole


def _on_chip(build: Build, activity: Activity) -> tuple[Resources | None, str]:
    """Return what the build's chip says of it, or why it does not fit."""
    if not isinstance(load_target(build.target), ChipTarget):
        return None, ""
    try:
        return fit_activity(build.fixed_graph, activity, build.target), ""
    except TargetError as error:
        return None, str(error)


def _check_exact(place: Place, name: str, samples: int, progress: StageProgress) -> Exactness:
    """Compare a target with the integer reference and the emulator."""
    shards = place.shards(samples, slow=True)
    searches: dict[str, MismatchSearch] = {}
    tasks = [(name, shard) for shard in shards]
    for _, each in place.results(check_exact_shard, tasks, progress, f"run on {name}"):
        for other, search in each.items():
            if other in searches:
                searches[other].include(search)
            else:
                searches[other] = search
    for other, search in searches.items():
        if search.first is not None:
            return Exactness(samples, other, search.first)
    return Exactness(samples)
