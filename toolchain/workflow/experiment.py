"""The experiment file: one validated schema, every key documented, every default a working one."""

import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from toolchain.data.codes.options import CodeOptions, IntensityCode
from toolchain.data.pictures.digits import CLASSES, DIGITS
from toolchain.data.sets.options import DataOptions, DigitsData
from toolchain.errors import ArgumentError, ExperimentError, PruningError
from toolchain.files.documents import Document, later, read_document
from toolchain.files.toml import read_toml
from toolchain.intake import PathText, path_of
from toolchain.memory import machine_memory, readable_size
from toolchain.models.hrsnn import HrsnnShape
from toolchain.workflow.sections.model import CONVOLUTIONAL, ModelOptions, OwnModel, RecurrentModel
from toolchain.workflow.sections.numbers import Seed
from toolchain.workflow.sections.pruning import (
    ChannelSelection,
    PruningOptions,
    SparseLearning,
    SynapsePruning,
)
from toolchain.workflow.sections.quantization import QuantizationSection
from toolchain.workflow.sections.task import TaskOptions, check_task, named_task, usual_code
from toolchain.workflow.sections.training import TrainingSection
from toolchain.workflow.sections.wording import experiment_error

_OF_NEURONS: Final = {"refractory": "refractory_ms", "adaptation_decay": "adaptation_tau_ms"}
"""Keys of `[model]` that the neurons know by another name."""
_RECURRENT_SLOPE, _CONVOLUTIONAL_SLOPE = 2.0, 4.0
_KEPT_FOR_BACKWARD: Final = 16
"""Bytes that training keeps per neuron, step and sample of a batch, at the least: four numbers of 4 bytes."""


class Experiment(Document):
    """Everything that decides what `pumice train` does. The defaults are the demo."""

    seed: Seed = Field(default=0, description="of weights, pruning and the order of samples")
    data: DataOptions = Field(default=DigitsData(), description="data set, and how it is split")
    task: TaskOptions | None = later(None, "what is learnt; by default what suits the data")
    encoding: CodeOptions = Field(default=IntensityCode(), description="how samples become spikes")
    model: ModelOptions = Field(default=RecurrentModel(), description="the network before pruning")
    pruning: PruningOptions | None = Field(
        default=SparseLearning(method="gradual"), description="leave out with `pruning = false`"
    )
    training: TrainingSection = Field(default=TrainingSection(), description="how the network learns")
    quantization: QuantizationSection = later(
        default=QuantizationSection(), description="how 'pumice compile' makes integers of the run"
    )

    @property
    def surrogate_slope(self) -> float:
        """Sharpness of the spike derivative: as given, or what suits the kind of network."""
        usual = _RECURRENT_SLOPE if isinstance(self.model, RecurrentModel) else _CONVOLUTIONAL_SLOPE
        return self.training.surrogate_slope or usual


def parse_experiment(document: Mapping[str, Any]) -> Experiment:
    """Return a validated experiment.

    Args:
        document: What stands in the file; members of enumerations may stand for their texts.

    Raises:
        ExperimentError: Names the first key that is unknown or has a value that is not accepted.
    """
    content = _completed(document)
    try:
        # As text, in which a list can be read as a tuple and a word as a choice, but no word as a number.
        experiment = Experiment.model_validate_json(json.dumps(content, default=_plain))
    except ValidationError as error:
        raise experiment_error(error, Experiment) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ExperimentError("(file)", f"is none that a file could hold: {error}") from None
    _check_together(experiment)
    return experiment


def _completed(document: Any) -> Any:  # noqa: ANN401 - anything may stand in a file
    """Return a document whose sections are named: digits, and what suits the data and the model."""
    if not isinstance(document, Mapping):
        return document
    content: dict[str, Any] = dict(document)
    model = content.get("model", {})
    if isinstance(model, Mapping):
        content["model"] = model = {"name": "module" if "module" in model else "hrsnn"} | dict(model)
    name = model["name"] if isinstance(model, Mapping) else ""
    _complete_pruning(content, name)
    data = content.get("data", {})
    if isinstance(data, Mapping):
        content["data"] = data = {"name": DigitsData().name} | dict(data)
        code = usual_code(data)
        if code == "rate" and name in CONVOLUTIONAL:
            code = "direct"
        encoding = content.get("encoding", {})
        if isinstance(encoding, Mapping):
            content["encoding"] = {"name": code} | dict(encoding)
    if isinstance(content.get("task"), Mapping):
        content["task"] = named_task(content["task"])
    return content


def _complete_pruning(content: dict[str, Any], model: object) -> None:
    """Say by which method a model is pruned, if the file does not, or that it is not pruned.

    A file that says what only the pruning of untrained networks knows, such as `neurons`, means `lnp`, which
    was once what all files meant.
    """
    pruning = content.get("pruning", {})
    if pruning is False or ("pruning" not in content and model == "module"):
        content["pruning"] = None
    elif isinstance(pruning, Mapping):
        older = SynapsePruning.model_fields.keys() - SparseLearning.model_fields.keys()
        method = "gradual"
        if older & pruning.keys():
            method = "lnp"
        elif model in CONVOLUTIONAL and "fit" not in pruning:
            method = "sca"
        content["pruning"] = {"method": method} | dict(pruning)


def read_experiment(path: Path) -> Experiment:
    """Return the experiment that a run folder holds.

    Raises:
        CorruptArtifactError: It is damaged.
        ExperimentError: Its values do not go together.
    """
    experiment = read_document(path, Experiment)
    _check_together(experiment)
    return experiment


def _plain(value: object) -> object:
    """Return what JSON knows in place of what it does not: of an enumeration its text, of a date too."""
    return value.value if isinstance(value, Enum) else str(value)


def _check_together(experiment: Experiment) -> None:
    """Raise for values that are accepted alone, but not with one another or with the data."""
    pruning, model = experiment.pruning, experiment.model
    if isinstance(pruning, ChannelSelection | SparseLearning):
        key = "pruning.sparsity" if isinstance(pruning, ChannelSelection) else "pruning.method"
        try:
            pruning.options(experiment.seed)
        except PruningError as error:
            raise ExperimentError(key, str(error)) from None
        if isinstance(pruning, SparseLearning):
            _check_fit(pruning)
    match model:
        case RecurrentModel():
            _check_recurrent(experiment, model)
        case OwnModel():
            # What else it is shows when it is built.
            _check_no_penalty(experiment.training)
        case _ if isinstance(pruning, SynapsePruning) or (
            pruning is not None and pruning.method == "synflow"
        ):
            raise ExperimentError(
                "pruning.method",
                f"'{pruning.method}' prunes recurrent networks; '{model.name}' is pruned by 'sca', by sparse "
                "training such as 'gradual', or not at all (`pruning = false`)",
            )
        case _:
            pass
    check_task(experiment.data, experiment.task)
    if isinstance(experiment.data, DigitsData):
        _check_digits(experiment.data.test_fraction)


def _check_no_penalty(training: TrainingSection) -> None:
    """Raise for a penalty on what a module of one's own sends, which nobody knows."""
    for name in ("rate_penalty", "operation_penalty"):
        if getattr(training, name):
            raise ExperimentError(
                f"training.{name}", "expected 0 for a module of your own, whose spikes are not known"
            )


def _check_fit(pruning: SparseLearning) -> None:
    if pruning.fit is None:
        return
    if pruning.method == "soft_deep_rewiring":
        raise ExperimentError(
            "pruning.fit",
            "soft deep rewiring has as many synapses as its noise brings back, so that nothing can be "
            "promised of it; use gradual, set, rigl, deep_rewiring or static",
        )
    try:
        pruning.fit.budget()
    except PruningError as error:
        raise ExperimentError("pruning.fit", str(error)) from None


def _check_recurrent(experiment: Experiment, model: RecurrentModel) -> None:
    pruning = experiment.pruning
    if isinstance(pruning, ChannelSelection):
        raise ExperimentError(
            "pruning.method", f"'sca' prunes channels of convolutions, of which '{model.name}' has none"
        )
    if isinstance(pruning, SynapsePruning) and pruning.neurons > model.neurons:
        raise ExperimentError(
            "pruning.neurons", f"expected at most model.neurons = {model.neurons}, got {pruning.neurons}"
        )
    if len(model.clusters) > model.neurons:
        raise ExperimentError(
            "model.cluster_tau_ms",
            f"expected at most model.neurons = {model.neurons} clusters, got {len(model.clusters)}",
        )
    try:
        recurrent_shape(model, channels=1, classes=1)
    except ArgumentError as error:
        reason = str(error).removeprefix(f"{error.argument}: ")
        key = _OF_NEURONS.get(error.argument, error.argument)
        raise ExperimentError(f"model.{key}", reason) from None


def recurrent_shape(model: RecurrentModel, *, channels: int, classes: int) -> HrsnnShape:
    """Return what defines an untrained recurrent network but its random numbers."""
    settings = model.model_dump(exclude={"name", "readout", "cluster_tau_ms"})
    return HrsnnShape(channels=channels, classes=classes, cluster_tau_ms=model.clusters, **settings)


def _check_digits(share: float) -> None:
    held_out = math.ceil(share * DIGITS)
    if not CLASSES <= held_out <= DIGITS - CLASSES:
        least, most = CLASSES / DIGITS, 1 - CLASSES / DIGITS
        raise ExperimentError(
            "data.test_fraction",
            f"expected a share that leaves one image of each of the {CLASSES} classes on either side of the "
            f"split of {DIGITS} images, about {least:.4f} .. {most:.4f}, got {share:g}",
        )


def check_room(experiment: Experiment, samples: int, steps: int, bytes_per_sample: int) -> None:
    """Raise for sizes whose arrays alone are more than this machine's memory.

    Args:
        experiment: The experiment.
        samples: Samples to train on.
        steps: Time steps of a sample.
        bytes_per_sample: Bytes of a sample once it is encoded; samples are encoded batch by batch if need be.
    """
    # How much a convolutional network keeps, its training knows.
    model = experiment.model
    neurons = model.neurons if isinstance(model, RecurrentModel) else 0
    together = min(experiment.training.batch_size, samples)
    needs = {
        # Dense recurrent weights in double precision, and their mask.
        "model.neurons": 9 * neurons**2,
        "encoding.steps": together * bytes_per_sample,
        "training.batch_size": _KEPT_FOR_BACKWARD * together * steps * neurons,
    }
    memory = machine_memory()
    for key, needed in needs.items():
        if needed > memory:
            raise ExperimentError(
                key,
                f"needs {readable_size(needed)}, the machine has {readable_size(memory)} of memory",
            )


def load_experiment(path: PathText) -> Experiment:
    """Read an experiment file.

    Raises:
        MissingFileError: There is no such file.
        ExperimentError: It is not TOML, or not an experiment.
    """
    path = path_of(path, "path")
    try:
        return parse_experiment(read_toml(path, "experiment file"))
    except ValueError as error:
        raise ExperimentError(str(path), str(error)) from None
    except ExperimentError as error:
        error.add_note(f"in experiment file '{path}'")
        raise
