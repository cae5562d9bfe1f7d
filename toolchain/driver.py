"""The whole path as plain calls: compile, run, compare. The command line adds nothing to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.build_folder import Build
from toolchain.errors import CorruptArtifactError, MissingFileError, SimulationError, UsageError
from toolchain.fidelity import Comparison, Mismatch, compare_traces, first_mismatch
from toolchain.fidelity.cost import Cost, measure_cost, recurrent_synapses
from toolchain.fidelity.report import ReportContent, write_report
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.passes import (
    Calibration,
    FoldDelays,
    Pipeline,
    QuantizeGraph,
    RemoveDeadNeurons,
    SplitSigns,
    explain_quantization,
)
from toolchain.progress import Progress, StageProgress, no_progress, no_stages, of_stage
from toolchain.reference import run as run_reference
from toolchain.run_folder import TrainedRun, is_run
from toolchain.stimulus import Stimulus
from toolchain.target import Target, load_target
from toolchain.trace import QUANTITIES, Trace

EMULATOR: Final = "emulator"
_SHOWN_SAMPLES: Final = 4

Example = Tensor | NDArray[Any] | Stimulus


def compile_module(
    module: nn.Module,
    example: Example | None = None,
    *,
    target: str = EMULATOR,
    calibration: Example | None = None,
    classes: Sequence[str] = (),
    weight_bits: int = 8,
    split_signs: bool = True,
) -> Build:
    """Compile a PyTorch module for a target.

    Args:
        module: `models.Network`, or `nn.Sequential` of `Linear`, `Synapses` and `CubaLif`.
        example: Samples `[batch, time, channels]`; kept in the build to run it on, and its
            length sharpens range proofs.
        target: Name of an installed target.
        calibration: Training samples on which ranges are observed; by default `example`.
        classes: Names of the classes.
        weight_bits: Bits of a weight, sign included.
        split_signs: Whether excitatory and inhibitory synapses get connections of their own, which
            saves the bit of the sign: rounding errors halve, connections double.

    Returns:
        The build: float graph, fixed graph, and what quantization did.
    """
    stimulus = _as_stimulus(example)
    values = None if stimulus is None else next(iter(stimulus.values.values()))
    graph = from_torch(module, values, classes=classes)
    observed = _as_stimulus(calibration) or stimulus
    return compile_graph(
        graph,
        target=target,
        stimulus=stimulus,
        calibration=observed,
        weight_bits=weight_bits,
        split_signs=split_signs,
    )


def compile_graph(
    graph: Graph,
    *,
    target: str = EMULATOR,
    stimulus: Stimulus | None = None,
    calibration: Stimulus | None = None,
    weight_bits: int = 8,
    split_signs: bool = True,
    facts: Mapping[str, Any] | None = None,
) -> Build:
    """Compile a float graph for a target; see `compile_module`."""
    place = load_target(target)
    prepare = (RemoveDeadNeurons(), FoldDelays(), *((SplitSigns(),) if split_signs else ()))
    float_graph = Pipeline(prepare)(graph)
    observed = None if calibration is None else observe_ranges(float_graph, calibration)
    steps = max((item.steps for item in (stimulus, calibration) if item is not None), default=None)
    quantize = QuantizeGraph(
        weight_bits=weight_bits, steps=steps, calibration=observed, profile=place.profile
    )
    fixed_graph = Pipeline((quantize, *place.legalization()))(float_graph)
    document = explain_quantization(float_graph, fixed_graph, steps=steps, calibration=observed)
    return Build(float_graph, fixed_graph, target, document, stimulus, dict(facts or {}))


def observe_ranges(graph: Graph, samples: Stimulus) -> Calibration:
    """Run the float graph on the emulator and return the ranges of every population."""
    trace = load_target(EMULATOR).build(graph).run(samples, record=QUANTITIES)
    return Calibration.from_trace(trace)


def compile_run(folder: Path, *, target: str, weight_bits: int = 8, split_signs: bool = True) -> Build:
    """Compile a finished training."""
    if not folder.exists():
        raise MissingFileError("model", folder)
    if not is_run(folder):
        raise UsageError(
            f"'{folder}' is not a run folder; write one with 'pumice train EXPERIMENT.toml -o RUN'"
        )
    trained = TrainedRun.load(folder)
    return compile_trained(trained, target, weight_bits=weight_bits, split_signs=split_signs)


def compile_trained(
    trained: TrainedRun, target: str, *, weight_bits: int = 8, split_signs: bool = True
) -> Build:
    """Compile a network that was trained in this process."""
    graph = from_torch(trained.network, classes=trained.classes, name="hrsnn")
    return compile_graph(
        graph,
        target=target,
        stimulus=trained.stimulus,
        calibration=trained.calibration,
        weight_bits=weight_bits,
        split_signs=split_signs,
        facts=size_facts(trained, graph),
    )


def size_facts(trained: TrainedRun, graph: Graph) -> dict[str, Any]:
    """Return sizes and accuracies before and after pruning, both measured on the test split."""
    if trained.unpruned is None:
        return {}
    before = from_torch(trained.unpruned, classes=trained.classes)
    costs, rates = zip(*(judge_float(each, trained.stimulus) for each in (before, graph)), strict=True)
    rows = [
        ("neurons in the pool", costs[0].neurons["hidden"], costs[1].neurons["hidden"]),
        ("recurrent synapses", recurrent_synapses(before, costs[0]), recurrent_synapses(graph, costs[1])),
        ("all synapses", sum(costs[0].synapses.values()), sum(costs[1].synapses.values())),
        ("spikes per sample", costs[0].spikes["hidden"], costs[1].spikes["hidden"]),
        ("synaptic operations per sample", costs[0].total_operations, costs[1].total_operations),
        ("float accuracy, %", rates[0], rates[1]),
    ]
    return {"sizes": [{"name": name, "before": old, "after": new} for name, old, new in rows]}


def judge_float(graph: Graph, stimulus: Stimulus) -> tuple[Cost, float]:
    """Return cost and accuracy of a float graph on labelled samples."""
    trace = load_target(EMULATOR).build(graph).run(stimulus)
    comparison = compare_traces((graph, graph), (trace, trace), labels=stimulus.labels)
    return measure_cost(graph, stimulus, trace), comparison.float_accuracy or 0.0


def run_build(
    build: Build,
    target: str | None = None,
    stimulus: Stimulus | None = None,
    *,
    record: tuple[str, ...] = ("spikes",),
    progress: Progress = no_progress,
) -> Trace:
    """Run the fixed graph of a build on a target.

    Args:
        build: What to run.
        target: Name of an installed target; by default the build's.
        stimulus: By default the build's own.
        record: Which of `spikes`, `v`, `u` to keep.
        progress: Told how many samples are done.

    Raises:
        UsageError: There is no stimulus.
    """
    program = load_target(target or build.target).build(build.fixed_graph)
    return program.run(_stimulus_of(build, stimulus), record=record, progress=progress)


@final
@dataclass(frozen=True)
class Judgement:
    """A build compared: the metrics, and what a report needs.

    Attributes:
        comparison: Float against fixed over the whole stimulus.
        costs: Float and fixed.
        shown: Traces of the first samples with potentials, float and fixed.
        equal: Per further target, how many samples were found equal bit for bit.
    """

    comparison: Comparison
    costs: tuple[Cost, Cost]
    shown: tuple[Trace, Trace]
    equal: Mapping[str, int]


def compare_build(
    build: Build,
    stimulus: Stimulus | None = None,
    *,
    exact: Sequence[str] = (),
    samples: int = 32,
    progress: StageProgress = no_stages,
) -> Judgement:
    """Compare float with fixed on the emulator, and fixed with further targets bit for bit.

    Args:
        build: What to compare.
        stimulus: By default the build's own.
        exact: Targets whose `u`, `v` and spikes must equal the integer reference and the
            emulator at every step.
        samples: How many samples those run.
        progress: Told the stage and how far it is.

    Raises:
        SimulationError: An execution that must be equal is not: a bug; says where.
    """
    given = _stimulus_of(build, stimulus)
    graphs = (build.float_graph, build.fixed_graph)
    emulator = load_target(EMULATOR)
    traces: list[Trace] = []
    for graph, label in zip(graphs, ("float", "fixed"), strict=True):
        traces.append(
            emulator.build(graph).run(
                given, record=("spikes", "v"), progress=of_stage(progress, f"emulate {label}")
            )
        )
    comparison = compare_traces(graphs, (traces[0], traces[1]), labels=given.labels, lengths=given.lengths)
    costs = tuple(measure_cost(graph, given, trace) for graph, trace in zip(graphs, traces, strict=True))
    equal = {name: _prove_equal(build, name, given, samples, progress) for name in exact}
    shown = (_first(traces[0]), _first(traces[1]))
    return Judgement(comparison, (costs[0], costs[1]), shown, equal)


def _prove_equal(build: Build, name: str, stimulus: Stimulus, samples: int, progress: StageProgress) -> int:
    part = stimulus.take(slice(0, samples))
    target: Target = load_target(name)
    progress(f"run on {name}", 0, part.samples)
    trace = target.build(build.fixed_graph).run(
        part, record=QUANTITIES, progress=of_stage(progress, f"run on {name}")
    )
    others = {
        "the integer reference": run_reference(build.fixed_graph, part),
        EMULATOR: load_target(EMULATOR).build(build.fixed_graph).run(part, record=QUANTITIES),
    }
    for other, expected in others.items():
        mismatch = first_mismatch(expected, trace)
        if mismatch is not None:
            raise _unequal(name, other, mismatch)
    return part.samples


def _unequal(name: str, other: str, mismatch: Mismatch) -> SimulationError:
    node = mismatch.record.rpartition(".")[0]
    return SimulationError(
        f"'{name}' differs from {other} in {mismatch}; integers must be equal, this is a bug",
        process=node,
        step=mismatch.step,
    )


def save_build(build: Build, folder: Path, judgement: Judgement | None) -> None:
    """Write a build with its report, if it was judged."""

    def add_report(temporary: Path) -> None:
        if judgement is not None:
            write_report(temporary / "report.html", report_of(build, judgement))

    build.save(folder, add_report)


def report_of(build: Build, judgement: Judgement) -> ReportContent:
    """Return what the report of a judged build shows."""
    checks = tuple(
        f"{name}: u, v and spikes of {count} samples equal integer reference and emulator at every step."
        for name, count in judgement.equal.items()
    )
    return ReportContent(
        f"Fidelity of {build.fixed_graph.name} for {build.target}",
        (build.float_graph, build.fixed_graph),
        judgement.shown,
        judgement.comparison,
        judgement.costs,
        build.quantization,
        build.facts,
        checks,
    )


def _as_stimulus(example: Example | None) -> Stimulus | None:
    if example is None or isinstance(example, Stimulus):
        return example
    return Stimulus.of(np.asarray(example.detach().cpu()) if isinstance(example, Tensor) else example)


def _stimulus_of(build: Build, stimulus: Stimulus | None) -> Stimulus:
    chosen = stimulus or build.stimulus
    if chosen is None:
        raise UsageError("the build holds no stimulus; give one with --input")
    return chosen


def _first(trace: Trace) -> Trace:
    part = slice(0, _SHOWN_SAMPLES)
    return Trace(
        {name: values[part] for name, values in trace.spikes.items()},
        {name: values[part] for name, values in trace.v.items()},
    )


def load(folder: Path | str) -> Build:
    """Read a build folder; see `Build.load`.

    Raises:
        CorruptArtifactError: The folder is a run, or was edited.
    """
    path = Path(folder)
    if is_run(path):
        raise CorruptArtifactError(path, "is a run folder; compile it first with 'pumice compile'")
    return Build.load(path)
