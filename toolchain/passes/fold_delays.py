"""Move delays that differ per source neuron into the synapses."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, Graph, Pooling, Synapses
from toolchain.ir.matrix import columns_of, values_of, with_values
from toolchain.passes.base import Pass


@final
@dataclass(frozen=True, kw_only=True)
class FoldDelays(Pass):
    """Give every synapse its own delay where a `Delay` has one per neuron.

    The part that all neurons share stays a `Delay`, since only that may close a loop. What a
    float graph computes does not change; an integer connection rounds once per delay slot, which
    is why this comes before quantization (a fixed graph has no such delays left).
    """

    name: ClassVar[str] = "fold-delays"

    def requires(self, graph: Graph) -> None:
        """Accept graphs whose read-outs do not look through a delay."""
        for node in graph:
            if isinstance(node, ir.Output) and isinstance(graph[node.inputs[0]], ir.Delay):
                raise PreconditionError(f"output '{node.name}' reads a delay; let it read the population")

    def rewrite(self, graph: Graph) -> Graph:
        """Return the graph in which every `Delay` has one number of steps."""
        if all(isinstance(node.steps, int) for node in graph if isinstance(node, ir.Delay)):
            return graph
        nodes: list[AnyNode] = []
        for node in graph:
            if isinstance(node, Synapses | Pooling):
                nodes += _fold(graph, node)
            elif not isinstance(node, ir.Delay):
                nodes.append(node)
        return graph.with_nodes(nodes)


def _fold(graph: Graph, node: Synapses | Pooling) -> tuple[AnyNode, ...]:
    operand = graph[node.inputs[0]]
    if not isinstance(operand, ir.Delay):
        return (node,)
    kind = graph.types[operand.name]
    steps = np.zeros(kind.shape, dtype=np.int64)
    while isinstance(operand, ir.Delay):
        steps = steps + operand.steps
        operand = graph[operand.inputs[0]]
    common = int(steps.min())
    wait = ir.Delay(
        name=f"{node.name}.wait", inputs=(operand.name,), shape=kind.shape, edge=kind.kind, steps=common
    )
    rest = (steps - common).ravel()
    if not isinstance(node, ir.Dense | ir.FixedDense):
        if rest.any():
            raise PreconditionError(
                f"'{node.name}' reads delays that differ per neuron; a {node.kind} has no synapses of its "
                "own to hold them"
            )
        return wait, replace(node, inputs=(wait.name,))
    own = np.zeros(values_of(node.weights).size, np.int64) if node.delays is None else values_of(node.delays)
    each = own + rest[columns_of(node.weights)]
    delays = with_values(node.weights, each) if each.any() else None
    return wait, replace(node, inputs=(wait.name,), delays=delays)
