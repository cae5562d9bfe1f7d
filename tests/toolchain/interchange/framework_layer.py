"""A layer of neurons as a framework runs and writes it, and random parameters for one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from toolchain.arrays import Floats

State = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A layer.

    Attributes:
        node: What its exporter writes.
        step: Takes the state and the input of a step, changes `state["v"]`, returns the spikes.
        begin: Potential at the start.
        silent: Whether it never fires.
    """

    node: nir.NIRNode
    step: Callable[[State, Floats], Floats]
    begin: Floats | float = 0.0
    silent: bool = False


@dataclass(frozen=True)
class Draw:
    """Parameters for every neuron of a layer.

    Attributes:
        rng: Where they come from.
        size: Neurons.
        exact: Whether all are binary fractions, so that potentials meet thresholds exactly.
    """

    rng: np.random.Generator
    size: int
    exact: bool

    def lost(self) -> Floats:
        """Return shares of a state that a step loses."""
        if self.exact:
            return self.rng.choice([1.0, 0.5], self.size)
        return self.rng.uniform(0.02, 1.0, self.size)

    def threshold(self) -> Floats:
        if self.exact:
            return self.rng.integers(1, 6, self.size) / 4
        return self.rng.uniform(0.2, 1.5, self.size)

    def gain(self) -> Floats:
        if self.exact:
            return self.rng.choice([0.5, 1.0, 2.0], self.size)
        return self.rng.uniform(-2.0, 5.0, self.size)

    def tau(self) -> Floats:
        return self.rng.uniform(0.5, 30.0, self.size)

    def offset(self) -> Floats:
        return self.rng.integers(-4, 1, self.size) / 4 if self.exact else self.rng.uniform(-1, 0.1, self.size)

    def zeros(self) -> Floats:
        return np.zeros(self.size)

    def ones(self) -> Floats:
        return np.ones(self.size)
