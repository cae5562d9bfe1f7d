"""Training as an experiment says, pruning first if it does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from toolchain.bars import draws
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.outputs import OutputTally
from toolchain.intake import PathText, path_of
from toolchain.memory import enough_memory
from toolchain.models import Network
from toolchain.progress import StageProgress, default_stages, stage_progress
from toolchain.training import EpochRecord, fit, save_network
from toolchain.training.samples import Samples
from toolchain.training.validation import Validation
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.prepare import EncodedData, fit_options, load_data, untrained_network
from toolchain.workflow.prune import prune_stage
from toolchain.workflow.quantization import RepairOptions
from toolchain.workflow.run_folder import RUN, History, TrainedRun, check_claim, claim, finish


@enough_memory("training the network")
@draws()
def train(experiment: Experiment, folder: PathText, progress: StageProgress = default_stages) -> TrainedRun:
    """Train as the experiment says, or continue where an interrupted training in `folder` stopped.

    Everything is decided by the experiment and its seed, so a continued training ends with the
    same network as an uninterrupted one.

    Args:
        experiment: Experiment to carry out.
        folder: The run folder; created if needed.
        progress: Callback with the stage and how far it is; by default bars where somebody looks.

    Raises:
        UsageError: The folder holds something else, or a run of another experiment.
    """
    folder = path_of(folder, "folder")
    check_claim(folder, experiment)
    if (folder / RUN).is_file():
        return TrainedRun.load(folder)
    encoded = load_data(experiment)
    claim(folder, experiment)
    dense = untrained_network(experiment, encoded)
    records: dict[str, Any] = {}
    network = dense
    if experiment.pruning is not None:
        pruned = prune_stage(experiment, experiment.pruning, folder / "pruning", encoded, progress)
        network, records["pruning"] = pruned.network, pruned.records
        if experiment.pruning.baseline:
            stage = "train unpruned network"
            records["unpruned"] = _fit(
                experiment, dense, encoded, folder / "training-unpruned", stage, progress
            )
            save_network(dense, folder / "unpruned")
    stage = "train network" if experiment.pruning is None else "train pruned network"
    records["network"] = _fit(experiment, network, encoded, folder / "training", stage, progress)
    save_network(network, folder / "network")
    records |= _validated(experiment, network, encoded)
    encoded.first(experiment.training.calibration_samples).save(folder / "calibration.npz")
    encoded.held_out().save(folder / "stimulus.npz")
    finish(folder, experiment, encoded.data, History(**records), encoded.outputs)
    return TrainedRun.load(folder)


def training_samples(experiment: Experiment) -> Stimulus:
    """Return the training split of an experiment as it entered the network, with labels."""
    encoded = load_data(experiment)
    return encoded.first(len(encoded.data.train))


def repair_options(experiment: Experiment, epochs: int) -> RepairOptions:
    """Return how a network of an experiment is trained on with its integers: at a fiftieth of the rate."""
    usual = fit_options(experiment, epochs)
    return RepairOptions(
        fit=replace(usual, learning_rate=usual.learning_rate / 50),
        slope=experiment.training.surrogate_slope,
        seed=experiment.seed,
    )


def _fit(
    experiment: Experiment,
    network: Network,
    encoded: EncodedData,
    checkpoint: Path,
    stage: str,
    progress: StageProgress,
) -> tuple[EpochRecord, ...]:
    return fit(
        network,
        encoded.train,
        encoded.data.train.labels,
        fit_options(experiment),
        seed=experiment.seed,
        validation=_validation(encoded),
        checkpoint=checkpoint,
        progress=stage_progress(progress, stage),
    )


def _validation(encoded: EncodedData) -> tuple[Samples, Samples] | None:
    """Return the validation samples and their labels; None without any."""
    inputs = encoded.validation
    return None if inputs is None else (inputs, encoded.data.validation.labels)


def _validated(experiment: Experiment, network: Network, encoded: EncodedData) -> dict[str, Any]:
    """Return the accuracy on the validation samples, or the errors of real outputs; nothing without any."""
    samples = _validation(encoded)
    if samples is None:
        return {}
    validation, form = Validation(network, samples, experiment.training.batch_size), encoded.outputs
    if form is None:
        return {"validation": validation.judge(network).accuracy}
    tally = OutputTally(form.scale.names, form)
    part = encoded.data.validation
    tally.add([validation.scores(network)], part.labels, encoded.present(part))
    return {"validation_error": tally.result()}
