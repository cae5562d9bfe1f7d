"""Training as an experiment says, pruning first if it does."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, final

from numpy.typing import NDArray

from toolchain.bars import draws
from toolchain.data.new_samples.raw_encoder import RawEncoder
from toolchain.data.sets.data_set import Part
from toolchain.errors import UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.outputs import OutputTally
from toolchain.intake import PathText, path_of
from toolchain.memory import enough_memory
from toolchain.models import FeedForward, Network
from toolchain.progress import StageProgress, default_stages, stage_progress
from toolchain.pruning import ChannelPruning, SparseTraining
from toolchain.pruning.channel_report import write_channel_report
from toolchain.pruning.sparse.report import write_sparse_report
from toolchain.training import ActivityPenalty, Callback, EpochRecord, fit, save_trained
from toolchain.training.own_module import OwnModule
from toolchain.training.validation import Validation, ValidationSamples
from toolchain.training.watch import EpochWatch, no_watch
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.own_code import code_of
from toolchain.workflow.own_network import OwnNetwork
from toolchain.workflow.prepare import EncodedData, fit_options, load_data
from toolchain.workflow.prune import prune_stage
from toolchain.workflow.quantization import RepairOptions
from toolchain.workflow.run_folder import RUN, History, RunFacts, TrainedRun, check_claim, claim, finish
from toolchain.workflow.sections.pruning import ChannelSelection, SparseLearning, SynapsePruning
from toolchain.workflow.untrained import untrained_network


@enough_memory("training the network")
@draws()
def train(
    experiment: Experiment,
    folder: PathText,
    progress: StageProgress = default_stages,
    *,
    watch: EpochWatch = no_watch,
) -> TrainedRun:
    """Train as the experiment says, or continue where an interrupted training in `folder` stopped.

    Everything is decided by the experiment and its seed, so a continued training ends with the
    same network as an uninterrupted one.

    Args:
        experiment: Experiment to carry out.
        folder: The run folder; created if needed.
        progress: Callback with the stage and how far it is; by default bars where somebody looks.
        watch: Takes the records after every epoch of the network, not of the unpruned one that it is compared
            with; what it raises ends the training, which the same call continues.

    Raises:
        UsageError: The folder holds something else, or a run of another experiment or of other code.
    """
    folder = path_of(folder, "folder")
    check_claim(folder, experiment, code_of(experiment.model))
    if (folder / RUN).is_file():
        return TrainedRun.load(folder)
    encoded = load_data(experiment)
    # What cannot be built leaves no folder behind, and once built it is known what its code imports.
    untrained = untrained_network(experiment, encoded)
    claim(folder, experiment, code_of(experiment.model))
    stages = _Stages(experiment, folder, encoded, progress, watch)
    network, records = stages.run(untrained)
    if isinstance(network, OwnNetwork):
        (trained, own), learner = network.graph(), network.learner
    else:
        (trained, own), learner = (network, None), network
    save_trained(trained, folder / "network")
    data = encoded.data
    records |= _measured("validation", experiment, learner, encoded, (encoded.validation, data.validation))
    encoded.first(experiment.training.calibration_samples).save(folder / "calibration.npz")
    encoded.held_out().save(folder / "stimulus.npz")
    records |= _measured("test", experiment, learner, encoded, (encoded.test, data.test))
    history, outputs = History(**records), encoded.outputs
    facts = RunFacts(experiment=experiment, history=history, data=data.origin, outputs=outputs, own=own)
    finish(folder, data.classes, facts, RawEncoder.of(encoded.encoder, experiment.seed))
    return TrainedRun.load(folder)


_Untrained = Network | FeedForward | OwnNetwork
_UNPRUNED: Final = "training-unpruned"
"""Folder of the state of the network that is not pruned."""


@final
class _Stages:
    """Pruning and training, in the order that the method of pruning asks for.

    Args:
        experiment: The experiment.
        folder: The run folder.
        encoded: Its data.
        progress: Callback with the stage and how far it is.
        watch: Takes the records after every epoch of the network.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        encoded: EncodedData,
        progress: StageProgress,
        watch: EpochWatch,
    ) -> None:
        self._experiment, self._folder = experiment, folder
        self._encoded, self._progress = encoded, progress
        self._watch = watch

    def run(self, untrained: _Untrained) -> tuple[_Untrained, dict[str, Any]]:
        """Return the trained network, and the records of all stages by their fields in `History`."""
        section = self._experiment.pruning
        match section:
            case None:
                return untrained, {"network": self._fit(untrained, "training", "train network")}
            case SynapsePruning():
                return self._pruned_before(section, untrained)
            case ChannelSelection():
                return self._channels(section, untrained)
            case SparseLearning():
                return self._synapses(section, untrained)

    def _pruned_before(
        self, section: SynapsePruning, untrained: _Untrained
    ) -> tuple[_Untrained, dict[str, Any]]:
        pruned = prune_stage(
            self._experiment, section, self._folder / "pruning", self._encoded, self._progress
        )
        records: dict[str, Any] = {"pruning": pruned.records}
        if section.baseline and isinstance(untrained, Network):
            records["unpruned"] = self._baseline(untrained)
        records["network"] = self._fit(pruned.network, "training", "train pruned network")
        return pruned.network, records

    def _channels(
        self, section: ChannelSelection, untrained: _Untrained
    ) -> tuple[_Untrained, dict[str, Any]]:
        if not isinstance(untrained, FeedForward):
            raise UsageError(f"'{section.method}' prunes channels of convolutional networks")
        pruning = ChannelPruning(untrained, section.options(self._experiment.seed))
        records = self._pruned_meanwhile(section, untrained, pruning)
        title = f"Channels pruned by {section.method}"
        write_channel_report(self._report, title, untrained, pruning)
        return pruning.compact(untrained), records | {"channels": tuple(pruning.updates)}

    def _synapses(self, section: SparseLearning, untrained: _Untrained) -> tuple[_Untrained, dict[str, Any]]:
        if isinstance(untrained, OwnNetwork):
            raise UsageError(
                f"'{section.method}' prunes recurrent and convolutional networks of Pumice; this one is a "
                "module of your own"
            )
        pruning = SparseTraining(untrained, section.options(self._experiment.seed))
        records = self._pruned_meanwhile(section, untrained, pruning)
        write_sparse_report(self._report, f"Synapses pruned by {section.method}", pruning)
        return untrained, records | {"synapses": tuple(pruning.updates)}

    def _pruned_meanwhile(
        self,
        section: ChannelSelection | SparseLearning,
        untrained: Network | FeedForward,
        pruning: Callback,
    ) -> dict[str, Any]:
        """Train a network in place while a callback prunes it; before that a whole one, if it is wanted."""
        records: dict[str, Any] = {}
        if section.baseline:
            records["unpruned"] = self._baseline(deepcopy(untrained))
        stage = f"train and prune by {section.method}"
        return records | {"network": self._fit(untrained, "training", stage, (pruning,))}

    @property
    def _report(self) -> Path:
        """The page that shows the pruning, in its folder."""
        folder = self._folder / "pruning"
        folder.mkdir(exist_ok=True)
        return folder / "report.html"

    def _baseline(self, network: Network | FeedForward) -> tuple[EpochRecord, ...]:
        records = self._fit(network, _UNPRUNED, "train unpruned network")
        save_trained(network, self._folder / "unpruned")
        return records

    def _fit(
        self, network: _Untrained, state: str, stage: str, callbacks: tuple[Callback, ...] = ()
    ) -> tuple[EpochRecord, ...]:
        training = self._experiment.training
        penalty = ActivityPenalty(rate=training.rate_penalty, operation=training.operation_penalty)
        if penalty.is_any:
            callbacks = (*callbacks, penalty)
        return fit(
            network.learner if isinstance(network, OwnNetwork) else network,
            self._encoded.train,
            self._encoded.data.train.labels,
            fit_options(self._experiment),
            seed=self._experiment.seed,
            validation=_validation(self._encoded),
            checkpoint=self._folder / state,
            callbacks=callbacks,
            watch=no_watch if state == _UNPRUNED else self._watch,
            progress=stage_progress(self._progress, stage),
            lengths=self._encoded.encoder.lengths(self._encoded.data.train),
        )


def training_samples(experiment: Experiment) -> Stimulus:
    """Return the training split of an experiment as it entered the network, with labels."""
    encoded = load_data(experiment)
    return encoded.first(len(encoded.data.train))


def repair_options(experiment: Experiment, epochs: int) -> RepairOptions:
    """Return how a network of an experiment is trained on with its integers: at a fiftieth of the rate."""
    usual = fit_options(experiment, epochs)
    return RepairOptions(
        fit=replace(usual, learning_rate=usual.learning_rate / 50),
        slope=experiment.surrogate_slope,
        seed=experiment.seed,
    )


def _validation(encoded: EncodedData) -> ValidationSamples | None:
    """Return the validation samples, their labels and lengths; None without any."""
    inputs, part = encoded.validation, encoded.data.validation
    return None if inputs is None else (inputs, part.labels, encoded.encoder.lengths(part))


def _measured(
    name: str,
    experiment: Experiment,
    network: Network | FeedForward | OwnModule,
    encoded: EncodedData,
    samples: tuple[NDArray[Any] | None, Part],
) -> dict[str, Any]:
    """Return the accuracy on a part, or the errors of real outputs, by its field in `History`.

    Args:
        name: Name of the part.
        experiment: The experiment.
        network: The trained network.
        encoded: The data.
        samples: The part as it enters the network, and before; nothing is measured where there is none.
    """
    inputs, part = samples
    if inputs is None:
        return {}
    judged: ValidationSamples = (inputs, part.labels, encoded.encoder.lengths(part))
    validation = Validation(network, judged, experiment.training.batch_size)
    form = encoded.outputs
    if form is None:
        return {name: validation.judge(network).accuracy}
    tally = OutputTally(form.scale.names, form)
    tally.add([validation.scores(network)], part.labels, encoded.present(part))
    return {f"{name}_error": tally.result()}
