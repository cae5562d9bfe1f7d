"""Remove neurons that can never fire, and neurons that nothing reads."""

from dataclasses import dataclass, replace
from typing import ClassVar, assert_never, final

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, Delay, Dense, FixedDense, FixedLif, Graph, Input, Lif, Output, Stage
from toolchain.ir.matrix import columns_of, rows_of, submatrix, values_of
from toolchain.passes.base import Pass

Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True, kw_only=True)
class RemoveDeadNeurons(Pass):
    """Shrink populations by the neurons that change nothing.

    A neuron of finite threshold is dead if it has neither a positive incoming weight nor a
    positive bias: its potential never rises above zero. A neuron is unread if it is in no
    output population and all its outgoing weights are zero. Removing one can make others
    dead, so this repeats until nothing changes. Every remaining neuron does exactly what it
    did before; a population keeps at least one neuron.
    """

    name: ClassVar[str] = "remove-dead-neurons"

    def requires(self, graph: Graph) -> None:
        """Accept float graphs only: in integers a wrapping current could wake a dead neuron."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError(
                "'remove-dead-neurons' needs a float graph; run it before 'quantize-graph'"
            )

    def rewrite(self, graph: Graph) -> Graph:
        """Return the graph without dead and unread neurons."""
        while True:
            kept = {node.name: _alive(graph, node) for node in graph.populations}
            if all(mask.all() for mask in kept.values()):
                return graph
            graph = _keep(graph, kept)


def _alive(graph: Graph, node: AnyNode) -> Mask:
    if not isinstance(node, Lif):
        return np.ones(0, dtype=bool)
    alive = np.isinf(node.vth) | (node.bias > 0)
    for name in node.inputs:
        connection = _dense(graph, name)
        weights = connection.weights
        rows, values = rows_of(weights), values_of(weights)
        # A graded source may be negative, so a negative weight can excite as well.
        excites = values > 0 if graph.graded_source(connection) is None else values != 0
        alive[rows[excites]] = True
    alive &= _read(graph, node)
    if not alive.any():
        alive[0] = True
    return alive


def _read(graph: Graph, node: Lif) -> Mask:
    read = np.zeros(node.vth.shape, dtype=bool)
    frontier = [node.name]
    while frontier:
        for reader in graph.readers(frontier.pop()):
            match reader:
                case Output():
                    read[:] = True
                case Delay():
                    frontier.append(reader.name)
                case Dense():
                    values = values_of(reader.weights)
                    read[columns_of(reader.weights)[values != 0]] = True
                case _:
                    pass
    return read


def _dense(graph: Graph, name: str) -> Dense:
    node = graph[name]
    if not isinstance(node, Dense):
        raise PreconditionError(f"population input '{name}' is a {node.kind}, expected a dense connection")
    return node


def _keep(graph: Graph, kept: dict[str, Mask]) -> Graph:
    def source_mask(name: str) -> Mask | None:
        source, _ = graph.source(name)
        return kept.get(source.name)

    def shrink(node: AnyNode) -> AnyNode:
        match node:
            case Input() | Output():
                return node
            case Delay():
                mask = source_mask(node.name)
                if mask is None or mask.all():
                    return node
                steps = node.steps if isinstance(node.steps, int) else node.steps[mask]
                return replace(node, shape=(int(mask.sum()),), steps=steps)
            case Dense():
                rows = kept[graph.readers(node.name)[0].name]
                columns = source_mask(node.inputs[0])
                return _shrink_dense(node, rows, columns)
            case Lif():
                mask = kept[node.name]
                if mask.all():
                    return node
                return replace(
                    node,
                    du=node.du[mask],
                    dv=node.dv[mask],
                    vth=node.vth[mask],
                    bias=node.bias[mask],
                    origin=node.origin.keep(mask),
                )
            case FixedDense() | FixedLif():
                raise node.fail("is an integer operation in a float graph")
            case _:
                assert_never(node)

    return graph.map(shrink)


def _shrink_dense(node: Dense, rows: Mask, columns: Mask | None) -> Dense:
    if rows.all() and (columns is None or columns.all()):
        return node
    chosen = slice(None) if columns is None else columns
    delays = None if node.delays is None else submatrix(node.delays, rows, chosen)
    return replace(node, weights=submatrix(node.weights, rows, chosen), delays=delays)
