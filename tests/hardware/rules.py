"""The rule of a neuron with every choice open: plain NumPy that shares no line with the toolchain.

A recording decides a choice if the other choices contradict it. `test_rules.py` says which those are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Ints

Rounding = Callable[[Ints, int], Ints]


def toward_zero(state: Ints, decay: int) -> Ints:
    """`sign(x) floor(|x| (4096 - d) / 4096)`."""
    return np.sign(state) * (np.abs(state) * (4096 - decay) // 4096)


def down(state: Ints, decay: int) -> Ints:
    """`floor(x (4096 - d) / 4096)`: what a shift of a negative number does."""
    return state * (4096 - decay) // 4096


def nearest(state: Ints, decay: int) -> Ints:
    """`floor(x (4096 - d) / 4096 + 1/2)`."""
    return (state * (4096 - decay) + 2048) // 4096


def wrap(current: Ints) -> Ints:
    """Keep 24 bits, as a register that overflows does."""
    return (current + 2**23) % 2**24 - 2**23


def saturate(state: Ints) -> Ints:
    """Keep 24 bits by staying at the largest number."""
    return np.clip(state, -(2**23) + 1, 2**23 - 1)


@dataclass(frozen=True)
class Rule:
    """One choice of everything.

    Attributes:
        current_decay: What is lost of the current at every step, in 1/4096; nothing is added to it.
        potential_decay: The same of the potential.
        threshold: Compared as `64 threshold`.
        current_rounding: Of the decayed current.
        potential_rounding: Of the decayed potential.
        fires: Of potential and threshold.
        after_spike: The potential after a spike.
        subtract: Whether the threshold is subtracted instead.
        rest: For how many steps after a spike the potential is held.
        current_of: 1 if the potential takes the current of the step before.
        bound_current: How the current is kept within its register.
        bound_potential: How the potential is.
        delay: Steps between the populations.
    """

    current_decay: int = 1024
    potential_decay: int = 128
    threshold: int = 80
    current_rounding: Rounding = toward_zero
    potential_rounding: Rounding = toward_zero
    fires: Callable[[Ints, int], NDArray[np.bool_]] = np.greater
    after_spike: int = 0
    subtract: bool = False
    rest: int = 0
    current_of: int = 0
    bound_current: Callable[[Ints], Ints] = wrap
    bound_potential: Callable[[Ints], Ints] = saturate
    delay: int = 1

    def run(self, weights: Ints, x: NDArray[Any]) -> tuple[Ints, NDArray[np.bool_]]:
        """Return potentials before the next step decays them, and spikes, `[steps, neurons]`."""
        u, v, resting = (np.zeros(len(weights), np.int64) for _ in range(3))
        level, potentials, spikes = 64 * self.threshold, [], []
        for values in x.astype(np.int64):
            before = u
            u = self.bound_current(self.current_rounding(u, self.current_decay) + 64 * (weights @ values))
            v = self.potential_rounding(v, self.potential_decay) + (before if self.current_of else u)
            v = np.where(resting > 0, self.after_spike, self.bound_potential(v))
            fired = self.fires(v, level) & (resting == 0)
            v = np.where(fired, v - level if self.subtract else self.after_spike, v)
            resting = np.where(fired, self.rest, np.maximum(resting - 1, 0))
            potentials.append(v)
            spikes.append(fired)
        return np.array(potentials), np.array(spikes)

    def delayed(self, spikes: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return spikes as the next population receives them."""
        return np.concatenate([np.zeros_like(spikes[: self.delay]), spikes[: len(spikes) - self.delay]])
