"""Parameters and state of neurons, in integers or in real numbers, and what is the same for a population."""

from typing import Final, NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.compiled import njit

PLAIN: Final = 0
"""A spike sets the potential to zero and does nothing else."""
RESETS: Final = 1
"""A spike changes the potential in another way, and does nothing else."""
REMEMBERS: Final = 2
"""Spikes also make neurons refractory or raise their thresholds; `wait` and `rise` are part of the state."""
COUNTS: Final = 3
"""The same, and a neuron may send several spikes in one step."""


Number = type[np.int32] | type[np.float64]
"""What a network computes in."""


class FiringRule(NamedTuple):
    """What is the same for all neurons of a population.

    Attributes:
        forgets: Whether no neuron keeps any of its current for the next step: `keep_u` is 0 everywhere.
        kind: `PLAIN`, `RESETS`, `REMEMBERS` or `COUNTS`.
        mask: Bits of the potential that a spike leaves: all of them (-1) or none (0).
        most: Most spikes that a neuron sends in one step.
    """

    forgets: bool
    kind: int
    mask: int
    most: int


class NeuronParameters(NamedTuple):
    """Parameters of neurons, `[size]`; from `change` on empty where no population needs them.

    In real numbers all are float64 in the model's units, and shares are 0 .. 1. In integers all are int32,
    and shares are in units of 1 / 4096. Refractory periods are always int32.

    Attributes:
        keep_u: Share of the current that stays, in integers `4096 - (du + 1)`.
        keep_v: Share of the potential that stays, in integers `4096 - dv`.
        threshold: Threshold in the units of the potential, in integers `vth << 6`.
        bias: Number added to the potential at every step.
        change: What every spike adds to the potential, or to nothing where `FiringRule.mask` is 0.
        refractory: Steps for which a spike makes the neuron refractory.
        adaptation: Amount by which a spike raises the threshold of the next step.
        keep_rise: Share of what was added to the threshold that stays.
    """

    keep_u: Array
    keep_v: Array
    threshold: Array
    bias: Array
    change: Array
    refractory: Array
    adaptation: Array
    keep_rise: Array


class StateArrays(NamedTuple):
    """State of the neurons of a batch, `[batch, size]`, int32 or float64; refractory periods are int32.

    An array that is not needed is empty, `[batch, 0]`: the current of neurons that forget it at once, and
    both of the last two where spikes leave nothing behind but a potential.

    Attributes:
        u: Currents.
        v: Potentials.
        wait: Steps for which neurons are still refractory.
        rise: What was added to the thresholds.
    """

    u: Array
    v: Array
    wait: Array
    rise: Array


class StateRecord(NamedTuple):
    """Currents and potentials after every step of a block, `[steps, batch, size]`; empty if not recorded."""

    u: Array
    v: Array


class GraphRecord(NamedTuple):
    """The same in the order of the graph, `[batch, steps, channels, places]`; one channel if no image."""

    u: Array
    v: Array


def rest(batch: int, size: int, number: Number, *, forgets: bool, remembers: bool) -> StateArrays:
    """Return the state of a batch at rest."""
    later = size if remembers else 0
    sizes = ((0 if forgets else size, number), (size, number), (later, np.int32), (later, number))
    return StateArrays(*(np.zeros((batch, each), of) for each, of in sizes))


@njit(inline="always")
def rule_of(rules: Array, population: int) -> FiringRule:
    """Return the rule of one population of several, whose rules stand in rows."""
    return FiringRule(
        rules[population, 0] != 0, rules[population, 1], rules[population, 2], rules[population, 3]
    )


@njit(inline="always")
def parameters_between(parameters: NeuronParameters, start: int, stop: int) -> NeuronParameters:
    """Return the parameters of some of the neurons."""
    return NeuronParameters(
        parameters.keep_u[start:stop],
        parameters.keep_v[start:stop],
        parameters.threshold[start:stop],
        parameters.bias[start:stop],
        parameters.change[start:stop],
        parameters.refractory[start:stop],
        parameters.adaptation[start:stop],
        parameters.keep_rise[start:stop],
    )


@njit(inline="always")
def state_between(state: StateArrays, start: int, stop: int) -> StateArrays:
    """Return views of the first axis of a state."""
    return StateArrays(
        state.u[start:stop], state.v[start:stop], state.wait[start:stop], state.rise[start:stop]
    )
