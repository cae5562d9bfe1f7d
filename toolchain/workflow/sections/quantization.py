"""`[quantization]`: how the trained network becomes integers, unless the command says otherwise."""

from typing import Annotated, Literal

from pydantic import Field

from toolchain.files.documents import Document
from toolchain.fixedpoint import WEIGHT_BITS, WIDE_BITS
from toolchain.passes import Rounding
from toolchain.workflow.sections.numbers import Amount, Positive, Whole

Bits = Annotated[int, Field(ge=2, le=WIDE_BITS)]


class QuantizationSection(Document):
    """`[quantization]`: what `pumice compile` does with the run, where it is given no option of its own."""

    weight_bits: Bits | dict[str, Bits] = Field(
        default=WEIGHT_BITS,
        description="bits of a weight, sign included; or bits by connection, with '*' for all others",
    )
    split_signs: bool = Field(
        default=True, description="excitatory and inhibitory synapses in connections of their own"
    )
    rounding: Rounding = Field(
        default=Rounding.JOINT, description="weights one by one (nearest), or together on samples (joint)"
    )
    per_neuron: bool = Field(default=True, description="a scale for every neuron, not for a population")
    threshold_profiles: Positive | None = Field(
        default=None, description="largest number of distinct thresholds of a population"
    )
    decay_profiles: Positive | None = Field(
        default=None, description="largest number of distinct pairs of decays of a population"
    )
    tau_error: Amount = Field(
        default=0.5, description="largest relative error of a time constant that `decay_profiles` may cause"
    )
    exponents: bool = Field(default=True, description="whether connections may have an exponent")
    replace_reset: Literal["zero"] | None = Field(
        default=None, description="'zero' lets every spike set its potential to zero"
    )
    qat_epochs: Whole = Field(default=0, description="epochs of training with the integers")
