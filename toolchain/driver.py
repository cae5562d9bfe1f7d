"""The whole path as plain calls: train, compile, run, compare, demo. The command line adds nothing to it."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.build_folder import MANIFEST, Build
from toolchain.errors import CorruptArtifactError, MissingFileError, SimulationError, UsageError
from toolchain.experiment import Experiment
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
    explain_quantization,
)
from toolchain.progress import Progress, StageProgress, no_progress, no_stages, of_stage
from toolchain.reference import run as run_reference
from toolchain.run_folder import TrainedRun, is_run, train
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

    Returns:
        The build: float graph, fixed graph, and what quantization did.
    """
    stimulus = _as_stimulus(example)
    values = None if stimulus is None else next(iter(stimulus.values.values()))
    graph = from_torch(module, values, classes=classes)
    observed = _as_stimulus(calibration) or stimulus
    return compile_graph(
        graph, target=target, stimulus=stimulus, calibration=observed, weight_bits=weight_bits
    )


def compile_graph(
    graph: Graph,
    *,
    target: str = EMULATOR,
    stimulus: Stimulus | None = None,
    calibration: Stimulus | None = None,
    weight_bits: int = 8,
    facts: Mapping[str, Any] | None = None,
) -> Build:
    """Compile a float graph for a target; see `compile_module`."""
    place = load_target(target)
    float_graph = Pipeline((RemoveDeadNeurons(), FoldDelays()))(graph)
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


def compile_run(folder: Path, *, target: str, weight_bits: int = 8) -> Build:
    """Compile a finished training."""
    if not folder.exists():
        raise MissingFileError("model", folder)
    if not is_run(folder):
        raise UsageError(
            f"'{folder}' is not a run folder; write one with 'pumice train EXPERIMENT.toml -o RUN'"
        )
    return _compile_trained(TrainedRun.load(folder), target, weight_bits)


def _compile_trained(trained: TrainedRun, target: str, weight_bits: int = 8) -> Build:
    graph = from_torch(trained.network, classes=trained.classes, name="hrsnn")
    return compile_graph(
        graph,
        target=target,
        stimulus=trained.stimulus,
        calibration=trained.calibration,
        weight_bits=weight_bits,
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


@final
@dataclass(frozen=True)
class DemoResult:
    """The figures of the demo; accuracies in percent on the same held-out split.

    Attributes:
        float_accuracy: Unpruned network, trained.
        pruned_accuracy: The same untrained network pruned by LNP, then trained alike.
        fixed_accuracy: That network in integers.
        neurons_before: Neurons of the recurrent pool.
        neurons_after: After pruning.
        synapses_before: Recurrent synapses.
        synapses_after: After pruning.
        synops_before: Synaptic operations per image, float.
        synops_after: After pruning, float.
        spike_f1: Float against fixed.
        lava_images: Images run on Lava.
        lava_equal: Whether Lava, emulator and reference were equal at every step.
        test_images: Size of the held-out split.
        seconds: Work, set-up excluded.
    """

    float_accuracy: float
    pruned_accuracy: float
    fixed_accuracy: float
    neurons_before: int
    neurons_after: int
    synapses_before: int
    synapses_after: int
    synops_before: float
    synops_after: float
    spike_f1: float
    lava_images: int
    lava_equal: bool
    test_images: int
    seconds: float


def demo(
    folder: Path,
    *,
    experiment: Experiment | None = None,
    lava_images: int = 32,
    progress: StageProgress = no_stages,
) -> tuple[DemoResult, Build, Judgement]:
    """Train, prune, compile, run on Lava and compare; leave `run/`, `build/` and `report.html` in `folder`.

    Args:
        folder: Where to; an earlier demo there is replaced.
        experiment: By default the built-in one, which prunes.
        lava_images: How many test images Lava runs.
        progress: Told the stage and how far it is.
    """
    started = time.monotonic()
    load_target("lava").check()
    chosen = experiment or Experiment()
    if chosen.pruning is None or not chosen.pruning.baseline:
        raise UsageError(
            "the demo compares with the unpruned network; it needs [pruning] with baseline = true"
        )
    _clear_demo(folder)
    trained = train(chosen, folder / "run", progress)
    build = _compile_trained(trained, "lava")
    judgement = compare_build(build, exact=("lava",), samples=lava_images, progress=progress)
    save_build(build, folder / "build", judgement)
    shutil.copyfile(folder / "build" / "report.html", folder / "report.html")
    return _demo_result(build, judgement, time.monotonic() - started), build, judgement


def _demo_result(build: Build, judgement: Judgement, seconds: float) -> DemoResult:
    rows = {row["name"]: (row["before"], row["after"]) for row in build.facts["sizes"]}
    neurons, synapses = rows["neurons in the pool"], rows["recurrent synapses"]
    operations, rates = rows["synaptic operations per sample"], rows["float accuracy, %"]
    return DemoResult(
        float_accuracy=round(rates[0], 3),
        pruned_accuracy=round(rates[1], 3),
        fixed_accuracy=round(judgement.comparison.fixed_accuracy or 0.0, 3),
        neurons_before=neurons[0],
        neurons_after=neurons[1],
        synapses_before=synapses[0],
        synapses_after=synapses[1],
        synops_before=round(operations[0], 1),
        synops_after=round(operations[1], 1),
        spike_f1=round(judgement.comparison.spike_f1, 5),
        lava_images=judgement.equal["lava"],
        # A difference raises, so that arriving here says that they are equal.
        lava_equal=True,
        test_images=judgement.comparison.samples,
        seconds=round(seconds, 1),
    )


def _clear_demo(folder: Path) -> None:
    """Remove an earlier demo, and nothing else."""
    run, build = folder / "run", folder / "build"
    if run.exists() and not is_run(run):
        raise UsageError(f"'{run}' exists and is not a run folder; choose another -o")
    if build.exists() and not (build / MANIFEST).is_file():
        raise UsageError(f"'{build}' exists and is not a build folder; choose another -o")
    shutil.rmtree(run, ignore_errors=True)
    shutil.rmtree(build, ignore_errors=True)
    (folder / "report.html").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)


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
