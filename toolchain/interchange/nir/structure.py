"""The structure of a NIR graph: nested graphs opened, loops cut, an order in which a step runs, shapes."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, final

import networkx as nx
import nir

from toolchain.errors import FrontendError
from toolchain.interchange.nir.loops import Edge, feedback, running_order
from toolchain.interchange.nir.neurons import NEURONS
from toolchain.interchange.nir.parameters import steps_of
from toolchain.interchange.nir.shapes import Form, infer_forms

Leaf = nir.NIRNode

_DEEPEST: Final = 32
_INVENTED: Final = "input_"
"""How `nirtorch` names an input that it makes up for a node."""
_KNOWN: Final = (
    *NEURONS,
    nir.Affine,
    nir.Linear,
    nir.Scale,
    nir.Conv1d,
    nir.Conv2d,
    nir.SumPool2d,
    nir.AvgPool2d,
    nir.Flatten,
    nir.Delay,
    nir.Input,
    nir.Output,
)


@final
@dataclass(frozen=True)
class Structure:
    """A NIR graph without nesting.

    Nothing in it depends on the order in which nodes and edges stand in the file.

    Attributes:
        nodes: Nodes by name; those of a nested graph are called `graph.node`.
        edges: Edges between the nodes.
        back: Edges over which a value arrives at least one step later; see `nir.loops`.
        rank: Position of each node in the order in which a step runs.
        forms: What every node sends.
        outer: Inputs and outputs of the whole graph.
        notes: Sentences for the user.
        warnings: Sentences on what the exporter is likely to have lost.
    """

    nodes: Mapping[str, Leaf]
    edges: Sequence[Edge]
    back: frozenset[Edge]
    rank: Mapping[str, int]
    forms: Mapping[str, Form] = field(repr=False)
    outer: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def inputs(self) -> list[str]:
        """Where values enter, in order."""
        return [name for name in self.rank if name in self.outer and isinstance(self.nodes[name], nir.Input)]

    @property
    def outputs(self) -> list[str]:
        """Where values leave, in order."""
        return [name for name in self.rank if name in self.outer and isinstance(self.nodes[name], nir.Output)]

    @property
    def neurons(self) -> list[str]:
        """Nodes with a state or a threshold, in order."""
        return [name for name in self.rank if isinstance(self.nodes[name], NEURONS)]

    def sources(self, name: str) -> list[str]:
        """Return what a node reads, in order."""
        return self._sources[name]

    @cached_property
    def _sources(self) -> dict[str, list[str]]:
        sources: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in sorted(self.edges, key=lambda edge: self.rank[edge[0]]):
            sources[target].append(source)
        return sources

    def feeds_itself(self, name: str) -> bool:
        """Return whether neurons read their own spikes through no other neurons."""
        through = nx.DiGraph((a, b) for a, b in self.edges if not isinstance(self.nodes[a], NEURONS))
        ahead = {b for a, b in self.edges if a == name}
        return any(
            target == name or (target in through and name in nx.descendants(through, target))
            for target in ahead
        )

    def linear_order(self) -> list[str]:
        """Return the linear nodes, each after the linear nodes it reads."""
        ends = {*self.neurons, *self.inputs, *self.outputs}
        inner = _linear(self.rank, self.edges, ends)
        return list(nx.lexicographical_topological_sort(inner, key=lambda name: self.rank[name]))


def flattened(graph: nir.NIRGraph, dt: float) -> Structure:
    """Open nested graphs, cut loops, find an order and infer every shape.

    Args:
        graph: A graph, nested to any depth.
        dt: Length of a step, which says what a delay is: a loop that waits a step needs no cut.

    Raises:
        FrontendError: An edge leads nowhere, a node is unknown or not reached, a loop has no neurons or is
            ambiguous, or shapes do not fit.
    """
    nodes: dict[str, Leaf] = {}
    edges: list[Edge] = []
    inputs, outputs = _open(graph, "", nodes, edges, 0)
    unique = sorted(set(edges))
    notes = [
        f"edge '{source}' -> '{target}' stands twice in the file and counts once"
        for (source, target), times in sorted(Counter(edges).items())
        if times > 1
    ]
    if not inputs:
        raise FrontendError("the graph has no Input; add one with its shape")
    if not outputs:
        raise FrontendError("the graph has no Output; add one behind what is to be read")
    for source, target in unique:
        if source in outputs or target in inputs:
            raise FrontendError(f"edge '{source}' -> '{target}' leaves an Output or enters an Input")
    reached = nx.DiGraph(unique)
    reached.add_nodes_from(inputs)
    missed = nodes.keys() - set(inputs).union(*(nx.descendants(reached, name) for name in inputs))
    if missed:
        raise FrontendError(f"node '{min(missed)}' is not reached from any input; remove it")
    _check_loops_have_neurons(nodes, unique)
    waiting = {
        name
        for name, node in nodes.items()
        if isinstance(node, nir.Delay) and steps_of(name, node, dt).min() >= 1
    }
    back = feedback(unique, inputs, outputs, waiting)
    instant = [edge for edge in unique if edge[1] not in waiting]
    order = running_order(sorted(nodes), instant, back)
    forms = infer_forms(nodes, unique, order)
    rank = {name: place for place, name in enumerate(order)}
    outer = frozenset(inputs + outputs)
    return Structure(nodes, unique, back, rank, forms, outer, tuple(notes), _lost(nodes, unique, inputs))


def _lost(nodes: Mapping[str, Leaf], edges: Sequence[Edge], inputs: Sequence[str]) -> tuple[str, ...]:
    """Return what an exporter seems to have lost: what nobody sends, and what nobody reads.

    `nirtorch.extract_nir_graph`, by which most frameworks export, follows what modules return. What is
    computed between modules, such as the sum of a residual connection, it takes for a new input, which it
    calls `input_NODE`, and what went into that sum leads nowhere, or to the output.
    """
    read = {source for source, _ in edges}
    said = [
        f"what '{name}' sends goes nowhere: the file leaves out who reads it"
        for name, node in nodes.items()
        if name not in read and not isinstance(node, nir.Output)
    ]
    for name in inputs:
        node = name.removeprefix(_INVENTED)
        if len(inputs) > 1 and name != node and [b for a, b in edges if a == name] == [node]:
            said.append(
                f"'{name}' is an input of its own, as exporters invent for what they cannot follow: what is "
                f"computed in front of '{node}' outside of a module, such as the sum of a residual "
                "connection, is not in the file. This is hardly the network that was trained; put what is "
                "missing into a module, or add its edges to the graph before it is written"
            )
    return tuple(said)


def _linear(nodes: Mapping[str, object], edges: Sequence[Edge], ends: set[str]) -> "nx.DiGraph[str]":
    inner = nx.DiGraph()
    inner.add_nodes_from(name for name in sorted(nodes) if name not in ends)
    inner.add_edges_from(edge for edge in edges if not ends & set(edge))
    return inner


def _check_loops_have_neurons(nodes: Mapping[str, Leaf], edges: Sequence[Edge]) -> None:
    inner = _linear(nodes, edges, {name for name, node in nodes.items() if isinstance(node, NEURONS)})
    if not nx.is_directed_acyclic_graph(inner):
        loop = " -> ".join(source for source, _ in nx.find_cycle(inner))
        raise FrontendError(f"the loop {loop} has no neurons: a value would feed itself for ever")


def _open(
    graph: nir.NIRGraph, prefix: str, nodes: dict[str, Leaf], edges: list[Edge], depth: int
) -> tuple[list[str], list[str]]:
    """Add the nodes of a graph; return the names of its inputs and outputs."""
    if depth > _DEEPEST:
        raise FrontendError(f"graphs are nested more than {_DEEPEST} deep")
    ends: dict[str, tuple[list[str], list[str]]] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    for name, node in sorted(graph.nodes.items(), key=lambda item: str(item[0])):
        whole = f"{prefix}{name}"
        if isinstance(node, nir.NIRGraph):
            ends[name] = _open(node, f"{whole}.", nodes, edges, depth + 1)
            continue
        if whole in nodes:
            raise FrontendError(f"two nodes are called '{whole}' once nested graphs are opened; rename one")
        if not isinstance(node, _KNOWN):
            raise FrontendError(
                f"node '{whole}' is a {type(node).__name__}, which has no meaning in steps; known are "
                f"{', '.join(sorted(kind.__name__ for kind in _KNOWN))}"
            )
        nodes[whole] = node
        ends[name] = ([whole], [whole])
        if isinstance(node, nir.Input):
            inputs.append(whole)
        if isinstance(node, nir.Output):
            outputs.append(whole)
    edges.extend(_leaf_edges(graph, prefix, ends))
    return sorted(inputs), sorted(outputs)


def _leaf_edges(
    graph: nir.NIRGraph, prefix: str, ends: Mapping[str, tuple[list[str], list[str]]]
) -> Iterator[Edge]:
    """Yield the edges of a graph; one to a nested graph leads to its input."""
    for source, target in graph.edges:
        for end in (source, target):
            if end not in ends:
                raise FrontendError(
                    f"edge '{prefix}{source}' -> '{prefix}{target}': there is no node '{prefix}{end}'"
                    + _likely(graph, prefix, end)
                )
        leaves, enters = ends[source][1], ends[target][0]
        if len(leaves) != 1 or len(enters) != 1:
            raise FrontendError(
                f"edge '{prefix}{source}' -> '{prefix}{target}' joins a nested graph that has not exactly "
                "one input and one output; an edge cannot say which"
            )
        yield leaves[0], enters[0]


def _likely(graph: nir.NIRGraph, prefix: str, end: str) -> str:
    """Return a question for the node that was meant: of those without any edge first, the nearest name."""
    named = {str(name) for edge in graph.edges for name in edge}
    alone = sorted(str(name) for name in graph.nodes if str(name) not in named)
    for names in (alone, sorted(map(str, graph.nodes))):
        nearest = difflib.get_close_matches(str(end), names, n=1)
        if nearest:
            return f"; did you mean '{prefix}{nearest[0]}'?"
    return f"; there are {', '.join(sorted(map(str, graph.nodes)))}"
