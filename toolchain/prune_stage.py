"""The first stage of a run: the untrained network an experiment describes, and how it is pruned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, assert_never, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from toolchain.data import Encoding, Images, encode, in_rows, load_digits
from toolchain.documents import Digest, Document, read_document, write_document
from toolchain.experiment import DatasetName, Experiment, PruningMethod, PruningSection
from toolchain.models import HrsnnShape, Network, build_hrsnn
from toolchain.opened import OpenedFolder, read_folder
from toolchain.progress import Progress, StageProgress, no_stages, of_stage
from toolchain.pruning import (
    ActivityOptions,
    LnpOptions,
    LnpRecord,
    Selection,
    erdos_renyi,
    pool_of,
    prune_at_random,
    prune_by_activity,
    prune_recurrent,
    with_pool,
)
from toolchain.pruning.lnp import DelocalizationRule, KeepRule
from toolchain.pruning.magnitude import prune_by_magnitude
from toolchain.pruning.report import write_pruning_report
from toolchain.seal import check_seal, hashes
from toolchain.training import NETWORK_FILES, FitOptions, fit, network_of, save_network

LAYER: Final = "hidden"
_DOCUMENT: Final = "pruning.json"
_ACTIVITY_SAMPLES: Final = 256
# Streams of random numbers, one per purpose: adding one never moves another.
_WEIGHTS, _PRUNING, _ENCODING = range(3)


class PruningDocument(Document):
    """`pruning.json`: what a pruning did, and the files of its network.

    Attributes:
        records: Every iteration; none for methods without iterations.
        files: Their hashes by name.
    """

    records: tuple[LnpRecord, ...]
    files: Annotated[dict[str, Digest], Field(min_length=1)]


@final
@dataclass(frozen=True)
class PrunedStage:
    """An untrained network that was pruned (by activity: trained a little).

    Attributes:
        network: What is left.
        records: Of every iteration; empty for methods without iterations.
        report: The page that shows it.
    """

    network: Network
    records: tuple[LnpRecord, ...]
    report: Path


def load_images(experiment: Experiment) -> Images:
    """Return the data set of an experiment."""
    images = load_digits(experiment.data.test_fraction, experiment.data.split_seed)
    match experiment.data.name:
        case DatasetName.DIGITS:
            return images
        case DatasetName.SEQUENTIAL_DIGITS:
            return in_rows(images)
        case _:
            assert_never(experiment.data.name)


def encode_images(experiment: Experiment, images: Images) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return training and test split as they enter the network."""
    rng = np.random.default_rng([experiment.seed, _ENCODING])
    section = experiment.encoding
    train = encode(images.train, section.name, section.steps, rng=rng, max_rate=section.max_rate)
    test = encode(images.test, section.name, section.steps, rng=rng, max_rate=section.max_rate)
    return train, test


def network_shape(experiment: Experiment, images: Images) -> HrsnnShape:
    """Return what defines the untrained network but its random numbers."""
    settings = experiment.model.model_dump(exclude={"readout"})
    return HrsnnShape(channels=images.train.shape[-1], classes=len(images.classes), **settings)


def untrained_network(experiment: Experiment, images: Images) -> Network:
    """Return the network before pruning and training."""
    rng = np.random.default_rng([experiment.seed, _WEIGHTS])
    network = build_hrsnn(network_shape(experiment, images), rng, readout=experiment.model.readout)
    for name in network.layers:
        network.layer(name).slope = experiment.training.surrogate_slope
    if experiment.encoding.name is Encoding.DIRECT:
        # Sixteen grey levels above black: every intensity is an integer of five bits.
        network.graded, network.graded_scale, network.graded_bits = True, 16.0, 5
    return network


def fit_options(experiment: Experiment, epochs: int | None = None) -> FitOptions:
    """Return how an experiment trains, for another number of epochs if one is given."""
    section = experiment.training
    return FitOptions(
        section.epochs if epochs is None else epochs,
        section.batch_size,
        section.learning_rate,
        section.weight_decay,
        section.gradient_clip,
        section.label_smoothing,
        section.device.value,
    )


def prune_stage(
    experiment: Experiment,
    section: PruningSection,
    folder: Path,
    images: Images,
    inputs: NDArray[Any],
    progress: StageProgress = no_stages,
) -> PrunedStage:
    """Prune the untrained network of an experiment, or return what an earlier call left.

    An interrupted LNP continues where it was last measured.

    Args:
        experiment: Its model, data and seed.
        section: How to prune.
        folder: Where network, records, state and report are kept.
        images: The data set: its labels train the network in activity pruning; no other method sees it.
        inputs: Its encoded training split.
        progress: Told how far it is.

    Raises:
        PruningError: The targets are impossible.
        CorruptArtifactError: What is in the folder was changed.
    """
    report = folder / "report.html"
    if (folder / _DOCUMENT).is_file():
        known = read_document(folder / _DOCUMENT, PruningDocument)

        def read(opened: OpenedFolder) -> Network:
            files = check_seal(opened, known.files, NETWORK_FILES, what="pruning", written_by="prune")
            structure, numbers = (files.read(name) for name in NETWORK_FILES)
            return network_of(structure, numbers, opened.path)

        return PrunedStage(
            read_folder("folder of the pruned network", folder / "network", read), known.records, report
        )
    dense = untrained_network(experiment, images)
    told = of_stage(progress, f"prune by {section.method.value}")
    network, lnp = _pruned(experiment, section, dense, folder, images, inputs, told)
    save_network(network, folder / "network")
    kept = network.layer(LAYER).elements.numpy()
    selection = Selection(pool_of(network, LAYER), kept)
    title = f"Pruning of {dense.layer(LAYER).size} neurons by {section.method.value}"
    write_pruning_report(report, title, pool_of(dense, LAYER), selection, lnp, dt_ms=network.dt_ms)
    files = hashes(folder / "network", NETWORK_FILES)
    write_document(folder / _DOCUMENT, PruningDocument(records=tuple(lnp), files=files))
    return PrunedStage(network, tuple(lnp), report)


def _pruned(
    experiment: Experiment,
    section: PruningSection,
    dense: Network,
    folder: Path,
    images: Images,
    inputs: NDArray[Any],
    progress: Progress,
) -> tuple[Network, Sequence[LnpRecord]]:
    rng = np.random.default_rng([experiment.seed, _PRUNING])
    pool = pool_of(dense, LAYER)
    synapses = round(section.synapse_fraction * pool.synapses)
    match section.method:
        case PruningMethod.LNP:
            network, result = prune_recurrent(
                dense,
                LAYER,
                _lnp_options(section),
                rng,
                cluster=network_shape(experiment, images).cluster,
                checkpoint=folder / "state",
                progress=progress,
            )
            return network, result.records
        case PruningMethod.MAGNITUDE:
            selection = prune_by_magnitude(pool, section.neurons, synapses)
        case PruningMethod.RANDOM:
            selection = prune_at_random(pool, section.neurons, synapses, rng)
        case PruningMethod.ERDOS_RENYI:
            kept = np.sort(rng.choice(pool.size, section.neurons, replace=False))
            selection = erdos_renyi(pool, kept, synapses, rng)
        case PruningMethod.ACTIVITY:
            options = ActivityOptions(section.neurons, synapses, section.iterations)
            return _by_activity(experiment, dense, options, images, inputs, progress), ()
        case _:
            assert_never(section.method)
    progress(1, 1)
    small = selection.pool.with_gain(experiment.model.gain)
    return with_pool(dense, LAYER, selection.kept, small), ()


def _lnp_options(section: PruningSection) -> LnpOptions:
    return LnpOptions(
        section.neurons,
        section.synapse_fraction,
        section.iterations,
        frozenset(section.steps),
        keep=KeepRule(importance=section.importance),
        delocalization=DelocalizationRule(prefer=section.prefer),
        attribution=section.attribution,
    )


def _by_activity(
    experiment: Experiment,
    dense: Network,
    options: ActivityOptions,
    images: Images,
    inputs: NDArray[Any],
    progress: Progress,
) -> Network:
    def activity(network: Network) -> NDArray[np.float64]:
        with torch.inference_mode():
            x = torch.from_numpy(np.asarray(inputs[:_ACTIVITY_SAMPLES])).to(network.layer(LAYER).vth.dtype)
            return network(x).spikes[LAYER].double().mean(dim=(0, 1)).numpy()

    def retrain(network: Network) -> None:
        fit(network, inputs, images.train_labels, fit_options(experiment, 1), seed=experiment.seed)

    return prune_by_activity(dense, LAYER, options, activity, retrain, progress=progress)[0]
