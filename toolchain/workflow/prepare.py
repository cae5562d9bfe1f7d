"""What an experiment begins with: its data as they enter the network, and how it trains."""

from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain.data.codes.input_encoder import InputEncoder, gathered
from toolchain.data.codes.options import WindowCode
from toolchain.data.series.series import Series
from toolchain.data.sets.data_set import DataSet, Part, SampleKind, Stored
from toolchain.data.sets.opening import open_data
from toolchain.data.sets.windows import windows_data
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.outputs import ForecastForm, OutputForm
from toolchain.training import FitOptions
from toolchain.workflow.experiment import Experiment, check_room
from toolchain.workflow.sections.model import OwnModel, RecurrentModel
from toolchain.workflow.sections.task import ForecastTask, check_opened

# Streams of random numbers, one per purpose: adding one never moves another.
WEIGHTS_STREAM, PRUNING_STREAM, _ENCODING, _VALIDATION_ENCODING, _ON_DEMAND = range(5)


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
        model = experiment.model
        flat = isinstance(model, RecurrentModel) or (isinstance(model, OwnModel) and model.flat)
        self.encoder = InputEncoder(data, experiment.encoding, flat=flat)
        self._forecast: ForecastForm | None = None
        if isinstance(experiment.encoding, WindowCode) and data.kind is SampleKind.WINDOWS:
            task = forecast_task(experiment)
            self._forecast = ForecastForm(
                window=task.window,
                horizon=task.horizon,
                increments=task.increments,
                encoding=experiment.encoding,
            )
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
        return self._stimulus(gathered(self.train, count), self.data.train)

    def held_out(self) -> Stimulus:
        """Return the test samples, with their labels."""
        return self._stimulus(self.test, self.data.test)

    def for_validation(self) -> Stimulus | None:
        """Return the samples for validation, with their labels; None if there are none."""
        values = self.validation
        return None if values is None else self._stimulus(values, self.data.validation)

    def _stimulus(self, values: NDArray[Any], part: Part) -> Stimulus:
        present = self.present(part)
        labels = part.labels[: len(values)]
        lengths = self.encoder.lengths(part)
        return Stimulus(
            {"input": values},
            labels,
            None if lengths is None else lengths[: len(values)],
            present=None if present is None else present[: len(values)],
        )

    def present(self, part: Part) -> NDArray[np.float64] | None:
        """Return the last value of every window of a part; None for what is no series."""
        return part.samples[:, -1] if self.data.kind is SampleKind.WINDOWS else None

    @property
    def outputs(self) -> OutputForm | None:
        """What real outputs mean; None for classes."""
        scale = self.data.scale
        return None if scale is None else OutputForm(scale=scale, forecast=self._forecast)


def load_data(experiment: Experiment) -> EncodedData:
    """Return the data set of an experiment; a series in windows.

    Raises:
        ExperimentError: The task or the encoding does not suit the samples, or the sizes are more than this
            machine's memory.
        SeriesError: A part of a series is too short for its windows.
    """
    data = open_data(experiment.data)
    if isinstance(data, Series):
        task = forecast_task(experiment)
        options: Any = experiment.data
        data = windows_data(options, data, task.window, task.horizon, increments=task.increments)
    check_opened(data, experiment.task)
    encoded = EncodedData(experiment, data)
    encoder = encoded.encoder
    check_room(experiment, len(data.train), encoder.steps, encoder.bytes_per_sample)
    return encoded


def forecast_task(experiment: Experiment) -> ForecastTask:
    """Return how an experiment forecasts a series; the defaults if it does not say."""
    return experiment.task if isinstance(experiment.task, ForecastTask) else ForecastTask()


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
        optimizer=section.optimizer,
        schedule=section.schedule,
        autocast=section.autocast,
    )
