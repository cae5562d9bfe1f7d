"""Put the halves of a connection together again."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, cast, final

import numpy as np
from scipy.sparse import csr_array

from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, Dense, Graph, Lif, Matrix, Stage
from toolchain.passes.base import Pass

_HALVES: Final = (".excitatory", ".inhibitory")


@final
@dataclass(frozen=True, kw_only=True)
class JoinSigns(Pass):
    """Undo `split-signs`: halves of one connection become one, under its name.

    For files of frameworks that have one connection where the chip has two. What the graph computes does not
    change, but for the order in which sums are rounded.
    """

    name: ClassVar[str] = "join-signs"

    def requires(self, graph: Graph) -> None:
        """Accept float graphs: integer halves have exponents of their own."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError("'join-signs' needs a float graph")

    def rewrite(self, graph: Graph) -> Graph:
        """Return the graph with whole connections."""
        whole = {
            name: joined
            for node in graph
            if isinstance(node, Dense) and node.name.endswith(_HALVES[0])
            for name in [node.name.removesuffix(_HALVES[0])]
            if (joined := _joined(graph, name, node)) is not None
        }
        if not whole:
            return graph
        nodes: list[AnyNode] = []
        for node in graph:
            base = _base(node.name, whole)
            if isinstance(node, Lif):
                inputs = tuple(dict.fromkeys(_base(name, whole) or name for name in node.inputs))
                nodes.append(replace(node, inputs=inputs))
            elif base is None:
                nodes.append(node)
            elif node.name.endswith(_HALVES[0]):
                nodes.append(whole[base])
        return graph.with_nodes(nodes)


def _base(name: str, whole: dict[str, Dense]) -> str | None:
    """Return the name of the whole that a half belongs to."""
    base = next((name.removesuffix(half) for half in _HALVES if name.endswith(half)), "")
    return base if base in whole else None


def _joined(graph: Graph, name: str, first: Dense) -> Dense | None:
    """Return the sum of two halves, or None if they are not halves of one connection."""
    if name + _HALVES[1] not in graph:
        return None
    second = graph[name + _HALVES[1]]
    if not isinstance(second, Dense) or second.inputs != first.inputs or name in graph:
        return None
    if graph.readers(first.name) != graph.readers(second.name) or _overlap(first.weights, second.weights):
        return None
    delays = None
    if first.delays is not None and second.delays is not None:
        delays = _where_stored(first, second)
    return replace(first, name=name, weights=_sum(first.weights, second.weights), delays=delays)


def _overlap(first: Matrix, second: Matrix) -> bool:
    pattern, other = (cast("Any", csr_array(matrix)).astype(bool) for matrix in (first, second))
    return bool(pattern.multiply(other).nnz)


def _sum(first: Matrix, second: Matrix) -> Matrix:
    if isinstance(first, csr_array) and isinstance(second, csr_array):
        return csr_array(first + second)
    return np.asarray(cast("Any", first) + cast("Any", second))


def _where_stored(first: Dense, second: Dense) -> Matrix:
    """Return the delays of both; a delay of nothing is a delay all the same."""
    parts = [(cast("Any", csr_array(half.weights)).tocoo(), half) for half in (first, second)]
    rows = np.concatenate([coo.coords[0] for coo, _ in parts])
    columns = np.concatenate([coo.coords[1] for coo, _ in parts])
    steps = np.concatenate([np.asarray(cast("Any", half.delays)[coo.coords]).ravel() for coo, half in parts])
    return csr_array((steps, (rows, columns)), shape=cast("tuple[int, int]", first.weights.shape))
