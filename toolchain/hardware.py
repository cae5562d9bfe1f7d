"""The number formats of a chip, or of a simulator of one. What else a target can is its `Capabilities`."""

from dataclasses import dataclass
from typing import final

from toolchain import fixedpoint


@final
@dataclass(frozen=True, kw_only=True)
class HardwareProfile:
    """The numbers that a graph may hold on a target.

    Attributes:
        name: Name of the chip or simulator, for people.
        weight_bits: Bits of a weight, sign included.
        exponents: Smallest and largest weight exponent of a connection.
        threshold_max: Largest threshold mantissa.
        bias_mantissa_max: Largest magnitude of a bias mantissa.
        bias_exponent_max: Largest bias exponent.
        state_limit: Magnitude at which `u` wraps and `v` saturates.
        decay_profiles: Number of distinct pairs of decays that a core holds; None for as many as there are
            neurons.
        threshold_profiles: Number of distinct thresholds that a core holds; None for as many as there are
            neurons.
    """

    name: str
    weight_bits: int = fixedpoint.WEIGHT_BITS
    exponents: tuple[int, int] = fixedpoint.WEIGHT_EXPONENTS
    threshold_max: int = fixedpoint.THRESHOLD_MAX
    bias_mantissa_max: int = fixedpoint.BIAS_MANTISSA_MAX
    bias_exponent_max: int = fixedpoint.BIAS_EXPONENT_MAX
    state_limit: int = fixedpoint.STATE_LIMIT
    decay_profiles: int | None = None
    threshold_profiles: int | None = None


LAVA_FIXED_POINT = HardwareProfile(name="lava fixed_pt")
"""The limits that Lava's CPU fixed-point models document; they enforce none of them."""
