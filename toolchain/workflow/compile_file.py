"""Compiling networks from files of other frameworks."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import nir
import numpy as np
from numpy.typing import NDArray

from toolchain.bars import draws
from toolchain.errors import FrontendError, StimulusError, UsageError
from toolchain.execution.stimulus import Stimulus, check_stimulus, shared_samples
from toolchain.files.atomic import sha256
from toolchain.files.disk import check_file
from toolchain.intake import PathText, choice_of, names_of, path_of, real_of
from toolchain.interchange.netx.from_netx import from_netx
from toolchain.interchange.nir.file import read_nir
from toolchain.interchange.nir.from_nir import NirReadout, from_nir
from toolchain.interchange.nir.metadata import named_convention
from toolchain.interchange.onnx.from_onnx import from_onnx
from toolchain.ir import Decode, Graph
from toolchain.ir.imported import Imported
from toolchain.memory import enough_memory
from toolchain.passes import Pipeline, explain_quantization
from toolchain.progress import StageProgress, default_stages, stage_progress
from toolchain.rate_coding.spiking_network import RateCode
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.visible import visible
from toolchain.workflow.build_facts import BuildFacts, ImportFacts, SourceFacts
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.framework_outputs import Outputs
from toolchain.workflow.import_check import check_graph, find_reading
from toolchain.workflow.other_readings import Reading, other_readings
from toolchain.workflow.quantization import Quantization, RepairOptions, repair_build

FORMATS: Final = (".nir", ".net", ".onnx")
"""Endings of the files that `compile_file` reads."""


@enough_memory("reading the network")
def import_file(
    source: PathText | nir.NIRGraph,
    *,
    convention: str | None = None,
    dt: float | None = None,
    reset: str | float | None = None,
    readout: NirReadout | str | None = None,
    samples: Stimulus | None = None,
    decode: Decode | None = None,
    classes: Sequence[str] = (),
    code: RateCode | None = None,
) -> Imported:
    """Read a network.

    Args:
        source: Path of a `.nir`, `.onnx` or netx `.net` file, or the NIR graph that an exporter returned.
        convention: Meaning of a step in NIR; by default as the file says, or NIR's equations.
        dt: Length of a step in NIR, in the file's unit of time.
        reset: What a spike does to the potential, where neither a NIR file nor its convention can say it:
            `zero`, another potential as a number, `subtract`, `subtract-delayed`, `subtract-several`,
            `zero-delayed` or `none`; see the guide.
        readout: What leaves the neurons that outputs of a NIR file read: `spikes`, or their `membrane`, which
            never fires.
        samples: Samples of the input; whether they are spikes decides what enters.
        decode: Rule by which outputs are read.
        classes: Names of the classes.
        code: Rule by which activations of a classifier in ONNX become rates.

    Raises:
        MissingFileError: There is no such file.
        StimulusError: The samples hold what is no number.
        UsageError: Its ending is not known, or a convention or a code is given for a file that needs none.
        ArtifactError: It is damaged, or not what its ending says.
        FrontendError: The network has a part without counterpart: names it and why.
    """
    for name, array in () if samples is None else samples.values.items():
        _check_finite(name, array)
    classes = names_of(classes, "classes")
    dt = None if dt is None else real_of(dt, "dt")
    readout = None if readout is None else choice_of(readout, "readout", NirReadout)

    def from_graph(graph: nir.NIRGraph, name: str) -> Imported:
        steps = named_convention(graph, convention, dt, reset)
        return from_nir(
            graph, steps, peak=_peaks(samples), decode=decode, classes=classes, name=name, readout=readout
        )

    if isinstance(source, nir.NIRGraph):
        return from_graph(source, "nir")
    path = path_of(source, "source")
    check_file("model", path)
    if path.suffix != ".nir" and any(option is not None for option in (convention, dt, reset, readout)):
        raise UsageError(
            "`convention`, `dt`, `reset` and `readout` say what a .nir file means, and other files say it "
            "themselves",
            "leave them out",
        )
    if path.suffix != ".onnx" and code is not None:
        raise UsageError(
            "`code` says how activations of a classifier in .onnx become spikes; other files hold neurons",
            "leave it out",
        )
    match path.suffix:
        case ".nir":
            return from_graph(read_nir(path), visible(path.stem))
        case ".net":
            return from_netx(path)
        case ".onnx":
            return from_onnx(path, samples=samples, classes=classes, code=code)
        case _:
            raise UsageError(f"expected a file ending in {', '.join(FORMATS)}, got '{path.name}'")


@enough_memory("compiling the file")
@draws()
def compile_file(
    source: PathText | nir.NIRGraph,
    *,
    target: str = DEFAULT_EXECUTOR,
    convention: str | None = None,
    dt: float | None = None,
    reset: str | float | None = None,
    readout: NirReadout | str | None = None,
    stimulus: Stimulus | NDArray[Any] | None = None,
    calibration: Stimulus | NDArray[Any] | None = None,
    quantization: Quantization | None = None,
    decode: Decode | None = None,
    classes: Sequence[str] = (),
    code: RateCode | None = None,
    loop_delay: bool = False,
    train: Stimulus | None = None,
    repair: RepairOptions | None = None,
    resume: PathText | None = None,
    expect: Outputs | None = None,
    progress: StageProgress = default_stages,
) -> Build:
    """Compile a network from a file; see `import_file` and `compile_graph`.

    Integers that a file holds stay as they are, unless they are trained on.

    Args:
        source: Network to read; see `import_file`.
        target: Name of an installed target.
        convention: Meaning of a step in NIR; see `import_file`.
        dt: Length of a step in NIR; see `import_file`.
        reset: What a spike does to the potential in NIR; see `import_file`.
        readout: What leaves the neurons that outputs read in NIR; see `import_file`.
        stimulus: Samples to judge the build by, which stay in it.
        calibration: Samples on which ranges are observed; by default `train`, or else `stimulus`.
        quantization: Options of how real numbers become integers.
        decode: Rule by which outputs are read.
        classes: Names of the classes.
        code: Rule by which activations of a classifier in ONNX become rates.
        loop_delay: Whether loops get the steps that a clocked target needs; see `compile_module`.
        train: Labelled samples on which the network is trained on with its integers; see `repair_build`.
        repair: Options of that training.
        resume: Folder for the state of the training after every epoch.
        expect: What the framework itself computed on `stimulus`; see `check_import`. The build keeps the
            verdict in `facts.source`, and is made whatever it is; `facts.source.require_equal()` raises.
        progress: Callback with the stage and how far it is; by default bars where somebody looks.

    Raises:
        UsageError: Options of quantization, delays or training are asked for a file of integers, the
            training samples have no labels, the network would be judged by what it was trained on, or
            something is expected of a file of integers or without a stimulus.
    """
    stimulus = None if stimulus is None else Stimulus.of(stimulus)
    train = None if train is None else Stimulus.of(train, name="train")
    calibration = (train or stimulus) if calibration is None else Stimulus.of(calibration, name="calibration")
    training_notes = _check_training(train, stimulus, repair, resume)
    options: dict[str, Any] = {
        "convention": convention,
        "dt": dt,
        "reset": reset,
        "readout": readout,
        # What is judged by should not have chosen anything, if there is a choice.
        "samples": calibration,
        "decode": decode,
        "classes": classes,
        "code": code,
    }
    imported, proof = _import_expected(source, options, expect, stimulus)
    if train is not None:
        check_stimulus(imported.graph, train, "train")
    facts = BuildFacts(imported=_import_facts(source, imported, training_notes), source=proof)
    if imported.fixed is not None:
        _check_no_options(quantization, loop_delay=loop_delay)
        build = _keep_integers(imported.graph, imported.fixed, target, stimulus, facts)
    else:
        build = compile_graph(
            imported.graph,
            target=target,
            stimulus=stimulus,
            calibration=calibration,
            quantization=quantization,
            facts=facts,
            loop_delay=loop_delay,
        )
    if train is None:
        return build
    report = stage_progress(progress, "train with integers")
    return repair_build(build, train, repair, resume=resume, progress=report)


def _import_facts(source: PathText | nir.NIRGraph, imported: Imported, more: tuple[str, ...]) -> ImportFacts:
    rests = {name: tuple(np.ravel(rest).tolist()) for name, rest in imported.rests.items()}
    facts = ImportFacts(notes=(*imported.notes, *more), warnings=imported.warnings, rests=rests)
    if isinstance(source, nir.NIRGraph):
        return facts
    path = path_of(source, "source")
    return facts.model_copy(update={"file": path.name, "sha256": sha256(path)})


def _import_expected(
    source: PathText | nir.NIRGraph,
    options: dict[str, Any],
    expect: Outputs | None,
    stimulus: Stimulus | None,
) -> tuple[Imported, SourceFacts | None]:
    """Read a network, and say how far it is what its framework computed, if that is known."""
    if expect is None:
        return import_file(source, **options), None
    if stimulus is None:
        raise UsageError(
            "`expect` holds what the framework computed, and nothing says on which samples",
            "give the same samples as `stimulus`",
        )
    readings = _other_readings(source, options)
    try:
        imported = import_file(source, **options)
    except FrontendError as error:
        equal = find_reading(expect, stimulus, readings)
        if equal:
            error.add_note(f"with {equal} all steps are equal to what the framework computed")
        raise
    if imported.fixed is not None:
        raise UsageError(
            "`expect` is compared with real numbers, and the file holds integers", "leave out `expect`"
        )
    return imported, check_graph(imported.graph, expect, stimulus, imported.rests, readings).document()


def _other_readings(source: PathText | nir.NIRGraph, options: dict[str, Any]) -> Iterator[Reading]:
    """Yield what else a file may mean; nothing for one that says it itself."""
    if not isinstance(source, nir.NIRGraph):
        path = path_of(source, "source")
        if path.suffix != ".nir":
            return
        source = read_nir(path)
    graph = source

    def read(**changes: str | None) -> Imported:
        arguments: dict[str, Any] = options | changes
        return import_file(graph, **arguments)

    yield from other_readings(read, options["convention"], options["reset"])


def _check_no_options(quantization: Quantization | None, *, loop_delay: bool) -> None:
    """Raise if integers that a file holds are to become others."""
    if quantization is not None and quantization != Quantization():
        raise UsageError(
            "the file holds integers, which stay as they are", "leave out options of quantization"
        )
    if loop_delay:
        raise UsageError("the file holds integers with their delays", "leave out `loop_delay`")


def _keep_integers(
    graph: Graph, fixed: Graph, target: str, stimulus: Stimulus | None, facts: BuildFacts
) -> Build:
    """Return the build of a file that holds integers."""
    legal = Pipeline(tuple(load_target(target).legalization()))(fixed)
    report = explain_quantization(graph, legal, steps=None if stimulus is None else stimulus.steps)
    return Build(graph, legal, target, report, stimulus, facts)


def _check_training(
    train: Stimulus | None, stimulus: Stimulus | None, repair: RepairOptions | None, resume: PathText | None
) -> tuple[str, ...]:
    """Return what is to be said of training samples that the network is also judged by.

    Raises:
        UsageError: They have no labels, or are all that it is judged by; or options of a training are given
            without samples.
    """
    if train is None:
        if repair is not None or resume is not None:
            raise UsageError("training with the integers needs samples with labels", "give some as `train`")
        return ()
    if train.labels is None:
        raise UsageError(
            "the training samples have no labels",
            "add an array named 'labels' to `train`, with the class of every sample, whole numbers from 0, "
            "or real values [samples, outputs]",
        )
    shared = 0 if stimulus is None else shared_samples(stimulus, train)
    if stimulus is None or not shared:
        return ()
    if shared == stimulus.samples:
        raise UsageError(
            f"all {shared:,} samples of `stimulus` are among those of `train`: a network cannot be judged by "
            "what it was trained on",
            "hold some samples out for `stimulus`",
        )
    return (f"{shared:,} of the {stimulus.samples:,} samples that it is judged by are training samples too",)


def _check_finite(name: str, array: NDArray[Any]) -> None:
    """Raise for NaN and infinity, which would pass for the scale of the samples."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    wrong = ~np.isfinite(array)
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    raise StimulusError(
        f"array '{name}' holds {int(wrong.sum())} values that are not finite, the first ({array[first]}) at "
        f"{list(first)} of {list(array.shape)}; replace them or leave out their samples"
    )


def _peaks(samples: Stimulus | None) -> dict[str, float]:
    """Return the largest absolute value of every input that is not spikes."""
    return {
        # The least of whole numbers has no absolute value among them.
        name: float(np.abs(array.astype(np.float64)).max())
        for name, array in ({} if samples is None else samples.values).items()
        if not np.isin(array, (0, 1)).all()
    }
