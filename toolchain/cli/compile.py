"""`pumice compile`: from a trained network to integers for a target."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from toolchain.cli.builds import build_document, print_build
from toolchain.cli.console import answer, stages
from toolchain.cli.options import AsJson, OutFolder, TargetName
from toolchain.reset import MOST_SPIKES, Reset

if TYPE_CHECKING:
    from toolchain.progress import StageProgress
    from toolchain.workflow.build_folder import Build
    from toolchain.workflow.judgement import Judgement

_FILE: Final = "A network from a file (.nir, .onnx, .net)"
_INTEGERS: Final = "How numbers become integers"
_TRAINING: Final = "Training with the integers"

RESETS: Final = """\b
What a spike does to the potential, by framework:
  snntorch      subtract-delayed   its default
                subtract-snntorch  reset_delay=False
                subtract           the same, if a spike always brings the
                                   potential below the threshold
                zero-delayed       reset_mechanism="zero"
                zero               the same with reset_delay=False
                none               reset_mechanism="none"
  sinabs        subtract-several   MultiSpike, its default
                subtract           SingleSpike
                zero               SingleSpike with MembraneReset
  norse         zero               v_reset=0, its default; or a number
  spikingjelly  zero               v_reset=0.0, its default
                subtract           v_reset=None
  rockpool, spyx, lava-dl          their --convention says it

\b
If you are not sure, record what the framework computes and give it as
--expect: the word with which everything is equal is then named.
"""
"""A table for the end of the help."""

_Options = dict[str, Any]


def compile_model(
    model: Annotated[
        Path,
        typer.Argument(
            readable=False,
            metavar="MODEL",
            help="Run folder that 'pumice train' wrote, or a .nir, .onnx or netx .net file.",
        ),
    ],
    output: OutFolder,
    *,
    target: TargetName = "emulator",
    loop_delay: Annotated[
        bool,
        typer.Option("--loop-delay", help="Delay loops that are too fast for clocked chips, and say which."),
    ] = False,
    stimulus: Annotated[
        Path | None,
        typer.Option(
            "--example",
            readable=False,
            metavar="FILE",
            rich_help_panel=_FILE,
            help="Samples (.npz) to judge the integers by, and to calibrate on; the build keeps them. With "
            "labels the accuracy is told.",
        ),
    ] = None,
    convention: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=_FILE,
            help="For .nir, the framework that says what a step is: snntorch, norse, sinabs, spikingjelly, "
            "lava-dl, ... Without it NIR's own equations are taken, unless the file names one.",
        ),
    ] = None,
    dt: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", rich_help_panel=_FILE, help="For .nir, the length of a step."),
    ] = None,
    reset: Annotated[
        str | None,
        typer.Option(
            metavar="WORD",
            rich_help_panel=_FILE,
            help="For .nir, what a spike does to the potential, which most files do not say: a word of the "
            "table below, or the potential as a number.",
        ),
    ] = None,
    readout: Annotated[
        Literal["spikes", "membrane"] | None,
        typer.Option(
            metavar="WHAT",
            rich_help_panel=_FILE,
            help="For .nir, what leaves the last neurons: spikes, or membrane if they never fire.",
        ),
    ] = None,
    max_spikes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_SPIKES,
            metavar="N",
            rich_help_panel=_FILE,
            help="For a classifier in .onnx, the most spikes that a neuron sends in one step, each of which "
            "subtracts: more need fewer steps. By default one, which resets to zero.",
        ),
    ] = None,
    expect: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            metavar="FILE",
            rich_help_panel=_FILE,
            help="What the framework itself computed on --example (.npz, arrays NAME.spikes or NAME.v of "
            "[batch, time, neurons]). The network must be equal to it: else exit code 4.",
        ),
    ] = None,
    weight_bits: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BITS",
            rich_help_panel=_INTEGERS,
            help="Bits of a weight, 2 .. 15 (default: 8; more take two synapses); NAME=BITS for one "
            "connection. May be repeated.",
        ),
    ] = None,
    rounding: Annotated[
        Literal["joint", "nearest"],
        typer.Option(
            metavar="HOW",
            rich_help_panel=_INTEGERS,
            help="joint: the weights of a neuron together, so that their errors cancel on the calibration "
            "samples. nearest: each by itself.",
        ),
    ] = "joint",
    calibration: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            metavar="FILE",
            rich_help_panel=_INTEGERS,
            help="Samples (.npz) to calibrate on; by default training samples that the run kept, or those "
            "of --train or --example.",
        ),
    ] = None,
    split_signs: Annotated[
        bool,
        typer.Option(
            rich_help_panel=_INTEGERS,
            help="Keep excitatory and inhibitory weights in connections of their own, which halves the "
            "rounding error.",
        ),
    ] = True,
    per_neuron: Annotated[
        bool,
        typer.Option(
            "--per-neuron/--per-population",
            rich_help_panel=_INTEGERS,
            help="Give every neuron a scale of its own, or a population one for all.",
        ),
    ] = True,
    threshold_profiles: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", rich_help_panel=_INTEGERS, help="Distinct thresholds per population, at most."
        ),
    ] = None,
    decay_profiles: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", rich_help_panel=_INTEGERS, help="Distinct decays per population, at most."
        ),
    ] = None,
    tau_error: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SHARE",
            rich_help_panel=_INTEGERS,
            help="Largest relative error of a time constant that --decay-profiles may cause.",
        ),
    ] = 0.5,
    exponents: Annotated[
        bool,
        typer.Option(
            rich_help_panel=_INTEGERS,
            help="Allow a power of two per connection; netx files have none.",
        ),
    ] = True,
    replace_reset: Annotated[
        Literal["zero"] | None,
        typer.Option(
            metavar="zero",
            rich_help_panel=_INTEGERS,
            help="Let every spike set its potential to zero, and leave out what else the target lacks, such "
            "as adaptation; says what that costs.",
        ),
    ] = None,
    qat_epochs: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            rich_help_panel=_TRAINING,
            help="Epochs of training with the integers (quantization-aware); by default none, or what the "
            "experiment of a run says.",
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            metavar="FILE",
            rich_help_panel=_TRAINING,
            help="For a network from a file: labelled samples (.npz) to train on; a run has its own.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", rich_help_panel=_TRAINING, help="Seed of the order of --train samples."
        ),
    ] = 0,
    resume: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            metavar="FOLDER",
            rich_help_panel=_TRAINING,
            help="Keep the state after every epoch in this folder, and continue from it.",
        ),
    ] = None,
    causes: Annotated[
        bool,
        typer.Option(
            "--causes/--no-causes",
            help="Split the loss by cause, which takes most of the time; 'pumice compare --causes' does it "
            "later.",
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Turn a trained network into integers for a target, and write a build folder with its report."""
    from toolchain.execution.stimulus import Stimulus
    from toolchain.files.disk import check_output_folder
    from toolchain.passes import Rounding
    from toolchain.workflow.build_folder import MANIFEST
    from toolchain.workflow.compile_file import FORMATS
    from toolchain.workflow.quantization import Quantization, parse_bits

    check_output_folder(output, MANIFEST, "a build folder")
    quantization = Quantization(
        weight_bits=parse_bits(weight_bits or []),
        split_signs=split_signs,
        rounding=Rounding(rounding),
        per_neuron=per_neuron,
        threshold_profiles=threshold_profiles,
        decay_profiles=decay_profiles,
        tau_error=tau_error,
        exponents=exponents,
        replace_reset=None if replace_reset is None else Reset(replace_reset),
    )
    shared: _Options = {
        "target": target,
        "quantization": quantization,
        "calibration": None if calibration is None else Stimulus.load(calibration),
        "loop_delay": loop_delay,
        "resume": resume,
    }
    meaning: _Options = {"convention": convention, "dt": dt, "reset": reset, "readout": readout}
    of_file: _Options = {"stimulus": stimulus, "max_spikes": max_spikes, "train": train, "expect": expect}
    of_file |= meaning
    compile_it = _compile_file if model.suffix in FORMATS else _compile_run
    with stages(quiet=as_json) as progress:
        build = compile_it(model, shared | {"progress": progress}, of_file, qat_epochs, seed)
        judgement = _judge(build, progress, causes=causes)
        build.save(output, judgement)
    if as_json:
        answer(build_document(build, output))
    else:
        print_build(build, judgement, output)
    if build.facts.source is not None:
        build.facts.source.require_equal()


def _judge(build: "Build", progress: "StageProgress", *, causes: bool) -> "Judgement | None":
    """Return the comparison of a build on its own samples; None if it has none."""
    from toolchain.workflow.compare import compare_build

    return None if build.stimulus is None else compare_build(build, attribute=causes, progress=progress)


def _compile_run(folder: Path, shared: _Options, of_file: _Options, epochs: int | None, seed: int) -> "Build":
    from toolchain.errors import UsageError
    from toolchain.workflow.compile import compile_run
    from toolchain.workflow.quantization import Quantization

    for name, value in (of_file | {"seed": seed or None}).items():
        if value is not None:
            own = ", which names its own samples" if name in {"train", "seed"} else ""
            raise UsageError(f"`{name}` does nothing for a run folder{own}", "leave it out")
    if shared["quantization"] == Quantization():
        # Nothing was asked for, so that the experiment of the run decides.
        shared["quantization"] = None
    return compile_run(folder, qat_epochs=epochs, **shared)


def _compile_file(path: Path, shared: _Options, of_file: _Options, epochs: int | None, seed: int) -> "Build":
    from toolchain.execution.stimulus import Stimulus
    from toolchain.rate_coding.spiking_network import RateCode
    from toolchain.workflow.compile_file import compile_file
    from toolchain.workflow.quantization import RepairOptions

    epochs = epochs or 0
    example, train, most = (of_file[name] for name in ("stimulus", "train", "max_spikes"))
    _check_training(train, example, epochs)
    _check_resume(shared, epochs)
    return compile_file(
        path,
        convention=of_file["convention"],
        dt=of_file["dt"],
        reset=of_file["reset"],
        readout=of_file["readout"],
        code=None if most is None else RateCode(max_spikes=most),
        stimulus=None if example is None else Stimulus.load(example),
        train=None if train is None else Stimulus.load(train),
        expect=of_file["expect"],
        repair=RepairOptions.of_epochs(epochs, seed) if epochs else None,
        **shared,
    )


def _check_resume(shared: _Options, epochs: int) -> None:
    from toolchain.errors import UsageError

    if shared["resume"] is not None and not epochs:
        raise UsageError(
            "`resume` keeps the state of `qat_epochs`", "give a number of epochs, or leave it out"
        )


def _check_training(train: Path | None, example: Path | None, epochs: int) -> None:
    """Raise for half a training, and for one that would be judged by its own samples."""
    from toolchain.errors import UsageError

    if train is None and epochs:
        raise UsageError(
            "a file has no training samples, and `qat_epochs` needs some with labels",
            "give them as `train=samples.npz`, with arrays by the names of inputs and one named 'labels'",
        )
    if train is not None and not epochs:
        raise UsageError("`train` does nothing by itself", "say with `qat_epochs` how long to train")
    if train is None or example is None or not (train.exists() and example.exists()):
        return
    if train.samefile(example):
        raise UsageError(
            f"'{example}' is given as `train` and as `stimulus`: a network cannot be judged by what it was "
            "trained on",
            "hold some samples out for `stimulus`",
        )
