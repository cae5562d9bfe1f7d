"""Training as an experiment says, pruning first if it does."""

from copy import deepcopy
from pathlib import Path
from typing import Any, Final, final

import torch
from numpy.typing import NDArray

from toolchain.bars import draws
from toolchain.data.new_samples.raw_encoder import RawEncoder
from toolchain.data.sets.data_set import Part
from toolchain.errors import UsageError
from toolchain.fidelity.outputs import OutputTally
from toolchain.intake import PathText, count_of, path_of
from toolchain.memory import enough_memory
from toolchain.models import FeedForward, Network
from toolchain.progress import StageProgress, default_stages, stage_progress
from toolchain.pruning import ChannelPruning, SparseTraining
from toolchain.pruning.channel_report import write_channel_report
from toolchain.pruning.fit.report import write_fit_report
from toolchain.pruning.sparse.report import write_sparse_report
from toolchain.training import (
    NETWORK_FILES,
    ActivityPenalty,
    Callback,
    EpochRecord,
    TrainedNetwork,
    fit,
    save_trained,
    trained_of,
)
from toolchain.training.own_module import OwnModule
from toolchain.training.validation import Validation, ValidationSamples
from toolchain.training.watch import EpochWatch, no_watch
from toolchain.workflow.experiment import Experiment, parse_experiment
from toolchain.workflow.fitting.stage import FitStage, require_possible, with_choice
from toolchain.workflow.own_code import code_of
from toolchain.workflow.own_network import OwnNetwork
from toolchain.workflow.prepare import EncodedData, fit_options, load_data
from toolchain.workflow.prune import prune_stage
from toolchain.workflow.run_folder import RUN, History, RunFacts, TrainedRun, check_claim, claim, finish
from toolchain.workflow.sections.fit import parse_fit
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
    _check_pruning(experiment, encoded, untrained)
    claim(folder, experiment, code_of(experiment.model))
    stages = _Stages(experiment, folder, encoded, progress, watch)
    network, records = stages.run(untrained)
    _finish(experiment, folder, encoded, network, records)
    return TrainedRun.load(folder)


def _finish(
    experiment: Experiment,
    folder: Path,
    encoded: EncodedData,
    network: "_Untrained",
    records: dict[str, Any],
) -> None:
    """Measure a trained network, and write the run."""
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
    if isinstance(before := _network_before(folder), Network | FeedForward):
        records |= _measured("unpruned_test", experiment, before, encoded, (encoded.test, data.test))
    history, outputs = History(**records), encoded.outputs
    chosen = with_choice(experiment, history.fit)
    facts = RunFacts(experiment=chosen, history=history, data=data.origin, outputs=outputs, own=own)
    finish(folder, data.classes, facts, RawEncoder.of(encoded.encoder, experiment.seed))


_Untrained = Network | FeedForward | OwnNetwork
_FINE_TUNING: Final = 3
"""Part of the epochs of a run, one in so many, in which its network is pruned to fit."""
_TRAINED: Final = "training"
"""Folder of the state of the network."""
_UNPRUNED: Final = "training-unpruned"
"""Folder of the state of the network that is not pruned."""
_SOURCE: Final = "unpruned"
"""Folder of the network that is not pruned."""


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
                return untrained, {"network": self._fit(untrained, _TRAINED, "train network")}
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
        records["network"] = self._fit(pruned.network, _TRAINED, "train pruned network")
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
        network = _prunable(section, untrained)
        if section.fit is not None:
            return self._to_fit(section, network)
        pruning = SparseTraining(network, section.options(self._experiment.seed))
        records = self._pruned_meanwhile(section, network, pruning)
        courses = {"pruned": records["network"], "unpruned": records.get("unpruned", ())}
        write_sparse_report(self._report, f"Sparse training, method {section.method}", pruning, courses)
        return network, records | {"synapses": tuple(pruning.updates)}

    def _to_fit(
        self, section: SparseLearning, untrained: Network | FeedForward
    ) -> tuple[_Untrained, dict[str, Any]]:
        records: dict[str, Any] = {}
        guide = deepcopy(untrained)
        if section.baseline:
            records["unpruned"] = self._baseline(guide)
        network, fitted = self.fitted(section, untrained, guide)
        return network, records | fitted

    def fitted(
        self, section: SparseLearning, start: Network | FeedForward, guide: Network | FeedForward
    ) -> tuple[Network | FeedForward, dict[str, Any]]:
        """Return a network that fits, trained from a start, and the records of that; see `FitStage`."""
        stage = FitStage(self._experiment, section, self._encoded, self._folder, self._fit, self._progress)
        fitted = stage.run(start, guide)
        write_fit_report(self._report, fitted.record)
        return fitted.network, fitted.history

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
        return records | {"network": self._fit(untrained, _TRAINED, stage, (pruning,))}

    @property
    def _report(self) -> Path:
        """The page that shows the pruning, in its folder."""
        folder = self._folder / "pruning"
        folder.mkdir(exist_ok=True)
        return folder / "report.html"

    def _baseline(self, network: Network | FeedForward) -> tuple[EpochRecord, ...]:
        records = self._fit(network, _UNPRUNED, "train unpruned network")
        save_trained(network, self._folder / _SOURCE)
        return records

    def _fit(
        self,
        network: _Untrained,
        state: str,
        stage: str,
        callbacks: tuple[Callback, ...] = (),
        epochs: int | None = None,
    ) -> tuple[EpochRecord, ...]:
        training = self._experiment.training
        penalty = ActivityPenalty(rate=training.rate_penalty, operation=training.operation_penalty)
        if penalty.is_any:
            callbacks = (*callbacks, penalty)
        return fit(
            network.learner if isinstance(network, OwnNetwork) else network,
            self._encoded.train,
            self._encoded.data.train.labels,
            fit_options(self._experiment, epochs),
            seed=self._experiment.seed,
            validation=_validation(self._encoded),
            checkpoint=self._folder / state,
            callbacks=callbacks,
            watch=self._watch if state == _TRAINED else no_watch,
            progress=stage_progress(self._progress, stage),
            lengths=self._encoded.encoder.lengths(self._encoded.data.train),
        )


def _check_pruning(experiment: Experiment, encoded: EncodedData, untrained: _Untrained) -> None:
    """Raise for what sparse training cannot do with a network, before a folder is taken for it."""
    section = experiment.pruning
    if isinstance(section, SparseLearning):
        network = _prunable(section, untrained)
        if section.fit is None:
            SparseTraining(network, section.options(experiment.seed))
        require_possible(experiment, encoded, network)


def _prunable(section: SparseLearning, untrained: _Untrained) -> Network | FeedForward:
    if isinstance(untrained, OwnNetwork):
        raise UsageError(
            f"'{section.method}' prunes recurrent and convolutional networks of Pumice; this one is a "
            "module of your own"
        )
    return untrained


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


@enough_memory("pruning the run to fit")
@draws()
def prune_to_fit(
    run: PathText,
    folder: PathText,
    fit: str,
    *,
    epochs: int | None = None,
    progress: StageProgress = default_stages,
) -> TrainedRun:
    """Prune the network of a finished run until it fits, train it on, and write it as a run of its own.

    An interrupted call continues when it is made again.

    Args:
        run: Folder of the finished run; it stays as it is.
        folder: The new run folder; created if needed.
        fit: What the network may take, such as `loihi1 cores=2`, `synops=20_000` or `flash=64 KiB`.
        epochs: Epochs of training while it is pruned; by default a third of those of the run.
        progress: Callback with the stage and how far it is; by default bars where somebody looks.

    Raises:
        UsageError: The run has a network of one's own code, or the folder holds something else, such as a
            pruning of another network.
        PruningError: No network fits that this one could become: says the nearest budget that is possible.
    """
    section = SparseLearning(method="gradual", fit=parse_fit(fit), baseline=False)
    trained, folder = TrainedRun.load(run), path_of(folder, "folder")
    start, before = trained.network, trained.experiment
    if not isinstance(start, Network | FeedForward):
        raise UsageError(f"'{run}' holds a network of code of your own, whose synapses are not known here")
    wanted = count_of(
        max(1, before.training.epochs // _FINE_TUNING) if epochs is None else epochs, "epochs", least=1
    )
    training = before.training.model_copy(update={"epochs": wanted})
    changed = before.model_copy(update={"pruning": section, "training": training})
    # Not every kind of network is pruned so: what reads a file says it.
    experiment = parse_experiment(changed.model_dump(mode="json"))
    check_claim(folder, experiment)
    _check_source(folder, start)
    if (folder / RUN).is_file():
        return TrainedRun.load(folder)
    encoded = load_data(experiment)
    require_possible(experiment, encoded, start)
    claim(folder, experiment)
    save_trained(start, folder / _SOURCE)
    stages = _Stages(experiment, folder, encoded, progress, no_watch)
    network, records = stages.fitted(section, start, start)
    _finish(experiment, folder, encoded, network, records | {"unpruned": trained.history.network})
    return TrainedRun.load(folder)


def _check_source(folder: Path, start: Network | FeedForward) -> None:
    """Raise if a folder holds a pruning of another network.

    Runs that were pruned in another way, or trained for longer, are pruned to fit by the same experiment.
    """
    before = _network_before(folder)
    if before is None:
        # A pruning that was interrupted before it began has none yet.
        same = not (folder / RUN).is_file()
    else:
        same = isinstance(before, Network | FeedForward) and _same_numbers(before, start)
    if not same:
        raise UsageError(
            f"'{folder}' holds a pruning of another network", "choose another place, or delete it"
        )


def _network_before(folder: Path) -> TrainedNetwork | None:
    """Return the network of a run folder that is not pruned; None if it has none."""
    structure, numbers = (folder / _SOURCE / name for name in NETWORK_FILES)
    if not (structure.is_file() and numbers.is_file()):
        return None
    return trained_of(structure.read_bytes(), numbers.read_bytes(), folder / _SOURCE)


def _same_numbers(one: Network | FeedForward, other: Network | FeedForward) -> bool:
    numbers, others = one.state_dict(), other.state_dict()
    return numbers.keys() == others.keys() and all(
        torch.equal(each.cpu(), others[name].cpu()) for name, each in numbers.items()
    )
