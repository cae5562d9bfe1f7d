"""How large currents and potentials of a population can become, proved from its weights."""

from dataclasses import dataclass
from typing import final

import numpy as np

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.ir import Graph
from toolchain.ir.matrix import rows_of, targets_of, values_of


@final
@dataclass(frozen=True)
class Bounds:
    """Proved limits of a fixed population, in integer units, of its shape.

    Attributes:
        current: Largest |u|.
        low: Largest magnitude of a negative v.
        high: Largest positive v before the comparison with the threshold.
    """

    current: Floats
    low: Floats
    high: Floats


def potential_limit(*, readout: bool) -> int:
    """Return the largest |v| that is harmless.

    Above its threshold a spiking neuron fires however far, so only saturation from below matters. A
    read-out is compared by its potential and must neither saturate nor fire.
    """
    return fixedpoint.SILENT_LIMIT if readout else fixedpoint.STATE_LIMIT - 1


def prove_bounds(graph: Graph, population: ir.FixedLif, steps: int | None) -> Bounds:
    """Return what can be proved about a population from its weights alone.

    `|u| <= 64 * sum |w| 2^e x_max * 4096 / (du + 1)`, and `|v|` at most the drive of one sign
    times `min(4096 / dv, steps)`.

    Args:
        graph: A fixed graph.
        population: One of its populations.
        steps: Length of the longest sample; None if it is not known.
    """
    positive, negative = np.zeros(population.vth.shape), np.zeros(population.vth.shape)
    for name in population.inputs:
        node = graph[name]
        if isinstance(node, ir.FixedDense | ir.FixedConv2d):
            message = float(graph.largest_message(node))
            up, down = _drive(node, message, signed=graph.graded_input(node) is not None)
            positive += over_rows(up, population.vth.shape)
            negative += over_rows(down, population.vth.shape)
    horizon = np.inf if steps is None else float(steps)
    alignment = 2.0**fixedpoint.ALIGNMENT_BITS
    memory_u = np.minimum(fixedpoint.DECAY_UNITY / (population.du.astype(np.float64) + 1), horizon)
    with np.errstate(divide="ignore"):
        memory_v = np.minimum(fixedpoint.DECAY_UNITY / population.dv.astype(np.float64), horizon)
    u_high, u_low = positive * alignment * memory_u, negative * alignment * memory_u
    bias = population.bias.astype(np.float64)
    up, down = u_high + np.maximum(bias, 0), u_low + np.maximum(-bias, 0)
    return Bounds(np.maximum(u_high, u_low), _accumulated(down, memory_v), _accumulated(up, memory_v))


def _accumulated(drive: Floats, memory: Floats) -> Floats:
    """Return drive times memory; no drive is no range, however long the memory."""
    return drive * np.where(drive > 0, memory, 0.0)


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
    # A negative exponent rounds down: up to one unit more on the negative side.
    extra = 1.0 if node.exponent < 0 else 0.0
    down = np.bincount(rows, np.maximum(-values, 0), minlength=size).astype(np.float64) * scale
    up = np.bincount(rows, np.maximum(values, 0), minlength=size).astype(np.float64) * scale
    if signed:
        up = down = up + down
    return up, down + extra
