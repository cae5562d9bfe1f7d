"""What was observed while the float graph ran on training samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import Trace
from toolchain.ir import Graph
from toolchain.passes.quantization.drives import can_observe, observe_drive

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
        v_high: Largest potential after the reset.
        u_peak: Largest magnitude of the current.
        v_mean: Mean magnitude of the potential.
        u_mean: Mean magnitude of the current.
        drives: Second moments of what the population reads, `[C, C]`, where `can_observe` allows; see
            `observe_drive`.
        samples: Number of samples that were run.
    """

    v_low: Mapping[str, Floats] = field(repr=False)
    v_high: Mapping[str, Floats] = field(repr=False)
    u_peak: Mapping[str, Floats] = field(repr=False)
    v_mean: Mapping[str, Floats] = field(repr=False)
    u_mean: Mapping[str, Floats] = field(repr=False)
    drives: Mapping[str, Floats] = field(repr=False)
    samples: int

    @classmethod
    def observe(cls, graph: Graph, stimulus: Stimulus, trace: Trace) -> "Calibration":
        """Return the ranges and means of a recorded run.

        Args:
            graph: The float graph.
            stimulus: The samples that were run.
            trace: The record of that run, with spikes, `v` and `u`.
        """
        fitted = fit_stimulus(graph, stimulus)
        drives = {
            node.name: observe_drive(graph, node, fitted, trace)
            for node in graph.populations
            if isinstance(node, ir.Lif) and can_observe(graph, node)
        }
        lows = {
            node.name: _low(node, trace.v[node.name], trace.spikes[node.name])
            for node in graph.populations
            if isinstance(node, ir.Lif)
        }
        return cls(
            lows,
            {name: values.max(axis=(0, 1)) for name, values in trace.v.items()},
            {name: np.abs(values).max(axis=(0, 1)) for name, values in trace.u.items()},
            {name: np.abs(values).mean(axis=(0, 1)) for name, values in trace.v.items()},
            {name: np.abs(values).mean(axis=(0, 1)) for name, values in trace.u.items()},
            drives,
            fitted.samples,
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
        )


def _low(population: ir.Lif, v: Floats, spikes: NDArray[np.bool_]) -> Floats:
    """Return how low every neuron must be able to fall, at most 0.

    A leak bounds how far a potential falls. A floor there would give neurons that never fire the largest
    scales of all, whose weights then raise the exponent that they share with those that fire.
    """
    lowest = np.minimum(v.min(axis=(0, 1)), 0.0)
    leaks = population.dv > 0
    return lowest if leaks.all() else np.where(leaks, lowest, lowest_floor(population, v, spikes))


def lowest_floor(population: ir.Lif, v: Floats, spikes: NDArray[np.bool_]) -> Floats:
    r"""Return the potential, at most 0, at which every neuron could be held from below without another spike.

    A potential that is held at a floor is above the free one from then on, and the difference leaks:
    :math:`D_{t+1} = (1 - d_v) D_t`. The next spike resets both to zero. So no spike changes as long as

    .. math:: D_t \le R_t, \qquad R_t = \theta - v_t \text{ before a spike or the end}, \quad
        R_t = \min\Big(\theta - v_t,\; \frac{R_{t+1}}{1 - d_v}\Big) \text{ otherwise}

    and the floor may be anything up to the least of all :math:`v_t + R_t`. Where the potential only falls, as
    that of a neuron whose input is negative, any floor will do, however long it falls.

    Args:
        population: A population of the graph. A neuron that never fires is read by its potential, and its
            floor is its smallest potential.
        v: Potentials after the reset, `[batch, time, *shape]`.
        spikes: Spikes, of the same shape.
    """
    keep, floor = 1 - population.dv, np.zeros(population.dv.shape)
    room = np.full((len(v), *floor.shape), np.inf)
    for t in range(v.shape[1] - 1, -1, -1):
        np.divide(room, keep, out=room, where=keep > 0)
        room[:, keep == 0] = np.inf
        np.minimum(room, population.vth - v[:, t], out=room)
        # A little lower, so that rounding does not decide.
        floor = np.minimum(floor, (v[:, t] + room * (1 - _SLACK)).min(axis=0))
        room[spikes[:, t]] = np.inf
    return np.where(np.isfinite(population.vth), floor, np.minimum(v.min(axis=(0, 1)), 0.0))
