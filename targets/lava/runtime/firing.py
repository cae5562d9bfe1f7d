"""What a spike does to its neuron, beyond what Lava's LIF knows: one rule a function.

What is the same in integers and in real numbers stands here; the rest in `integers` and `reals`.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple, assert_never, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OPTIONAL: Final = ("reset_amount", "refractory", "adaptation", "adaptation_decay")
"""Arrays that a population may lack."""


class SpikeEffect(Enum):
    """What a spike does to the potential of its neuron."""

    ZERO = "zero"
    VALUE = "value"
    SUBTRACT = "subtract"
    NONE = "none"


class PopulationState(NamedTuple):
    """The state of a population between two steps; all zero at rest.

    Attributes:
        u: Synaptic currents.
        v: Membrane potentials.
        wait: Steps for which neurons are still refractory.
        rise: What adaptation adds to the thresholds, in the units of the potential.
    """

    u: Array
    v: Array
    wait: Array
    rise: Array


@final
@dataclass(frozen=True)
class Firing:
    """What a spike does; nothing given is Lava's LIF, whose spikes set the potential to zero.

    Attributes:
        reset: Effect of a spike on the potential.
        reset_amount: Potential that a spike sets, or that it takes away; None if the reset needs no number.
        refractory: Steps after a spike for which a neuron is refractory; None for none.
        adaptation: Amount by which a spike raises the threshold of the next step; None for none.
        adaptation_decay: Decay of what was added to the threshold; None without adaptation.
        max_spikes: Most spikes that a neuron sends in one step.
    """

    reset: SpikeEffect = SpikeEffect.ZERO
    reset_amount: Array | None = field(default=None, repr=False)
    refractory: Array | None = field(default=None, repr=False)
    adaptation: Array | None = field(default=None, repr=False)
    adaptation_decay: Array | None = field(default=None, repr=False)
    max_spikes: int = 1

    def __post_init__(self) -> None:
        needs = {
            "reset_amount": self.reset in {SpikeEffect.VALUE, SpikeEffect.SUBTRACT},
            "adaptation_decay": self.adaptation is not None,
        }
        for name, needed in needs.items():
            if needed is (getattr(self, name) is None):
                state = "missing" if needed else "there, but not used"
                raise ValueError(
                    f"the array '{name}' of a population is {state}: export the network again, all of its "
                    "files together"
                )

    @property
    def period(self) -> int:
        """The longest refractory period."""
        return 0 if self.refractory is None else int(self.refractory.max(initial=0))

    def beyond_stock(self, dv: Array) -> tuple[str, ...]:
        """Return what none of Lava's own LIF processes does, in words.

        `LIF` only resets to zero. `LIFRefractory` has a model in real numbers only, one period, and one decay
        of potentials.

        Args:
            dv: Decays of the potential.
        """
        waits, real = self.period > 0, np.issubdtype(dv.dtype, np.floating)
        periods = 0 if self.refractory is None else len(np.unique(self.refractory))
        lacks = {
            f"a reset of kind '{self.reset.value}'": self.reset is not SpikeEffect.ZERO,
            "thresholds that spikes raise": self.adaptation is not None,
            "a refractory period in integers": waits and not real,
            "refractory periods of several lengths": waits and periods > 1,
            "a refractory period beside several decays": waits and real and len(np.unique(dv)) > 1,
        }
        return tuple(what for what, missing in lacks.items() if missing)

    def held(self, driven: Array, before: PopulationState) -> Array:
        """Return the potentials of a step: those of refractory neurons stay what they were."""
        return driven if self.refractory is None else np.where(before.wait == 0, driven, before.v)

    def ready(self, above: Array, before: PopulationState) -> Array:
        """Return which neurons fire, of those above their threshold: a refractory one sends nothing."""
        return above if self.refractory is None else above & (before.wait == 0)

    def reset_potential(self, v: Array, spikes: Array) -> Array:
        """Return the potentials after the spikes, bool or counts, of a step."""
        amount = v.dtype.type(0) if self.reset_amount is None else self.reset_amount
        match self.reset:
            case SpikeEffect.ZERO | SpikeEffect.VALUE:
                return np.where(spikes > 0, amount, v)
            case SpikeEffect.SUBTRACT:
                return v - spikes.astype(v.dtype) * amount
            case SpikeEffect.NONE:
                return v
            case _:
                assert_never(self.reset)

    def next_wait(self, before: PopulationState, spikes: Array) -> Array:
        """Return for how many steps neurons will be refractory."""
        if self.refractory is None:
            return before.wait
        return np.where(spikes > 0, self.refractory, np.maximum(before.wait - 1, 0)).astype(np.int32)
