"""`[quantization]`: how the trained network becomes integers, unless the command says otherwise."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from toolchain.errors import UnknownNameError, UsageError
from toolchain.files.documents import Document, explain
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


SETTINGS: Final = tuple(
    key for key in QuantizationSection.model_fields if key not in {"weight_bits", "qat_epochs"}
)
"""Keys that a command takes as texts; the other two have options of their own."""


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Return keys of the section from texts `KEY=VALUE`.

    >>> parse_settings(["tau_error=0.2", "split_signs=false"])
    {'tau_error': 0.2, 'split_signs': False}

    Raises:
        UsageError: Not of that form, not a value of the key, or a key that is named twice.
        UnknownNameError: There is no such key.
    """
    given: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if key in {"weight_bits", "qat_epochs"}:
            raise UsageError(f"`{key}` is an option of its own", f"give `{key}={value or 'N'}`")
        if key not in SETTINGS:
            raise UnknownNameError("key of [quantization]", key, SETTINGS)
        if not equals:
            raise UsageError(f"expected {key}=VALUE, got '{text}'")
        if key in given:
            raise UsageError(f"`quantization` names {key} twice", "name it once")
        given[key] = value
    try:
        section = QuantizationSection.model_validate_strings(given)
    except ValidationError as error:
        key, reason = explain(error)
        raise UsageError(f"`quantization={key}` {reason}") from None
    return {key: getattr(section, key) for key in given}
