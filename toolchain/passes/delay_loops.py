"""Delay every loop as much as a clocked target needs, in the network itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

import networkx as nx
import numpy as np
from scipy.optimize import linprog

from toolchain import ir
from toolchain.errors import PostconditionError, PreconditionError
from toolchain.ir import AnyNode, Graph, Pooling, Synapses
from toolchain.passes.base import Pass
from toolchain.passes.retime_delays import ClockedEdge, clocked_edges, slow_loop


@final
@dataclass(frozen=True)
class LoopDelay:
    """A connection that closes a loop and takes longer than the network said.

    Attributes:
        connection: Its name; or that of a pooling, which is a connection too.
        source: What it reads.
        target: What it reaches.
        before: Steps it took, of its fastest synapse.
        after: Steps it takes now.
    """

    connection: str
    source: str
    target: str
    before: int
    after: int

    def __str__(self) -> str:
        more = "one step" if self.after - self.before == 1 else f"{self.after - self.before} steps"
        return (
            f"'{self.connection}' ({self.source} -> {self.target}) takes {more} more, {self.after} instead "
            f"of {self.before}, in real numbers too: it closes a loop of more connections than steps"
        )


def find_loop_delays(graph: Graph) -> tuple[LoopDelay, ...]:
    r"""Return the least delay that lets every connection take the one step that a clocked target needs.

    With logical delays :math:`d` a loop can run if it has as many steps as connections, so what is added,
    :math:`x`, has to satisfy :math:`\sum (d + x) \geq n` for every loop of n connections. Only connections
    that wait already may wait longer; every loop has one, since it closes through a `Delay`. What is found
    has the least :math:`\sum x`; of several such it is the one that gives least to the first name, then to
    the second, and so on, so that it does not depend on the order of the nodes.

    Args:
        graph: Whose delays per neuron are folded into the synapses.
    """
    edges = sorted(clocked_edges(graph), key=lambda edge: edge.reader)
    if slow_loop(edges) is None:
        return ()
    found: list[LoopDelay] = []
    for part in _loops(edges):
        closing = [edge for edge in part if graph.source(graph[edge.reader].inputs[0])[1] >= 1]
        for edge, more in zip(closing, _least(part, closing), strict=True):
            if more:
                found.append(LoopDelay(edge.reader, edge.source, edge.target, edge.least, edge.least + more))
    place = {node.name: i for i, node in enumerate(graph)}
    return tuple(sorted(found, key=lambda each: place[each.connection]))


@final
@dataclass(frozen=True, kw_only=True)
class DelayLoops(Pass):
    """Give every loop at least as many steps as connections, so that a clocked target can run it.

    This makes another network of it, whose float graph, integers and runs on any target are one; see
    `find_loop_delays` for what is added. A network whose loops have enough is left as it is.
    """

    name: ClassVar[str] = "delay-loops"

    def requires(self, graph: Graph) -> None:
        """Accept graphs whose delays per neuron are folded into the synapses."""
        for node in graph:
            if isinstance(node, ir.Delay) and not isinstance(node.steps, int):
                raise PreconditionError(f"delay '{node.name}' differs per neuron; run 'fold-delays' first")

    def rewrite(self, graph: Graph) -> Graph:
        """Return the graph with its loops delayed."""
        more = {each.connection: each.after - each.before for each in find_loop_delays(graph)}
        if not more:
            return graph
        nodes: list[AnyNode] = []
        for node in graph:
            if node.name in more and isinstance(node, Synapses | Pooling):
                operand = node.inputs[0]
                source, steps = graph.source(operand)
                kind = graph.types[operand]
                wait = ir.Delay(
                    name=_free_name(graph, f"{node.name}.loop"),
                    inputs=(source.name,),
                    shape=kind.shape,
                    edge=kind.kind,
                    steps=steps + more[node.name],
                )
                nodes += [wait, replace(node, inputs=(wait.name,))]
            else:
                nodes.append(node)
        return _without_unread_delays(graph.with_nodes(nodes))

    def ensures(self, graph: Graph) -> None:
        """Promise that every loop can run on a clocked target."""
        if slow_loop(list(clocked_edges(graph))) is not None:
            raise PostconditionError("'delay-loops' left a loop with too little delay; this is a bug")


def _loops(edges: Sequence[ClockedEdge]) -> Iterator[list[ClockedEdge]]:
    """Yield the connections of every set of nodes that reach one another."""
    wiring = nx.DiGraph((edge.source, edge.target) for edge in edges)
    parts = nx.strongly_connected_components(wiring)
    of_node = {name: i for i, part in enumerate(parts) for name in sorted(part)}
    within: dict[int, list[ClockedEdge]] = {}
    for edge in edges:
        if of_node[edge.source] == of_node[edge.target]:
            within.setdefault(of_node[edge.source], []).append(edge)
    yield from within.values()


def _least(edges: Sequence[ClockedEdge], closing: Sequence[ClockedEdge]) -> list[int]:
    """Return what each closing connection waits longer: the least sum, then the least for each in turn.

    The unknowns are an offset per node and x per closing connection; every connection i -> j asks for
    `o_j - o_i + d + x >= 1`. These are difference constraints beside unit columns, a totally unimodular
    matrix, and so are bounds of x: the polyhedron, and its face of the least sum, have whole corners.
    """
    names = sorted({name for edge in edges for name in (edge.source, edge.target)})
    offset = {name: i for i, name in enumerate(names)}
    place = {edge.reader: len(names) + i for i, edge in enumerate(closing)}
    rows = np.zeros((len(edges), len(names) + len(closing)))
    for row, edge in zip(rows, edges, strict=True):
        row[offset[edge.source]] += 1
        row[offset[edge.target]] -= 1
        if edge.reader in place:
            row[place[edge.reader]] -= 1
    limits = np.array([edge.least - 1 for edge in edges])
    total = (np.arange(rows.shape[1]) >= len(names)).astype(float)
    least = _minimum(total, rows, limits)
    rows, limits = np.vstack([rows, total]), np.append(limits, least)
    chosen: list[int] = []
    for edge in closing:
        wanted = np.zeros(rows.shape[1])
        wanted[place[edge.reader]] = 1
        chosen.append(_minimum(wanted, rows, limits))
        rows, limits = np.vstack([rows, wanted]), np.append(limits, chosen[-1])
    return chosen


def _minimum(cost: np.ndarray, rows: np.ndarray, limits: np.ndarray) -> int:
    solution = linprog(cost, A_ub=rows, b_ub=limits, bounds=(0, None), method="highs")
    if not solution.success:
        raise PostconditionError(f"delaying loops failed: {solution.message}; this is a bug")
    return round(float(solution.fun))


def _free_name(graph: Graph, name: str) -> str:
    while name in graph:
        name += "_"
    return name


def _without_unread_delays(graph: Graph) -> Graph:
    read = {name for node in graph for name in node.inputs}
    kept = [node for node in graph if not isinstance(node, ir.Delay) or node.name in read]
    return graph if len(kept) == len(graph.nodes) else _without_unread_delays(graph.with_nodes(kept))
