r"""How finely a still input is sent: the bits of a message and those of the weights share one register.

The input of a neuron is a sum of weights times messages of `b` bits, and its threshold has 17 bits. A finer
message takes its bits from the weights: with `S` units of threshold per unit of activation, a value is
rounded to a multiple of `p / (2^b - 1)` and a weight to one of `(2^b - 1) / (p S)`, where `p` is the largest
value. A still input is rounded alike at every step, so that neither error averages out over time. Their sum
over the sources of a neuron, errors independent of one another, is least for

.. math:: 2^b - 1 = p\, \sqrt{S\, \frac{\operatorname{rms} w}{\operatorname{rms} x}}

so that a picture is sent coarser to a dense layer of many small weights than to a convolution. Weights that
are quantized already, multiples of a step `g`, stay them where `2^b - 1` is at most `p S g`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.fixedpoint import THRESHOLD_MAX
from toolchain.ir import EdgeKind
from toolchain.ir.currents import Branch
from toolchain.ir.matrix import rows_of, targets_of, values_of
from toolchain.passes.quantization.weight_grids import grid_steps
from toolchain.rate_coding.activation_network import INPUT, ActivationNetwork

_FEWEST, _MOST = 4, 8
"""Bits of a message."""
_USUAL, _FAR = 0.999, 10.0
"""Values that large, compared with the others, leave those few of the levels."""


def graded_input(
    network: ActivationNetwork, frames: NDArray[Any], thresholds: Mapping[str, float]
) -> ir.Input:
    """Return the input of a network, with the bits that cost its layers least.

    Args:
        network: Network that reads the input.
        frames: Samples of the input, `[batch, *features]`.
        thresholds: What the largest threshold stands for in each layer, by name, in its activations; where a
            step sends several spikes, what all of them stand for.
    """
    peak = float(np.abs(frames).max()) or 1.0
    power = float(np.mean(np.square(frames, dtype=np.float64)))
    # Connections that read it, with the units of threshold per unit of activation.
    readers = [
        (branch, THRESHOLD_MAX / thresholds[layer.name])
        for layer in network.layers
        for branch in layer.current.branches
        if branch.source.node == INPUT
    ]
    best = max((_levels(branch, peak, power, units) for branch, units in readers), default=0.0)
    exact_levels = min((peak * units * _step(branch) for branch, units in readers), default=math.inf)
    wanted_bits = math.ceil(math.log2((best or 2.0**_MOST) + 1))
    exact_bits = math.floor(math.log2(min(exact_levels, 2.0**_MOST) + 1))
    bits = min(max(min(wanted_bits, exact_bits), _FEWEST), _MOST)
    return ir.Input(
        name=INPUT, shape=network.shape, edge=EdgeKind.GRADED, scale=(2**bits - 1) / peak, bits=bits
    )


def _levels(branch: Branch, peak: float, power: float, units: float) -> float:
    """Return how many levels the input should have for the weights of a connection; 0 if nothing is sent."""
    squares = float(np.mean(values_of(branch.node(branch.name).weights) ** 2))
    return peak * math.sqrt(units * math.sqrt(squares / power)) if power > 0 else 0.0


def _step(branch: Branch) -> float:
    """Return the typical step of quantized weights; infinite for any others."""
    weights = branch.node(branch.name).weights
    steps = grid_steps(rows_of(weights), values_of(weights).ravel(), targets_of(weights))
    return math.inf if steps is None else float(np.median(steps[np.isfinite(steps)]))


def range_notes(frames: NDArray[Any]) -> list[str]:
    """Return a sentence for the user where one scale for all values of the input costs much."""
    peaks = np.abs(frames.astype(np.float64)).reshape(len(frames), -1)
    largest, usual = float(peaks.max()), float(np.quantile(peaks, _USUAL))
    each = peaks.max(axis=0)
    typical = float(np.median(each[each > 0])) if each.any() else 0.0
    said = ""
    if usual > 0 and largest > _FAR * usual:
        said = (
            f"the largest value of the samples, {largest:.4g}, is {largest / usual:.3g} times what all but "
            "one in a thousand stay below, and the input has one scale: leave such samples out of "
            "`calibration`, and they are clipped"
        )
    elif typical > 0 and largest > _FAR * typical:
        said = (
            f"values of the input reach {largest:.4g}, but those of a typical element {typical:.4g}, and the "
            "input has one scale: bring all elements to one range before the first layer"
        )
    return [said] if said else []
