"""The experiment file: one validated schema, every key documented, every default a working one."""

import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from pydantic import Field, ValidationError

from toolchain.data.codes.options import CodeOptions, IntensityCode
from toolchain.data.pictures.digits import CLASSES, DIGITS
from toolchain.data.sets.known import KNOWN
from toolchain.data.sets.options import DATA_KINDS, DataOptions, DigitsData
from toolchain.errors import ArgumentError, ExperimentError
from toolchain.files.documents import Document, explain, later, read_document
from toolchain.files.toml import read_toml
from toolchain.intake import PathText, path_of
from toolchain.memory import machine_memory, readable_size
from toolchain.models.delays import LONGEST_LEARNT
from toolchain.models.hrsnn import HrsnnShape, LearntDelays
from toolchain.models.network import Readout
from toolchain.options import LARGEST_FACTOR, LONGEST_MS, SHORTEST_MS, SMALLEST_FACTOR
from toolchain.pruning.lnp import ExponentSource, Importance, Preference, PruningStep
from toolchain.reset import Reset
from toolchain.suggestion import nearest
from toolchain.training.autocast import Autocast
from toolchain.workflow.sections.task import TASK_KINDS, TaskOptions, check_task, named_task, usual_code

Positive = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=SMALLEST_FACTOR, le=LARGEST_FACTOR)]
Milliseconds = Annotated[float, Field(ge=SHORTEST_MS, le=LONGEST_MS)]
_OF_NEURONS: Final = {"refractory": "refractory_ms", "adaptation_decay": "adaptation_tau_ms"}
"""Keys of `[model]` that the neurons know by another name."""
_LOOKED_AT: Final = 100
"""Errors in a file among which the one to tell is looked for."""
_KEPT_FOR_BACKWARD: Final = 16
"""Bytes that training keeps per neuron, step and sample of a batch, at the least: four numbers of 4 bytes."""


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
    data: DataOptions = Field(default=DigitsData(), description="data set, and how it is split")
    task: TaskOptions | None = later(None, "what is learnt; by default what suits the data")
    encoding: CodeOptions = Field(default=IntensityCode(), description="how samples become spikes")
    model: ModelSection = Field(default=ModelSection(), description="the network before pruning")
    pruning: PruningSection | None = Field(
        default=PruningSection(), description="leave out with `pruning = false`"
    )
    training: TrainingSection = Field(default=TrainingSection(), description="how the network learns")


_SECTIONS: Final[dict[str, tuple[type[Document], ...]]] = {
    "data": DATA_KINDS,
    "task": TASK_KINDS,
    "encoding": get_args(get_args(CodeOptions)[0]),
    "model": (ModelSection,),
    "pruning": (PruningSection,),
    "training": (TrainingSection,),
}
"""What may stand in each section; where there are several, its `name` says which."""


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
        raise _explain(error) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ExperimentError("(file)", f"is none that a file could hold: {error}") from None
    _check_together(experiment)
    return experiment


def _completed(document: Any) -> Any:  # noqa: ANN401 - anything may stand in a file
    """Return a document whose sections are named: digits, and the encoding that suits the data."""
    if not isinstance(document, Mapping):
        return document
    content: dict[str, Any] = dict(document)
    if content.get("pruning") is False:
        content["pruning"] = None
    data = content.get("data", {})
    if isinstance(data, Mapping):
        content["data"] = data = {"name": DigitsData().name} | dict(data)
        encoding = content.get("encoding", {})
        if isinstance(encoding, Mapping):
            content["encoding"] = {"name": usual_code(data)} | dict(encoding)
    if isinstance(content.get("task"), Mapping):
        content["task"] = named_task(content["task"])
    return content


def names_in(kind: type[Document]) -> tuple[str, ...]:
    """Return the names that say that a section is of this kind."""
    return get_args(kind.model_fields["name"].annotation)


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
    check_task(experiment.data, experiment.task)
    if isinstance(experiment.data, DigitsData):
        _check_digits(experiment.data.test_fraction)


def network_shape(experiment: Experiment, *, channels: int, classes: int) -> HrsnnShape:
    """Return what defines the untrained network but its random numbers."""
    settings = experiment.model.model_dump(exclude={"readout"})
    return HrsnnShape(channels=channels, classes=classes, **settings)


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
    neurons = experiment.model.neurons
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


def _explain(error: ValidationError) -> ExperimentError:
    errors = error.errors(include_url=False)[:_LOOKED_AT]
    # A key that is not known explains one that is missing.
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    section, *inside = [str(part) for part in first["loc"]] or [""]
    kinds = _SECTIONS.get(section, (Experiment,))
    if first["type"] == "union_tag_invalid":
        names = [name for kind in kinds for name in names_in(kind)]
        tag = str(first.get("ctx", {}).get("tag"))
        hint = nearest(tag, names)
        return ExperimentError(f"{section}.name", f"got '{tag}'{hint and f'; {hint}'}", known=names)
    kind = kinds[0] if inside else Experiment
    key, reason = explain(error)
    if len(kinds) > 1 and inside:
        # Between section and key stands the name of the kind.
        name = inside.pop(0)
        kind = next(each for each in kinds if name in names_in(each))
        key = ".".join((section, *inside))
        if first["type"] == "missing" and inside == ["path"] and name in KNOWN:
            reason = f"{reason}: {KNOWN[name].advice}"
    if first["type"] != "extra_forbidden":
        return ExperimentError(key or "(file)", reason)
    key = ".".join((section, *inside))
    elsewhere = _belonging(section, inside[0], kind) if inside else ""
    return ExperimentError(key, f"is not known{elsewhere}", known=list(kind.model_fields))


def _belonging(section: str, key: str, kind: type[Document]) -> str:
    """Return where else a key belongs: to other kinds of its section, or to another section."""
    others = [each for each in _SECTIONS[section] if each is not kind and key in each.model_fields]
    if others:
        names = ", ".join(name for each in others for name in names_in(each))
        return f" to '{names_in(kind)[0]}': it belongs to {names}"
    sections = [
        other for other, kinds in _SECTIONS.items() if any(key in each.model_fields for each in kinds)
    ]
    return f": it belongs to [{'] and ['.join(sections)}]" if sections else ""
