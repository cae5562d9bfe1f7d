"""`pumice check`: does a build fit a chip, and what would it cost there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.check_fpga import answer_fpgas
from toolchain.cli.check_processor import answer_processors
from toolchain.cli.console import answer, out, print_table, stages
from toolchain.cli.options import AsJson, BuildFolder, StimulusFile

if TYPE_CHECKING:
    from toolchain.execution.stimulus import Stimulus
    from toolchain.execution.trace import Trace
    from toolchain.target.chip_fit import Fit
    from toolchain.workflow.build_folder import Build
    from toolchain.workflow.check import Resources


def check(
    build: BuildFolder,
    *,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            "-t",
            metavar="NAME",
            help="loihi1, loihi2 or another chip, c for processors, rtl for FPGAs; by default the build's.",
        ),
    ] = None,
    chips: Annotated[int, typer.Option(min=1, metavar="N", help="Number of chips.")] = 1,
    profile: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            metavar="FILE",
            help="Limits of another chip (TOML); of processors and boards a name, such as stm32f411 or "
            "icebreaker, or a file.",
        ),
    ] = None,
    stimulus: StimulusFile = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            metavar="FILE",
            help="Trace (.npz) that 'pumice run' wrote for these samples; by default the emulator runs them.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(readable=False, metavar="FILE", help="HTML page to write, with a map of the cores."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a build fits a chip and on which cores, a processor or an FPGA, and what a step takes."""
    from toolchain.execution.stimulus import Stimulus
    from toolchain.execution.trace import Trace
    from toolchain.fidelity.resources_page import write_resources
    from toolchain.files.disk import check_output_file
    from toolchain.target.registry import makes_designs, writes_programs
    from toolchain.workflow.check import check_build
    from toolchain.workflow.load import load

    if report is not None:
        check_output_file(report)
    loaded = load(build)
    samples = None if stimulus is None else Stimulus.open(stimulus)
    recorded = None if trace is None else Trace.load(trace)
    for knows, checked in ((writes_programs, _check_processors), (makes_designs, _check_boards)):
        if knows(target or loaded.target):
            _refuse_cores(chips, report)
            checked(loaded, profile, target, samples, recorded, as_json=as_json)
            return
    with stages(quiet=as_json) as progress:
        progress("fill cores", 0, 1)
        resources = check_build(
            loaded, target, stimulus=samples, trace=recorded, chips=chips, profile=profile
        )
        progress("fill cores", 1, 1)
    if report is not None:
        write_resources(report, resources.fit, resources.metrics)
    if as_json:
        answer(resources.document().model_dump(mode="json"))
    else:
        _print_resources(resources)
        if report is not None:
            out.print(f"report: {report}", soft_wrap=True)
    resources.require_fit()


def _check_processors(
    build: "Build",
    profile: Path | None,
    target: str | None,
    samples: "Stimulus | None",
    recorded: "Trace | None",
    *,
    as_json: bool,
) -> None:
    from toolchain.workflow.firmware import check_firmware

    with stages(quiet=as_json) as progress:
        progress("compile", 0, 1)
        checked = check_firmware(build, profile, target, stimulus=samples, trace=recorded)
        progress("compile", 1, 1)
    answer_processors(checked, as_json=as_json, chosen=profile is not None)


def _check_boards(
    build: "Build",
    profile: Path | None,
    target: str | None,
    samples: "Stimulus | None",
    recorded: "Trace | None",
    *,
    as_json: bool,
) -> None:
    from toolchain.workflow.fpga import check_fpga

    with stages(quiet=as_json) as progress:
        checked = check_fpga(
            build,
            profile,
            target,
            stimulus=samples,
            trace=recorded,
            progress=lambda done, total: progress("place and route", done, total),
        )
    answer_fpgas(checked, as_json=as_json, chosen=profile is not None)


def _refuse_cores(chips: int, report: Path | None) -> None:
    from toolchain.errors import UsageError

    if chips != 1 or report is not None:
        raise UsageError("processors and FPGAs have no cores to map: leave --chips and --report out")


def _print_resources(resources: "Resources") -> None:
    metrics = resources.metrics
    print_fit(resources.fit)
    out.print(
        f"NeuroBench: footprint {metrics.footprint_bytes:,} bytes, connection sparsity "
        f"{metrics.connection_sparsity:.3f}, activation sparsity {metrics.activation_sparsity:.3f}, "
        f"per sample {metrics.effective_acs:,.0f} effective ACs, {metrics.effective_macs:,.0f} effective "
        f"MACs, {metrics.dense_operations:,.0f} dense"
    )


def print_fit(fit: "Fit") -> None:
    """Print verdict, layers, traffic, events, estimates and advice."""
    binding, share = fit.binding
    room = fit.chips * fit.cores_per_chip
    verdict = "fits" if fit.fits else f"does not fit: {fit.chips_needed} chips are needed"
    out.print(f"{fit.title}: {verdict}; {len(fit.cores)} of {room} cores", style="bold")
    print_table(
        "layers",
        ("name", "neurons", "cores", "synaptic words", "fullest", "used", "stored"),
        [
            (
                layer.name,
                layer.neurons,
                layer.cores,
                layer.synaptic_words,
                layer.binding,
                f"{layer.utilization:.0%}",
                layer.stored,
            )
            for layer in fit.layers
        ],
    )
    limit = fit.limits[binding]
    out.print(
        f"binding limit: {binding}, {share:.0%} of {limit.value:g} ({limit.source}; "
        f"{limit.confidence_in_words})",
        markup=False,
    )
    before = (
        ""
        if fit.in_order is None
        else f"; one layer after another it would be {fit.in_order.cores} and {fit.in_order.hops:,.1f}"
    )
    out.print(f"{fit.packing.cores} cores and {fit.packing.hops:,.1f} hops a step{before}")
    print_table("events per step", ("event", "mean"), [(name, f"{n:,.1f}") for name, n in fit.events.items()])
    for estimate in fit.estimates:
        out.print(estimate.sentence(fit.steps))
    for line in (*(f"note: {note}" for note in fit.notes), *(f"to take less: {line}" for line in fit.advice)):
        out.tell(line)
