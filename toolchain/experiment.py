"""The experiment file: one validated schema, every key documented, every default a working one."""

import math
import tomllib
from enum import Enum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolchain.data.encoders import Encoding
from toolchain.disk import check_file
from toolchain.errors import ExperimentError
from toolchain.intake import PathText, path_of
from toolchain.memory import machine_memory, readable_size
from toolchain.models.network import Readout
from toolchain.pruning.lnp import Attribution, Importance, Preference, Step

Positive = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(gt=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
DIGITS: Final = 1797
CLASSES: Final = 10
PIXELS: Final = 64
"""Of the one data set there is: images, classes, and pixels of an image."""
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]


_EXPECTED: Final = {
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "enum": "expected {expected}",
    "literal_error": "expected {expected}",
    "finite_number": "expected a finite number",
    "missing": "is missing",
    "too_short": "expected at least {min_length} values",
    "too_long": "expected at most {max_length} values",
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "expected a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "expected a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "expected true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "expected a list"),
    **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"), "expected a section of keys"),
    "string_type": "expected a text",
}
"""What Pydantic's kinds of errors mean to whoever wrote the file."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


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


class DataSection(_Section):
    """`[data]`: what is learnt."""

    name: DatasetName = Field(
        default=DatasetName.DIGITS,
        description="digits: scikit-learn's 1,797 images; sequential_digits: the same, row by row",
    )
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3, description="share held out for testing"
    )
    split_seed: Seed = Field(default=0, description="seed of the split, apart from the seed of the network")


class EncodingSection(_Section):
    """`[encoding]`: how images become spikes."""

    name: Encoding = Field(default=Encoding.RATE, description="rate, poisson, latency or direct")
    steps: Positive = Field(default=16, description="time steps per sample, or per row of a sequence")
    max_rate: Fraction = Field(default=1.0, description="spikes per step of the brightest pixel")


class ModelSection(_Section):
    """`[model]`: the untrained heterogeneous recurrent network."""

    neurons: Positive = Field(default=512, description="neurons of the recurrent pool")
    density: Fraction = Field(default=0.6, description="share of possible recurrent synapses")
    rewiring: Annotated[float, Field(ge=0, le=1)] = Field(default=0.1, description="small-world rewiring")
    input_density: Fraction = Field(default=0.2, description="share of possible input synapses")
    tau_mean_ms: PositiveFloat = Field(
        default=20.0, description="mean membrane time constant (gamma-distributed)"
    )
    tau_shape: PositiveFloat = Field(default=3.0, description="shape of that gamma distribution")
    cluster_tau_ms: tuple[PositiveFloat, ...] = Field(
        default=(), description="mean time constant of each cluster; empty for one pool"
    )
    between: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.1, description="density between clusters over the density inside"
    )
    inhibitory: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.2, description="share of inhibitory neurons"
    )
    inhibition: PositiveFloat = Field(default=4.0, description="inhibitory against excitatory strength")
    gain: PositiveFloat = Field(default=0.8, description="spectral radius of the recurrent weights")
    input_gain: PositiveFloat = Field(
        default=8.0, description="standard deviation of the summed input, in thresholds"
    )
    bias: float = Field(default=0.0, allow_inf_nan=False, description="constant input, in thresholds")
    readout: Readout = Field(default=Readout.LAST_V, description="spike_count, last_v, mean_v or max_v")
    readout_tau_ms: PositiveFloat = Field(default=100.0, description="membrane time constant of the read-out")
    dt_ms: PositiveFloat = Field(default=1.0, description="length of a step")


class PruningSection(_Section):
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
    steps: Annotated[tuple[Step, ...], Field(min_length=1)] = Field(
        default=(Step.NOISE, Step.CENTRALITY, Step.DELOCALIZATION),
        description="steps of lnp: noise, centrality, delocalization, time_scales",
    )
    importance: Importance = Field(
        default=Importance.WEIGHT,
        description="what a synapse is weighed by: lyapunov, weight or covariance",
    )
    prefer: Preference = Field(
        default=Preference.LEAVES, description="which edges come back first: hubs, leaves or random"
    )
    attribution: Attribution = Field(
        default=Attribution.AUTO, description="source of the exponents: auto, full or diagonal"
    )
    baseline: bool = Field(default=True, description="also train the unpruned network, for comparison")


class TrainingSection(_Section):
    """`[training]`: surrogate-gradient training with AdamW and a one-cycle learning rate."""

    epochs: Positive = Field(default=40, description="passes over the training split")
    batch_size: Positive = Field(default=32, description="samples per step")
    learning_rate: PositiveFloat = Field(default=0.005, description="peak of the cycle")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="decoupled weight decay")
    gradient_clip: PositiveFloat = Field(default=1.0, description="largest norm of a gradient")
    surrogate_slope: PositiveFloat = Field(default=2.0, description="sharpness of the spike derivative")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="of the cross-entropy"
    )
    device: Device = Field(default=Device.AUTO, description="auto, cpu or cuda")
    calibration_samples: Positive = Field(default=256, description="training samples kept for quantization")


class Experiment(_Section):
    """Everything that decides what `pumice train` does. The defaults are the demo."""

    seed: Seed = Field(default=0, description="of weights, pruning and the order of samples")
    data: DataSection = DataSection()
    encoding: EncodingSection = EncodingSection()
    model: ModelSection = ModelSection()
    pruning: PruningSection | None = Field(
        default=PruningSection(), description="leave out with `pruning = false`"
    )
    training: TrainingSection = TrainingSection()


def parse_experiment(document: dict[str, Any]) -> Experiment:
    """Return a validated experiment.

    Raises:
        ExperimentError: Names the first key that is unknown or has a value that is not accepted.
    """
    content = dict(document)
    if content.get("pruning") is False:
        content["pruning"] = None
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        raise _explain(error) from None
    _check_together(experiment)
    return experiment


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
    _check_split(experiment.data.test_fraction)


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
    needs = {
        # Dense recurrent weights in double precision, and their mask.
        "model.neurons": 9 * neurons**2,
        # Encoded images, a byte a pixel.
        "encoding.steps": DIGITS * PIXELS * steps,
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
    check_file("experiment file", path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(str(path), f"is not TOML: {error}") from None
    try:
        return parse_experiment(document)
    except ExperimentError as error:
        error.add_note(f"in experiment file '{path}'")
        raise


def _explain(error: ValidationError) -> ExperimentError:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        return ExperimentError(key, "is not known", known=_known_keys(path[:-1]))
    expected = _EXPECTED.get(first["type"], "").format(**first.get("ctx", {})) or first["msg"].lower()
    return ExperimentError(key or "(file)", f"{expected}, got {first['input']!r}")


def _known_keys(path: list[str]) -> list[str]:
    section: type[BaseModel] = Experiment
    sections: dict[str, type[BaseModel]] = {
        "data": DataSection,
        "encoding": EncodingSection,
        "model": ModelSection,
        "pruning": PruningSection,
        "training": TrainingSection,
    }
    if path:
        section = sections[path[0]]
    return list(section.model_fields)
