"""The RUN folder: what `pumice train` leaves, and how an experiment becomes it."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, final

from numpy.typing import NDArray
from pydantic import Field

from toolchain.data import Images
from toolchain.disk import check_replaceable
from toolchain.documents import Digest, Document, FileDocument, parse_document, write_document
from toolchain.errors import CorruptArtifactError, UsageError
from toolchain.experiment import Experiment, check_room, read_experiment
from toolchain.intake import PathText, path_of
from toolchain.memory import enough_memory
from toolchain.models import Network
from toolchain.opened import OpenedFolder, read_folder
from toolchain.progress import StageProgress, no_stages, of_stage
from toolchain.prune_stage import (
    PrunedStage,
    encode_images,
    fit_options,
    load_images,
    prune_stage,
    untrained_network,
)
from toolchain.pruning import LnpRecord
from toolchain.quantization import RepairOptions
from toolchain.seal import SealedFiles, check_seal, hashes
from toolchain.stimulus import Stimulus
from toolchain.training import NETWORK_FILES, EpochRecord, fit, network_of, save_network

_RUN: Final = "run.json"
EXPERIMENT: Final = "experiment.json"
_UNPRUNED: Final = tuple(f"unpruned/{name}" for name in NETWORK_FILES)
_LOADED: Final = (*(f"network/{name}" for name in NETWORK_FILES), "stimulus.npz", "calibration.npz")


class History(Document):
    """What happened in the stages of a run.

    Attributes:
        pruning: Every iteration, for the methods that have some.
        unpruned: Every epoch of the unpruned network, if it was trained too.
        network: Every epoch of the network.
    """

    pruning: tuple[LnpRecord, ...] = ()
    unpruned: tuple[EpochRecord, ...] = ()
    network: Annotated[tuple[EpochRecord, ...], Field(min_length=1)]


class RunFacts(Document):
    """How a run came about."""

    experiment: Experiment
    history: History


class RunDocument(FileDocument):
    """`run.json`: written last, so its presence says that the run is complete."""

    FORMAT: ClassVar[str] = "pumice-run"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "list of a pumice run"
    WRITTEN_BY: ClassVar[str] = "pumice train"

    format: str = FORMAT
    version: int = VERSION
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    facts: RunFacts
    files: dict[str, Digest]


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
        experiment: What was asked for.
        history: What happened.
    """

    network: Network
    unpruned: Network | None
    stimulus: Stimulus
    calibration: Stimulus
    classes: tuple[str, ...]
    experiment: Experiment
    history: History

    @classmethod
    def load(cls, folder: PathText) -> "TrainedRun":
        """Read and check a finished run.

        Raises:
            MissingFileError: The folder or a file of it does not exist.
            CorruptArtifactError: A file differs from its recorded hash.
            FormatVersionError: It was written by another version of the format.
        """
        return read_folder("run folder", path_of(folder, "folder"), cls._read)

    @classmethod
    def _read(cls, folder: OpenedFolder) -> "TrainedRun":
        if not folder.holds(_RUN) and folder.holds(EXPERIMENT):
            raise UsageError(
                f"the training in '{folder.path}' is not finished; continue it with 'pumice train'"
            )
        path = folder.path / _RUN
        document = parse_document(folder.read(_RUN), path, RunDocument, named=f"run '{folder.path}'")
        files = check_seal(
            folder, document.files, _LOADED, optional=_UNPRUNED, what="training", written_by="train"
        )
        network = _read_network(files, folder.path, "network")
        scores = network.layer(network.output).size
        if scores != len(document.classes):
            raise CorruptArtifactError(
                path, f"names {len(document.classes)} classes, the network has {scores}; train again"
            )
        stimulus, calibration = (
            Stimulus.of_file(files.open(name), folder.path / name, sys.maxsize)
            for name in ("stimulus.npz", "calibration.npz")
        )
        return cls(
            network,
            _read_network(files, folder.path, "unpruned")
            if all(name in files for name in _UNPRUNED)
            else None,
            stimulus,
            calibration,
            document.classes,
            document.facts.experiment,
            document.facts.history,
        )


def _read_network(files: SealedFiles, folder: Path, part: str) -> Network:
    structure, numbers = (files.read(f"{part}/{name}") for name in NETWORK_FILES)
    return network_of(structure, numbers, folder / part)


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
    kept = slice(0, experiment.training.calibration_samples)
    Stimulus({"input": encoded[0][kept]}, images.train_labels[kept]).save(folder / "calibration.npz")
    Stimulus({"input": encoded[1]}, images.test_labels).save(folder / "stimulus.npz")
    _finish(folder, experiment, images, History(**records))
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
    return read_experiment(folder / EXPERIMENT) == experiment


def _claim(folder: Path, experiment: Experiment) -> None:
    """Take the folder for this experiment, or raise."""
    path = folder / EXPERIMENT
    check_replaceable(folder, EXPERIMENT, "a run folder")
    check_room(experiment)
    if path.is_file():
        if read_experiment(path) != experiment:
            raise UsageError(f"'{folder}' holds a run of another experiment; choose another -o")
        return
    write_document(path, experiment)


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
        progress=of_stage(progress, stage),
    )


def _finish(folder: Path, experiment: Experiment, images: Images, history: History) -> None:
    """Write `run.json`, last of all."""
    unpruned = _UNPRUNED if (folder / "unpruned").is_dir() else ()
    document = RunDocument(
        classes=images.classes,
        facts=RunFacts(experiment=experiment, history=history),
        files=hashes(folder, (*_LOADED, *unpruned)),
    )
    write_document(folder / _RUN, document)
