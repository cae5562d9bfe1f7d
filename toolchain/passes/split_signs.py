"""Give excitatory and inhibitory synapses a connection of their own, and with it one bit more."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, Graph, Matrix, Stage
from toolchain.ir.matrix import select_synapses, values_of
from toolchain.passes.base import Pass


@final
@dataclass(frozen=True, kw_only=True)
class SplitSigns(Pass):
    """Split every connection of mixed signs into `<name>.excitatory` and `<name>.inhibitory`.

    An 8-bit weight of a mixed connection is an even integer up to 254: its sign costs a bit. In a
    connection of one sign it is any integer up to 255. The sum of the two halves is the original
    connection, and every synapse exists once, so synaptic operations stay the same; the price
    is a second connection. Both halves are stored as CSR; synapses that weigh zero count as excitatory.
    """

    name: ClassVar[str] = "split-signs"

    def requires(self, graph: Graph) -> None:
        """Accept float graphs only: the extra bit is gained when weights are rounded."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError("'split-signs' needs a float graph; run it before 'quantize-graph'")

    def rewrite(self, graph: Graph) -> Graph:
        """Return the graph with halves in place of mixed connections."""
        halves = {
            node.name: _halves(node)
            for node in graph
            if isinstance(node, ir.Dense) and _is_mixed(node.weights)
        }
        if not halves:
            return graph
        nodes: list[AnyNode] = []
        for node in graph:
            if node.name in halves:
                nodes += halves[node.name]
            elif isinstance(node, ir.Lif):
                nodes.append(replace(node, inputs=_renamed(node.inputs, halves)))
            else:
                nodes.append(node)
        return graph.with_nodes(nodes)


def _is_mixed(weights: Matrix) -> bool:
    values = values_of(weights)
    return bool((values > 0).any() and (values < 0).any())


def _halves(node: ir.Dense) -> tuple[ir.Dense, ir.Dense]:
    values = values_of(node.weights)
    # Only a CSR can hold a synapse that weighs zero; in a dense array zero means no synapse.
    stored = np.ones(values.shape, bool) if isinstance(node.weights, csr_array) else values != 0
    return (
        _half(node, "excitatory", stored & (values >= 0)),
        _half(node, "inhibitory", stored & (values < 0)),
    )


def _half(node: ir.Dense, sign: str, mask: NDArray[np.bool_]) -> ir.Dense:
    delays = None if node.delays is None else select_synapses(node.delays, node.weights, mask)
    weights = select_synapses(node.weights, node.weights, mask)
    return replace(node, name=f"{node.name}.{sign}", weights=weights, delays=delays)


def _renamed(inputs: tuple[str, ...], halves: dict[str, tuple[ir.Dense, ir.Dense]]) -> tuple[str, ...]:
    return tuple(
        half
        for name in inputs
        for half in ([each.name for each in halves[name]] if name in halves else [name])
    )
