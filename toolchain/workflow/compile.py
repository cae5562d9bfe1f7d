"""Compiling and running as plain calls. The command line adds nothing to them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import UsageError
from toolchain.execution.stimulus import Stimulus, check_stimulus, fit_stimulus
from toolchain.files.disk import check_exists
from toolchain.frontends import as_model, check_float, from_torch
from toolchain.intake import PathText, check_type, count_of, names_of, path_of
from toolchain.ir import Graph
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
from toolchain.progress import StageProgress, no_stages, of_stage
from toolchain.target.registry import load_target
from toolchain.workflow.build_facts import BuildFacts
from toolchain.workflow.build_folder import Build
from toolchain.workflow.pass_graphs import PassRecord
from toolchain.workflow.quantization import EMULATOR, Quantization, observe_ranges, part_size, repair_build
from toolchain.workflow.run_folder import TrainedRun, is_run
from toolchain.workflow.sizes import sizes_of
from toolchain.workflow.train import repair_options, training_samples

_STILL: Final = 4
_CHECKED_SAMPLES: Final = 64

Example = Tensor | NDArray[Any] | Sequence[Any] | Mapping[str, Any] | Stimulus


@enough_memory("compiling the network")
def compile_module(
    module: nn.Module,
    example: Example | None = None,
    *,
    target: str = EMULATOR,
    calibration: Example | None = None,
    classes: Sequence[str] = (),
    quantization: Quantization | None = None,
    loop_delay: bool = False,
) -> Build:
    """Compile a PyTorch module for a target.

    Args:
        module: `models.Network`, `models.FeedForward`, or an `nn.Sequential` of what `from_torch` knows.
        example: Samples `[batch, time, channels]`, frames `[batch, time, C, H, W]`, or still images
            `[batch, C, H, W]`, which are shown for as many steps as the network says. Kept in the build to
            run it on, and its length sharpens range proofs.
        target: Name of an installed target.
        calibration: Training samples on which ranges are observed; by default `example`.
        classes: Names of the classes.
        quantization: How real numbers become integers.
        loop_delay: Whether loops that no clocked target can run get the steps they lack, in real numbers too;
            `Build.notes` says which. See `passes.DelayLoops`.

    Returns:
        The build: float graph, fixed graph, and what quantization did.
    """
    stimulus = None if example is None else Stimulus.of(example, name="example")
    values = None if stimulus is None else next(iter(stimulus.values.values()), None)
    network = as_model(module, values)
    graph = from_torch(network, classes=names_of(classes, "classes"))
    stimulus = _shown(network, stimulus)
    observed = (
        stimulus if calibration is None else _shown(network, Stimulus.of(calibration, name="calibration"))
    )
    build = compile_graph(
        graph,
        target=target,
        stimulus=stimulus,
        calibration=observed,
        quantization=quantization,
        loop_delay=loop_delay,
    )
    # Compiling has looked at the samples first, and says what is wrong with them. PyTorch adds no delays.
    if stimulus is None or build.facts.loop_delays:
        return build
    agreement = float_agreement(network, graph, stimulus)
    return replace(build, facts=build.facts.model_copy(update={"float_agreement": agreement}))


@enough_memory("compiling the network")
def compile_graph(
    graph: Graph,
    *,
    target: str = EMULATOR,
    stimulus: Stimulus | None = None,
    calibration: Stimulus | None = None,
    quantization: Quantization | None = None,
    facts: BuildFacts | None = None,
    loop_delay: bool = False,
) -> Build:
    """Compile a float graph for a target; see `compile_module`."""
    place = load_target(target)
    for name, given in (("example", stimulus), ("calibration", calibration)):
        if given is not None:
            check_stimulus(graph, given, name)
    chosen = check_type(quantization or Quantization(), "quantization", Quantization).within(place.profile)
    chosen.check_names(graph)
    record = PassRecord()
    float_graph = Pipeline((RemoveDeadNeurons(), FoldDelays()), record)(graph)
    told = check_type(facts or BuildFacts(), "facts", BuildFacts)
    if loop_delay:
        delays = tuple(str(each) for each in find_loop_delays(float_graph))
        # PyTorch was compared with the network before.
        agreement = None if delays else told.float_agreement
        told = told.model_copy(update={"loop_delays": delays, "float_agreement": agreement})
        float_graph = Pipeline((DelayLoops(),), record)(float_graph)
    elif (loop := slow_loop(list(clocked_edges(float_graph)))) is not None:
        told = told.model_copy(update={"fast_loop": " -> ".join((*loop, loop[0]))})
    float_graph = Pipeline(chosen.preparation(), record)(float_graph)
    observed = None if calibration is None else observe_ranges(float_graph, calibration)
    steps = max((item.steps for item in (stimulus, calibration) if item is not None), default=None)
    passes = (*chosen.passes(steps, observed, place.profile), *place.legalization())
    fixed_graph = Pipeline(passes, record)(float_graph)
    float_graph = SplitHalves(fixed=fixed_graph)(float_graph)
    report = explain_quantization(float_graph, fixed_graph, steps=steps, calibration=observed)
    report = report.model_copy(update={"options": chosen.told()})
    return Build(float_graph, fixed_graph, target, report, stimulus, told, record.graphs)


@enough_memory("compiling the run")
def compile_run(
    folder: PathText,
    *,
    target: str,
    quantization: Quantization | None = None,
    calibration: Stimulus | None = None,
    qat_epochs: int = 0,
    loop_delay: bool = False,
    resume: PathText | None = None,
    progress: StageProgress = no_stages,
) -> Build:
    """Compile a finished training.

    Args:
        folder: The run folder.
        target: Name of an installed target.
        quantization: How real numbers become integers.
        calibration: Samples to calibrate on; by default the training samples that the run kept.
        qat_epochs: Epochs of quantization-aware training on the run's training samples; 0 for none.
        loop_delay: Whether loops get the steps that a clocked target needs; see `compile_module`.
        resume: Folder for the state of that training after every epoch; see `repair_build`.
        progress: Told the stage and how far it is.
    """
    folder = path_of(folder, "folder")
    epochs = count_of(qat_epochs, "qat_epochs")
    check_exists("model", folder)
    if not is_run(folder):
        raise UsageError(
            f"'{folder}' is neither a run folder, as 'pumice train' writes, "
            "nor a .nir, "
            ".onnx or netx .net file"
        )
    trained = TrainedRun.load(folder)
    kept = trained if calibration is None else replace(trained, calibration=calibration)
    build = compile_trained(kept, target, quantization, loop_delay=loop_delay)
    if epochs:
        experiment = trained.experiment
        options = repair_options(experiment, epochs)
        told = of_stage(progress, "train with integers")
        build = repair_build(build, training_samples(experiment), options, resume=resume, progress=told)
    return build


def compile_trained(
    trained: TrainedRun, target: str, quantization: Quantization | None = None, *, loop_delay: bool = False
) -> Build:
    """Compile a network that was trained in this process."""
    graph = from_torch(trained.network, classes=trained.classes, name="hrsnn")
    return compile_graph(
        graph,
        target=target,
        stimulus=trained.stimulus,
        calibration=trained.calibration,
        quantization=quantization,
        facts=BuildFacts(
            sizes=sizes_of(trained, graph),
            float_agreement=float_agreement(trained.network, graph, trained.stimulus),
        ),
        loop_delay=loop_delay,
    )


def float_agreement(network: Network | FeedForward, graph: Graph, stimulus: Stimulus) -> str:
    """Return in words how far PyTorch's forward pass agrees with the float graph, on the first samples."""
    checked = min(_CHECKED_SAMPLES, part_size(graph, stimulus.steps))
    part = fit_stimulus(graph, stimulus.take(slice(0, checked)))
    trace = load_target(EMULATOR).build(graph).run(part, record=("spikes", "v"))
    return str(check_float(network, part.values, trace))


def _shown(network: Network | FeedForward, stimulus: Stimulus | None) -> Stimulus | None:
    """Return still images as frames: shown at every step."""
    if stimulus is None or not isinstance(network, FeedForward):
        return stimulus
    values = {
        name: _repeated(array, network.steps) if array.ndim == _STILL else array
        for name, array in stimulus.values.items()
    }
    return Stimulus(values, stimulus.labels, stimulus.lengths)


def _repeated(images: NDArray[Any], steps: int) -> NDArray[Any]:
    """Return still images at every step, in the memory of one."""
    return np.broadcast_to(images[:, None], (len(images), steps, *images.shape[1:]))
