"""Compiling and running as plain calls. The command line adds nothing to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.bars import draws
from toolchain.data.new_samples.raw_encoder import RawEncoder
from toolchain.errors import ArgumentError, UsageError
from toolchain.execution.stimulus import Stimulus, check_stimulus, fit_stimulus
from toolchain.files.disk import check_exists
from toolchain.frontends import as_model, check_float, from_torch
from toolchain.frontends.modules import is_recorded, recorded
from toolchain.intake import PathText, check_type, count_of, names_of, path_of
from toolchain.ir import Graph, Output
from toolchain.memory import enough_memory
from toolchain.models import FeedForward, Network
from toolchain.passes import (
    DelayLoops,
    FoldDelays,
    Pipeline,
    RemoveDeadNeurons,
    SplitHalves,
    explain_quantization,
    find_loop_delays,
)
from toolchain.passes.retime_delays import clocked_edges, slow_loop
from toolchain.progress import StageProgress, default_stages, stage_progress
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.training import GraphNetwork
from toolchain.workflow.build_facts import BuildFacts, ImportFacts
from toolchain.workflow.build_folder import Build
from toolchain.workflow.coherence import encoder_problems
from toolchain.workflow.import_check import check_graph
from toolchain.workflow.observation import given_unless_all, observe_ranges, recording_batch
from toolchain.workflow.pass_graphs import PassRecord
from toolchain.workflow.quantization import Quantization, repair_build
from toolchain.workflow.real_readout import with_real_readout
from toolchain.workflow.repairing import repair_options, training_samples
from toolchain.workflow.replaced_resets import replaced_resets, replacement
from toolchain.workflow.run_folder import TrainedRun, is_run
from toolchain.workflow.sizes import sizes_of

_IMAGE_BATCH_DIMS: Final = 4
_CHECKED_SAMPLES: Final = 64

Example = Tensor | NDArray[Any] | Sequence[Any] | Mapping[str, Any] | Stimulus


@final
@dataclass(frozen=True)
class Prepared:
    """A PyTorch network beside its graph, with samples as the graph takes them.

    Attributes:
        network: The network of named parts; None for a module whose own forward was run and followed.
        graph: Its float graph.
        stimulus: Samples to judge the build by, if there are any.
        calibration: Samples on which ranges are observed, if there are any.
        facts: What is known of where the network comes from.
    """

    network: Network | FeedForward | None
    graph: Graph
    stimulus: Stimulus | None
    calibration: Stimulus | None
    facts: BuildFacts = field(default_factory=BuildFacts)

    @classmethod
    def of(
        cls, module: nn.Module, example: Example | None, calibration: Example | None, classes: Sequence[str]
    ) -> "Prepared":
        """Return a module and its samples, each read once; see `compile_module`."""
        samples = None if example is None else Stimulus.of(example, name="example")
        training = None if calibration is None else Stimulus.of(calibration, name="calibration")
        if isinstance(module, GraphNetwork):
            return cls._of_graph(module, samples, training, names_of(classes, "classes"))
        if is_recorded(module):
            return cls._recorded(module, samples, training, names_of(classes, "classes"))
        network = as_model(module, None if samples is None else next(iter(samples.values.values()), None))
        steps = network.steps if isinstance(network, FeedForward) else None
        stimulus, calibration = (
            None if each is None else repeat_over_steps(steps, each) for each in (samples, training)
        )
        network = with_real_readout(network, stimulus)
        graph = from_torch(network, classes=names_of(classes, "classes"))
        return cls(network, graph, stimulus, stimulus if calibration is None else calibration)

    @classmethod
    def _of_graph(
        cls,
        network: GraphNetwork,
        samples: Stimulus | None,
        training: Stimulus | None,
        classes: tuple[str, ...],
    ) -> "Prepared":
        """Return a network that is a graph with weights that were trained."""
        graph = network.tuned()
        if classes:
            first = graph.outputs[0].name
            graph = graph.map(
                lambda node: (
                    replace(node, classes=classes)
                    if isinstance(node, Output) and node.name == first
                    else node
                )
            )
        return cls(None, graph, samples, samples if training is None else training)

    @classmethod
    def _recorded(
        cls,
        module: nn.Module,
        samples: Stimulus | None,
        training: Stimulus | None,
        classes: tuple[str, ...],
    ) -> "Prepared":
        """Return a module of another framework by running it, and compare what it did with its graph."""
        if samples is None:
            raise ArgumentError(
                "example",
                "samples as the module takes them",
                "None",
                "its own forward is run on them, and followed",
            )
        record = recorded(module, samples.values, classes=classes)
        stimulus = replace(samples, values=record.arranged(samples.values))
        given = stimulus if training is None else replace(training, values=record.arranged(training.values))
        compared = stimulus.take(slice(0, len(next(iter(record.outputs.values())))))
        imported = record.imported
        check = check_graph(
            imported.graph, record.outputs, compared, imported.rests, partly=True, results=record.results
        )
        rests = {name: tuple(np.ravel(rest).tolist()) for name, rest in imported.rests.items()}
        facts = ImportFacts(notes=imported.notes, warnings=imported.warnings, rests=rests)
        return cls(None, imported.graph, stimulus, given, BuildFacts(imported=facts, source=check.document()))


@enough_memory("compiling the network")
def compile_module(
    module: nn.Module,
    example: Example | None = None,
    *,
    target: str = DEFAULT_EXECUTOR,
    calibration: Example | None = None,
    classes: Sequence[str] = (),
    quantization: Quantization | None = None,
    loop_delay: bool = False,
) -> Build:
    """Compile a PyTorch module for a target.

    Args:
        module: `models.Network`, `models.FeedForward`, an `nn.Sequential` of what `from_torch` knows, or any
            module with neurons of snnTorch, SpikingJelly, sinabs or Norse: its own forward is run on the
            example and followed, and every spike and all that it returns compared (`build.facts.source`). Or
            what `trainable` made of such a module.
        example: Samples `[batch, time, channels]`, frames `[batch, time, C, H, W]`, or still images
            `[batch, C, H, W]`, which are shown for as many steps as the network says. They stay in the build
            to run it on, and their length sharpens range proofs.
        target: Name of an installed target.
        calibration: Training samples on which ranges are observed; by default `example`.
        classes: Names of the classes.
        quantization: Options of how real numbers become integers.
        loop_delay: Whether loops that no clocked target can run get the steps they lack, in real numbers too;
            `Build.notes` says which. See `passes.DelayLoops`.

    Returns:
        The build: float graph, fixed graph, and what quantization did.
    """
    prepared = Prepared.of(module, example, calibration, classes)
    return _compile_prepared(prepared, target, quantization, prepared.facts, loop_delay=loop_delay)


def _compile_prepared(
    prepared: Prepared, target: str, quantization: Quantization | None, facts: BuildFacts, *, loop_delay: bool
) -> Build:
    build = compile_graph(
        prepared.graph,
        target=target,
        stimulus=prepared.stimulus,
        calibration=prepared.calibration,
        quantization=quantization,
        facts=facts,
        loop_delay=loop_delay,
    )
    # Compiling has looked at the samples first, and says what is wrong with them. PyTorch adds no delays.
    if prepared.network is None or prepared.stimulus is None or build.facts.loop_delays:
        return build
    agreement = float_agreement(prepared.network, prepared.graph, prepared.stimulus)
    return replace(build, facts=build.facts.model_copy(update={"float_agreement": agreement}))


@enough_memory("compiling the network")
def compile_graph(
    graph: Graph,
    *,
    target: str = DEFAULT_EXECUTOR,
    stimulus: Stimulus | None = None,
    calibration: Stimulus | None = None,
    quantization: Quantization | None = None,
    facts: BuildFacts | None = None,
    loop_delay: bool = False,
) -> Build:
    """Compile a float graph for a target; see `compile_module`."""
    place = load_target(target)
    for name, samples in (("example", stimulus), ("calibration", calibration)):
        if samples is not None:
            check_stimulus(graph, samples, name)
    options = check_type(quantization or Quantization(), "quantization", Quantization).limited_to(
        place.profile
    )
    options.check_names(graph)
    facts = check_type(facts or BuildFacts(), "facts", BuildFacts)
    record = PassRecord()
    float_graph = Pipeline((RemoveDeadNeurons(), FoldDelays()), record)(graph)
    replaces = replacement(float_graph, options.replace_reset, place.capabilities)
    if replaces is not None:
        before, float_graph = float_graph, Pipeline((replaces,), record)(float_graph)
        replaced = replaced_resets(before, float_graph, calibration if stimulus is None else stimulus)
        facts = facts.model_copy(update={"replaced": replaced})
    facts = _look_at_loops(float_graph, facts, delay=loop_delay)
    preparation = (*((DelayLoops(),) if loop_delay else ()), *options.preparation())
    float_graph = Pipeline(preparation, record)(float_graph)
    steps = max((samples.steps for samples in (stimulus, calibration) if samples is not None), default=None)
    observed, given = None, None
    if calibration is not None:
        observed = observe_ranges(float_graph, calibration, options.quantizer(steps, None, place.profile))
        given = given_unless_all(calibration, observed)
    passes = (*options.passes(steps, observed, place.profile), *place.legalization())
    fixed_graph = Pipeline(passes, record)(float_graph)
    float_graph = SplitHalves(fixed=fixed_graph)(float_graph)
    report = explain_quantization(float_graph, fixed_graph, steps=steps, calibration=observed)
    report = report.model_copy(update={"options": options.document(), "calibration_given": given})
    return Build(float_graph, fixed_graph, target, report, stimulus, facts, record.graphs)


def _look_at_loops(graph: Graph, facts: BuildFacts, *, delay: bool) -> BuildFacts:
    """Return the facts with the delays that loops get, or with the loop that no clocked target can run."""
    if delay:
        delays = tuple(str(each) for each in find_loop_delays(graph))
        return facts.model_copy(update={"loop_delays": delays})
    loop = slow_loop(list(clocked_edges(graph)))
    return facts.model_copy(update={"fast_loop": None if loop is None else " -> ".join((*loop, loop[0]))})


@enough_memory("compiling the run")
@draws()
def compile_run(
    folder: PathText,
    *,
    target: str,
    quantization: Quantization | None = None,
    calibration: Stimulus | None = None,
    qat_epochs: int | None = None,
    loop_delay: bool = False,
    resume: PathText | None = None,
    progress: StageProgress = default_stages,
) -> Build:
    """Compile a finished training.

    Args:
        folder: The run folder.
        target: Name of an installed target.
        quantization: Options of how real numbers become integers; by default those of the experiment.
        calibration: Samples to calibrate on; by default the training samples that the run kept.
        qat_epochs: Epochs of quantization-aware training on the run's training samples, 0 for none; by
            default those of the experiment.
        loop_delay: Whether loops get the steps that a clocked target needs; see `compile_module`.
        resume: Folder for the state of that training after every epoch; see `repair_build`.
        progress: Callback with the stage and how far it is; by default bars where somebody looks.
    """
    folder = path_of(folder, "folder")
    check_exists("model", folder)
    if not is_run(folder):
        raise UsageError(
            f"'{folder}' is neither a run folder, as 'pumice train' writes, "
            "nor a .nir, "
            ".onnx or netx .net file"
        )
    trained = TrainedRun.load(folder)
    if calibration is not None:
        trained = replace(trained, calibration=calibration)
    section = trained.experiment.quantization
    epochs = section.qat_epochs if qat_epochs is None else count_of(qat_epochs, "qat_epochs")
    if resume is not None and not epochs:
        raise UsageError(
            "`resume` keeps the state of `qat_epochs`", "give a number of epochs, or leave it out"
        )
    options = quantization or Quantization(**section.model_dump(exclude={"qat_epochs"}))
    build = compile_trained(trained, target, options, loop_delay=loop_delay)
    if not epochs:
        return build
    return repair_build(
        build,
        repeat_over_steps(trained.still_steps, training_samples(trained.experiment)),
        repair_options(trained.experiment, epochs),
        resume=resume,
        progress=stage_progress(progress, "train with integers"),
    )


def compile_trained(
    trained: TrainedRun, target: str, quantization: Quantization | None = None, *, loop_delay: bool = False
) -> Build:
    """Compile a network that was trained in this process."""
    network, name = trained.network, trained.experiment.model.name
    stimulus, calibration = (
        repeat_over_steps(trained.still_steps, samples) for samples in (trained.stimulus, trained.calibration)
    )
    if isinstance(network, Graph):
        module, graph = None, network
    else:
        module = with_real_readout(network, stimulus)
        graph = from_torch(module, classes=trained.classes, name=name)
    source = None if trained.own is None else trained.own.source
    facts = BuildFacts(sizes=sizes_of(trained, graph, stimulus), source=source, outputs=trained.outputs)
    prepared = Prepared(module, graph, stimulus, calibration)
    build = _compile_prepared(prepared, target, quantization, facts, loop_delay=loop_delay)
    return replace(build, encoder=_encoder_for(build.float_graph, trained))


def _encoder_for(graph: Graph, trained: TrainedRun) -> RawEncoder | None:
    """Return what encodes new samples, if that is what the graph takes, which code of a user lays out."""
    encoder, steps = trained.encoder, trained.still_steps
    if encoder is None or next(encoder_problems(graph, encoder), ""):
        return None
    if steps is None or not encoder.still or steps == encoder.steps:
        return encoder
    return encoder.shown_for(steps)


def float_agreement(network: Network | FeedForward, graph: Graph, stimulus: Stimulus) -> str:
    """Return in words how far PyTorch's forward pass agrees with the float graph, on the first samples."""
    checked = min(_CHECKED_SAMPLES, recording_batch(graph, stimulus.steps))
    first = fit_stimulus(graph, stimulus.take(slice(0, checked)))
    trace = load_target(DEFAULT_EXECUTOR).build(graph).run(first, record=("spikes", "v"))
    return str(check_float(network, first.values, trace))


def repeat_over_steps(steps: int | None, stimulus: Stimulus) -> Stimulus:
    """Return single pictures as frames that are shown at every step, in the memory of one.

    Args:
        steps: For how many steps; None where samples are sequences.
        stimulus: The samples.
    """
    if steps is None:
        return stimulus
    values = {
        name: np.broadcast_to(array[:, None], (len(array), steps, *array.shape[1:]))
        if array.ndim == _IMAGE_BATCH_DIMS
        else array
        for name, array in stimulus.values.items()
    }
    return replace(stimulus, values=values)
