"""The RUN folder: what `pumice train` leaves, and how an experiment becomes it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, final

from numpy.typing import NDArray

from toolchain.data import Images
from toolchain.disk import check_folder, check_replaceable
from toolchain.documents import read_json, write_json
from toolchain.errors import CorruptArtifactError, FormatVersionError, UsageError
from toolchain.experiment import Experiment, check_room, parse_experiment
from toolchain.intake import PathText, path_of
from toolchain.memory import enough_memory
from toolchain.models import Network
from toolchain.progress import StageProgress, no_stages, of_stage
from toolchain.prune_stage import (
    PrunedStage,
    encode_images,
    fit_options,
    load_images,
    prune_stage,
    untrained_network,
)
from toolchain.quantization import RepairOptions
from toolchain.seal import check_seal, hashes
from toolchain.stimulus import Stimulus
from toolchain.training import NETWORK_FILES, EpochRecord, fit, load_network, save_network

FORMAT_VERSION: Final = 1
_RUN: Final = "run.json"
EXPERIMENT: Final = "experiment.json"
_UNPRUNED: Final = tuple(f"unpruned/{name}" for name in NETWORK_FILES)
_LOADED: Final = (*(f"network/{name}" for name in NETWORK_FILES), "stimulus.npz", "calibration.npz")


@final
@dataclass(frozen=True)
class TrainedRun:
    """A finished training.

    Attributes:
        network: The network to compile: pruned if the experiment prunes, and trained.
        unpruned: The unpruned network after the same training, if the experiment asked for it.
        stimulus: Held-out test split with labels.
        calibration: Training samples for quantization.
        classes: Names of the classes.
        facts: The experiment and its history.
    """

    network: Network
    unpruned: Network | None
    stimulus: Stimulus
    calibration: Stimulus
    classes: tuple[str, ...]
    facts: dict[str, Any]

    @classmethod
    def load(cls, folder: PathText) -> "TrainedRun":
        """Read and check a finished run.

        Raises:
            MissingFileError: The folder or a file of it does not exist.
            CorruptArtifactError: A file differs from its recorded hash.
            FormatVersionError: It was written by another version of the format.
        """
        folder = path_of(folder, "folder")
        check_folder("run folder", folder)
        if not (folder / _RUN).is_file() and (folder / EXPERIMENT).is_file():
            raise UsageError(f"the training in '{folder}' is not finished; continue it with 'pumice train'")
        document = read_json(folder / _RUN)
        if not isinstance(document, dict) or document.get("format") != "pumice-run":
            raise CorruptArtifactError(folder / _RUN, "is not a pumice run")
        if document.get("version") != FORMAT_VERSION:
            raise FormatVersionError(f"run '{folder}'", document.get("version"), FORMAT_VERSION)
        files, facts = document.get("files"), document.get("facts")
        if not isinstance(files, dict) or not isinstance(facts, dict) or "classes" not in document:
            raise CorruptArtifactError(folder / _RUN, "lists no files, facts or classes")
        check_seal(folder, files, _LOADED, optional=_UNPRUNED, what="training", written_by="train")
        return cls(
            load_network(folder / "network"),
            load_network(folder / "unpruned") if set(_UNPRUNED) <= set(files) else None,
            Stimulus.load(folder / "stimulus.npz"),
            Stimulus.load(folder / "calibration.npz"),
            tuple(document["classes"]),
            facts,
        )


@enough_memory("training the network")
def train(experiment: Experiment, folder: PathText, progress: StageProgress = no_stages) -> TrainedRun:
    """Train as the experiment says, or continue where an interrupted training in `folder` stopped.

    Everything is decided by the experiment and its seed, so a continued training ends with the
    same network as an uninterrupted one.

    Args:
        experiment: What to do.
        folder: The run folder; created if needed.
        progress: Told the stage and how far it is.

    Raises:
        UsageError: The folder holds something else, or a run of another experiment.
    """
    folder = path_of(folder, "folder")
    _claim(folder, experiment)
    if (folder / _RUN).is_file():
        return TrainedRun.load(folder)
    images = load_images(experiment)
    encoded = encode_images(experiment, images)
    dense = untrained_network(experiment, images)
    history: dict[str, Any] = {}
    network = dense
    if experiment.pruning is not None:
        pruned = prune_stage(experiment, experiment.pruning, folder / "pruning", images, encoded[0], progress)
        network, history["pruning"] = pruned.network, pruned.records
        if experiment.pruning.baseline:
            stage = "train unpruned network"
            history["unpruned"] = _fit(
                experiment, dense, encoded[0], images, folder / "training-unpruned", stage, progress
            )
            save_network(dense, folder / "unpruned")
    stage = "train network" if experiment.pruning is None else "train pruned network"
    history["network"] = _fit(experiment, network, encoded[0], images, folder / "training", stage, progress)
    save_network(network, folder / "network")
    kept = slice(0, experiment.training.calibration_samples)
    Stimulus({"input": encoded[0][kept]}, images.train_labels[kept]).save(folder / "calibration.npz")
    Stimulus({"input": encoded[1]}, images.test_labels).save(folder / "stimulus.npz")
    _finish(folder, experiment, images, history)
    return TrainedRun.load(folder)


@enough_memory("pruning the network")
def prune(experiment: Experiment, folder: PathText, progress: StageProgress = no_stages) -> PrunedStage:
    """Take the first stage of a run only: prune the untrained network. `train` continues from it.

    Args:
        experiment: What to do; it has to prune.
        folder: The run folder; created if needed.
        progress: Told the stage and how far it is.

    Raises:
        UsageError: The experiment does not prune, or the folder holds something else.
    """
    if experiment.pruning is None:
        raise UsageError("the experiment does not prune; give it a [pruning] section")
    folder = path_of(folder, "folder")
    _claim(folder, experiment)
    images = load_images(experiment)
    inputs = encode_images(experiment, images)[0]
    return prune_stage(experiment, experiment.pruning, folder / "pruning", images, inputs, progress)


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


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run, finished or not."""
    return (folder / EXPERIMENT).is_file()


def can_continue(folder: Path, experiment: Experiment) -> bool:
    """Return whether a folder holds an unfinished run of this experiment."""
    if not is_run(folder) or (folder / _RUN).is_file():
        return False
    return parse_experiment(read_json(folder / EXPERIMENT)) == experiment


def _claim(folder: Path, experiment: Experiment) -> None:
    """Take the folder for this experiment, or raise."""
    wanted = experiment.model_dump(mode="json")
    path = folder / EXPERIMENT
    check_replaceable(folder, EXPERIMENT, "a run folder")
    check_room(experiment)
    if path.is_file():
        if parse_experiment(read_json(path)) != experiment:
            raise UsageError(f"'{folder}' holds a run of another experiment; choose another -o")
        return
    write_json(path, wanted)


def _fit(
    experiment: Experiment,
    network: Network,
    inputs: NDArray[Any],
    images: Images,
    checkpoint: Path,
    stage: str,
    progress: StageProgress,
) -> list[dict[str, Any]]:
    records: tuple[EpochRecord, ...] = fit(
        network,
        inputs,
        images.train_labels,
        fit_options(experiment),
        seed=experiment.seed,
        checkpoint=checkpoint,
        progress=of_stage(progress, stage),
    )
    return [asdict(record) for record in records]


def _finish(folder: Path, experiment: Experiment, images: Images, history: dict[str, Any]) -> None:
    """Write `run.json` last: its presence says that the run is complete."""
    unpruned = _UNPRUNED if (folder / "unpruned").is_dir() else ()
    write_json(
        folder / _RUN,
        {
            "format": "pumice-run",
            "version": FORMAT_VERSION,
            "classes": list(images.classes),
            "facts": {"experiment": experiment.model_dump(mode="json"), "history": history},
            "files": hashes(folder, (*_LOADED, *unpruned)),
        },
    )
