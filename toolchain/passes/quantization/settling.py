"""Whether samples have shown the quantizer what it needs: then more of them would change little.

The rule is ours. Its shares were chosen on two sets, scikit-learn's digits and recordings of N-MNIST, where
accuracy and spike F1 no longer rose with more samples; they decide on time, and never on what is proved.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.ir import Graph
from toolchain.ir.matrix import submatrix, targets_of
from toolchain.passes.quantization.calibration import Calibration
from toolchain.passes.quantization.integers import fixed_neurons
from toolchain.passes.quantization.population import (
    FloatPopulation,
    QuantizeOptions,
    first_exponents,
    prove_fit,
    round_weights,
    scale_ceiling,
)
from toolchain.passes.quantization.ranges import over_rows
from toolchain.passes.quantization.rounding import remaining_error, round_together
from toolchain.passes.quantization.scales import common_scale, whole_thresholds

_FAR: Final = 0.5
"""Share of a register, head-room included, up to which a range decides on nothing."""
_GROWTH: Final = 0.5
"""Share by which twice as many samples may widen a range beyond that: the head-room is twofold."""
_REGISTERS: Final = 0.5
"""Mean distance of two decays, in units of their register, up to which they are the same."""
_EXCESS: Final = 0.15
"""Mean share by which the error of weights may exceed what it would be if all samples had been known."""
_ROWS: Final = 16
"""Neurons or channels of a population whose weights are rounded to see that."""


def has_settled(options: QuantizeOptions, graph: Graph, before: Calibration, after: Calibration) -> bool:
    """Return whether the quantizer would do the same with half of the samples.

    It asks what the observations are for:

    - Ranges that are not proved have stopped growing: at the largest scales that weights, thresholds and
      biases allow, registers hold four times what was observed, or the second half of the samples needs no
      more than one and a half times the register that the first half needs.
    - Decays that make up for rounding toward zero come out the same.
    - Weights that are rounded together on half of the samples are hardly worse on all of them than those
      that are rounded on all, as the mean over the populations.

    Args:
        options: How real numbers become integers.
        graph: The float graph.
        before: What was observed on half of the samples.
        after: What was observed on all of them.
    """
    excess: list[float] = []
    for node in graph.populations:
        if not isinstance(node, ir.Lif):
            continue
        one, two = (
            FloatPopulation(replace(options, calibration=observed), graph, node)
            for observed in (before, after)
        )
        exponents = first_exponents(two)
        scale = scale_ceiling(two, exponents)
        if two.is_readout or not options.per_neuron:
            scale = common_scale(scale)
        needed, later = (
            prove_fit(each, round_weights(each, exponents, scale, together=False)) for each in (one, two)
        )
        if (later > np.maximum(needed, _FAR) * (1 + _GROWTH)).any():
            return False
        if not _same_decays(two, scale, before, after):
            return False
        if two.rounds_together:
            excess.append(_excess(two, exponents, scale, before, after))
    return not excess or float(np.mean(excess)) <= _EXCESS


def _same_decays(population: FloatPopulation, scale: Floats, before: Calibration, after: Calibration) -> bool:
    if not population.options.compensate_decays or population.template is not None:
        return True
    node = population.node
    each, other = (
        fixed_neurons(
            node, over_rows(scale, node.vth.shape), (observed.u_mean[node.name], observed.v_mean[node.name])
        )
        for observed in (before, after)
    )
    pairs = ((each.du, other.du), (each.dv, other.dv))
    return all(float(np.abs(one - two).mean()) <= _REGISTERS for one, two in pairs)


def _excess(
    population: FloatPopulation,
    exponents: list[int],
    scale: Floats,
    before: Calibration,
    after: Calibration,
) -> float:
    """Return by what share weights rounded on half of the samples err more on all of them, 0 or more."""
    name = population.node.name
    scale = whole_thresholds(scale, population.threshold)
    rows = np.unique(np.linspace(0, scale.size - 1, min(_ROWS, scale.size)).astype(np.int64))
    some = [
        replace(
            item,
            weights=submatrix(item.weights, rows, slice(None))
            if item.weights.ndim == 2
            else item.weights[rows],
        )
        for item in population.incoming
        if targets_of(item.weights) == scale.size
    ]
    errors: list[float] = []
    for observed in (before, after):
        integers, _ = round_together(some, exponents, scale[rows], observed.drives[name])
        left = remaining_error(some, exponents, scale[rows], after.drives[name], integers)
        errors.append(float(left.sum()))
    return max(errors[0] / errors[1] - 1, 0.0) if errors[1] > 0 else 0.0
