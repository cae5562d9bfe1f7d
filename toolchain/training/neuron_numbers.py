"""The numbers of a population in the units of its integers, those rounded whose rule holds."""

from typing import Final

import numpy as np

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.training.integer_rules import Rule

KEPT_SHARES: Final = ("keep_u", "keep_v", "keep_rise")
"""The shares of a state that stay from step to step."""


def acting_numbers(node: ir.Lif, fixed: ir.FixedLif | None, rules: frozenset[Rule]) -> dict[str, Floats]:
    """Return what `NeuronUpdate` takes with one number per neuron, by its names there.

    Args:
        node: The population in real numbers.
        fixed: What it became in integers; None for the units of the model.
        rules: Integer rules that hold; none without integers.
    """
    unity = fixedpoint.DECAY_UNITY
    shares = {"keep_u": 1 - node.du, "keep_v": 1 - node.dv}
    if node.adaptation_decay is not None:
        shares["keep_rise"] = 1 - node.adaptation_decay
    amounts = _given(threshold=node.vth, reset_amount=node.reset_amount, adaptation=node.adaptation)
    if fixed is None:
        return shares | amounts
    amounts = {name: each * fixed.scale * 2.0**fixedpoint.ALIGNMENT_BITS for name, each in amounts.items()}
    if Rule.DECAYS in rules:
        # The current's decay carries a hidden + 1.
        shares = {"keep_u": 1 - (fixed.du + 1.0) / unity, "keep_v": 1 - fixed.dv / unity}
        if fixed.adaptation_decay is not None:
            shares["keep_rise"] = 1 - fixed.adaptation_decay / unity
    if Rule.THRESHOLDS in rules:
        units = np.left_shift(fixed.vth, fixedpoint.ALIGNMENT_BITS).astype(np.float64)
        # A read-out never reaches its threshold; an infinite one passes no gradient either.
        threshold = np.where(np.isfinite(node.vth), units, np.inf)
        amounts = _given(threshold=threshold, reset_amount=fixed.reset_amount, adaptation=fixed.adaptation)
    return shares | amounts


def _given(**arrays: np.ndarray | None) -> dict[str, Floats]:
    return {name: each.astype(np.float64) for name, each in arrays.items() if each is not None}
