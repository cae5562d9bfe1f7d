"""The compiled loops over time of a layer of integrate-and-fire neurons, forward and backward.

A step is one row of numbers, whatever the layout of the tensor is: neurons do not know their neighbours. A
chunk of neurons passes through all steps before the next one begins, so that its state stays in the nearest
cache and every number of the tensors is read or written once. What does not depend on a neuron is decided
outside the innermost loops, and those have no branches, so that a processor computes many neurons at once.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.compiled import njit
from toolchain.models.surrogate_loops import derive

CHUNK: Final = 1024
"""Neurons whose state stays in the nearest cache while the steps pass."""


class IntegrationRule(NamedTuple):
    """What all neurons of a layer share, in the precision of its numbers.

    Attributes:
        vth: Threshold.
        keep: Share of the potential that stays at a step.
        retains: Whether a spike leaves what the potential was.
        change: Amount that a spike adds to what it leaves.
        surrogate: Number of the shape of the spike derivative; see `surrogate_loops`.
        slope: Sharpness of that derivative.
    """

    vth: Any
    keep: Any
    retains: bool
    change: Any
    surrogate: int
    slope: Any


class ChannelGrid(NamedTuple):
    """How the numbers of a step belong to channels: `(place // inner) % channels`.

    Attributes:
        channels: Number of channels.
        inner: Number of neighbours that belong to one channel.
    """

    channels: int
    inner: int

    @property
    def row(self) -> int:
        """Numbers after which a chunk may end."""
        return self.channels if self.inner == 1 else self.inner


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def _advance(x: Array, v: Array, potential: Array, spikes: Array, rule: IntegrationRule) -> None:
    """Advance neurons by a step: `potential = x + keep v`, rounded once where the processor can."""
    nothing, one = x.dtype.type(0), x.dtype.type(1)
    vth, keep, retains, change = rule.vth, rule.keep, rule.retains, rule.change
    for i in range(x.size):
        p = x[i] + keep * v[i]
        fired = p > vth
        potential[i] = p
        spikes[i] = one if fired else nothing
        v[i] = (p if retains else nothing) + change if fired else p


@njit(nogil=True, cache=True)
def _add_to_channels(values: Array, start: int, grid: ChannelGrid, sums: Array) -> None:
    """Add values of neurons from place `start` on to the sums of their channels."""
    channels, inner = grid.channels, grid.inner
    if inner == 1:
        for row in range(values.size // channels):
            part = values[row * channels : (row + 1) * channels]
            for c in range(channels):
                sums[c] += part[c]
    else:
        for run in range(values.size // inner):
            sums[(start // inner + run) % channels] += values[run * inner : (run + 1) * inner].sum()


@njit(nogil=True, cache=True)
def integrate(
    x: Array,
    potential: Array,
    spikes: Array,
    rule: IntegrationRule,
    part: tuple[int, int, int],
    grid: ChannelGrid,
    sums: Array,
) -> None:
    """Run some of the neurons over all steps.

    Args:
        x: Synaptic input `[steps, neurons]`, or `[1, neurons]` for one that does not change.
        potential: Gets the potentials before the reset, `[steps, neurons]`.
        spikes: Gets the spikes, 0 or 1.
        rule: What all neurons share.
        part: First neuron, the one behind the last, and the size of a chunk, which ends where a row of
            the grid does.
        grid: Channels of the neurons.
        sums: Gets the sums of `|v|` after the reset and of the spikes over steps and neurons, float64 `[2,
            channels]`; empty if nobody wants them.
    """
    start, stop, size = part
    measured, still = sums.size > 0, len(x) == 1
    state, magnitude, count = np.empty(size, x.dtype), np.empty(size, x.dtype), np.empty(size, x.dtype)
    for first in range(start, stop, size):
        last = min(first + size, stop)
        v, m, s = state[: last - first], magnitude[: last - first], count[: last - first]
        v[:], m[:], s[:] = 0, 0, 0
        for t in range(len(potential)):
            sent = spikes[t, first:last]
            _advance(x[0 if still else t, first:last], v, potential[t, first:last], sent, rule)
            if measured:
                for i in range(v.size):
                    m[i] += abs(v[i])
                    s[i] += sent[i]
        if measured:
            _add_to_channels(m, first, grid, sums[0])
            _add_to_channels(s, first, grid, sums[1])


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def _measure(p: Array, vth: Any, distances: Array) -> None:  # noqa: ANN401 - a number of either precision
    """Write the distances of potentials to the threshold, in units of it."""
    for i in range(p.size):
        distances[i] = (p[i] - vth) / vth


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def _retreat(
    p: Array, gradient: Array, smooth: Array, carried: Array, out: Array, rule: IntegrationRule
) -> None:
    """Take gradients back by a step: `carried` holds those with respect to the potentials a step later."""
    nothing = p.dtype.type(0)
    vth, keep, retains = rule.vth, rule.keep, rule.retains
    for i in range(p.size):
        # The next potential hears of this one only where it was not set to something else.
        heard = carried[i] if retains or not p[i] > vth else nothing
        y = smooth[i] * gradient[i] / vth + keep * heard
        carried[i] = y
        out[i] = y


@njit(nogil=True, cache=True)
def integrate_back(
    potential: Array,
    gradient: Array,
    out: Array,
    rule: IntegrationRule,
    part: tuple[int, int, int],
) -> None:
    """Take gradients of some of the neurons back through all steps.

    Args:
        potential: Potentials before the reset, `[steps, neurons]`.
        gradient: Gradients with respect to the spikes.
        out: Gets those with respect to the input, `[steps, neurons]`, or their sum over the steps, `[1,
            neurons]`, if the input does not change.
        rule: What all neurons share.
        part: First neuron, the one behind the last, and the size of a chunk.
    """
    start, stop, size = part
    steps, still = len(potential), len(out) == 1
    kind = potential.dtype
    later, slopes, total = np.empty(size, kind), np.empty(size, kind), np.empty(size, kind)
    for first in range(start, stop, size):
        last = min(first + size, stop)
        carried, smooth, step = later[: last - first], slopes[: last - first], total[: last - first]
        carried[:] = 0
        if still:
            out[0, first:last] = 0
        for t in range(steps - 1, -1, -1):
            p = potential[t, first:last]
            _measure(p, rule.vth, smooth)
            derive(smooth, rule.surrogate, rule.slope)
            goal = step if still else out[t, first:last]
            _retreat(p, gradient[t, first:last], smooth, carried, goal, rule)
            if still:
                for i in range(step.size):
                    out[0, first + i] += step[i]
