"""The first stage of a run: the untrained network an experiment describes, and how it is pruned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final, assert_never, final

import numpy as np
import torch
from numpy.typing import NDArray

from toolchain.bars import draws
from toolchain.data.codes.input_encoder import gathered
from toolchain.errors import UsageError
from toolchain.files.documents import write_document
from toolchain.files.opened import OpenedFolder, read_folder
from toolchain.files.sealed_folder import SealedDocument, open_sealed, seal
from toolchain.intake import PathText, path_of
from toolchain.memory import enough_memory
from toolchain.models import Network
from toolchain.models.topology import spectral_radius
from toolchain.progress import Progress, StageProgress, default_stages, no_progress, no_stages, stage_progress
from toolchain.pruning import (
    ActivityOptions,
    LnpOptions,
    LnpRecord,
    RecurrentPool,
    Selection,
    erdos_renyi,
    pool_of,
    prune_at_random,
    prune_by_activity,
    prune_recurrent,
    recurrent_layer,
    thin_inputs,
    with_pool,
)
from toolchain.pruning.lnp import DelocalizationRule, KeepRule
from toolchain.pruning.magnitude import prune_by_magnitude
from toolchain.pruning.report import write_pruning_report
from toolchain.training import NETWORK_FILES, fit, network_of, save_network
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.own_code import code_of
from toolchain.workflow.prepare import PRUNING_STREAM, EncodedData, fit_options, load_data
from toolchain.workflow.run_folder import check_claim, claim
from toolchain.workflow.sections.model import RecurrentModel
from toolchain.workflow.sections.pruning import ChannelSelection, SparseLearning, SynapsePruning
from toolchain.workflow.untrained import shape_of, untrained_network

_REPORT: Final = "report.html"
_ACTIVITY_SAMPLES: Final = 256


class PruningDocument(SealedDocument):
    """The file that says what a pruning did, and lists the files of its network.

    Attributes:
        records: Every iteration; none for methods without iterations.
    """

    FORMAT: ClassVar[str] = "pumice-pruning"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "list of a pumice pruning"
    WRITTEN_BY: ClassVar[str] = "pumice prune"
    ONCE_UNVERSIONED: ClassVar[bool] = True
    FILE: ClassVar[str] = "pruning.json"
    FOLDER: ClassVar[str] = "pruning"
    LOADED: ClassVar[tuple[str, ...]] = tuple(f"network/{name}" for name in NETWORK_FILES)

    format: str = FORMAT
    version: int = VERSION
    records: tuple[LnpRecord, ...]


@final
@dataclass(frozen=True)
class PrunedStage:
    """An untrained network that was pruned (by activity: trained a little).

    Attributes:
        network: The network that is left.
        records: Record of every iteration; empty for methods without iterations.
        report: Path of the page that shows it.
    """

    network: Network
    records: tuple[LnpRecord, ...]
    report: Path

    @property
    def pool(self) -> RecurrentPool:
        """The neurons that are left, and the synapses among them."""
        return pool_of(self.network, recurrent_layer(self.network))


def prune_stage(
    experiment: Experiment,
    section: SynapsePruning,
    folder: Path,
    encoded: EncodedData,
    progress: StageProgress = no_stages,
) -> PrunedStage:
    """Prune the untrained network of an experiment, or return what an earlier call left.

    An interrupted LNP continues where it was last measured.

    Args:
        experiment: Experiment with model, data and seed.
        section: Options of the pruning.
        folder: Folder for network, records, state and report.
        encoded: The data set: it trains the network in activity pruning; no other method sees it.
        progress: Callback with the stage and how far it is.

    Raises:
        PruningError: The targets are impossible.
        CorruptArtifactError: What is in the folder was changed.
    """
    if (folder / PruningDocument.FILE).is_file():
        return read_folder("pruning folder", folder, _read_stage)
    dense = untrained_network(experiment, encoded)
    if not isinstance(dense, Network):
        raise UsageError(f"'{section.method}' prunes recurrent networks; this one is built otherwise")
    report_progress = stage_progress(progress, f"prune by {section.method}")
    thin = _with_fewer_inputs(experiment, section, dense)
    network, lnp = _prune(experiment, section, thin, folder, encoded, report_progress)
    save_network(network, folder / "network")
    layer = recurrent_layer(dense)
    selection = Selection(pool_of(network, layer), network.layer(layer).elements.numpy())
    title = f"Pruning of {dense.layer(layer).size} neurons by {section.method}"
    report = folder / _REPORT
    write_pruning_report(report, title, pool_of(dense, layer), selection, lnp, dt_ms=network.dt_ms)
    document = PruningDocument(records=tuple(lnp), files=seal(folder, PruningDocument.LOADED))
    write_document(folder / PruningDocument.FILE, document)
    return PrunedStage(network, tuple(lnp), report)


def _read_stage(folder: OpenedFolder) -> PrunedStage:
    document, files = open_sealed(folder, PruningDocument)
    structure, numbers = (files.read(name) for name in PruningDocument.LOADED)
    network = network_of(structure, numbers, folder.path / "network")
    return PrunedStage(network, document.records, folder.path / _REPORT)


def _prune(
    experiment: Experiment,
    section: SynapsePruning,
    dense: Network,
    folder: Path,
    encoded: EncodedData,
    progress: Progress,
) -> tuple[Network, Sequence[LnpRecord]]:
    rng = np.random.default_rng([experiment.seed, PRUNING_STREAM])
    layer = recurrent_layer(dense)
    pool = pool_of(dense, layer)
    synapses = round(section.synapse_fraction * pool.synapses)
    match section.method:
        case "lnp":
            network, result = prune_recurrent(
                dense,
                layer,
                _lnp_options(section),
                rng,
                cluster=_clusters(experiment, encoded),
                checkpoint=folder / "state",
                progress=progress,
            )
            return network, result.records
        case "magnitude":
            selection = prune_by_magnitude(pool, section.neurons, synapses)
        case "random":
            selection = prune_at_random(pool, section.neurons, synapses, rng)
        case "erdos_renyi":
            neurons = np.sort(rng.choice(pool.size, section.neurons, replace=False))
            selection = erdos_renyi(pool, neurons, synapses, rng)
        case "activity":
            options = ActivityOptions(section.neurons, synapses, section.iterations)
            return _by_activity(experiment, dense, options, encoded, progress), ()
        case _:
            assert_never(section.method)
    progress(1, 1)
    model = experiment.model
    gain = model.gain if isinstance(model, RecurrentModel) else spectral_radius(pool.weights)
    return with_pool(dense, layer, selection.indices, selection.pool.with_gain(gain)), ()


def _with_fewer_inputs(experiment: Experiment, section: SynapsePruning, network: Network) -> Network:
    """Return the network with the share of input synapses that was asked for, before anything is learnt."""
    share, strongest = section.input_fraction, section.method == "magnitude"
    if share == 1:
        return network
    rng = np.random.default_rng([experiment.seed, PRUNING_STREAM, 1])
    return thin_inputs(network, recurrent_layer(network), share, rng, strongest=strongest)


def _clusters(experiment: Experiment, encoded: EncodedData) -> NDArray[np.int64] | None:
    """Return which cluster each neuron belongs to; None where the network is of one's own."""
    model = experiment.model
    return shape_of(model, encoded).cluster if isinstance(model, RecurrentModel) else None


def _lnp_options(section: SynapsePruning) -> LnpOptions:
    return LnpOptions(
        section.neurons,
        section.synapse_fraction,
        section.iterations,
        frozenset(section.steps),
        keep=replace(KeepRule() if section.balanced else KeepRule.published(), importance=section.importance),
        delocalization=DelocalizationRule(prefer=section.prefer),
        attribution=section.attribution,
    )


def _by_activity(
    experiment: Experiment,
    dense: Network,
    options: ActivityOptions,
    encoded: EncodedData,
    progress: Progress,
) -> Network:
    layer = recurrent_layer(dense)
    first = torch.from_numpy(gathered(encoded.train, _ACTIVITY_SAMPLES))

    def activity(network: Network) -> NDArray[np.float64]:
        with torch.inference_mode():
            x = first.to(network.layer(layer).bias.dtype)
            return network(x).spikes[layer].double().mean(dim=(0, 1)).numpy()

    def retrain(network: Network) -> None:
        once, labels = fit_options(experiment, 1), encoded.data.train.labels
        fit(network, encoded.train, labels, once, seed=experiment.seed, progress=no_progress)

    return prune_by_activity(dense, layer, options, activity, retrain, progress=progress)[0]


@enough_memory("pruning the network")
@draws()
def prune(experiment: Experiment, folder: PathText, progress: StageProgress = default_stages) -> PrunedStage:
    """Take the first stage of a run only: prune the untrained network. `train` continues from it.

    Args:
        experiment: Experiment to begin; it has to prune.
        folder: The run folder; created if needed.
        progress: Callback with the stage and how far it is; by default bars where somebody looks.

    Raises:
        UsageError: The experiment does not prune, or the folder holds something else.
    """
    if experiment.pruning is None:
        raise UsageError("the experiment does not prune; give it a [pruning] section")
    if isinstance(experiment.pruning, ChannelSelection | SparseLearning):
        raise UsageError(
            f"'{experiment.pruning.method}' prunes while the network trains", "'pumice train' does both"
        )
    folder = path_of(folder, "folder")
    code = code_of(experiment.model)
    check_claim(folder, experiment, code)
    encoded = load_data(experiment)
    claim(folder, experiment, code)
    return prune_stage(experiment, experiment.pruning, folder / "pruning", encoded, progress)
