"""`pumice prune`: the untrained network of an experiment, pruned before it has seen any data."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from toolchain.cli.console import answer, out, print_table, stages
from toolchain.cli.options import AsJson, ExperimentFile, OutFolder

if TYPE_CHECKING:
    from toolchain.pruning import LnpRecord


def prune(
    experiment: ExperimentFile,
    output: OutFolder,
    *,
    as_json: AsJson = False,
) -> None:
    """Prune the untrained network of an experiment file, and show what that did.

    An interrupted pruning continues when the same command is given again. 'pumice train' with the same file
    and folder goes on from here.
    """
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
