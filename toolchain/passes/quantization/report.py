"""The file `quantization.json`: what quantization did to every tensor and population, field by field."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from toolchain.files.documents import OMITTED, Count, Document, FileDocument, Whole
from toolchain.fixedpoint import MESSAGE_BITS, WEIGHT_BITS, WIDE_BITS, SignMode
from toolchain.passes.quantization.chip_registers import Registers
from toolchain.passes.quantization.rounding import Rounding
from toolchain.reset import MOST_SPIKES, Reset

Ratio = Annotated[float, Field(ge=0)]
Range = Literal["proved", "measured", "shrunk"]
"""How it is known that `u`, `v` and the rise of a threshold fit 24 bits; `shrunk` if the scale was made
smaller until they do."""


class InputReport(Document):
    """A graded input.

    Attributes:
        bits: Magnitude bits of its messages.
        range: Largest magnitude that these hold, in the model's units.
    """

    bits: Annotated[int, Field(ge=1, le=MESSAGE_BITS)]
    range: Ratio


class ConnectionReport(Document):
    """A connection.

    Attributes:
        synapses: Weights that are not zero in the float graph.
        exponent: Power of two by which all weights are multiplied.
        sign_mode: Signs that the weights may have.
        weight_bits: Bits of a weight.
        clipped: Weights beyond the range.
        rounded_to_zero: Weights that became zero.
        not_nearest: Weights that took the farther neighbour, for joint rounding.
        largest_integer: Largest magnitude.
        limit: Largest magnitude that there could be.
        relative_rms_error: Root mean square of the errors over that of the weights.
        message_bits: Bits of the largest message that it can be sent.
    """

    synapses: Count
    exponent: Whole
    sign_mode: SignMode
    weight_bits: Annotated[int, Field(ge=1, le=WEIGHT_BITS)]
    clipped: Count
    rounded_to_zero: Count
    not_nearest: Whole
    largest_integer: Count
    limit: Count
    relative_rms_error: Ratio
    message_bits: Count

    @model_validator(mode="after")
    def _parts_of_the_whole(self) -> Self:
        if max(self.clipped, self.rounded_to_zero) > self.synapses:
            raise ValueError("expected no more synapses than there are")
        return self


class Spread(Document):
    """Least, median and largest of some numbers.

    Attributes:
        least: The least.
        median: The median.
        most: The largest.
    """

    least: float
    median: float
    most: float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.least <= self.median <= self.most:
            raise ValueError("expected least, median and most in this order")
        return self

    @property
    def span(self) -> str:
        """Both ends in words, with four digits that count; large ones in full, without an exponent."""
        return " to ".join(_in_full(end) for end in (self.least, self.most))


def _in_full(value: float) -> str:
    text = f"{value:.4g}"
    return text if abs(float(text)) < 1000 else f"{value:,.0f}"


class ScaleLimits(Document):
    """How many neurons (or channels) could not have twice their scale, by what keeps them from it.

    Attributes:
        weights: Their largest weight.
        threshold: The threshold register.
        bias: The bias register.
        range: The 24-bit range of `u` and `v`, or a scale that rounds better.
    """

    weights: Count
    threshold: Count
    bias: Count
    range: Count


class FiringReport(Document):
    """What a spike does in a population, if it does more than set the potential to zero.

    Attributes:
        reset: Effect on the potential.
        max_spikes: Most spikes of a neuron in one step.
        largest_amount_error: Error of the amount that a spike sets or takes, in thresholds.
        largest_adaptation_error: Relative error of what a spike adds to the threshold.
        lost_adaptations: Neurons in which that became zero.
        largest_tau_error: Relative error of the time constant with which a threshold returns.
        rise_bound: Most that can be added to a threshold, in units of the register; None where nothing is
            proved.
    """

    reset: Reset
    max_spikes: Annotated[int, Field(ge=1, le=MOST_SPIKES)]
    largest_amount_error: Ratio
    largest_adaptation_error: Ratio
    lost_adaptations: Count
    largest_tau_error: Ratio
    rise_bound: Ratio | None


class PopulationReport(Document):
    """A population.

    Attributes:
        neurons: How many.
        scale: `S` of its neurons: one unit of the float potential is `64 S`.
        threshold: Threshold mantissas.
        thresholds: Distinct ones.
        decays: Distinct pairs of decays.
        limited_by: What keeps scales from doubling.
        largest_threshold_error: Relative.
        largest_bias_error: In units of the float potential.
        relative_bias_error: In thresholds.
        largest_tau_error: Relative error of a membrane time constant.
        largest_tau_current_error: Relative error of a current's time constant.
        inexact_decays: Decays that no register holds.
        current_bound: Largest current that can be, in units of the register; None where nothing is proved.
        potential_bound: The same of the potential.
        range: How it is known that both fit.
        head_room: Factor by which what was measured could grow, if it is less than twofold, as it may be
            after a training: integers that were trained stay as they are.
        never_fire: Neurons that no input makes fire.
        always_fire: Neurons that no input keeps from firing.
        largest_decay_loss: What rounding decays toward zero costs, in thresholds.
        origin: The user's module.
        registers: The integers as Lava and as a chip count them.
        firing: What a spike does; None if it sets the potential to zero and does nothing else.
    """

    neurons: Count
    scale: Spread
    threshold: Spread
    thresholds: Count
    decays: Count
    limited_by: ScaleLimits
    largest_threshold_error: Ratio
    largest_bias_error: Ratio
    relative_bias_error: Ratio
    largest_tau_error: Ratio
    largest_tau_current_error: Ratio
    inexact_decays: Count
    current_bound: Ratio | None
    potential_bound: Ratio | None
    range: Range
    head_room: Annotated[Ratio | None, OMITTED] = None
    never_fire: Count
    always_fire: Count
    largest_decay_loss: Ratio
    origin: str
    registers: Registers
    firing: Annotated[FiringReport | None, OMITTED] = None

    @model_validator(mode="after")
    def _parts_of_the_whole(self) -> Self:
        if max(self.thresholds, self.decays, self.never_fire, self.always_fire) > self.neurons:
            raise ValueError("expected no more neurons than there are")
        return self


class QuantizationWarning(Document):
    """One thing worth knowing.

    Attributes:
        node: Connection or population.
        text: What happened, why, and what can be done.
    """

    node: str
    text: str


Bits = Annotated[int, Field(ge=2, le=WIDE_BITS)]
Profiles = Annotated[int, Field(ge=1, lt=2**63)] | None


class QuantizationOptions(Document):
    """What the compiler was asked for; see `toolchain.Quantization`.

    Attributes:
        weight_bits: Bits of a weight, sign included: for all connections, or per connection by name.
        split_signs: Whether excitatory and inhibitory synapses got connections of their own.
        rounding: Whether weights were rounded one by one, or together on the calibration data.
        per_neuron: Whether every neuron has a scale of its own, or a population one for all.
        threshold_profiles: Largest number of distinct thresholds per population; null for no limit.
        decay_profiles: Largest number of distinct pairs of decays per population; null for no limit.
        tau_error: Largest relative error of a time constant that `decay_profiles` may cause.
        exponents: Whether connections may have an exponent.
        replace_reset: The reset that took the place of all others; None if they stayed.
    """

    weight_bits: Bits | dict[str, Bits]
    split_signs: bool
    rounding: Rounding
    per_neuron: bool
    threshold_profiles: Profiles
    decay_profiles: Profiles
    tau_error: Ratio
    exponents: bool
    replace_reset: Annotated[Reset | None, OMITTED] = None


class QuantizationReport(FileDocument):
    """What quantization did.

    Attributes:
        calibration_samples: On how many samples ranges were observed.
        calibration_given: How many there were, if not all were needed; see `settling.has_settled`.
        steps: Length of the longest sample that was known; None if none was.
        inputs: The graded ones, by name.
        connections: By name.
        populations: By name.
        warnings: Whatever a user should know.
        options: As asked for; None for a file of integers, which stay as they are.
    """

    FORMAT: ClassVar[str] = "pumice-quantization"
    VERSION: ClassVar[int] = 3
    WHAT: ClassVar[str] = "report of a quantization"
    WRITTEN_BY: ClassVar[str] = "pumice compile"

    format: str = FORMAT
    version: int = VERSION
    calibration_samples: Count
    calibration_given: Annotated[Count | None, OMITTED] = None
    steps: Annotated[int, Field(ge=1, lt=2**63)] | None
    inputs: dict[str, InputReport]
    connections: dict[str, ConnectionReport]
    populations: dict[str, PopulationReport]
    warnings: tuple[QuantizationWarning, ...] = ()
    options: QuantizationOptions | None = None

    @property
    def calibration_sentence(self) -> str | None:
        """How many of the samples calibration took; None if it took all of them."""
        if self.calibration_given is None:
            return None
        return (
            f"calibrated on {self.calibration_samples:,} of {self.calibration_given:,} samples, drawn at "
            "random: half of them would have given nearly the same integers"
        )
