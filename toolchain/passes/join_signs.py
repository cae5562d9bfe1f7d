"""Put the parts of a connection together again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, cast, final

import numpy as np
from scipy.sparse import csr_array

from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, Graph, Matrix, Stage
from toolchain.passes.base import Pass
from toolchain.passes.quantization.integers import COARSE, FINE

_HALVES: Final = ((COARSE, FINE), (".excitatory", ".inhibitory"))
"""Inner halves first. Coarse and fine synapses may stand for the same one, those of two signs may not."""


@final
@dataclass(frozen=True, kw_only=True)
class JoinSigns(Pass):
    """Undo `split-halves` and `split-signs`: parts of one connection become one, under its name.

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
        for halves in _HALVES:
            graph = _without(graph, halves)
        return graph


def _without(graph: Graph, halves: tuple[str, str]) -> Graph:
    """Return the graph without halves whose names end so."""
    whole = {
        name: joined
        for node in graph
        if isinstance(node, ir.Dense | ir.Conv2d) and node.name.endswith(halves[0])
        for name in [node.name.removesuffix(halves[0])]
        if (joined := _joined(graph, name, node, halves)) is not None
    }
    if not whole:
        return graph
    nodes: list[AnyNode] = []
    for node in graph:
        base = _base(node.name, whole, halves)
        if isinstance(node, ir.Lif):
            inputs = tuple(dict.fromkeys(_base(name, whole, halves) or name for name in node.inputs))
            nodes.append(replace(node, inputs=inputs))
        elif base is None:
            nodes.append(node)
        elif node.name.endswith(halves[0]):
            nodes.append(whole[base])
    return graph.with_nodes(nodes)


def _base(name: str, whole: Mapping[str, object], halves: tuple[str, str]) -> str | None:
    """Return the name of the whole that a half belongs to."""
    base = next((name.removesuffix(half) for half in halves if name.endswith(half)), "")
    return base if base in whole else None


def _joined(
    graph: Graph, name: str, first: ir.Dense | ir.Conv2d, halves: tuple[str, str]
) -> ir.Dense | ir.Conv2d | None:
    """Return the sum of two halves, or None if they are not halves of one connection."""
    if name + halves[1] not in graph:
        return None
    second = graph[name + halves[1]]
    if not isinstance(second, ir.Dense | ir.Conv2d) or second.inputs != first.inputs or name in graph:
        return None
    if graph.readers(first.name) != graph.readers(second.name):
        return None
    apart = halves[0] != COARSE
    match first, second:
        case ir.Dense(), ir.Dense() if not (apart and _overlap(first.weights, second.weights)):
            return _together(first, second, name)
        case ir.Conv2d(), ir.Conv2d() if not apart:
            return replace(first, name=name, weights=first.weights + second.weights)
        case _:
            return None


def _together(first: ir.Dense, second: ir.Dense, name: str) -> ir.Dense:
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


def _where_stored(first: ir.Dense, second: ir.Dense) -> Matrix:
    """Return the delays of both; a delay of nothing is a delay all the same."""
    parts = [(cast("Any", csr_array(half.weights)).tocoo(), half) for half in (first, second)]
    rows = np.concatenate([coo.coords[0] for coo, _ in parts])
    columns = np.concatenate([coo.coords[1] for coo, _ in parts])
    steps = np.concatenate([np.asarray(cast("Any", half.delays)[coo.coords]).ravel() for coo, half in parts])
    # A synapse of two halves has one delay, twice.
    _, once = np.unique(np.stack([rows, columns]), axis=1, return_index=True)
    return csr_array(
        (steps[once], (rows[once], columns[once])), shape=cast("tuple[int, int]", first.weights.shape)
    )
