"""The experiment file: one validated schema, every key documented, every default a working one."""

import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from toolchain.data.encoders import Encoding
from toolchain.errors import ArgumentError, ExperimentError
from toolchain.files.documents import Document, explain, read_document
from toolchain.files.toml import read_toml
from toolchain.intake import PathText, path_of
from toolchain.memory import machine_memory, readable_size
from toolchain.models.delays import LONGEST_LEARNT
from toolchain.models.hrsnn import HrsnnShape, LearntDelays
from toolchain.models.network import Readout
from toolchain.options import LARGEST_FACTOR, LONGEST_MS, SHORTEST_MS, SMALLEST_FACTOR
from toolchain.pruning.lnp import ExponentSource, Importance, Preference, PruningStep
from toolchain.reset import Reset
from toolchain.training.autocast import Autocast

Positive = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=SMALLEST_FACTOR, le=LARGEST_FACTOR)]
Milliseconds = Annotated[float, Field(ge=SHORTEST_MS, le=LONGEST_MS)]
DIGITS: Final = 1797
CLASSES: Final = 10
PIXELS: Final = 64
"""Of the one data set there is: images, classes, and pixels of an image."""
_ROWS: Final = 8
"""Of an image that is shown row by row: each takes its own steps."""
_OF_NEURONS: Final = {"refractory": "refractory_ms", "adaptation_decay": "adaptation_tau_ms"}
"""Keys of `[model]` that the neurons know by another name."""
_KEPT_FOR_BACKWARD: Final = 16
"""Bytes that training keeps per neuron, step and sample of a batch, at the least: four numbers of 4 bytes."""


class DatasetName(Enum):
    """Data sets that can be named in an experiment."""

    DIGITS = "digits"
    SEQUENTIAL_DIGITS = "sequential_digits"


class PruningMethod(Enum):
    """How the network is pruned."""

    LNP = "lnp"
    ACTIVITY = "activity"
    MAGNITUDE = "magnitude"
    RANDOM = "random"
    ERDOS_RENYI = "erdos_renyi"


class Device(Enum):
    """Where to train."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class DataSection(Document):
    """`[data]`: what is learnt."""

    name: DatasetName = Field(
        default=DatasetName.DIGITS,
        description="digits: scikit-learn's 1,797 images; sequential_digits: the same, row by row",
    )
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3, description="share held out for testing"
    )
    split_seed: Seed = Field(default=0, description="seed of the split, apart from the seed of the network")


class EncodingSection(Document):
    """`[encoding]`: how images become spikes."""

    name: Encoding = Field(default=Encoding.RATE, description="rate, poisson, latency or direct")
    steps: Positive = Field(default=16, description="time steps per sample, or per row of a sequence")
    max_rate: Fraction = Field(default=1.0, description="spikes per step of the brightest pixel")


class ModelSection(Document):
    """`[model]`: the untrained heterogeneous recurrent network."""

    neurons: Positive = Field(default=512, description="neurons of the recurrent pool")
    density: Fraction = Field(default=0.6, description="share of possible recurrent synapses")
    rewiring: Share = Field(default=0.1, description="small-world rewiring")
    input_density: Fraction = Field(default=0.2, description="share of possible input synapses")
    tau_mean_ms: Milliseconds = Field(
        default=20.0, description="mean membrane time constant (gamma-distributed)"
    )
    tau_shape: Factor = Field(default=3.0, description="shape of that gamma distribution")
    cluster_tau_ms: tuple[Milliseconds, ...] = Field(
        default=(), description="mean time constant of each cluster; empty for one pool"
    )
    between: Share = Field(default=0.1, description="density between clusters over the density inside")
    inhibitory: Share = Field(default=0.2, description="share of inhibitory neurons")
    inhibition: Factor = Field(default=4.0, description="inhibitory against excitatory strength")
    gain: Factor = Field(default=0.8, description="spectral radius of the recurrent weights")
    input_gain: Factor = Field(
        default=8.0, description="standard deviation of the summed input, in thresholds"
    )
    bias: Annotated[float, Field(ge=-LARGEST_FACTOR, le=LARGEST_FACTOR)] = Field(
        default=0.0, description="constant input, in thresholds"
    )
    readout: Readout = Field(default=Readout.LAST_V, description="spike_count, last_v, mean_v or max_v")
    readout_tau_ms: Milliseconds = Field(default=100.0, description="membrane time constant of the read-out")
    dt_ms: Milliseconds = Field(default=1.0, description="length of a step")
    reset: Reset = Field(
        default=Reset.ZERO, description="what a spike does to the potential: zero, value, subtract or none"
    )
    reset_amount: Annotated[float, Field(ge=-LARGEST_FACTOR, le=LARGEST_FACTOR)] | None = Field(
        default=None,
        description="value that is set or taken away, in thresholds; subtract takes 1 unless it is given",
    )
    refractory_ms: Annotated[float, Field(ge=0, le=LONGEST_MS)] = Field(
        default=0.0, description="time after a spike in which a neuron is silent"
    )
    adaptation: Annotated[float, Field(ge=0, le=LARGEST_FACTOR)] = Field(
        default=0.0, description="rise of the threshold at a spike, in thresholds; 0 for none"
    )
    adaptation_tau_ms: Milliseconds = Field(
        default=200.0, description="time constant with which that rise decays"
    )
    train: tuple[str, ...] = Field(
        default=(),
        description="what neurons learn: dv (membrane time constants), vth, reset_amount, adaptation or "
        "adaptation_decay",
    )
    delays: LearntDelays = Field(
        default=LearntDelays.NONE, description="which delays are learnt: none, connection or synapse"
    )
    longest_delay: Annotated[int, Field(gt=0, le=LONGEST_LEARNT)] = Field(
        default=10, description="longest delay that is learnt, in steps"
    )


class PruningSection(Document):
    """`[pruning]`: of the untrained network; only activity pruning sees data."""

    method: PruningMethod = Field(
        default=PruningMethod.LNP, description="lnp, activity, magnitude, random or erdos_renyi"
    )
    neurons: Positive = Field(default=190, description="neurons that remain")
    synapse_fraction: Fraction = Field(
        default=0.07, description="share of the recurrent synapses that remains"
    )
    iterations: Positive = Field(
        default=20, description="rounds (lnp and activity, which also trains for an epoch after each)"
    )
    steps: Annotated[tuple[PruningStep, ...], Field(min_length=1)] = Field(
        default=(PruningStep.NOISE, PruningStep.CENTRALITY, PruningStep.DELOCALIZATION),
        description="steps of lnp: noise, centrality, delocalization, time_scales",
    )
    importance: Importance = Field(
        default=Importance.WEIGHT,
        description="what a synapse is weighed by: lyapunov, weight or covariance",
    )
    prefer: Preference = Field(
        default=Preference.LEAVES, description="which edges come back first: hubs, leaves or random"
    )
    attribution: ExponentSource = Field(
        default=ExponentSource.AUTO, description="source of the exponents: auto, full or diagonal"
    )
    baseline: bool = Field(default=True, description="also train the unpruned network, for comparison")


class TrainingSection(Document):
    """`[training]`: surrogate-gradient training with AdamW and a one-cycle learning rate."""

    epochs: Positive = Field(default=40, description="passes over the training split")
    batch_size: Positive = Field(default=32, description="samples per step")
    learning_rate: Factor = Field(default=0.005, description="peak of the cycle")
    weight_decay: Annotated[float, Field(ge=0, le=LARGEST_FACTOR)] = Field(
        default=0.0, description="decoupled weight decay"
    )
    gradient_clip: Factor = Field(default=1.0, description="largest norm of a gradient")
    surrogate_slope: Factor = Field(default=2.0, description="sharpness of the spike derivative")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="of the cross-entropy"
    )
    neuron_rate: Annotated[float, Field(ge=0, le=LARGEST_FACTOR)] = Field(
        default=0.2, description="learning rate of what neurons learn, as a share of that of the weights"
    )
    delay_rate: Annotated[float, Field(ge=0, le=LARGEST_FACTOR)] = Field(
        default=20.0, description="learning rate of delays, as a multiple of that of the weights"
    )
    recompute: bool = Field(
        default=False, description="compute what gradients need again instead of storing it: less memory"
    )
    autocast: Autocast = Field(
        default=Autocast.OFF,
        description="off, or bfloat16 for convolutions and products, by PyTorch's autocast",
    )
    device: Device = Field(default=Device.AUTO, description="auto, cpu or cuda")
    calibration_samples: Positive = Field(default=256, description="training samples kept for quantization")


class Experiment(Document):
    """Everything that decides what `pumice train` does. The defaults are the demo."""

    seed: Seed = Field(default=0, description="of weights, pruning and the order of samples")
    data: DataSection = Field(default=DataSection(), description="data set, and how it is split")
    encoding: EncodingSection = Field(default=EncodingSection(), description="how images become spikes")
    model: ModelSection = Field(default=ModelSection(), description="the network before pruning")
    pruning: PruningSection | None = Field(
        default=PruningSection(), description="leave out with `pruning = false`"
    )
    training: TrainingSection = Field(default=TrainingSection(), description="how the network learns")


_SECTIONS: Final[dict[str, type[Document]]] = {
    "data": DataSection,
    "encoding": EncodingSection,
    "model": ModelSection,
    "pruning": PruningSection,
    "training": TrainingSection,
}


def parse_experiment(document: Mapping[str, Any]) -> Experiment:
    """Return a validated experiment.

    Args:
        document: What stands in the file; members of enumerations may stand for their texts.

    Raises:
        ExperimentError: Names the first key that is unknown or has a value that is not accepted.
    """
    content: Any = document
    if isinstance(content, Mapping) and content.get("pruning") is False:
        content = dict(content) | {"pruning": None}
    try:
        # As text, in which a list can be read as a tuple and a word as a choice, but no word as a number.
        experiment = Experiment.model_validate_json(json.dumps(content, default=_plain))
    except ValidationError as error:
        raise _explain(error) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ExperimentError("(file)", f"is none that a file could hold: {error}") from None
    _check_together(experiment)
    return experiment


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
    if pruning is not None and pruning.neurons > model.neurons:
        raise ExperimentError(
            "pruning.neurons", f"expected at most model.neurons = {model.neurons}, got {pruning.neurons}"
        )
    if len(model.cluster_tau_ms) > model.neurons:
        raise ExperimentError(
            "model.cluster_tau_ms",
            f"expected at most model.neurons = {model.neurons} clusters, got {len(model.cluster_tau_ms)}",
        )
    try:
        network_shape(experiment, channels=1, classes=1)
    except ArgumentError as error:
        reason = str(error).removeprefix(f"{error.argument}: ")
        key = _OF_NEURONS.get(error.argument, error.argument)
        raise ExperimentError(f"model.{key}", reason) from None
    _check_split(experiment.data.test_fraction)


def network_shape(experiment: Experiment, *, channels: int, classes: int) -> HrsnnShape:
    """Return what defines the untrained network but its random numbers."""
    settings = experiment.model.model_dump(exclude={"readout"})
    return HrsnnShape(channels=channels, classes=classes, **settings)


def _check_split(share: float) -> None:
    held_out = math.ceil(share * DIGITS)
    if not CLASSES <= held_out <= DIGITS - CLASSES:
        least, most = CLASSES / DIGITS, 1 - CLASSES / DIGITS
        raise ExperimentError(
            "data.test_fraction",
            f"expected a share that leaves one image of each of the {CLASSES} classes on either side of the "
            f"split of {DIGITS} images, about {least:.4f} .. {most:.4f}, got {share:g}",
        )


def check_room(experiment: Experiment) -> None:
    """Raise for sizes whose arrays alone are more than this machine's memory."""
    steps, neurons = experiment.encoding.steps, experiment.model.neurons
    rows = _ROWS if experiment.data.name is DatasetName.SEQUENTIAL_DIGITS else 1
    together = min(experiment.training.batch_size, DIGITS)
    needs = {
        # Dense recurrent weights in double precision, and their mask.
        "model.neurons": 9 * neurons**2,
        # Encoded images, a byte a pixel.
        "encoding.steps": DIGITS * PIXELS * steps,
        "training.batch_size": _KEPT_FOR_BACKWARD * together * steps * rows * neurons,
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


def _explain(error: ValidationError) -> ExperimentError:
    key, reason = explain(error)
    first = error.errors(include_url=False)[0]
    if first["type"] == "extra_forbidden":
        section = _SECTIONS[str(first["loc"][0])] if len(first["loc"]) > 1 else Experiment
        return ExperimentError(key, reason, known=list(section.model_fields))
    return ExperimentError(key or "(file)", reason)
