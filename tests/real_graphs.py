"""Random graphs in real numbers: those of integers, divided by a power of two."""

from dataclasses import fields
from typing import Any, Final

import numpy as np

from toolchain import ir
from toolchain.execution.trace import Trace
from toolchain.fixedpoint import ALIGNMENT_BITS, DECAY_UNITY
from toolchain.ir import AnyNode, Graph

_UNIT: Final = 2.0**-12
"""One unit of the potential of integers."""


def in_reals(graph: Graph) -> Graph:
    """A fixed graph as a float graph: the same neurons, which neither round nor wrap nor saturate."""
    return graph.map(_in_reals)


def _in_reals(node: AnyNode) -> AnyNode:
    if isinstance(node, ir.FixedDense | ir.FixedConv2d):
        kind: Any = ir.Dense if isinstance(node, ir.FixedDense) else ir.Conv2d
        same = {item.name: getattr(node, item.name) for item in fields(kind)}
        weights: Any = node.weights
        return kind(**same | {"weights": weights * (2.0 ** (node.exponent + ALIGNMENT_BITS) * _UNIT)})
    if isinstance(node, ir.FixedLif):
        same = {item.name: getattr(node, item.name) for item in fields(ir.Lif) if item.name != "bias"}
        changed: dict[str, Any] = {
            "du": (node.du + 1) / DECAY_UNITY,
            "dv": node.dv / DECAY_UNITY,
            # A threshold of zero is none of real numbers.
            "vth": np.maximum(node.vth, 0.5) * 2**ALIGNMENT_BITS * _UNIT,
            "bias": node.bias * _UNIT,
        }
        units = {"reset_amount": _UNIT, "adaptation": _UNIT, "adaptation_decay": 1 / DECAY_UNITY}
        changed |= {name: values * units[name] for name, values in node.per_neuron.items() if name in units}
        return ir.Lif(**same | changed)
    return node


def check_close(expected: Trace, got: Trace) -> None:
    """Spikes are equal, currents and potentials to 1e-9 of their size."""
    for key, values in expected.by_key().items():
        if key.endswith(".spikes"):
            assert np.array_equal(got.by_key()[key], values), key
        else:
            assert np.allclose(got.by_key()[key], values, rtol=1e-9, atol=1e-9), key
