"""Random graphs in real numbers: those of integers, divided by a power of two, or by any other numbers."""

from dataclasses import fields, replace
from typing import Any, Final

import numpy as np

from toolchain import ir
from toolchain.execution.trace import Trace
from toolchain.fixedpoint import ALIGNMENT_BITS, DECAY_UNITY
from toolchain.ir import AnyNode, Graph
from toolchain.ir.matrix import values_of, with_values

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


def uneven(graph: Graph, rng: np.random.Generator, longest: int = 0) -> Graph:
    """The float graph with numbers of all digits, whose sums depend on their order.

    Args:
        graph: A float graph; weights of both signs, thresholds and all else change by up to a half.
        rng: What to draw from.
        longest: The longest delay of an element more than its `Delay` has; 0 leaves delays as they are.
    """

    def scaled(values: Any) -> Any:
        return with_values(values, values_of(values) * rng.uniform(0.5, 1.5, values_of(values).shape))

    def change(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.Dense | ir.Conv2d):
            return replace(node, weights=scaled(node.weights))
        if isinstance(node, ir.Lif):
            names = ("vth", "bias", "reset_amount", "adaptation")
            held = {name: getattr(node, name) for name in names if getattr(node, name) is not None}
            return replace(node, **{name: scaled(values) for name, values in held.items()})
        if isinstance(node, ir.Delay) and longest:
            return replace(node, steps=node.steps + rng.integers(0, longest + 1, node.shape))
        return node

    return graph.map(change)


def check_close(expected: Trace, got: Trace) -> None:
    """Spikes are equal, currents and potentials to 1e-9 of their size."""
    for key, values in expected.by_key().items():
        if key.endswith(".spikes"):
            assert np.array_equal(got.by_key()[key], values), key
        else:
            assert np.allclose(got.by_key()[key], values, rtol=1e-9, atol=1e-9), key
