"""`pumice compile`: from a trained network to integers for a target."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from toolchain.cli.builds import build_document, print_build
from toolchain.cli.console import answer, stages
from toolchain.cli.options import AsJson, OutFolder, TargetName
from toolchain.reset import MOST_SPIKES

if TYPE_CHECKING:
    from toolchain.progress import StageProgress
    from toolchain.workflow.build_folder import Build
    from toolchain.workflow.judgement import Judgement

_FILE: Final = "A network from a file (.nir, .onnx, .net)"
_INTEGERS: Final = "How numbers become integers"
_TRAINING: Final = "Training with the integers"

EPILOG: Final = """\b
Keys of --quantization:
  rounding            joint (default): the weights of a neuron together, so
                      that their errors cancel on the calibration samples;
                      nearest: each by itself
  split_signs         true (default): excitatory and inhibitory weights in
                      connections of their own, which halves the rounding
                      error; false
  per_neuron          true (default): a scale for every neuron; false: one
                      for a population
  threshold_profiles  most distinct thresholds of a population; those of a
                      chip are known
  decay_profiles      most distinct pairs of decays of a population, likewise
  tau_error           largest relative error of a time constant that
                      decay_profiles may cause, 0.5
  exponents           true (default): a power of two per connection; false,
                      since netx files have none
  replace_reset       zero: let every spike set its potential to zero, and
                      leave out what else the target lacks, such as
                      adaptation; says what that costs

\b
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
"""Tables for the end of the help."""

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
    quantization: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            rich_help_panel=_INTEGERS,
            help="A key of the table below, such as rounding=nearest. May be repeated. Given any, or bits, "
            "the [quantization] of a run's experiment does not count, but for its qat_epochs.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            metavar="FILE",
            rich_help_panel=_INTEGERS,
            help="Samples (.npz) to calibrate on; by default training samples that the run kept, or those "
            "of --example. A network from a file is also trained on them with --qat-epochs, which takes "
            "labels.",
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
    from toolchain.files.disk import check_output_folder
    from toolchain.workflow.build_folder import MANIFEST
    from toolchain.workflow.compile_file import FORMATS
    from toolchain.workflow.quantization import Quantization, parse_bits
    from toolchain.workflow.sections.quantization import parse_settings

    check_output_folder(output, MANIFEST, "a build folder")
    settings = parse_settings(quantization or [])
    if weight_bits:
        settings["weight_bits"] = parse_bits(weight_bits)
    shared: _Options = {
        "target": target,
        # Where nothing is asked for, the experiment of a run decides.
        "quantization": Quantization(**settings) if settings else None,
        "loop_delay": loop_delay,
        "resume": resume,
    }
    meaning: _Options = {"convention": convention, "dt": dt, "reset": reset, "readout": readout}
    of_file: _Options = {"stimulus": stimulus, "max_spikes": max_spikes, "expect": expect}
    compile_it = _compile_file if model.suffix in FORMATS else _compile_run
    with stages(quiet=as_json) as progress:
        build = compile_it(model, shared | {"progress": progress}, of_file | meaning, calibration, qat_epochs)
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


def _compile_run(
    folder: Path, shared: _Options, of_file: _Options, calibration: Path | None, epochs: int | None
) -> "Build":
    from toolchain.errors import UsageError
    from toolchain.execution.stimulus import Stimulus
    from toolchain.workflow.compile import compile_run

    for name, value in of_file.items():
        if value is not None:
            raise UsageError(f"`{name}` does nothing for a run folder", "leave it out")
    samples = None if calibration is None else Stimulus.load(calibration)
    return compile_run(folder, calibration=samples, qat_epochs=epochs, **shared)


def _compile_file(
    path: Path, shared: _Options, of_file: _Options, calibration: Path | None, epochs: int | None
) -> "Build":
    from toolchain.errors import UsageError
    from toolchain.execution.stimulus import Stimulus
    from toolchain.rate_coding.spiking_network import RateCode
    from toolchain.workflow.compile_file import compile_file
    from toolchain.workflow.quantization import RepairOptions

    example, most = of_file["stimulus"], of_file["max_spikes"]
    if epochs:
        _check_training(calibration, example)
    elif shared["resume"] is not None:
        raise UsageError(
            "`resume` keeps the state of `qat_epochs`", "give a number of epochs, or leave it out"
        )
    samples = None if calibration is None else Stimulus.load(calibration)
    return compile_file(
        path,
        convention=of_file["convention"],
        dt=of_file["dt"],
        reset=of_file["reset"],
        readout=of_file["readout"],
        code=None if most is None else RateCode(max_spikes=most),
        stimulus=None if example is None else Stimulus.load(example),
        calibration=samples,
        train=samples if epochs else None,
        expect=of_file["expect"],
        repair=RepairOptions.of_epochs(epochs) if epochs else None,
        **shared,
    )


def _check_training(samples: Path | None, example: Path | None) -> None:
    """Raise for a training without samples, and for one that would be judged by its own."""
    from toolchain.errors import UsageError

    if samples is None:
        raise UsageError(
            "a file has no training samples, and `qat_epochs` needs some with labels",
            "give them as `calibration=samples.npz`, with arrays by the names of inputs and 'labels'",
        )
    if example is None or not (samples.exists() and example.exists()):
        return
    if samples.samefile(example):
        raise UsageError(
            f"'{example}' is given as `calibration` and as `stimulus`: a network cannot be judged by what it "
            "was trained on",
            "hold some samples out for `stimulus`",
        )
