"""From integers back to the real numbers that they stand for."""

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from toolchain import fixedpoint, ir
from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, Graph, Stage
from toolchain.ir.matrix import rows_of, values_of, with_values
from toolchain.passes.base import Pass
from toolchain.passes.quantization.ranges import by_rows

_ABOVE_NOTHING: Final = 1e-9
"""Threshold of a neuron that any potential above zero makes fire."""


@final
@dataclass(frozen=True, kw_only=True)
class DequantizeGraph(Pass):
    r"""Replace every integer operation by its real counterpart.

    With the scale `S` of a neuron, the exponent `e` of a connection and the scale `m` of what it reads,

    .. math::
        w = W 2^e m / S, \quad \theta = \Theta / S, \quad b = B / (64 S), \quad d_v = D_v / 4096,
        \quad d_u = (D_u + 1) / 4096

    .. math::
        r = R / (64 S), \quad k = K / (64 S), \quad d_h = D_h / 4096

    Quantizing with the same scales gives the same integers back. A threshold that fills its register stands
    for a neuron that never fires. Refractory periods and the most spikes a step are the same numbers in both.
    """

    name: ClassVar[str] = "dequantize-graph"

    def requires(self, graph: Graph) -> None:
        """Accept fixed graphs."""
        if graph.stage is not Stage.FIXED:
            raise PreconditionError(
                "'dequantize-graph' needs a fixed graph; this one is in real numbers already"
            )

    def rewrite(self, graph: Graph) -> Graph:
        """Return the float graph."""
        return graph.map(lambda node: _real(graph, node))


def _real(graph: Graph, node: AnyNode) -> AnyNode:
    match node:
        case ir.FixedDense() | ir.FixedConv2d():
            return _connection(graph, node)
        case ir.FixedLif():
            unity, unit = fixedpoint.DECAY_UNITY, node.scale * 2.0**fixedpoint.ALIGNMENT_BITS
            never = node.vth >= fixedpoint.THRESHOLD_MAX
            return ir.Lif(
                name=node.name,
                inputs=node.inputs,
                du=(node.du + 1) / unity,
                dv=node.dv / unity,
                vth=np.where(never, np.inf, np.maximum(node.vth / node.scale, _ABOVE_NOTHING)),
                bias=node.bias / unit,
                origin=node.origin,
                reset=node.reset,
                reset_amount=None if node.reset_amount is None else node.reset_amount / unit,
                refractory=node.refractory,
                adaptation=None if node.adaptation is None else node.adaptation / unit,
                adaptation_decay=None if node.adaptation_decay is None else node.adaptation_decay / unity,
                max_spikes=node.max_spikes,
            )
        case _:
            return node


def _connection(graph: Graph, node: ir.FixedDense | ir.FixedConv2d) -> ir.Dense | ir.Conv2d:
    targets = [reader for reader in graph.readers(node.name) if isinstance(reader, ir.FixedLif)]
    if len(targets) != 1:
        raise PreconditionError(f"connection '{node.name}' must be read by one population")
    scale = by_rows(targets[0].scale)[:, 0]
    unit = 2.0**node.exponent * graph.message_scale(node)
    weights = with_values(node.weights, values_of(node.weights) * unit / scale[rows_of(node.weights)])
    if isinstance(node, ir.FixedDense):
        return ir.Dense(name=node.name, inputs=node.inputs, weights=weights, delays=node.delays)
    return ir.Conv2d(
        name=node.name,
        inputs=node.inputs,
        weights=np.asarray(weights),
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
    )
