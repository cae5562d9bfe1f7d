"""`pumice compare`: how far the integers are the network that was trained; gates for CI."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.console import answer, out, print_table, stages
from toolchain.cli.options import AsJson, BuildFolder, Scheduler, StimulusFile, Workers
from toolchain.cli.places import opened_build

if TYPE_CHECKING:
    from toolchain.fidelity import Comparison
    from toolchain.fidelity.attribution import LossAttribution
    from toolchain.fidelity.continuation import ForecastFigures
    from toolchain.workflow.build_folder import Build
    from toolchain.workflow.judgement import Judgement


def compare(
    build: BuildFolder,
    *,
    stimulus: StimulusFile = None,
    exact: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Target, such as lava, that must equal the integer reference bit for bit. May be repeated.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of samples that the targets of --exact run.")
    ] = 32,
    gate: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Bound, such as accuracy_drop=0.5. May be repeated."),
    ] = None,
    causes: Annotated[
        bool, typer.Option("--causes", help="Say what each rule of the integers costs by itself.")
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(readable=False, metavar="FILE", help="Figures of before, which must not get worse."),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write --baseline instead of checking against it.")
    ] = False,
    scheduler: Scheduler = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Compare the integers with the network that was trained (exit code 4 if a gate is not met)."""
    from toolchain.errors import MissingFileError, UsageError
    from toolchain.fidelity import parse_gates, read_baseline
    from toolchain.files.disk import check_file, check_output_file
    from toolchain.workflow.compare import compare_build

    gates = parse_gates(gate or [])
    if update and baseline is None:
        raise UsageError("`update` writes a baseline", "name it: `baseline=FILE`")
    if baseline is not None and update:
        check_output_file(baseline)
    elif baseline is not None:
        if not baseline.exists():
            raise MissingFileError("baseline", baseline, "write it with `update`")
        check_file("baseline", baseline)
        # A baseline that cannot be read ends the command before minutes of work, not after.
        read_baseline(baseline)
    opened = opened_build(build, stimulus, scheduler, workers)
    with opened as (loaded, given, on), stages(quiet=as_json) as progress:
        judgement = compare_build(
            loaded,
            given,
            exact=exact or (),
            samples=samples,
            attribute=causes,
            progress=progress,
            on=on,
        )
    if as_json:
        answer(judgement.document().model_dump(mode="json"))
    else:
        _print_judgement(judgement, loaded)
    judgement.require_exact()
    for line in _guarded(judgement.comparison, gates, baseline, update=update):
        if not as_json:
            out.print(line, soft_wrap=True)


def _guarded(
    comparison: "Comparison", gates: Mapping[str, float], baseline: Path | None, *, update: bool
) -> Iterator[str]:
    """Yield in words what holds: the gates, and the baseline, which is written first if it is to be."""
    from toolchain.fidelity import check_baseline, check_gates, write_baseline

    check_gates(comparison, gates)
    if gates:
        yield f"gates that are met: {', '.join(f'{name}={bound:g}' for name, bound in gates.items())}"
    if baseline is not None and update:
        write_baseline(baseline, comparison)
        yield f"baseline: {baseline}"
    elif baseline is not None:
        check_baseline(baseline, comparison)
        yield f"no figure is worse than in the baseline {baseline}"


def _print_judgement(judgement: "Judgement", build: "Build") -> None:
    print_comparison(judgement.comparison)
    if judgement.continuation is not None:
        print_forecast(judgement.continuation.figures)
    if judgement.attribution is not None:
        print_attribution(judgement.attribution)
    for sentence in judgement.sentences(outcome=False):
        out.tell(sentence)
    # Float is the network as it was read; these figures leave out what the file could not say.
    for note in build.notes if build.facts.imported is not None else ():
        out.tell(f"note: {note}")


def print_forecast(figures: "ForecastFigures") -> None:
    """Print the errors of forecasts that go on by their own predictions."""
    print_table(
        f"forecast: RMSE of {figures.starts} starts, in standard deviations",
        ("value", "float", "integers", "last value"),
        [
            (str(i + 1), *(f"{each:.4f}" for each in errors))
            for i, errors in enumerate(
                zip(figures.float_rmse, figures.fixed_rmse, figures.persistence_rmse, strict=True)
            )
        ],
    )


def print_attribution(attribution: "LossAttribution") -> None:
    """Print what every cause does alone."""
    rows = [
        *attribution.alone.items(),
        ("all rounded numbers", attribution.rounded),
        ("all (the integers)", attribution.together),
    ]
    print_table(
        f"causes, each alone, {attribution.samples} samples",
        ("rule", "lost", "spike F1", "equal predictions"),
        [
            (
                name,
                share.loss or "-",
                f"{share.spike_f1:.4f}",
                "-" if share.prediction_agreement is None else f"{share.prediction_agreement:.2f} %",
            )
            for name, share in rows
        ],
    )


def print_comparison(comparison: "Comparison") -> None:
    """Print agreement per population and at the output."""
    print_table(
        f"float against fixed, {comparison.samples} samples",
        ("population", "equal", "spike F1", "rate error", "v error, thresholds", "first divergence"),
        [
            (
                name,
                f"{node.spike_agreement:.5f}",
                f"{node.spike_f1:.4f}",
                f"{node.rate_error:.4f}",
                "-" if node.membrane_error is None else f"{node.membrane_error:.4f}",
                "none" if node.first is None else f"step {node.first.step}, neuron {node.first.neuron}",
            )
            for name, node in comparison.nodes.items()
        ],
    )
    diverging = ((name, node.first) for name, node in comparison.nodes.items() if node.first)
    for name, first in islice(diverging, 1):
        outcome = f"{first.outcome}; " if first.outcome else ""
        out.print(
            f"first different spike: '{name}', neuron {first.neuron}, step {first.step}, "
            f"sample {first.sample}, threshold {first.threshold:.5g}{first.raised}; {outcome}{first.blame}",
        )
    print_outcome(comparison)


def print_outcome(comparison: "Comparison") -> None:
    """Print what the integers are worth: equal predictions and accuracy, or errors of real outputs."""
    if comparison.outputs is not None:
        print_table("root mean square errors of the outputs", *comparison.outputs.rows())
        out.print(comparison.outputs.sentence(), soft_wrap=True)
        return
    out.print(f"equal predictions {comparison.prediction_agreement or 0:.2f} %")
    if comparison.float_accuracy is not None and comparison.fixed_accuracy is not None:
        out.print(
            f"accuracy float {comparison.float_accuracy:.2f} %, fixed {comparison.fixed_accuracy:.2f} %"
        )
