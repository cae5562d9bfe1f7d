"""`pumice compile`: from a trained network to integers for a target."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from toolchain.cli.console import out, print_json, print_table, stages
from toolchain.cli.options import AsJson, OutFolder, TargetName
from toolchain.errors import UsageError
from toolchain.files.disk import check_output_folder

if TYPE_CHECKING:
    from toolchain.passes.quantization.report import QuantizationReport

_SIGNS: Final = {"mixed": "+-", "excitatory": "+", "inhibitory": "-"}


def compile_model(
    model: Annotated[
        Path,
        typer.Argument(
            readable=False,
            help="run folder, as written by 'pumice train', or a .nir, .onnx or netx .net file",
        ),
    ],
    output: OutFolder,
    *,
    stimulus: Annotated[
        Path | None,
        typer.Option(
            "--example",
            readable=False,
            help="for a file: stimulus.npz to judge and calibrate on, kept in the build",
        ),
    ] = None,
    convention: Annotated[
        str | None,
        typer.Option(
            help="for .nir: what a step is; nir, snntorch, norse, sinabs, spikingjelly, lava-dl, ..."
        ),
    ] = None,
    dt: Annotated[float | None, typer.Option(help="for .nir: seconds of a step")] = None,
    target: TargetName = "emulator",
    weight_bits: Annotated[
        list[str] | None,
        typer.Option(
            help="bits of a weight, 2 .. 15, above 8 in two synapses: a number or NAME=BITS; may be repeated"
        ),
    ] = None,
    split_signs: Annotated[
        bool, typer.Option(help="excitatory and inhibitory connections apart: half the rounding error")
    ] = True,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            help="stimulus.npz to calibrate on; by default training samples that the run kept, or --example",
        ),
    ] = None,
    calibrated: Annotated[
        bool, typer.Option(help="round weights together on the calibration samples, or one by one")
    ] = True,
    per_neuron: Annotated[
        bool, typer.Option("--per-neuron/--per-population", help="a scale per neuron, or one for all of them")
    ] = True,
    threshold_profiles: Annotated[
        int | None, typer.Option(min=1, help="at most so many distinct thresholds per population")
    ] = None,
    decay_profiles: Annotated[
        int | None, typer.Option(min=1, help="at most so many distinct decays per population")
    ] = None,
    tau_error: Annotated[
        float, typer.Option(min=0, help="largest relative error of a time constant from --decay-profiles")
    ] = 0.5,
    exponents: Annotated[
        bool, typer.Option(help="powers of two per connection; netx files know none")
    ] = True,
    loop_delay: Annotated[
        bool,
        typer.Option(
            "--loop-delay",
            help="give loops the steps that clocked chips need, in real numbers too; says which",
        ),
    ] = False,
    qat_epochs: Annotated[
        int, typer.Option(min=0, help="epochs of training with the integers (quantization-aware)")
    ] = 0,
    train: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            help="for a file: samples.npz with labels, for --qat-epochs; also to calibrate on, by default",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the order of --train samples")] = 0,
    resume: Annotated[
        Path | None,
        typer.Option(
            readable=False, help="folder that keeps the state after every epoch of --qat-epochs; continues it"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Quantize a trained network for a target and write a build folder with its report."""
    from toolchain.execution.stimulus import Stimulus
    from toolchain.passes import Rounding
    from toolchain.workflow.build_folder import MANIFEST
    from toolchain.workflow.compare import compare_build
    from toolchain.workflow.compile import compile_run
    from toolchain.workflow.compile_file import FORMATS, compile_file
    from toolchain.workflow.quantization import Quantization, RepairOptions, parse_bits

    check_output_folder(output, MANIFEST, "a build folder")
    if resume is not None and not qat_epochs:
        raise UsageError("--resume keeps the state of --qat-epochs; give a number of epochs, or leave it out")
    quantization = Quantization(
        weight_bits=parse_bits(weight_bits or []),
        split_signs=split_signs,
        rounding=Rounding.CALIBRATED if calibrated else Rounding.NEAREST,
        per_neuron=per_neuron,
        threshold_profiles=threshold_profiles,
        decay_profiles=decay_profiles,
        tau_error=tau_error,
        exponents=exponents,
    )
    observed = None if calibrate is None else Stimulus.load(calibrate)
    with stages(quiet=as_json) as progress:
        if model.suffix not in FORMATS:
            _none_given({"--example": stimulus, "--convention": convention, "--dt": dt}, "a run folder")
            _none_given(
                {"--train": train, "--seed": seed or None}, "a run folder, which names its own samples"
            )
            build = compile_run(
                model,
                target=target,
                quantization=quantization,
                calibration=observed,
                qat_epochs=qat_epochs,
                loop_delay=loop_delay,
                resume=resume,
                progress=progress,
            )
        else:
            _check_training(train, stimulus, qat_epochs)
            build = compile_file(
                model,
                target=target,
                convention=convention,
                dt=dt,
                stimulus=None if stimulus is None else Stimulus.load(stimulus),
                calibration=observed,
                quantization=quantization,
                loop_delay=loop_delay,
                train=None if train is None else Stimulus.load(train),
                repair=RepairOptions.of_epochs(qat_epochs, seed) if qat_epochs else None,
                resume=resume,
                progress=progress,
            )
        judged = build.stimulus is not None
        judgement = compare_build(build, attribute=True, progress=progress) if judged else None
        build.save(output, judgement)
    notes = list(build.notes)
    if as_json:
        document = {
            "build": str(output),
            "target": target,
            "quantization": build.quantization.model_dump(mode="json"),
        }
        print_json(document | ({"notes": notes} if notes else {}))
        return
    for note in notes:
        out.tell(f"note: {note}")
    repair = build.facts.repair
    if repair is not None:
        epochs = "1 epoch" if repair.epochs == 1 else f"{repair.epochs} epochs"
        loss = "" if repair.loss is None else f", loss {repair.loss:.4f}"
        out.print(f"trained {epochs} with the integers{loss}", markup=False)
    print_quantization(build.quantization)
    for item in () if judgement is None else judgement.clipped:
        out.tell(f"warning: {item}")
    if judgement is None:
        out.print("not judged: give samples with --example stimulus.npz", markup=False)
        return
    if judgement.resources is not None:
        fit = judgement.resources.fit
        verdict = "fits" if fit.fits else f"does not fit, {fit.chips_needed} chips are needed"
        cores = f"{len(fit.cores)} of {fit.chips * fit.cores_per_chip} cores"
        out.print(f"{fit.title}: {verdict}; {cores}; 'pumice check {output}' says more", markup=False)
    elif judgement.misfit:
        out.print(f"warning: it does not fit its chip: {judgement.misfit}", markup=False)
    out.print(f"report: {output / 'report.html'}", markup=False, soft_wrap=True)


def _check_training(train: Path | None, example: Path | None, epochs: int) -> None:
    """Raise for half a training, and for one that would be judged by its own samples."""
    if train is None and epochs:
        raise UsageError(
            "a file has no training samples: --qat-epochs needs some with labels; give them with --train "
            "samples.npz (arrays by the names of inputs, and 'labels')"
        )
    if train is not None and not epochs:
        raise UsageError("--train does nothing by itself; say how long to train with --qat-epochs")
    if train is None or example is None or not (train.exists() and example.exists()):
        return
    if train.samefile(example):
        raise UsageError(
            f"'{example}' is given as --train and as --example: a network cannot be judged by what it was "
            "trained on; hold some samples out for --example"
        )


def _none_given(options: dict[str, object], given: str) -> None:
    """Raise for options that would be without effect."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{name} does nothing for {given}; leave it out")


def print_quantization(report: "QuantizationReport") -> None:
    """Print what quantization did to every graded input, connection and population."""
    for name, given in report.inputs.items():
        out.print(
            f"input '{name}': calibrated for values of {-given.range:.4g} .. {given.range:.4g} in "
            f"{given.bits} bits; what lies beyond is clipped",
            markup=False,
            soft_wrap=True,
        )
    print_table(
        "connections",
        ("name", "signs", "synapses", "bits", "exp", "clipped", "zeroed", "RMS"),
        [
            (
                name,
                _SIGNS[link.sign_mode.value],
                *(link.synapses, link.weight_bits, link.exponent, link.clipped, link.rounded_to_zero),
                f"{100 * link.relative_rms_error:.2f} %",
            )
            for name, link in report.connections.items()
        ],
    )
    print_table(
        "populations",
        ("name", "neurons", "threshold error", "tau error", "range", "never fire"),
        [
            (
                name,
                row.neurons,
                f"{100 * row.largest_threshold_error:.3f} %",
                f"{100 * row.largest_tau_error:.2f} %",
                row.range,
                row.never_fire,
            )
            for name, row in report.populations.items()
        ],
    )
    for item in report.warnings:
        out.tell(f"warning: '{item.node}': {item.text}")
