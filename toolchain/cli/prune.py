"""`pumice prune`: an untrained network before it has seen any data, or a trained one until it fits."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.console import answer, out, print_table, stages
from toolchain.cli.options import AsJson, OutFolder

if TYPE_CHECKING:
    from toolchain.pruning import LnpRecord


def prune(
    experiment: Annotated[
        Path,
        typer.Argument(
            readable=False,
            metavar="EXPERIMENT",
            help="TOML file, such as examples/digits.toml; with --fit a run folder of 'pumice train'.",
        ),
    ],
    output: OutFolder,
    *,
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="BUDGET",
            help="Prune the network of a run until it fits, and train it on: 'loihi1 cores=2', "
            "'synops=20_000', 'flash=64 KiB', 'ram=8 KiB', 'bram=120 KiB'; "
            "with 'weight_bits=4,6,8' the bits are chosen, too.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="With --fit, epochs of training meanwhile; by default a third of those of the run.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prune the untrained network of an experiment file, or with --fit the trained one of a run.

    An interrupted pruning continues when the same command is given again. Without --fit, 'pumice train' with
    the same file and folder goes on from here; with it, the folder is a finished run.
    """
    if fit is not None:
        _to_fit(experiment, output, fit, epochs, as_json=as_json)
    else:
        _refuse_epochs(epochs)
        _untrained(experiment, output, as_json=as_json)


def _refuse_epochs(epochs: int | None) -> None:
    from toolchain.errors import UsageError

    if epochs is not None:
        raise UsageError("`epochs` does nothing without `fit`", "an experiment file has its own")


def _to_fit(run: Path, output: Path, fit: str, epochs: int | None, *, as_json: bool) -> None:
    from toolchain.cli.train import print_run, run_document
    from toolchain.files.disk import check_output_folder
    from toolchain.workflow.run_folder import EXPERIMENT
    from toolchain.workflow.train import prune_to_fit

    check_output_folder(output, EXPERIMENT, "a run folder")
    with stages(quiet=as_json) as progress:
        trained = prune_to_fit(run, output, fit, epochs=epochs, progress=progress)
    report = output / "pruning" / "report.html"
    if as_json:
        answer(run_document(trained, output) | {"report": str(report)})
        return
    print_run(trained, output)
    out.print(f"report: {report}", soft_wrap=True)


def _untrained(experiment: Path, output: Path, *, as_json: bool) -> None:
    from toolchain.files.disk import check_output_folder
    from toolchain.workflow.experiment import load_experiment
    from toolchain.workflow.prune import prune as run
    from toolchain.workflow.run_folder import EXPERIMENT

    check_output_folder(output, EXPERIMENT, "a run folder")
    settings = load_experiment(experiment)
    with stages(quiet=as_json) as progress:
        pruned = run(settings, output, progress)
    neurons, synapses = pruned.pool.size, pruned.pool.synapses
    if as_json:
        answer(
            {
                "run": str(output),
                "neurons": neurons,
                "synapses": synapses,
                "records": [asdict(record) for record in pruned.records],
                "report": str(pruned.report),
            }
        )
        return
    out.print(f"{neurons} neurons and {synapses} recurrent synapses are left")
    rows = [_row(record) for record in pruned.records if record.largest_exponent is not None]
    if rows:
        head = (
            "iteration",
            "neurons",
            "synapses",
            "rate",
            "recurrent operations/step",
            "largest exponent",
            "localisation",
        )
        print_table("under noise", head, rows)
    out.print(f"report: {pruned.report}", soft_wrap=True)
    out.print(f"next: pumice train {experiment} -o {output}", soft_wrap=True)


def _row(record: "LnpRecord") -> tuple[str, ...]:
    return (
        str(record.iteration),
        str(record.neurons),
        str(record.synapses),
        f"{record.rate:.4f}",
        f"{record.operations:.0f}",
        _figure(record.largest_exponent, 4),
        _figure(record.localisation, 3),
    )


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
