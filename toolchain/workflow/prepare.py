"""What an experiment begins with: its data, and its network before pruning and training."""

from functools import cached_property
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.data.codes.graded import input_code_of
from toolchain.data.codes.input_encoder import InputEncoder, gathered
from toolchain.data.series.series import Series
from toolchain.data.sets.data_set import DataSet, Stored
from toolchain.data.sets.opening import open_data
from toolchain.errors import ExperimentError
from toolchain.execution.stimulus import Stimulus
from toolchain.models import HrsnnShape, Network, build_hrsnn
from toolchain.training import FitOptions
from toolchain.workflow.experiment import Experiment, check_room, network_shape

LAYER: Final = "hidden"


# Streams of random numbers, one per purpose: adding one never moves another.
_WEIGHTS, PRUNING_STREAM, _ENCODING, _VALIDATION_ENCODING, _ON_DEMAND = range(5)
_LOOKED_AT: Final = 256
"""Samples whose values decide how graded values become integers."""


@final
class EncodedData:
    """The data set of an experiment, and its parts as they enter the network.

    Each part is encoded when it is first asked for: the test part after training, and never before.

    Args:
        experiment: The experiment.
        data: Its data set.

    Raises:
        ExperimentError: The encoding does not suit the samples.
    """

    def __init__(self, experiment: Experiment, data: DataSet) -> None:
        self.data = data
        self.encoder = InputEncoder(data, experiment.encoding)
        self._seed = experiment.seed
        self._rng = np.random.default_rng([experiment.seed, _ENCODING])

    @cached_property
    def train(self) -> Stored:
        """Training samples, one array or encoded on demand."""
        return self.encoder.part(self.data.train, self._rng, [self._seed, _ON_DEMAND, 0])

    @cached_property
    def test(self) -> NDArray[Any]:
        """Held-out samples."""
        # Random codes draw for the training part first.
        _ = self.train
        return gathered(self.encoder.part(self.data.test, self._rng, [self._seed, _ON_DEMAND, 1]))

    @cached_property
    def validation(self) -> NDArray[Any] | None:
        """Samples for validation; None if there are none."""
        part = self.data.validation
        rng = np.random.default_rng([self._seed, _VALIDATION_ENCODING])
        return gathered(self.encoder.part(part, rng, [self._seed, _ON_DEMAND, 2])) if len(part) else None

    def first(self, count: int) -> Stimulus:
        """Return the first training samples, with their labels."""
        return Stimulus({"input": gathered(self.train, count)}, self.data.train.labels[:count])


def load_data(experiment: Experiment) -> EncodedData:
    """Return the data set of an experiment to classify.

    Raises:
        ExperimentError: The data are a series, or the encoding does not suit them, or the sizes are more than
            this machine's memory.
    """
    data = open_data(experiment.data)
    if isinstance(data, Series):
        raise ExperimentError(
            "data.name",
            f"'{experiment.data.name}' is a series to forecast, and this network learns classes; for a table "
            "of samples, `label` names the column of their classes",
        )
    encoded = EncodedData(experiment, data)
    encoder = encoded.encoder
    check_room(experiment, len(data.train), encoder.steps, encoder.bytes_per_sample)
    return encoded


def shape_for(experiment: Experiment, encoded: EncodedData) -> HrsnnShape:
    """Return what defines the untrained network for a data set, but its random numbers."""
    return network_shape(experiment, channels=encoded.encoder.channels, classes=len(encoded.data.classes))


def untrained_network(experiment: Experiment, encoded: EncodedData) -> Network:
    """Return the network before pruning and training."""
    rng = np.random.default_rng([experiment.seed, _WEIGHTS])
    network = build_hrsnn(shape_for(experiment, encoded), rng, readout=experiment.model.readout)
    for name in network.layers:
        network.layer(name).slope = experiment.training.surrogate_slope
    values = gathered(encoded.train, _LOOKED_AT)
    if values.dtype != np.bool_:
        network.input_code = input_code_of(values)
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
