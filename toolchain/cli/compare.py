"""`pumice compare`: how far the integers are the network that was trained; gates for CI."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.console import out, print_json, print_table, stages
from toolchain.cli.options import AsJson, BuildFolder, StimulusFile
from toolchain.files.disk import check_file, check_output_file

if TYPE_CHECKING:
    from toolchain.fidelity import Comparison
    from toolchain.fidelity.attribution import LossAttribution


def compare(
    build: BuildFolder,
    *,
    stimulus: StimulusFile = None,
    exact: Annotated[
        list[str] | None,
        typer.Option("--exact", help="a target that must be equal bit for bit, such as lava"),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="samples that --exact targets run")] = 32,
    gate: Annotated[list[str] | None, typer.Option(help="name=value, such as accuracy_drop=0.5")] = None,
    causes: Annotated[
        bool, typer.Option("--causes", help="split the loss by cause: each integer rule switched on alone")
    ] = False,
    baseline: Annotated[
        Path | None, typer.Option(readable=False, help="figures that must not get worse")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="write the baseline instead of checking it")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the float network with its integers. A gate that is not met exits with 4."""
    from toolchain.errors import UsageError
    from toolchain.execution.stimulus import Stimulus
    from toolchain.fidelity import check_baseline, check_gates, parse_gates, read_baseline, write_baseline
    from toolchain.workflow.compare import compare_build
    from toolchain.workflow.load import load

    gates = parse_gates(gate or [])
    if update and baseline is None:
        raise UsageError("--update writes a baseline; name it with --baseline FILE")
    if baseline is not None and update:
        check_output_file(baseline, "--baseline")
    elif baseline is not None:
        check_file("baseline", baseline)
        # What is wrong with it is said before minutes of work, not after.
        read_baseline(baseline)
    loaded = load(build)
    given = None if stimulus is None else Stimulus.open(stimulus)
    with stages(quiet=as_json) as progress:
        judgement = compare_build(
            loaded, given, exact=exact or (), samples=samples, attribute=causes, progress=progress
        )
    comparison = judgement.comparison
    if as_json:
        print_json(judgement.document().model_dump(mode="json"))
    else:
        print_comparison(comparison)
        if judgement.attribution is not None:
            print_attribution(judgement.attribution)
        for sentence in judgement.sentences():
            out.print(sentence, markup=False)
        # Float is the network as it was read; what the file could not say is not in these figures.
        for note in loaded.notes if loaded.facts.imported is not None else ():
            out.tell(f"note: {note}")
    judgement.require_exact()
    check_gates(comparison, gates)
    if baseline is not None and update:
        write_baseline(baseline, comparison)
    elif baseline is not None:
        check_baseline(baseline, comparison)


def print_attribution(attribution: "LossAttribution") -> None:
    """Print what every cause does alone."""
    rows = [
        *attribution.alone.items(),
        ("all rounded numbers", attribution.rounded),
        ("all (the integers)", attribution.together),
    ]
    print_table(
        f"causes, each alone, {attribution.samples} samples",
        ("rule", "points lost", "spike F1", "equal predictions"),
        [
            (
                name,
                "-" if share.accuracy_drop is None else f"{share.accuracy_drop:+.2f}",
                f"{share.spike_f1:.4f}",
                f"{share.prediction_agreement:.2f} %",
            )
            for name, share in rows
        ],
    )


def print_comparison(comparison: "Comparison") -> None:
    """Print agreement per population and at the output."""
    print_table(
        f"float against fixed, {comparison.samples} samples",
        ("population", "equal", "spike F1", "rate error", "v error", "first divergence"),
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
    found = ((name, node.first) for name, node in comparison.nodes.items() if node.first)
    diverging = next(found, None)
    if diverging is not None:
        name, first = diverging
        outcome = f"{first.outcome}; " if first.outcome else ""
        out.print(
            f"first different spike: '{name}', neuron {first.neuron}, step {first.step}, "
            f"sample {first.sample}, threshold {first.threshold:.5g}; {outcome}{first.blame}",
            markup=False,
        )
    out.print(f"equal predictions {comparison.prediction_agreement:.2f} %")
    if comparison.float_accuracy is not None and comparison.fixed_accuracy is not None:
        out.print(
            f"accuracy float {comparison.float_accuracy:.2f} %, fixed {comparison.fixed_accuracy:.2f} %"
        )
