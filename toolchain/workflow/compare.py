"""Judging a build: float against integers with metrics, integers against integers with `==`."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import starmap
from pathlib import Path
from typing import Any, Final, final

from toolchain.errors import (
    FeedbackError,
    SimulationError,
    TargetError,
    TargetUnavailableError,
    ToolchainError,
)
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.clipping import ClippedInput, ClippingTally
from toolchain.execution.reference import run as run_reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import Comparer, Comparison, Mismatch, MismatchSearch, check_integers
from toolchain.fidelity.cost import Cost, cost_of
from toolchain.fidelity.report import ReportContent, write_report
from toolchain.fidelity.shown import ShownSamples
from toolchain.files.documents import write_json
from toolchain.intake import PathText, check_type, count_of, names_of
from toolchain.memory import enough_memory
from toolchain.progress import StageProgress, no_stages, of_part, of_stage
from toolchain.target.parts import in_parts
from toolchain.target.protocol import ChipTarget, PortableProgram
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import load_target
from toolchain.workflow.attribution import LossAttribution, attribute_loss
from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import Resources, fit_activity

_EMULATOR: Final = "emulator"
_LAVA: Final = "lava"
_UNCLOCKED: Final = (_EMULATOR, "onnx")
_COMPARED: Final = ("spikes", "v")
_PART_BYTES: Final = 128 * 2**20
"""What float and fixed may record of a part."""
_EXECUTIONS: Final = 3
"""The target that must be exact, the integer reference and the emulator."""
_EXACT_BYTES: Final = 512 * 2**20
"""What the records of these may take."""


@final
@dataclass(frozen=True)
class Exactness:
    """Whether a target's integers are the integers, bit for bit.

    Attributes:
        samples: How many were run, all quantities at every step.
        against: The execution it differs from; empty if it differs from none.
        mismatch: The earliest difference, or None.
    """

    samples: int
    against: str = ""
    mismatch: Mismatch | None = None

    @property
    def equal(self) -> bool:
        """Whether `u`, `v` and spikes equal the integer reference and the emulator at every step."""
        return self.mismatch is None

    def sentence(self, target: str) -> str:
        """Return the finding in words."""
        if self.equal:
            return (
                f"{target}: u, v and spikes of {self.samples} samples equal reference and emulator at "
                "every step."
            )
        return f"{target} differs from {self.against}: {self.mismatch}. They must be equal: this is a bug."


@final
@dataclass(frozen=True)
class Judgement:
    """A build compared: the metrics, and what a report needs.

    Attributes:
        comparison: Float against fixed over the whole stimulus.
        costs: Float and fixed.
        shown: Traces of the samples that a report shows, with potentials, float and fixed.
        shown_samples: Which these are: the first ones, and those in which populations first differ.
        exact: Per further target, whether its integers are equal.
        attribution: The loss split by cause; None if it was not asked for.
        resources: What the build's chip says of it; None if its target knows no chip, or it does not fit.
        misfit: Why it does not fit; empty otherwise.
        clipped: The graded inputs of which the integers were given less than the real numbers.
    """

    comparison: Comparison
    costs: tuple[Cost, Cost]
    shown: tuple[Trace, Trace]
    shown_samples: tuple[int, ...]
    exact: Mapping[str, Exactness]
    attribution: LossAttribution | None = None
    resources: Resources | None = None
    misfit: str = ""
    clipped: tuple[ClippedInput, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the document stored as `fidelity.json`."""
        return self.comparison.to_json() | {
            "exact": {name: item.equal for name, item in self.exact.items()},
            "attribution": None if self.attribution is None else self.attribution.to_json(),
            "clipped": [asdict(item) for item in self.clipped],
        }

    def sentences(self) -> list[str]:
        """Return what was found: clipped inputs, the targets that had to be exact, the causes of the loss."""
        causes = [] if self.attribution is None else [self.attribution.sentence()]
        misfit = [f"It does not fit its chip: {self.misfit}."] if self.misfit else []
        clipped = [f"{item}." for item in self.clipped]
        return [*clipped, *(item.sentence(name) for name, item in self.exact.items()), *causes, *misfit]

    def require_exact(self) -> None:
        """Raise for the first target whose integers are not equal.

        Raises:
            SimulationError: Names population and step.
        """
        for name, item in self.exact.items():
            if item.mismatch is not None:
                node = item.mismatch.record.rpartition(".")[0]
                raise SimulationError(item.sentence(name), process=node, step=item.mismatch.step)


@enough_memory("comparing the build")
def compare_build(
    build: Build,
    stimulus: Stimulus | None = None,
    *,
    exact: Sequence[str] = (),
    samples: int = 32,
    attribute: bool = False,
    progress: StageProgress = no_stages,
) -> Judgement:
    """Compare float with fixed on the emulator, and fixed with further targets bit for bit.

    Before anything runs, the integers are checked to be those of the float graph.

    Args:
        build: What to compare.
        stimulus: By default the build's own.
        exact: Targets whose `u`, `v` and spikes must equal the integer reference and the
            emulator at every step; see `Judgement.require_exact`.
        samples: How many samples those run.
        attribute: Whether the loss is split by cause, which takes about ten more runs.
        progress: Told the stage and how far it is.

    Raises:
        FaultyIntegersError: The fixed graph is not a rounding of the float graph: names node and neuron.
    """
    names, part_samples = names_of(exact, "exact"), count_of(samples, "samples", least=1)
    for name in names:
        load_target(name)
    given = check_type(build, "build", Build).stimulus_for(stimulus)
    options = build.quantization.options
    clustered = options is not None and options.decay_profiles is not None
    check_integers(build.float_graph, build.fixed_graph, clustered=clustered)
    comparer, shown = Comparer((build.float_graph, build.fixed_graph)), ShownSamples()
    clipping = ClippingTally.of(build.fixed_graph)
    activities = _compare_in_parts(build, given, comparer, shown, clipping, progress)
    part = given.take(slice(0, part_samples))
    proved = {name: _check_exact(build, name, part, progress) for name in names}
    causes = None
    if attribute:
        causes = attribute_loss(build, given, progress=of_stage(progress, "split the loss by cause"))
    return Judgement(
        comparer.result(),
        (cost_of(build.float_graph, activities[0]), cost_of(build.fixed_graph, activities[1])),
        shown.traces(),
        shown.samples,
        proved,
        causes,
        *_on_chip(build, activities[1]),
        clipping.clipped,
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
    programs = tuple(load_target(_EMULATOR).build(graph) for graph in graphs)
    per_sample = sum(recorded_bytes(graph, stimulus.steps, _COMPARED) for graph in graphs)

    def compare(start: int, part: Stimulus) -> tuple[Activity, Activity]:
        # A function of its own: the traces of a part are gone before those of the next come.
        traces: list[Trace] = []
        clipping.add(part.values)
        for program, label in zip(programs, ("float", "fixed"), strict=True):
            told = of_part(of_stage(progress, f"emulate {label}"), start, part.samples, stimulus.samples)
            traces.append(program.run(part, record=_COMPARED, progress=told))
        comparer.add((traces[0], traces[1]), labels=part.labels, lengths=part.lengths, entered=part.values)
        shown.keep(start, (traces[0], traces[1]), comparer.firsts())
        return count_events(graphs[0], part, traces[0]), count_events(graphs[1], part, traces[1])

    counted = starmap(compare, in_parts(stimulus, per_sample, programs[0], _PART_BYTES))
    return reduce(lambda sums, part: (sums[0].merged(part[0]), sums[1].merged(part[1])), counted)


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
    graph, stage = build.fixed_graph, of_stage(progress, f"run on {name}")
    stage(0, stimulus.samples)
    program, emulator = (load_target(each).build(graph) for each in (name, _EMULATOR))
    searches = {"the integer reference": MismatchSearch(), "the emulator": MismatchSearch()}
    per_sample = _EXECUTIONS * recorded_bytes(graph, stimulus.steps, QUANTITIES)
    for start, part in in_parts(stimulus, per_sample, room=_EXACT_BYTES):
        told = of_part(stage, start, part.samples, stimulus.samples)
        trace = program.run(part, record=QUANTITIES, progress=told)
        searches["the integer reference"].add(run_reference(graph, part), trace)
        searches["the emulator"].add(emulator.run(part, record=QUANTITIES), trace)
    for other, search in searches.items():
        if search.first is not None:
            return Exactness(stimulus.samples, other, search.first)
    return Exactness(stimulus.samples)


def save_build(build: Build, folder: PathText, judgement: Judgement | None) -> None:
    """Write a build with the figures and the report of its judgement, and as a stand-alone Lava network.

    Beside what `Build.save` writes: `fidelity.json`, `report.html`, `resources.json` for a chip that it
    fits, and `lava/network.py` with its weights, unless its loops are too fast for Lava and its target is
    another. A build that was never run has no figures.
    """

    def write(temporary: Path) -> None:
        if judgement is not None:
            write_json(temporary / "fidelity.json", judgement.to_json())
            write_report(temporary / "report.html", report_of(build, judgement))
        if judgement is not None and judgement.resources is not None:
            write_json(temporary / "resources.json", judgement.resources.to_json())
        # Without Lava there is nobody here who could run it.
        with suppress(TargetUnavailableError, *_without_clock(build)):
            program = load_target(_LAVA).build(build.fixed_graph)
            if isinstance(program, PortableProgram):
                program.export(temporary / _LAVA)

    build.save(folder, write)


def _without_clock(build: Build) -> tuple[type[ToolchainError], ...]:
    """Return what Lava may refuse of a build whose own target runs loops of any delay."""
    return (FeedbackError,) if build.target in _UNCLOCKED else ()


def report_of(build: Build, judgement: Judgement) -> ReportContent:
    """Return what the report of a judged build shows."""
    agreement = build.facts.float_agreement
    checks = [*(() if agreement is None else (agreement,)), *build.notes]
    return ReportContent(
        f"Fidelity of {build.fixed_graph.name} for {build.target}",
        (build.float_graph, build.fixed_graph),
        judgement.shown,
        judgement.shown_samples,
        judgement.comparison,
        judgement.costs,
        build.quantization,
        () if build.facts.sizes is None else build.facts.sizes.rows(),
        (*checks, *judgement.sentences()),
        None if judgement.attribution is None else judgement.attribution.to_json(),
        None if judgement.resources is None else (judgement.resources.fit, judgement.resources.metrics),
    )
