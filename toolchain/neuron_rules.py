"""What the neurons of a place can do, in a module that needs little, so that asking for it is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from toolchain.reset import LONGEST_REFRACTORY, MOST_SPIKES, Reset

if TYPE_CHECKING:
    from toolchain.ir import Population


@final
@dataclass(frozen=True, kw_only=True)
class NeuronRules:
    """What a spike can do to the neurons of a place; by default all that it does in any graph.

    Attributes:
        resets: What a spike can do to the potential.
        longest_refractory: Longest refractory period in steps; 0 if neurons have none.
        one_period: Whether a population that is refractory has one period, and one decay of potentials.
        adapts: Whether a spike can raise a threshold.
        max_spikes: Most spikes that a neuron can send in one step.
    """

    resets: frozenset[Reset] = frozenset(Reset)
    longest_refractory: int = LONGEST_REFRACTORY
    one_period: bool = False
    adapts: bool = True
    max_spikes: int = MOST_SPIKES

    def lacking(self, neurons: Population) -> tuple[str, ...]:
        """Return what a population does that no neuron here can do, in words."""
        periods = neurons.refractory
        longest = 0 if periods is None else int(periods.max(initial=0))
        several = self.one_period and longest > 0
        lacks = {
            f"a reset of kind '{neurons.reset.value}'": neurons.reset not in self.resets,
            f"a refractory period of {longest} steps": longest > self.longest_refractory,
            "refractory periods of several lengths": several
            and periods is not None
            and bool((periods < longest).any()),
            "a refractory period beside several decays": several
            and bool((neurons.dv != neurons.dv.flat[0]).any()),
            "thresholds that spikes raise": neurons.adaptation is not None and not self.adapts,
            f"{neurons.max_spikes} spikes a step": neurons.max_spikes > self.max_spikes,
        }
        return tuple(what for what, missing in lacks.items() if missing)


EVERY_NEURON: Final = NeuronRules()
"""Neurons that do all that any does."""
RESET_TO_ZERO: Final = NeuronRules(
    resets=frozenset({Reset.ZERO}), longest_refractory=0, adapts=False, max_spikes=1
)
"""Neurons that a spike only resets to zero."""
