"""The limits of a chip, or of a simulator of one, as plain numbers. The numbers live in `targets`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from toolchain import fixedpoint
from toolchain.errors import LackingNeuronsError
from toolchain.ir.firing import Neurons
from toolchain.reset import LONGEST_REFRACTORY, MOST_SPIKES, Reset


@final
@dataclass(frozen=True, kw_only=True)
class HardwareProfile:
    """The limits that a graph has to keep on a target.

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
        resets: What a spike can do to the potential.
        longest_refractory: Longest refractory period in steps; 0 if neurons have none.
        adapts: Whether a spike can raise a threshold.
        max_spikes: Most spikes that a neuron can send in one step.
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
    resets: frozenset[Reset] = frozenset(Reset)
    longest_refractory: int = LONGEST_REFRACTORY
    adapts: bool = True
    max_spikes: int = MOST_SPIKES

    def lacking(self, neurons: Neurons) -> tuple[str, ...]:
        """Return what a population does that no neuron here can do, in words."""
        refractory = 0 if neurons.refractory is None else int(neurons.refractory.max(initial=0))
        lacks = {
            f"a reset of kind '{neurons.reset.value}'": neurons.reset not in self.resets,
            f"a refractory period of {refractory} steps": refractory > self.longest_refractory,
            "thresholds that spikes raise": neurons.adaptation is not None and not self.adapts,
            f"{neurons.max_spikes} spikes a step": neurons.max_spikes > self.max_spikes,
        }
        return tuple(what for what, missing in lacks.items() if missing)

    def check_neurons(self, populations: Iterable[Neurons], remedy: str) -> None:
        """Raise unless neurons here do all that those of some populations do.

        Raises:
            LackingNeuronsError: Names every population, and what its neurons do that none does here.
        """
        lacking = {node.name: lacks for node in populations if (lacks := self.lacking(node))}
        if lacking:
            raise LackingNeuronsError(self.name, lacking, remedy)


LAVA_FIXED_POINT = HardwareProfile(name="lava fixed_pt")
"""The limits that Lava's CPU fixed-point models document; they enforce none of them."""
RESET_TO_ZERO = HardwareProfile(
    name="Lava's own LIF",
    resets=frozenset({Reset.ZERO}),
    longest_refractory=0,
    adapts=False,
    max_spikes=1,
)
"""The same with neurons that a spike only resets to zero: Lava's own processes in integers."""
