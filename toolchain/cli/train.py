"""`pumice train`: from an experiment file to a trained, pruned network."""

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.console import out, print_json, stages
from toolchain.cli.options import AsJson, OutFolder
from toolchain.files.disk import check_output_folder


def train(
    experiment: Annotated[Path, typer.Argument(readable=False, help="experiment file (TOML)")],
    output: OutFolder,
    *,
    as_json: AsJson = False,
) -> None:
    """Train and prune a network as an experiment file says.

    An interrupted training continues where it stopped when the same command is given again.
    """
    from toolchain.workflow.experiment import load_experiment
    from toolchain.workflow.run_folder import EXPERIMENT
    from toolchain.workflow.train import train as run

    check_output_folder(output, EXPERIMENT, "a run folder")
    chosen = load_experiment(experiment)
    with stages(quiet=as_json) as progress:
        trained = run(chosen, output, progress)
    last = trained.history.network[-1]
    if as_json:
        print_json(
            {
                "run": str(output),
                "epochs": last.epoch,
                "loss": last.loss,
                "train_accuracy": last.accuracy,
            }
        )
        return
    out.print(f"trained {last.epoch} epochs, loss {last.loss:.4f}, training accuracy {last.accuracy:.2f} %")
    out.print(f"next: pumice compile {output} -o BUILD", markup=False)
