"""What was observed while the float graph ran on training samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.execution.rise import rises
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import Trace
from toolchain.ir import Graph
from toolchain.passes.quantization.drives import can_observe, observe_drive
from toolchain.passes.quantization.ranges import Bounds
from toolchain.passes.quantization.state_ranges import FloorRule, flat, floors, state_ranges
from toolchain.reset import Reset

HEAD_ROOM: Final = 2.0
"""Measured ranges must fit this many times into the register."""
_SLACK: Final = 1e-9
"""Share of the room below a threshold that stays free; it is far more than double precision loses."""


@final
@dataclass(frozen=True)
class Calibration:
    """Ranges and means of every population by its name, in its shape and in the model's units.

    Attributes:
        v_low: Smallest potential; where nothing leaks, the smallest that matters, see `lowest_floor`.
        v_high: Largest potential: before the reset where a spike subtracts or leaves it, else after it.
        u_peak: Largest magnitude of the current.
        v_mean: Mean magnitude of the potential.
        u_mean: Mean magnitude of the current.
        drives: Second moments of what the population reads, `[C, C]`, where `can_observe` allows; see
            `observe_drive`.
        samples: Number of samples that were run.
        rises: Most that adaptation added to the threshold, of the populations whose thresholds rise.
    """

    v_low: Mapping[str, Floats] = field(repr=False)
    v_high: Mapping[str, Floats] = field(repr=False)
    u_peak: Mapping[str, Floats] = field(repr=False)
    v_mean: Mapping[str, Floats] = field(repr=False)
    u_mean: Mapping[str, Floats] = field(repr=False)
    drives: Mapping[str, Floats] = field(repr=False)
    samples: int
    rises: Mapping[str, Floats] = field(default_factory=dict, repr=False)

    @classmethod
    def observe(
        cls, graph: Graph, stimulus: Stimulus, trace: Trace, rng: np.random.Generator | None = None
    ) -> "Calibration":
        """Return the ranges and means of a recorded run.

        Args:
            graph: The float graph.
            stimulus: The samples that were run.
            trace: The record of that run, with spikes, `v` and `u`.
            rng: Draws the points of `observe_drive`; None for a generator of a fixed seed.
        """
        rng = np.random.default_rng(0) if rng is None else rng
        fitted = fit_stimulus(graph, stimulus)
        populations = [node for node in graph.populations if isinstance(node, ir.Lif)]
        drives = {
            node.name: observe_drive(graph, node, fitted, trace, rng)
            for node in populations
            if can_observe(graph, node)
        }
        observed = {node.name: _Observed.of(node, trace) for node in populations}
        return cls(
            {name: each.v_low for name, each in observed.items()},
            {name: each.v_high for name, each in observed.items()},
            {name: each.u_peak for name, each in observed.items()},
            {name: each.v_mean for name, each in observed.items()},
            {name: each.u_mean for name, each in observed.items()},
            drives,
            fitted.samples,
            {name: each.rise for name, each in observed.items() if each.rise is not None},
        )

    def bounds(self, population: ir.Lif, unit: Floats) -> Bounds:
        """Return the limits of a population that were observed, with head-room.

        Args:
            population: A population of the graph.
            unit: Units of the integer potential per unit of the model, of the population's shape.
        """
        name, room = population.name, unit * HEAD_ROOM
        high = self.v_high[name] * room
        rise = self.rises[name] * room if name in self.rises else np.zeros(population.vth.shape)
        # A potential that a spike has set is no longer known: no more than its threshold is.
        known = population.reset in {Reset.SUBTRACT, Reset.NONE}
        return Bounds(
            current=self.u_peak[name] * room,
            low=-self.v_low[name] * room,
            high=high if known else np.full(high.shape, np.inf),
            free=high,
            rise=rise,
            threshold=population.vth * unit + rise,
        )

    def merged(self, other: "Calibration") -> "Calibration":
        """Return the ranges and means of both sets of samples together."""
        total = self.samples + other.samples

        def mean(mine: Mapping[str, Floats], others: Mapping[str, Floats]) -> dict[str, Floats]:
            return {
                name: (values * self.samples + others[name] * other.samples) / total
                for name, values in mine.items()
            }

        return Calibration(
            {name: np.minimum(values, other.v_low[name]) for name, values in self.v_low.items()},
            {name: np.maximum(values, other.v_high[name]) for name, values in self.v_high.items()},
            {name: np.maximum(values, other.u_peak[name]) for name, values in self.u_peak.items()},
            mean(self.v_mean, other.v_mean),
            mean(self.u_mean, other.u_mean),
            {name: values + other.drives[name] for name, values in self.drives.items()},
            total,
            {name: np.maximum(values, other.rises[name]) for name, values in self.rises.items()},
        )


@final
@dataclass(frozen=True)
class _Observed:
    """What was observed of one population; see `Calibration`."""

    v_low: Floats
    v_high: Floats
    u_peak: Floats
    v_mean: Floats
    u_mean: Floats
    rise: Floats | None

    @classmethod
    def of(cls, node: ir.Lif, trace: Trace) -> "_Observed":
        v, u, spikes = trace.v[node.name], trace.u[node.name], trace.spikes[node.name]
        shape = node.vth.shape
        amount = node.reset_amount if node.reset is Reset.SUBTRACT else None
        amount = np.zeros(shape) if amount is None else amount
        ranges = state_ranges(flat(v), flat(u), flat(spikes), np.ravel(amount))
        added, entries = rises(node, spikes), v.shape[0] * v.shape[1]
        low = np.minimum(ranges.low, 0.0).reshape(shape)
        return cls(
            _bounded_floor(node, v, spikes, added, low),
            ranges.high.reshape(shape),
            ranges.peak.reshape(shape),
            ranges.v_sum.reshape(shape) / entries,
            ranges.u_sum.reshape(shape) / entries,
            None if added is None else added.max(axis=(0, 1)),
        )


def _bounded_floor(
    population: ir.Lif, v: Floats, spikes: NDArray[Any], added: Floats | None, lowest: Floats
) -> Floats:
    """Return how low every neuron must be able to fall, at most 0.

    A leak bounds how far a potential falls. A floor there would give neurons that never fire the largest
    scales of all, whose weights then raise the exponent that they share with those that fire.
    """
    leaks = population.dv > 0
    return (
        lowest if leaks.all() else np.where(leaks, lowest, lowest_floor(population, v, spikes, added, lowest))
    )


def lowest_floor(
    population: ir.Lif, v: Floats, spikes: NDArray[Any], added: Floats | None, lowest: Floats
) -> Floats:
    r"""Return the potential, at most 0, at which every neuron could be held from below without another spike.

    A potential that is held at a floor is above the free one from then on, and the difference leaks:
    :math:`D_{t+1} = (1 - d_v) D_t`. A reset to zero or to a value makes it vanish at the next spike; after
    subtraction, or without a reset, it goes on. So no spike changes as long as :math:`D_t \le R_t` with

    .. math:: R_t = \min\Big(\theta_t - v_t,\; \frac{R_{t+1}}{1 - d_v}\Big)

    and the floor may be anything up to the least of all :math:`v_t + R_t`. The first term is the room that is
    left below the threshold with its rise. It is missing at a step of as many spikes as a neuron can send,
    since a higher potential sends no more; after fewer spikes it is the room to one more. The second term is
    missing at the last step, and before a spike that makes differences vanish. Where the potential only
    falls, as that of a neuron whose input is negative, any floor will do, however long it falls.

    A difference does not leak while a neuron is refractory, and its potential may then stand above the
    threshold. In a population with refractory periods no difference is taken to leak, which lowers the
    floor; no floor is below the smallest potential.

    Args:
        population: A population of the graph. A neuron that never fires is read by its potential, and its
            floor is its smallest potential.
        v: Potentials after the reset, `[batch, time, *shape]`.
        spikes: Spikes, or how many of them, of the same shape.
        added: What had been added to the thresholds, likewise; None if nothing ever is.
        lowest: Smallest potentials, at most 0, `[*shape]`.
    """
    keep = 1 - population.dv if population.refractory is None else np.ones(population.dv.shape)
    # A little lower, so that rounding does not decide.
    rule = FloorRule(
        threshold=population.vth.ravel(),
        keep=keep.ravel(),
        most=population.max_spikes,
        forgets=population.reset in {Reset.ZERO, Reset.VALUE},
        room=1 - _SLACK,
    )
    risen = np.zeros((0, 0, 0)) if added is None else flat(added)
    floor = floors(flat(v), flat(spikes), risen, rule).reshape(lowest.shape)
    return np.where(np.isfinite(population.vth), np.maximum(floor, lowest), lowest)
