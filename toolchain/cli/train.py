"""`pumice train`: from an experiment file to a trained, pruned network."""

from toolchain.cli.console import answer, out, stages
from toolchain.cli.options import AsJson, ExperimentFile, OutFolder


def train(
    experiment: ExperimentFile,
    output: OutFolder,
    *,
    as_json: AsJson = False,
) -> None:
    """Prune and train the network of an experiment file.

    An interrupted training continues where it stopped when the same command is given again.
    """
    from toolchain.files.disk import check_output_folder
    from toolchain.workflow.experiment import load_experiment
    from toolchain.workflow.run_folder import EXPERIMENT
    from toolchain.workflow.train import train as run

    check_output_folder(output, EXPERIMENT, "a run folder")
    settings = load_experiment(experiment)
    with stages(quiet=as_json) as progress:
        trained = run(settings, output, progress)
    last = trained.history.network[-1]
    if as_json:
        answer(
            {
                "run": str(output),
                "epochs": last.epoch,
                "loss": last.loss,
                "train_accuracy": last.accuracy,
            }
        )
        return
    count = "1 epoch" if last.epoch == 1 else f"{last.epoch} epochs"
    out.print(f"trained {count}, loss {last.loss:.4f}, training accuracy {last.accuracy:.2f} %")
    out.print(f"next: pumice compile {output} -o BUILD", soft_wrap=True)
