"""What an experiment begins with: its data, and its network before pruning and training."""

from typing import Any, Final, assert_never

import numpy as np
from numpy.typing import NDArray

from toolchain.data import Encoding, Images, encode, in_rows, load_digits
from toolchain.models import HrsnnShape, InputCode, Network, build_hrsnn
from toolchain.training import FitOptions
from toolchain.workflow.experiment import DatasetName, Experiment, network_shape

LAYER: Final = "hidden"


# Streams of random numbers, one per purpose: adding one never moves another.
_WEIGHTS, PRUNING_STREAM, _ENCODING = range(3)


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


def shape_for(experiment: Experiment, images: Images) -> HrsnnShape:
    """Return what defines the untrained network for a data set, but its random numbers."""
    return network_shape(experiment, channels=images.train.shape[-1], classes=len(images.classes))


def untrained_network(experiment: Experiment, images: Images) -> Network:
    """Return the network before pruning and training."""
    rng = np.random.default_rng([experiment.seed, _WEIGHTS])
    network = build_hrsnn(shape_for(experiment, images), rng, readout=experiment.model.readout)
    for name in network.layers:
        network.layer(name).slope = experiment.training.surrogate_slope
    if experiment.encoding.name is Encoding.DIRECT:
        # Sixteen grey levels above black: every intensity is an integer of five bits.
        network.input_code = InputCode(16.0, 5)
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
        neuron_rate=section.neuron_rate,
        delay_rate=section.delay_rate,
        recompute=section.recompute,
        autocast=section.autocast,
    )
