"""`pumice check`: does a build fit a chip, and what would it cost there."""

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.console import out, print_json, print_table, stages
from toolchain.cli.options import AsJson, BuildFolder, StimulusFile
from toolchain.files.disk import check_output_file
from toolchain.target.chip_fit import Fit


def check(
    build: BuildFolder,
    *,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="loihi1, loihi2 or another chip; by default the build's"),
    ] = None,
    chips: Annotated[int, typer.Option(min=1, help="how many chips there are")] = 1,
    profile: Annotated[
        Path | None, typer.Option(readable=False, help="TOML file with the limits of another chip")
    ] = None,
    stimulus: StimulusFile = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            readable=False, help="trace.npz of a run on that input; by default the emulator runs it"
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(readable=False, help="HTML page to write, with a map of the cores")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a build fits a chip, on which cores, and what a step would take."""
    from toolchain.execution.stimulus import Stimulus
    from toolchain.execution.trace import Trace
    from toolchain.fidelity.resources_page import write_resources
    from toolchain.workflow.check import check_build
    from toolchain.workflow.load import load

    if report is not None:
        check_output_file(report, "--report")
    with stages(quiet=as_json) as progress:
        progress("fill cores", 0, 1)
        resources = check_build(
            load(build),
            target,
            stimulus=None if stimulus is None else Stimulus.open(stimulus),
            trace=None if trace is None else Trace.load(trace),
            chips=chips,
            profile=profile,
        )
        progress("fill cores", 1, 1)
    if report is not None:
        write_resources(report, resources.fit, resources.metrics)
    if as_json:
        print_json(resources.document().model_dump(mode="json"))
    else:
        print_fit(resources.fit)
        metrics = resources.metrics
        out.print(
            f"NeuroBench: footprint {metrics.footprint_bytes:,} bytes, connection sparsity "
            f"{metrics.connection_sparsity:.3f}, activation sparsity {metrics.activation_sparsity:.3f}, per "
            "sample "
            f"{metrics.effective_acs:,.0f} effective ACs, {metrics.effective_macs:,.0f} effective MACs, "
            f"{metrics.dense_operations:,.0f} dense",
            markup=False,
        )
        if report is not None:
            out.print(f"report: {report}", markup=False, soft_wrap=True)
    resources.require_fit()


def print_fit(fit: Fit) -> None:
    """Print verdict, layers, traffic, events, estimates and advice."""
    binding, share = fit.binding
    room = fit.chips * fit.cores_per_chip
    verdict = "fits" if fit.fits else f"does not fit: {fit.chips_needed} chips are needed"
    out.print(f"{fit.title}: {verdict}; {len(fit.cores)} of {room} cores", markup=False, style="bold")
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
        f"binding limit: {binding}, {share:.0%} of {limit.value:g} ({limit.source}; confidence "
        f"{limit.confidence})",
        markup=False,
    )
    before = (
        ""
        if fit.in_order is None
        else f", one layer after another {fit.in_order.cores} and {fit.in_order.hops:,.1f}"
    )
    out.print(f"{fit.packing.cores} cores and {fit.packing.hops:,.1f} hops a step{before}", markup=False)
    print_table("events per step", ("event", "mean"), [(name, f"{n:,.1f}") for name, n in fit.events.items()])
    for estimate in fit.estimates:
        out.print(estimate.sentence(fit.steps), markup=False)
    for line in (*(f"note: {note}" for note in fit.notes), *(f"to take less: {line}" for line in fit.advice)):
        out.tell(line)
