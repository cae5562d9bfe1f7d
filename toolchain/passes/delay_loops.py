"""Delay loops in the network itself, as much as a clocked target needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

import networkx as nx
import numpy as np
from scipy.optimize import linprog

from toolchain import ir
from toolchain.errors import PostconditionError
from toolchain.ir import AnyNode, Graph, Pooling, Synapses
from toolchain.passes.base import Pass, require_folded_delays
from toolchain.passes.retime_delays import ClockedEdge, clocked_edges, slow_loop


@final
@dataclass(frozen=True)
class LoopDelay:
    """A connection that closes a loop and got a longer delay.

    Attributes:
        connection: Name of the connection, or of a pooling, which is a connection too.
        source: Name of the node that it reads.
        target: Name of the node that it reaches.
        before: Steps that its fastest synapse took.
        after: Steps that its fastest synapse takes now.
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
    r"""Return the shortest added delays with which every connection can take one step of a clocked target.

    A loop can run if it has as many steps as connections: with logical delays :math:`d`, the added delays
    :math:`x` have to satisfy :math:`\sum (d + x) \geq n` for every loop of n connections. Only connections
    that wait already may wait longer; every loop has one, since it closes through a `Delay`. The result
    has the least :math:`\sum x`. Of several such results it is the one that adds least to the first name,
    then to the second, and so on, so that it does not depend on the order of the nodes.

    Args:
        graph: A graph whose delays per neuron are folded into the synapses.
    """
    edges = sorted(clocked_edges(graph), key=lambda edge: edge.reader)
    if slow_loop(edges) is None:
        return ()
    delays: list[LoopDelay] = []
    for loop in _loops(edges):
        closing = [edge for edge in loop if graph.source(graph[edge.reader].inputs[0])[1] >= 1]
        for edge, more in zip(closing, _least(loop, closing), strict=True):
            if more:
                delays.append(LoopDelay(edge.reader, edge.source, edge.target, edge.least, edge.least + more))
    place = {node.name: i for i, node in enumerate(graph)}
    return tuple(sorted(delays, key=lambda each: place[each.connection]))


@final
@dataclass(frozen=True, kw_only=True)
class DelayLoops(Pass):
    """Give every loop at least as many steps as connections, so that a clocked target can run it.

    The result is another network: its real numbers, its integers and its runs on every target have the longer
    delays. See `find_loop_delays` for what is added. A network whose loops have enough steps stays as it is.
    """

    name: ClassVar[str] = "delay-loops"

    def requires(self, graph: Graph) -> None:
        """Accept graphs whose delays per neuron are folded into the synapses."""
        require_folded_delays(graph)

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
    """Return how much longer each closing connection waits: the least sum, then the least for each in turn.

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
    nodes = [node for node in graph if not isinstance(node, ir.Delay) or node.name in read]
    return graph if len(nodes) == len(graph.nodes) else _without_unread_delays(graph.with_nodes(nodes))
