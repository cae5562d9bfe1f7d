"""Training as an experiment says, pruning first if it does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from toolchain.bars import draws
from toolchain.data import Images
from toolchain.execution.stimulus import Stimulus
from toolchain.intake import PathText, path_of
from toolchain.memory import enough_memory
from toolchain.models import Network
from toolchain.progress import StageProgress, default_stages, stage_progress
from toolchain.training import EpochRecord, fit, save_network
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.prepare import encode_images, fit_options, load_images, untrained_network
from toolchain.workflow.prune import prune_stage
from toolchain.workflow.quantization import RepairOptions
from toolchain.workflow.run_folder import RUN, History, TrainedRun, claim, finish


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
    claim(folder, experiment)
    if (folder / RUN).is_file():
        return TrainedRun.load(folder)
    images = load_images(experiment)
    encoded = encode_images(experiment, images)
    dense = untrained_network(experiment, images)
    records: dict[str, Any] = {}
    network = dense
    if experiment.pruning is not None:
        pruned = prune_stage(experiment, experiment.pruning, folder / "pruning", images, encoded[0], progress)
        network, records["pruning"] = pruned.network, pruned.records
        if experiment.pruning.baseline:
            stage = "train unpruned network"
            records["unpruned"] = _fit(
                experiment, dense, encoded[0], images, folder / "training-unpruned", stage, progress
            )
            save_network(dense, folder / "unpruned")
    stage = "train network" if experiment.pruning is None else "train pruned network"
    records["network"] = _fit(experiment, network, encoded[0], images, folder / "training", stage, progress)
    save_network(network, folder / "network")
    first = slice(0, experiment.training.calibration_samples)
    Stimulus({"input": encoded[0][first]}, images.train_labels[first]).save(folder / "calibration.npz")
    Stimulus({"input": encoded[1]}, images.test_labels).save(folder / "stimulus.npz")
    finish(folder, experiment, images, History(**records))
    return TrainedRun.load(folder)


def training_samples(experiment: Experiment) -> Stimulus:
    """Return the training split of an experiment as it entered the network, with labels."""
    images = load_images(experiment)
    return Stimulus({"input": encode_images(experiment, images)[0]}, images.train_labels)


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
    inputs: NDArray[Any],
    images: Images,
    checkpoint: Path,
    stage: str,
    progress: StageProgress,
) -> tuple[EpochRecord, ...]:
    return fit(
        network,
        inputs,
        images.train_labels,
        fit_options(experiment),
        seed=experiment.seed,
        checkpoint=checkpoint,
        progress=stage_progress(progress, stage),
    )
