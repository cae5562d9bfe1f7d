"""How large currents and potentials of a population can become, proved from its weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.ir import Graph
from toolchain.ir.matrix import rows_of, targets_of, values_of
from toolchain.reset import Reset


@final
@dataclass(frozen=True)
class Bounds:
    """Limits of a population, in integer units, of its shape.

    Attributes:
        current: Largest |u|.
        low: Largest magnitude of a negative v.
        high: Largest positive v before the comparison with the threshold, which refractory neurons have not.
        free: The same if nothing were ever reset, as in a read-out.
        rise: Most that adaptation adds to the threshold.
        threshold: Largest threshold, what adaptation adds included.
    """

    current: Floats
    low: Floats
    high: Floats
    free: Floats
    rise: Floats
    threshold: Floats

    def reach(self, reset: Reset, *, readout: bool) -> Floats:
        """Return the largest |v| that the register must hold without saturation.

        After a reset to zero or to a value nothing is left of how far a potential was above its threshold. So
        only saturation from below matters there, and a threshold that saturation would keep it from: a
        potential that saturates above the threshold fires as the true one does. Where a spike subtracts or
        leaves the potential, what saturation cuts off would be missed at later steps. A read-out is compared
        by its potential and must neither saturate nor fire.
        """
        if readout:
            return np.maximum(self.low, self.free)
        if reset in {Reset.SUBTRACT, Reset.NONE}:
            return np.maximum(self.low, self.high)
        raised = np.where(self.rise > 0, np.minimum(self.high, self.threshold + 1), 0.0)
        return np.maximum(self.low, raised)


def potential_limit(*, readout: bool) -> int:
    """Return the largest |v| that is harmless: a read-out must not even fire."""
    return fixedpoint.SILENT_LIMIT if readout else fixedpoint.STATE_LIMIT - 1


def excess(known: Sequence[Bounds], reset: Reset, *, readout: bool, limit: float) -> Floats:
    """Return by what factor a register of u, of v or of a rise may be exceeded; at most 1 is safe.

    Args:
        known: Limits of a population, each of which holds.
        reset: Effect of a spike on the potential.
        readout: Whether it is a read-out.
        limit: Largest magnitude that a register of the place holds.
    """
    v_limit = float(potential_limit(readout=readout))
    return np.maximum.reduce(
        [
            np.minimum.reduce([bounds.current / limit for bounds in known]),
            np.minimum.reduce([bounds.reach(reset, readout=readout) / v_limit for bounds in known]),
            np.minimum.reduce([bounds.rise / limit for bounds in known]),
        ]
    )


def prove_bounds(graph: Graph, population: ir.FixedLif, steps: int | None) -> Bounds:
    r"""Return what can be proved about a population from its weights alone.

    `|u| <= 64 * sum |w| 2^e x_max * 4096 / (du + 1)`, and the drive of a potential is at most `D`, that
    current and the bias, of one sign. Without any reset `|v| <= D min(4096 / dv, T)` for `T` steps. A reset
    changes where a potential starts from:

    - Below. A reset to a value starts at `r`. Subtraction leaves more than :math:`\theta - r`, because
      every amount but the last is taken from above the threshold. From a start of :math:`-L` a potential
      falls no lower than :math:`\max(L, D \cdot 4096 / d_v)` and than :math:`L + D T`.
    - Above. Let :math:`\Theta` be the largest threshold with its rise, and `keep` the share of a potential
      that stays. What does not fire, or takes less than the most spikes, is left at :math:`\Theta` or below;
      what takes `m` spikes is left at `m r` less than before. So the potential after a step is at most

      .. math:: P = \max(\Theta,\; keep\, P + D - m r)
          \le \min\Big( \max\big(\Theta, \tfrac{D - m r}{1 - keep}\big),\;
          \Theta + T \max(0,\, D - m r - (1 - keep)\, \Theta) \Big)

      and before a comparison :math:`keep\, P + D`. Without leak that holds for any number of steps if a step
      brings no more than `m` spikes take. A reset to zero or to a value leaves
      :math:`P = \max(\Theta, r)`. None of them exceeds what holds without a reset.

    - Its threshold. A rise is at most what `m` spikes of `k` add at every step that is not refractory:
      :math:`k m / (1 - (1 - d_h)^{R + 1})`, or `k m` times the number of such steps. It grows only where a
      potential was above it, so :math:`(1 - d_h)(V - \theta) + k m` is a bound, too, if no potential exceeds
      `V` without any reset.

    A refractory neuron keeps its potential, so no bound changes; its current goes on and is bounded as it is.
    Rounding toward zero and saturation make magnitudes smaller, never larger.

    Args:
        graph: A fixed graph.
        population: One of its populations.
        steps: Length of the longest sample; None if it is not known.
    """
    horizon = np.inf if steps is None else float(steps)
    u_high, u_low = _currents(graph, population, horizon)
    bias = population.bias.astype(np.float64)
    up, down = u_high + np.maximum(bias, 0), u_low + np.maximum(-bias, 0)
    with np.errstate(divide="ignore"):
        memory = fixedpoint.DECAY_UNITY / population.dv.astype(np.float64)
    keep = 1 - population.dv / fixedpoint.DECAY_UNITY
    level = population.vth * 2.0**fixedpoint.ALIGNMENT_BITS
    amount = 0.0 if population.reset_amount is None else population.reset_amount.astype(np.float64)
    starts = {Reset.VALUE: (amount, -amount), Reset.SUBTRACT: (0.0, amount - level)}
    above, below = (np.maximum(start, 0.0) for start in starts.get(population.reset, (0.0, 0.0)))
    free = _farthest(above, up, memory, horizon)
    rise = _rise(population, free - level, horizon)
    threshold = level + rise
    match population.reset:
        case Reset.NONE:
            high = free
        case Reset.SUBTRACT:
            after = _farthest(threshold, up - population.max_spikes * amount, memory, horizon)
            high = np.minimum(free, keep * after + up)
        case Reset.ZERO | Reset.VALUE:
            high = np.minimum(free, keep * np.maximum(threshold, above) + up)
    low = _farthest(below, down, memory, horizon)
    return Bounds(np.maximum(u_high, u_low), low, high, free, rise, threshold)


def _currents(graph: Graph, population: ir.FixedLif, horizon: float) -> tuple[Floats, Floats]:
    """Return the largest magnitude of a positive and of a negative current."""
    positive, negative = np.zeros(population.vth.shape), np.zeros(population.vth.shape)
    for name in population.inputs:
        node = graph[name]
        if isinstance(node, ir.FixedDense | ir.FixedConv2d):
            message = float(graph.largest_message(node))
            up, down = _drive(node, message, signed=graph.graded_input(node) is not None)
            positive += over_rows(up, population.vth.shape)
            negative += over_rows(down, population.vth.shape)
    memory = np.minimum(fixedpoint.DECAY_UNITY / (population.du.astype(np.float64) + 1), horizon)
    alignment = 2.0**fixedpoint.ALIGNMENT_BITS
    return positive * alignment * memory, negative * alignment * memory


def _farthest(start: Floats, drive: Floats, memory: Floats, horizon: float) -> Floats:
    """Return how far a drive takes a potential that begins at `start` and forgets after `memory` steps."""
    lost = start / memory
    with np.errstate(invalid="ignore"):
        settled = np.where(drive > 0, drive * memory, 0.0)
        gained = np.where(drive > lost, (drive - lost) * horizon, 0.0)
    return np.minimum(np.maximum(start, settled), start + gained)


def _rise(population: ir.FixedLif, excess: Floats, horizon: float) -> Floats:
    """Return the most that adaptation adds to a threshold, which a potential exceeds by at most `excess`."""
    if population.adaptation is None or population.adaptation_decay is None:
        return np.zeros(population.vth.shape)
    jump = population.adaptation.astype(np.float64) * population.max_spikes
    keep = 1 - population.adaptation_decay / fixedpoint.DECAY_UNITY
    gap = 1.0 if population.refractory is None else population.refractory + 1.0
    times = np.minimum(1 / (1 - keep**gap), np.ceil(horizon / gap))
    # What forgets everything keeps nothing of an excess without limit either.
    remaining = keep * np.where(keep > 0, excess, 0.0)
    return np.where(excess > 0, np.minimum(jump * times, remaining + jump), 0.0)


def over_rows(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Return one value per neuron, or per channel of feature maps, spread over a population."""
    return np.broadcast_to(values.reshape(-1, *[1] * (len(shape) - 1)), shape)


def by_rows(values: Floats) -> Floats:
    """Return values of a population as `[neurons or channels, positions]`."""
    return values.reshape(len(values), -1)


def _drive(node: ir.FixedDense | ir.FixedConv2d, message: float, *, signed: bool) -> tuple[Floats, Floats]:
    """Return the largest positive and negative input that one neuron or channel can get in a step."""
    rows, values = rows_of(node.weights), values_of(node.weights).astype(np.float64)
    size, scale = targets_of(node.weights), 2.0**node.exponent * message
    extra = _rounded_down(node)
    down = np.bincount(rows, np.maximum(-values, 0), minlength=size).astype(np.float64) * scale
    up = np.bincount(rows, np.maximum(values, 0), minlength=size).astype(np.float64) * scale
    if signed:
        up = down = up + down
    return up, down + extra


def _rounded_down(node: ir.FixedDense | ir.FixedConv2d) -> Floats | float:
    """Return what a negative exponent adds at most on the negative side: a unit for every delay of a row."""
    if node.exponent >= 0:
        return 0.0
    if isinstance(node, ir.FixedConv2d) or node.delays is None:
        return 1.0
    used = values_of(node.weights) != 0
    pairs = np.stack([rows_of(node.weights)[used], values_of(node.delays)[used]])
    rows = np.unique(pairs, axis=1)[0]
    return np.bincount(rows, minlength=targets_of(node.weights)).astype(np.float64)
