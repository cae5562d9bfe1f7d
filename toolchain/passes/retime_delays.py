"""Retiming: delays with which every connection can take the one step that a clocked target needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from scipy.optimize import linprog

from toolchain import ir
from toolchain.errors import FeedbackError, PostconditionError, PreconditionError
from toolchain.ir import AnyNode, Graph, Pooling, Synapses, ValueType
from toolchain.ir.matrix import Matrix, values_of, with_values
from toolchain.ir.types import size_of
from toolchain.passes.base import Pass, require_folded_delays


@final
@dataclass(frozen=True)
class ClockSchedule:
    """The step of a clocked target at which each node does its first logical step.

    Attributes:
        offsets: The step by the name of each input, population and pooling.
    """

    offsets: dict[str, int]

    @property
    def latest(self) -> int:
        """The largest offset."""
        return max(self.offsets.values())


@final
@dataclass(frozen=True)
class ClockedEdge:
    """One connection between two clocked nodes: `source -> target` with its logical delays.

    Attributes:
        reader: Name of the synapses; or of a pooling, which is a connection and the neurons behind it in one.
        source: Name of an input, population or pooling.
        target: Name of a population or pooling.
        least: Steps that its fastest synapse takes.
        most: Steps that its slowest synapse takes.
    """

    reader: str
    source: str
    target: str
    least: int
    most: int


def find_schedule(graph: Graph) -> ClockSchedule:
    r"""Choose offsets so that every connection has at least the one step it takes.

    An edge i -> j of logical delay d leaves `extra = o_j - o_i + d - 1 >= 0` steps to wait. These
    difference constraints (Leiserson & Saxe 1991) are feasible exactly when no cycle has more
    connections than logical delay. Among the solutions the one with the fewest relay neurons
    is taken: a chain per source, as long as the largest extra of its edges. Inputs wait for
    free, because the host sends them.

    Raises:
        FeedbackError: A loop has too little delay; the error names its nodes.
    """
    edges = list(clocked_edges(graph))
    nodes = [node.name for node in (*graph.inputs, *graph.populations, *graph.poolings)]
    loop = slow_loop(edges)
    if loop is not None:
        raise FeedbackError(loop, needed=len(loop))
    return ClockSchedule(_solve(graph, nodes, edges))


@final
@dataclass(frozen=True, kw_only=True)
class RetimeDelays(Pass):
    """Put a `Delay` of at least one step in front of every connection.

    In the result a connection process that is one step late accounts for one step of its
    `Delay`, and the rest is what a target has to wait. A pooling counts as a connection. Every
    population does at step `t + o` what it did at step `t`, where `o` is its offset in the schedule (from
    rest, and without bias before its first step).

    Attributes:
        schedule: What `find_schedule` returned for the graph, if the caller has it already; None to find it.
    """

    name: ClassVar[str] = "retime-delays"

    schedule: ClockSchedule | None = None

    def requires(self, graph: Graph) -> None:
        """Accept graphs whose delays per neuron are folded into the synapses."""
        require_folded_delays(graph)
        clocked = {node.name for node in (*graph.inputs, *graph.populations, *graph.poolings)}
        if self.schedule is not None and set(self.schedule.offsets) != clocked:
            raise PreconditionError("the schedule is that of another graph")

    def rewrite(self, graph: Graph) -> Graph:
        """Return the retimed graph."""
        offsets = (self.schedule or find_schedule(graph)).offsets
        edges = {edge.reader: edge for edge in clocked_edges(graph)}
        nodes: list[AnyNode] = []
        for node in graph:
            if isinstance(node, ir.Delay):
                continue
            if isinstance(node, Synapses | Pooling):
                edge = edges[node.name]
                steps = offsets[edge.target] - offsets[edge.source] + edge.least
                nodes += _wait_before(node, edge.source, graph.types[edge.source], steps)
            else:
                nodes.append(node)
        return graph.with_nodes(nodes)

    def ensures(self, graph: Graph) -> None:
        """Promise one step or more before every connection."""
        for node in (*graph.synapses, *graph.poolings):
            wait = graph[node.inputs[0]]
            if not isinstance(wait, ir.Delay) or wait.min_steps < 1:
                raise PostconditionError(f"connection '{node.name}' has no step to take; this is a bug")


def clocked_edges(graph: Graph) -> Iterator[ClockedEdge]:
    """Yield every connection and pooling, in the order of the graph."""
    for node in graph.synapses:
        source, steps = graph.source(node.inputs[0])
        readers = graph.readers(node.name)
        if len(readers) != 1:
            raise PreconditionError(
                f"connection '{node.name}' has {len(readers)} readers, expected one population"
            )
        low, high = _delay_range(_delays(node))
        yield ClockedEdge(node.name, source.name, readers[0].name, steps + low, steps + high)
    for node in graph.poolings:
        source, steps = graph.source(node.inputs[0])
        yield ClockedEdge(node.name, source.name, node.name, steps, steps)


def _delays(node: Synapses | Pooling) -> Matrix | None:
    return node.delays if isinstance(node, ir.Dense | ir.FixedDense) else None


def _delay_range(delays: Matrix | None) -> tuple[int, int]:
    if delays is None or values_of(delays).size == 0:
        return 0, 0
    values = values_of(delays)
    return int(values.min()), int(values.max())


def slow_loop(edges: Sequence[ClockedEdge]) -> list[str] | None:
    """Return the nodes of a loop of more connections than logical delay, or None.

    Such a loop is a negative cycle, and Bellman and Ford's method finds it. The order of the edges alone
    decides which loop is returned and with which node it begins.
    """
    names = dict.fromkeys(name for edge in edges for name in (edge.source, edge.target))
    order = {name: i for i, name in enumerate(names)}
    distance, before = dict.fromkeys(order, 0), dict[str, str]()
    last: str | None = None
    for _ in order:
        last = None
        for edge in edges:
            if distance[edge.source] + edge.least - 1 < distance[edge.target]:
                distance[edge.target] = distance[edge.source] + edge.least - 1
                before[edge.target] = edge.source
                last = edge.target
        if last is None:
            return None
    if last is None:
        return None
    for _ in order:
        last = before[last]
    loop = [last]
    while before[loop[-1]] != last:
        loop.append(before[loop[-1]])
    loop.reverse()
    first = loop.index(min(loop, key=order.__getitem__))
    return loop[first:] + loop[:first]


def _solve(graph: Graph, nodes: list[str], edges: Sequence[ClockedEdge]) -> dict[str, int]:
    """Minimise relay neurons, then offsets. The constraint matrix is totally unimodular."""
    index = {name: i for i, name in enumerate(nodes)}
    sends = (*graph.populations, *graph.poolings)
    relayed = {node.name: size_of(graph.types[node.name].shape) for node in sends}
    chain = {name: len(nodes) + i for i, name in enumerate(relayed)}
    rows, limits = [], []
    for edge in edges:
        row = np.zeros(len(nodes) + len(chain))
        row[index[edge.source]] += 1
        row[index[edge.target]] -= 1
        rows.append(row)
        limits.append(edge.least - 1)
        if edge.source in chain:
            longest = -row
            longest[chain[edge.source]] -= 1
            rows.append(longest)
            limits.append(1 - edge.most)
    # A relay neuron is dearer than any sum of offsets, so ties are decided by latency.
    cost = np.ones(len(nodes) + len(chain))
    cost[len(nodes) :] = [size * 10.0 * len(nodes) for size in relayed.values()]
    solution = linprog(cost, A_ub=np.array(rows), b_ub=np.array(limits), bounds=(0, None), method="highs")
    if not solution.success:
        raise PostconditionError(f"retiming failed: {solution.message}")
    return {name: round(float(solution.x[i])) for name, i in index.items()}


def _wait_before(
    node: Synapses | Pooling, source: str, kind: ValueType, steps: int
) -> tuple[ir.Delay, Synapses | Pooling]:
    wait = ir.Delay(name=f"{node.name}.wait", inputs=(source,), shape=kind.shape, edge=kind.kind, steps=steps)
    if not isinstance(node, ir.Dense | ir.FixedDense):
        return wait, replace(node, inputs=(wait.name,))
    low, _ = _delay_range(node.delays)
    delays = node.delays
    if delays is not None and low:
        delays = with_values(delays, values_of(delays) - low)
    return wait, replace(node, inputs=(wait.name,), delays=delays)
