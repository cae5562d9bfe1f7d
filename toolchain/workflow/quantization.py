"""How real numbers become integers: the options of the compiler, and the repair of what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.bars import draws
from toolchain.errors import ArgumentError, UnknownNameError, UsageError
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.fixedpoint import WEIGHT_BITS, WIDE_BITS
from toolchain.hardware import HardwareProfile
from toolchain.intake import PathText, check_type, choice_of, count_of, name_of, real_of
from toolchain.ir import Graph, Synapses
from toolchain.ir.matrix import values_of
from toolchain.memory import enough_memory
from toolchain.models.surrogates import Surrogate
from toolchain.options import MOST, choice, factor, flag, hold, whole
from toolchain.passes import (
    OTHERS,
    Calibration,
    ClusterDecays,
    Pass,
    QuantizeGraph,
    Rounding,
    SplitSigns,
    explain_quantization,
)
from toolchain.passes.quantization.report import QuantizationOptions, QuantizationReport
from toolchain.progress import Progress, default_progress
from toolchain.reset import Reset
from toolchain.target.registry import load_target
from toolchain.training import FitOptions, tune_graph
from toolchain.training.callback import Callback
from toolchain.workflow.build_facts import RepairFacts
from toolchain.workflow.build_folder import Build
from toolchain.workflow.observation import given_unless_all, observe_ranges
from toolchain.workflow.pass_graphs import PassGraph
from toolchain.workflow.replaced_resets import after_training

_BITS: Final = frozenset(str(bits) for bits in range(2, WIDE_BITS + 1))
_OBSERVED: Final = 256
"""Training samples on which the ranges of a repaired network are observed."""


@final
@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How a float graph becomes integers.

    Attributes:
        weight_bits: Bits of a weight, sign included, 2 .. 15: for all connections, or per connection by name
            (`*` means all others; without it they have 8). More than 8 take two synapses for a large weight.
        split_signs: Whether excitatory and inhibitory synapses get connections of their own, which
            saves the bit of the sign: rounding errors halve, connections double.
        rounding: Whether weights are rounded one by one, or together on the calibration data.
        per_neuron: Whether every neuron has a scale of its own, or a population one for all.
        threshold_profiles: Largest number of distinct thresholds per population; None for no limit.
        decay_profiles: Largest number of distinct pairs of decays per population; None for no limit.
        tau_error: Largest relative error of a time constant that `decay_profiles` may cause.
        exponents: Whether connections may have an exponent; netx files know none.
        replace_reset: `Reset.ZERO` lets every spike set its potential to zero, for chips that know no other
            reset; what else a spike does is left out as far as the target lacks it. `Build.facts` says what
            that changed. None keeps the neurons as they are.
    """

    weight_bits: int | Mapping[str, int] = 8
    split_signs: bool = True
    rounding: Rounding = Rounding.JOINT
    per_neuron: bool = True
    threshold_profiles: int | None = None
    decay_profiles: int | None = None
    tau_error: float = 0.5
    exponents: bool = True
    replace_reset: Reset | None = None

    def __post_init__(self) -> None:
        bits: Any = self.weight_bits
        if isinstance(bits, Mapping):
            pairs = bits.items()
            bits = {
                name_of(name, "weight_bits"): _bits(value, f"weight_bits[{name!r}]") for name, value in pairs
            }
        else:
            bits = _bits(bits, "weight_bits")
        checked = {
            "weight_bits": bits,
            "rounding": choice_of(self.rounding, "rounding", Rounding),
            "tau_error": real_of(self.tau_error, "tau_error", least=0),
        }
        for name in ("split_signs", "per_neuron", "exponents"):
            checked[name] = flag(getattr(self, name), name)
        if self.replace_reset is not None:
            reset = choice_of(self.replace_reset, "replace_reset", Reset)
            if reset is not Reset.ZERO:
                raise ArgumentError("replace_reset", "'zero' or None", f"'{reset.value}'")
            checked["replace_reset"] = reset
        for name in ("threshold_profiles", "decay_profiles"):
            number = getattr(self, name)
            checked[name] = None if number is None else count_of(number, name, least=1, most=MOST)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def document(self) -> QuantizationOptions:
        """Return the options as they stand in `quantization.json`."""
        return QuantizationOptions(
            weight_bits=self.weight_bits if isinstance(self.weight_bits, int) else dict(self.weight_bits),
            split_signs=bool(self.split_signs),
            rounding=self.rounding,
            per_neuron=bool(self.per_neuron),
            threshold_profiles=self.threshold_profiles,
            decay_profiles=self.decay_profiles,
            tau_error=self.tau_error,
            exponents=bool(self.exponents),
            replace_reset=self.replace_reset,
        )

    def limited_to(self, profile: HardwareProfile) -> "Quantization":
        """Return the options with at most as many profiles as a chip's core holds."""
        thresholds = _fewer(self.threshold_profiles, profile.threshold_profiles if self.per_neuron else None)
        decays = _fewer(self.decay_profiles, profile.decay_profiles)
        return replace(self, threshold_profiles=thresholds, decay_profiles=decays)

    def preparation(self) -> tuple[Pass, ...]:
        """Return the passes on the float graph that change none of its spikes."""
        return (SplitSigns(),) if self.split_signs else ()

    def passes(
        self, steps: int | None, calibration: Calibration | None, profile: HardwareProfile
    ) -> tuple[Pass, ...]:
        """Return the passes from the float graph to integers.

        Args:
            steps: Length of the longest sample, if known.
            calibration: Ranges that were observed on training data.
            profile: Limits of the target.
        """
        cluster = (
            ()
            if self.decay_profiles is None
            else (ClusterDecays(profiles=self.decay_profiles, tau_error=self.tau_error),)
        )
        return (*cluster, self.quantizer(steps, calibration, profile))

    def quantizer(
        self, steps: int | None, calibration: Calibration | None, profile: HardwareProfile
    ) -> QuantizeGraph:
        """Return the last of these passes, which makes the integers; see `passes`."""
        return QuantizeGraph(
            weight_bits=self.weight_bits,
            rounding=self.rounding,
            per_neuron=self.per_neuron,
            threshold_profiles=self.threshold_profiles,
            compensate_decays=self.decay_profiles is None,
            steps=steps,
            calibration=calibration,
            profile=profile if self.exponents else replace(profile, exponents=(0, 0)),
        )

    def check_names(self, graph: Graph) -> None:
        """Raise if bits are given for connections that do not exist.

        Raises:
            UnknownNameError: Lists the connections of the graph.
        """
        if isinstance(self.weight_bits, int):
            return
        names = {node.name for node in graph.synapses}
        names |= {name.rpartition(".")[0] for name in names} - {""}
        for name in self.weight_bits:
            if name not in names | {OTHERS}:
                raise UnknownNameError("connection", name, names)


def _bits(value: object, name: str) -> int:
    return count_of(value, name, least=2, most=WIDE_BITS)


def _fewer(option: int | None, limit: int | None) -> int | None:
    return min((number for number in (option, limit) if number is not None), default=None)


def parse_bits(texts: Sequence[str]) -> int | dict[str, int]:
    """Return weight bits from texts: one number for all, `NAME=BITS` for a connection, or both.

    >>> parse_bits(["4"]), parse_bits(["4", "encode=6"])
    (4, {'*': 4, 'encode': 6})

    Raises:
        UsageError: Not of that form, or not 2 .. 15.
    """
    bits: dict[str, int] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        if number not in _BITS:
            raise UsageError(f"expected weight bits 2 .. {WIDE_BITS} or NAME=BITS, got '{text}'")
        bits[name or OTHERS] = int(number)
    return bits.get(OTHERS, WEIGHT_BITS) if set(bits) <= {OTHERS} else bits


@final
@dataclass(frozen=True, kw_only=True)
class RepairOptions:
    """Quantization-aware training of a build.

    Attributes:
        fit: Options of the optimizer; a fiftieth of the usual learning rate and a few epochs are enough.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of the spike derivative.
        seed: Seed of the order of samples.
        typical_weights: Whether the learning rate counts in typical weights of the network, which makes it
            fit networks of any units; see `of_epochs`.
    """

    fit: FitOptions = field(default_factory=lambda: FitOptions(10, 32, 1e-4, label_smoothing=0.1))
    surrogate: Surrogate = Surrogate.FAST_SIGMOID
    slope: float = 2.0
    seed: int = 0
    typical_weights: bool = False

    def __post_init__(self) -> None:
        hold(
            self,
            fit=lambda value, name: check_type(value, name, FitOptions),
            surrogate=choice(Surrogate),
            slope=factor,
            seed=whole(),
            typical_weights=flag,
        )

    @classmethod
    def of_epochs(cls, epochs: int, seed: int = 0) -> "RepairOptions":
        """Return options for a network of any origin: a weight may move by a thousandth of a typical one.

        Scores may be counts of spikes, which label smoothing would pull towards one another whatever they
        were trained to be. Where a spike subtracts, gradients live on through spikes, so that a surrogate as
        wide as that of `RepairOptions()` lets them grow over many steps.
        """
        fit = FitOptions(epochs, 32, 1e-3)
        return cls(fit=fit, slope=10.0, seed=seed, typical_weights=True)

    def fit_for(self, graph: Graph) -> FitOptions:
        r"""Return how to train a graph.

        A typical weight is :math:`\exp(\mathrm{mean}_c \log \mathrm{rms}_c)` over the connections c, without
        the weights that are zero.
        """
        if not self.typical_weights:
            return self.fit
        stored = (values_of(node.weights) for node in graph.synapses)
        sizes = [np.sqrt(np.mean(each[each != 0] ** 2)) for each in stored if each.any()]
        typical = float(np.exp(np.mean(np.log(sizes)))) if sizes else 1.0
        return replace(self.fit, learning_rate=self.fit.learning_rate * typical)


@enough_memory("training the build on")
@draws("train with integers")
def repair_build(
    build: Build,
    samples: Stimulus,
    options: RepairOptions | None = None,
    *,
    resume: PathText | None = None,
    progress: Progress = default_progress,
) -> Build:
    """Return the build after quantization-aware training; pruned synapses stay pruned.

    Its float graph holds the weights that the integers are, since that is the network that was trained.

    Args:
        build: A compiled network.
        samples: Training samples with labels.
        options: Options of the training.
        resume: Folder for the state after every epoch; a training that ended early continues from it, and
            ends with the same numbers.
        progress: Callback after every epoch; by default a bar where somebody looks.

    Raises:
        TrainingError: The folder holds another training.
        UsageError: The samples have no labels, differ in length, or enter through several inputs.
    """
    options = options or RepairOptions()
    samples = Stimulus.of(samples, name="samples")
    fitted, labels = _training_samples(build, samples)
    tuned, records = tune_graph(
        build.float_graph,
        build.fixed_graph,
        fitted.values,
        labels,
        options.fit_for(build.float_graph),
        seed=options.seed,
        surrogate=options.surrogate,
        slope=options.slope,
        checkpoint=resume,
        callbacks=() if resume is None else (_OfOneTraining(build, fitted),),
        progress=progress,
        lengths=fitted.lengths,
    )
    fixed, report = _round_again(build, tuned, samples.take(slice(0, _OBSERVED)))
    repair = RepairFacts(epochs=len(records), loss=records[-1].loss if records else None)
    # What PyTorch computed was compared with the weights before.
    replaced = after_training(build.facts.replaced, (tuned, fixed), build.stimulus)
    facts = build.facts.model_copy(update={"repair": repair, "float_agreement": None, "replaced": replaced})
    return replace(
        build,
        float_graph=tuned,
        fixed_graph=fixed,
        quantization=report,
        facts=facts,
        passes=(PassGraph(QuantizeGraph.name, fixed),),
    )


def _training_samples(build: Build, samples: Stimulus) -> tuple[Stimulus, NDArray[np.int64]]:
    """Return the samples as the network takes them, and their labels."""
    if samples.labels is None:
        raise UsageError(
            "quantization-aware training needs labels",
            "add an array 'labels' with the class of every sample, whole numbers from 0 to "
            f"{max(build.float_graph.scores - 1, 0)}, or real values [samples, outputs]",
        )
    fitted = fit_stimulus(build.float_graph, build.stimulus_for(samples))
    return fitted, samples.labels


def _round_again(build: Build, tuned: Graph, samples: Stimulus) -> tuple[Graph, QuantizationReport]:
    """Return the integers of a tuned float graph, in the scales of the build, and what quantization did."""
    steps, options = build.quantization.steps, build.quantization.options
    quantize = QuantizeGraph(
        weight_bits=bits_used(build.fixed_graph),
        threshold_profiles=None if options is None else options.threshold_profiles,
        rounding=Rounding.NEAREST,
        keep=build.fixed_graph,
        steps=steps,
        profile=load_target(build.target).profile,
    )
    observed = observe_ranges(tuned, samples, quantize)
    fixed = replace(quantize, calibration=observed)(tuned)
    report = explain_quantization(tuned, fixed, steps=steps, calibration=observed)
    given = given_unless_all(samples, observed)
    return fixed, report.model_copy(update={"options": options, "calibration_given": given})


@final
class _OfOneTraining(Callback):
    """Says what is trained on what, so that a state is continued by no other network and no other samples."""

    def __init__(self, build: Build, samples: Stimulus) -> None:
        nodes = (*build.float_graph.synapses, *build.float_graph.populations)
        weights = (values_of(node.weights) if isinstance(node, Synapses) else node.bias for node in nodes)
        labels = () if samples.labels is None else (samples.labels,)
        digest = sha256()
        for values in (*weights, *samples.values.values(), *labels):
            digest.update(f"{values.dtype}{values.shape}".encode() + np.ascontiguousarray(values).tobytes())
        self._digest = digest.hexdigest()

    def settings(self) -> dict[str, Any]:
        """Return the hash of all numbers that it starts from."""
        return {"numbers": self._digest}


def bits_used(graph: Graph) -> dict[str, int]:
    """Return the weight bits of every connection of a fixed graph."""
    return {
        node.name: node.weight_bits
        for node in graph.synapses
        if isinstance(node, ir.FixedDense | ir.FixedConv2d)
    }
