"""Judging a build: float against integers with metrics, integers against integers with `==`."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from toolchain.atomic import write_json
from toolchain.attribution import Attribution, attribute_loss
from toolchain.build_folder import Build
from toolchain.errors import SimulationError, TargetError, TargetUnavailableError
from toolchain.fidelity import Comparison, Mismatch, check_integers, compare_traces, first_mismatch
from toolchain.fidelity.cost import Cost, measure_cost
from toolchain.fidelity.report import ReportContent, write_report
from toolchain.intake import PathText, count_of, names_of
from toolchain.progress import StageProgress, no_stages, of_stage
from toolchain.reference import run as run_reference
from toolchain.resources import Resources, check_build
from toolchain.stimulus import Stimulus
from toolchain.target import ChipTarget, PortableProgram, load_target
from toolchain.trace import QUANTITIES, Trace

_EMULATOR: Final = "emulator"
_LAVA: Final = "lava"
_SHOWN_SAMPLES: Final = 4


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
        shown: Traces of the first samples with potentials, float and fixed.
        exact: Per further target, whether its integers are equal.
        attribution: The loss split by cause; None if it was not asked for.
        resources: What the build's chip says of it; None if its target knows no chip, or it does not fit.
        misfit: Why it does not fit; empty otherwise.
    """

    comparison: Comparison
    costs: tuple[Cost, Cost]
    shown: tuple[Trace, Trace]
    exact: Mapping[str, Exactness]
    attribution: Attribution | None = None
    resources: Resources | None = None
    misfit: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the document stored as `fidelity.json`."""
        return self.comparison.to_json() | {
            "exact": {name: item.equal for name, item in self.exact.items()},
            "attribution": None if self.attribution is None else self.attribution.to_json(),
        }

    def sentences(self) -> list[str]:
        """Return what was found about the targets that had to be exact, and about the causes of the loss."""
        causes = [] if self.attribution is None else [self.attribution.sentence()]
        misfit = [f"It does not fit its chip: {self.misfit}."] if self.misfit else []
        return [*(item.sentence(name) for name, item in self.exact.items()), *causes, *misfit]

    def require_exact(self) -> None:
        """Raise for the first target whose integers are not equal.

        Raises:
            SimulationError: Names population and step.
        """
        for name, item in self.exact.items():
            if item.mismatch is not None:
                node = item.mismatch.record.rpartition(".")[0]
                raise SimulationError(item.sentence(name), process=node, step=item.mismatch.step)


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
    given = build.stimulus_for(stimulus)
    clustered = build.quantization.get("options", {}).get("decay_profiles") is not None
    check_integers(build.float_graph, build.fixed_graph, clustered=clustered)
    graphs = (build.float_graph, build.fixed_graph)
    emulator = load_target(_EMULATOR)
    traces: list[Trace] = []
    for graph, label in zip(graphs, ("float", "fixed"), strict=True):
        told = of_stage(progress, f"emulate {label}")
        traces.append(emulator.build(graph).run(given, record=("spikes", "v"), progress=told))
    comparison = compare_traces(graphs, (traces[0], traces[1]), labels=given.labels, lengths=given.lengths)
    costs = tuple(measure_cost(graph, given, trace) for graph, trace in zip(graphs, traces, strict=True))
    part = given.take(slice(0, part_samples))
    proved = {name: _check_exact(build, name, part, progress) for name in names}
    causes = None
    if attribute:
        causes = attribute_loss(build, given, progress=of_stage(progress, "split the loss by cause"))
    shown = _first(traces[0]), _first(traces[1])
    resources, misfit = _on_chip(build, given, traces[1])
    return Judgement(comparison, (costs[0], costs[1]), shown, proved, causes, resources, misfit)


def _on_chip(build: Build, stimulus: Stimulus, trace: Trace) -> tuple[Resources | None, str]:
    """Return what the build's chip says of it, or why it does not fit."""
    if not isinstance(load_target(build.target), ChipTarget):
        return None, ""
    try:
        return check_build(build, stimulus=stimulus, trace=trace), ""
    except TargetError as error:
        return None, str(error)


def _check_exact(build: Build, name: str, part: Stimulus, progress: StageProgress) -> Exactness:
    stage = f"run on {name}"
    progress(stage, 0, part.samples)
    program = load_target(name).build(build.fixed_graph)
    trace = program.run(part, record=QUANTITIES, progress=of_stage(progress, stage))
    others = {
        "the integer reference": run_reference(build.fixed_graph, part),
        "the emulator": load_target(_EMULATOR).build(build.fixed_graph).run(part, record=QUANTITIES),
    }
    for other, expected in others.items():
        mismatch = first_mismatch(expected, trace)
        if mismatch is not None:
            return Exactness(part.samples, other, mismatch)
    return Exactness(part.samples)


def save_build(build: Build, folder: PathText, judgement: Judgement | None) -> None:
    """Write a build with the figures and the report of its judgement, and as a stand-alone Lava network.

    Beside what `Build.save` writes: `fidelity.json`, `report.html`, `resources.json` for a chip that it
    fits, and `lava/network.py` with its weights. A build that was never run has no figures.
    """

    def write(temporary: Path) -> None:
        if judgement is not None:
            write_json(temporary / "fidelity.json", judgement.to_json())
            write_report(temporary / "report.html", report_of(build, judgement))
        if judgement is not None and judgement.resources is not None:
            write_json(temporary / "resources.json", judgement.resources.to_json())
        # Without Lava there is nobody here who could run it.
        with suppress(TargetUnavailableError):
            program = load_target(_LAVA).build(build.fixed_graph)
            if isinstance(program, PortableProgram):
                program.export(temporary / _LAVA)

    build.save(folder, write)


def report_of(build: Build, judgement: Judgement) -> ReportContent:
    """Return what the report of a judged build shows."""
    checks = [build.facts["float_agreement"]] if "float_agreement" in build.facts else []
    checks += build.facts.get("imported", {}).get("notes", [])
    return ReportContent(
        f"Fidelity of {build.fixed_graph.name} for {build.target}",
        (build.float_graph, build.fixed_graph),
        judgement.shown,
        judgement.comparison,
        judgement.costs,
        build.quantization,
        build.facts,
        (*checks, *judgement.sentences()),
        None if judgement.attribution is None else judgement.attribution.to_json(),
        None if judgement.resources is None else (judgement.resources.fit, judgement.resources.metrics),
    )


def _first(trace: Trace) -> Trace:
    part = slice(0, _SHOWN_SAMPLES)
    return Trace(
        {name: values[part] for name, values in trace.spikes.items()},
        {name: values[part] for name, values in trace.v.items()},
    )
