"""Give the float graph the two connections that wide weights have in integers."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, Graph, Stage
from toolchain.ir.matrix import Matrix, columns_of, rows_of, select_synapses, sources_of, values_of
from toolchain.passes.base import Pass
from toolchain.passes.quantization.integers import COARSE, FINE
from toolchain.passes.quantization.ranges import by_rows


@final
@dataclass(frozen=True, kw_only=True)
class SplitHalves(Pass):
    """Split the connections whose integers are in two halves, so that both graphs have the same nodes.

    The coarse half gets what its integers stand for, the fine half the rest of the real weight. What the
    graph computes does not change, but for the order in which sums are rounded.

    Attributes:
        fixed: The graph that `quantize-graph` made of it.
    """

    name: ClassVar[str] = "split-halves"

    fixed: Graph

    def requires(self, graph: Graph) -> None:
        """Accept float graphs only."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError("'split-halves' needs a float graph")

    def rewrite(self, graph: Graph) -> Graph:
        """Return the graph with halves in place of wide connections."""
        nodes: list[AnyNode] = []
        for node in graph:
            if isinstance(node, ir.Dense | ir.Conv2d) and node.name not in self.fixed:
                nodes += self._halves(graph, node)
            elif isinstance(node, ir.Lif):
                nodes.append(replace(node, inputs=self.fixed[node.name].inputs))
            else:
                nodes.append(node)
        return graph if len(nodes) == len(graph.nodes) else graph.with_nodes(nodes)

    def _halves(self, graph: Graph, node: ir.Dense | ir.Conv2d) -> list[AnyNode]:
        coarse, fine = self.fixed[node.name + COARSE], self.fixed[node.name + FINE]
        target = self.fixed.readers(coarse.name)[0]
        match node, coarse, fine, target:
            case ir.Dense(), ir.FixedDense(), ir.FixedDense(), ir.FixedLif():
                places = _places(node.weights)
                stored = [np.isin(places, _places(half.weights)) for half in (coarse, fine)]
                integers = np.zeros(places.size)
                integers[stored[0]] = values_of(coarse.weights)
                factor = _per_integer(node.weights, coarse, target) * graph.message_scale(node)
                real = _parts(values_of(node.weights), integers * factor, both=stored[0] & stored[1])
                return [
                    _dense(node, coarse.name, real[0], stored[0]),
                    _dense(node, fine.name, real[1], stored[1]),
                ]
            case ir.Conv2d(), ir.FixedConv2d(), ir.FixedConv2d(), ir.FixedLif():
                factor = _per_integer(node.weights, coarse, target) * graph.message_scale(node)
                both = ((coarse.weights != 0) & (fine.weights != 0)).ravel()
                real = _parts(node.weights.ravel(), coarse.weights.ravel() * factor, both=both)
                shape = node.weights.shape
                return [
                    replace(node, name=half.name, weights=part.reshape(shape))
                    for half, part in zip((coarse, fine), real, strict=True)
                ]
            case _:
                raise PreconditionError(f"the halves of '{node.name}' are not those of a connection")


def _parts(real: Floats, grid: Floats, *, both: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the coarse and the fine part of weights; where one half holds the synapse, all of it."""
    coarse = np.where(both, grid, np.where(grid != 0, real, 0.0))
    return coarse, real - coarse


def _places(matrix: Matrix) -> NDArray[np.int64]:
    """Return a number per stored value that says where it stands."""
    return rows_of(matrix) * sources_of(matrix) + columns_of(matrix)


def _per_integer(weights: Matrix, half: ir.FixedDense | ir.FixedConv2d, target: ir.FixedLif) -> Floats:
    """Return what one unit of an integer weight stands for, per stored value."""
    return 2.0**half.exponent / by_rows(target.scale)[rows_of(weights), 0]


def _dense(node: ir.Dense, name: str, real: Floats, mask: NDArray[np.bool_]) -> ir.Dense:
    pattern = node.weights
    weights = select_synapses(pattern, pattern, mask)
    weights.data = real[mask]
    delays = None if node.delays is None else select_synapses(node.delays, pattern, mask)
    return replace(node, name=name, weights=weights, delays=delays)
