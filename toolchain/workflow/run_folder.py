"""The RUN folder: what `pumice train` leaves, and how an experiment becomes it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, final

from pydantic import Field

from toolchain.data.new_samples.raw_encoder import RawEncoder
from toolchain.data.sets.data_set import DataOrigin
from toolchain.errors import CorruptArtifactError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.outputs import OutputErrors, OutputForm
from toolchain.files.disk import check_replaceable
from toolchain.files.documents import (
    OMITTED,
    Digest,
    Document,
    omitted,
    parse_document,
    read_document,
    write_document,
)
from toolchain.files.opened import OpenedFolder, read_folder
from toolchain.files.sealed_folder import SealedDocument, SealedFiles, open_sealed, seal
from toolchain.intake import PathText, check_type, path_of
from toolchain.models import FeedForward, Network
from toolchain.pruning import ChannelUpdate, LnpRecord, SynapseUpdate
from toolchain.pruning.fit import FitRecord
from toolchain.pruning.sparse.connections import connections_of
from toolchain.training import (
    NETWORK_FILES,
    EpochRecord,
    LearntTimeConstants,
    TrainedNetwork,
    learnt_time_constants,
    scores_of,
    trained_of,
)
from toolchain.workflow.build_facts import OwnFacts
from toolchain.workflow.experiment import Experiment, read_experiment
from toolchain.workflow.own_code import OwnCode, digest_of_file
from toolchain.workflow.sections.pruning import SparseLearning

RUN: Final = "run.json"
EXPERIMENT: Final = "experiment.json"
_UNPRUNED: Final = tuple(f"unpruned/{name}" for name in NETWORK_FILES)
_NETWORK: Final = tuple(f"network/{name}" for name in NETWORK_FILES)
_SAMPLES: Final = ("stimulus.npz", "calibration.npz")
_INPUT: Final = "input.json"
_CODE: Final = "code.json"


class CodeDocument(Document):
    """The code of the user that built the network of a run.

    Attributes:
        sha256: SHA-256 of the file that the experiment names.
        files: SHA-256 of the files that it imports from its folder, by their place in it; runs of before do
            not say it.
    """

    sha256: str
    files: Annotated[dict[str, Digest], omitted({})] = Field(default_factory=dict)


class History(Document):
    """What happened in the stages of a run.

    Attributes:
        pruning: Record of every iteration, for the methods that have some.
        channels: Every renewal of the channels that live, where channels are pruned.
        synapses: The synapses after every epoch, where they leave and come back.
        fit: How the network came to fit, where it was pruned to.
        unpruned: Record of every epoch of the unpruned network, if it was trained too.
        network: Record of every epoch of the network.
        validation: Accuracy on the samples for validation, in percent, if there are some.
        validation_error: Errors of real outputs on these samples, if there are some.
        test: Accuracy on the held-out samples after training, in percent; runs of before do not say it.
        test_error: Errors of real outputs on the held-out samples after training.
        unpruned_test: Accuracy of the unpruned network on the held-out samples, if it was trained too.
        unpruned_test_error: Errors of its real outputs on them.
    """

    pruning: tuple[LnpRecord, ...] = ()
    channels: Annotated[tuple[ChannelUpdate, ...], omitted(())] = ()
    synapses: Annotated[tuple[SynapseUpdate, ...], omitted(())] = ()
    fit: Annotated[FitRecord | None, OMITTED] = None
    unpruned: tuple[EpochRecord, ...] = ()
    network: Annotated[tuple[EpochRecord, ...], Field(min_length=1)]
    validation: Annotated[float | None, Field(ge=0, le=100), OMITTED] = None
    validation_error: Annotated[OutputErrors | None, OMITTED] = None
    test: Annotated[float | None, Field(ge=0, le=100), OMITTED] = None
    test_error: Annotated[OutputErrors | None, OMITTED] = None
    unpruned_test: Annotated[float | None, Field(ge=0, le=100), OMITTED] = None
    unpruned_test_error: Annotated[OutputErrors | None, OMITTED] = None


class RunFacts(Document):
    """How a run came about.

    Attributes:
        experiment: The settings that were asked for.
        history: What happened in the stages.
        data: Where the samples came from, if they were read from files.
        outputs: Meaning of real outputs; none for classes.
        own: Where the network comes from, if code of the user built it.
    """

    experiment: Experiment
    history: History
    data: Annotated[DataOrigin | None, OMITTED] = None
    outputs: Annotated[OutputForm | None, OMITTED] = None
    own: Annotated[OwnFacts | None, OMITTED] = None


class RunDocument(SealedDocument):
    """The file that lists the others of a run: written last, so its presence says that the run is complete.

    Attributes:
        classes: Names of the classes, or of real outputs.
        facts: The experiment, and what happened in its stages.
    """

    FORMAT: ClassVar[str] = "pumice-run"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "list of a pumice run"
    WRITTEN_BY: ClassVar[str] = "pumice train"
    FILE: ClassVar[str] = RUN
    FOLDER: ClassVar[str] = "run"
    LOADED: ClassVar[tuple[str, ...]] = (*_NETWORK, *_SAMPLES)
    OPTIONAL: ClassVar[tuple[str, ...]] = (*_UNPRUNED, _INPUT)

    format: str = FORMAT
    version: int = VERSION
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    facts: RunFacts


@final
@dataclass(frozen=True, repr=False)
class TrainedRun:
    """A finished training.

    Attributes:
        network: The network to compile: trained, and pruned if the experiment prunes.
        unpruned: The unpruned network after the same training, if the experiment asked for it.
        stimulus: Held-out test split with labels.
        calibration: Training samples for quantization.
        classes: Names of the classes, or of real outputs.
        experiment: Settings of the run.
        history: Records of all stages.
        origin: Where the samples came from, if they were read from files.
        outputs: Meaning of real outputs; None for classes.
        own: Where the network comes from, if code of the user built it.
        encoder: What reads and encodes new samples; None where an earlier version trained.
    """

    network: TrainedNetwork
    unpruned: TrainedNetwork | None
    stimulus: Stimulus
    calibration: Stimulus
    classes: tuple[str, ...]
    experiment: Experiment
    history: History
    origin: DataOrigin | None = None
    outputs: OutputForm | None = None
    own: OwnFacts | None = None
    encoder: RawEncoder | None = None

    def __repr__(self) -> str:
        """Return one line, since all parts would fill pages of a console."""
        data, model, test = self.experiment.data, self.experiment.model, self.history.test
        reached = "" if test is None else f", test accuracy {test:.2f} %"
        return f"TrainedRun: data '{data.name}', network '{model.name}', seed {self.experiment.seed}{reached}"

    @property
    def still_steps(self) -> int | None:
        """Steps for which a picture is shown; None where samples are sequences."""
        if isinstance(self.network, FeedForward):
            return self.network.steps
        return None if self.own is None else self.own.still_steps

    @property
    def synapses_left(self) -> dict[str, int]:
        """Synapses of every connection that sparse training pruned, by its name; empty without it."""
        return self._synapses(self.network)

    @property
    def synapses_before(self) -> dict[str, int]:
        """Synapses of the same connections of the unpruned network; empty where the run keeps none."""
        return self._synapses(self.unpruned)

    def _synapses(self, network: TrainedNetwork | None) -> dict[str, int]:
        section = self.experiment.pruning
        if not isinstance(section, SparseLearning) or not isinstance(network, Network | FeedForward):
            return {}
        return {each.name: each.count for each in connections_of(network, section.connections)}

    @property
    def time_constants(self) -> tuple[LearntTimeConstants, ...]:
        """How time constants spread before and after they were learnt; empty if none were."""
        network = self.network
        return learnt_time_constants(network) if isinstance(network, Network) else ()

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
        if not folder.holds(RUN) and folder.holds(EXPERIMENT):
            raise UsageError(
                f"the training in '{folder.path}' is not finished; continue it with 'pumice train'"
            )
        document, files = open_sealed(folder, RunDocument)
        network = _read_network(files, folder.path, "network")
        scores = scores_of(network)
        if scores != len(document.classes):
            raise CorruptArtifactError(
                folder.path / RUN,
                f"names {len(document.classes)} classes, the network has {scores}; train again",
            )
        form = document.facts.outputs
        if form is not None and form.scale.names != document.classes:
            raise CorruptArtifactError(
                folder.path / RUN, "names other outputs than those whose units it knows; train again"
            )
        stimulus, calibration = (
            Stimulus.of_file(files.open(name), folder.path / name, sys.maxsize) for name in _SAMPLES
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
            origin=document.facts.data,
            outputs=document.facts.outputs,
            own=document.facts.own,
            encoder=parse_document(files.read(_INPUT), folder.path / _INPUT, RawEncoder)
            if _INPUT in files
            else None,
        )


def _read_network(files: SealedFiles, folder: Path, part: str) -> TrainedNetwork:
    structure, numbers = (files.read(f"{part}/{name}") for name in NETWORK_FILES)
    return trained_of(structure, numbers, folder / part)


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run, finished or not."""
    return (folder / EXPERIMENT).is_file()


def can_continue(folder: Path, experiment: Experiment) -> bool:
    """Return whether a folder holds an unfinished run of this experiment."""
    if not is_run(folder) or (folder / RUN).is_file():
        return False
    return read_experiment(folder / EXPERIMENT) == experiment


def check_claim(folder: Path, experiment: Experiment, code: OwnCode | None = None) -> None:
    """Raise if the folder cannot be taken for this experiment; nothing is written.

    Args:
        folder: The run folder.
        experiment: The experiment.
        code: The user's code that builds its network, if there is such code now.
    """
    check_type(experiment, "experiment", Experiment, "read one from its file with `load_experiment`")
    check_replaceable(folder, EXPERIMENT, "a run folder")
    path = folder / EXPERIMENT
    if path.is_file() and read_experiment(path) != experiment:
        raise UsageError(
            f"'{folder}' holds a run of another experiment", "choose another place, or delete it"
        )
    began = folder / _CODE
    if code is None or not began.is_file() or _has_nothing(folder):
        return
    document = read_document(began, CodeDocument)
    changed = "" if document.sha256 == code.sha256 else "the code under `model.module`"
    for name, digest in document.files.items():
        if not changed and digest_of_file(code.folder / name) != digest:
            changed = f"'{name}', which the code under `model.module` imports,"
    if changed:
        raise UsageError(
            f"'{folder}' holds a run that another version of {changed} began",
            "choose another place, or take that version back",
        )


def _has_nothing(folder: Path) -> bool:
    """Return whether a run has been begun, and nothing learnt: its code may still be mended."""
    return {each.name for each in folder.iterdir()} <= {EXPERIMENT, _CODE, "training"} and not any(
        (folder / "training").glob("*")
    )


def claim(folder: Path, experiment: Experiment, code: OwnCode | None = None) -> None:
    """Take the folder for this experiment and this code, or raise."""
    check_claim(folder, experiment, code)
    if not (folder / EXPERIMENT).is_file():
        write_document(folder / EXPERIMENT, experiment)
    if code is not None and (not (folder / _CODE).is_file() or _has_nothing(folder)):
        write_document(folder / _CODE, CodeDocument(sha256=code.sha256, files=code.files))


def finish(folder: Path, classes: tuple[str, ...], facts: RunFacts, encoder: RawEncoder | None) -> None:
    """Write how new samples are encoded, if files of them can be read, and `run.json` last of all."""
    given: tuple[str, ...] = ()
    if encoder is not None:
        write_document(folder / _INPUT, encoder)
        given = (_INPUT,)
    unpruned = _UNPRUNED if (folder / "unpruned").is_dir() else ()
    files = seal(folder, (*RunDocument.LOADED, *given, *unpruned))
    write_document(folder / RUN, RunDocument(classes=classes, facts=facts, files=files))
