"""Where a loop of a NIR graph comes round one step later, in whatever order its nodes stand in the file."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import networkx as nx

from toolchain.errors import FrontendError

Edge = tuple[str, str]

_OUTSIDE: Final = ()
"""Stands before every input, or behind every output; no name."""
_NAMED: Final = 6


def feedback(
    edges: Sequence[Edge], inputs: Collection[str], outputs: Collection[str], waiting: Collection[str]
) -> frozenset[Edge]:
    r"""Return the edges that go back: what comes over them arrives at least one step later.

    Only edges in a loop can, and only if nothing in that loop waits already. Of those, `u -> v` goes back

    1. if every path from an input to `u` passes `v` (`v` dominates `u`): `v` runs first;
    2. in loops that are open still, if every path from `v` to an output passes `u` (`u` post-dominates `v`):
       `u` runs last.

    A node dominates itself, so a node that reads itself reads what it sent one step ago. Both conditions are
    of the graph alone, so permuting nodes or edges, or renaming, changes nothing. Where the first suffices
    (the graph is reducible), every loop loses exactly one edge, and it is the one that nirtorch delays when
    the nodes of a file stand in the order in which they run.

    Args:
        edges: Edges between the nodes of a graph without nesting.
        inputs: Nodes where values enter.
        outputs: Nodes where values leave.
        waiting: Delays of one step or more for every element: they close their loops themselves.

    Raises:
        FrontendError: A loop is entered and left in several places, so that neither condition says where it
            begins; names its edges.
    """
    delays = set(waiting)
    instant = nx.DiGraph([edge for edge in sorted(edges) if edge[1] not in delays])
    if not _looping(instant):
        return frozenset()
    first = _dominance(edges, inputs)
    last = _dominance([(target, source) for source, target in edges], outputs)
    back = [edge for edge in _looping(instant) if first(edge[1], edge[0])]
    instant.remove_edges_from(back)
    also = [edge for edge in _looping(instant) if last(edge[0], edge[1])]
    instant.remove_edges_from(also)
    _check_decided(instant, [*back, *also])
    return frozenset([*back, *also])


def running_order(nodes: Iterable[str], edges: Sequence[Edge], back: Collection[Edge]) -> list[str]:
    """Return all nodes, each after what it reads in the same step; ties are broken by name.

    Args:
        nodes: Names of all nodes.
        edges: Edges whose value is needed in the same step, and those that go back.
        back: Edges that go back; their target stands before their source.
    """
    order = nx.DiGraph()
    order.add_nodes_from(nodes)
    order.add_edges_from(edge for edge in edges if edge not in back)
    order.add_edges_from((target, source) for source, target in back if source != target)
    return list(nx.lexicographical_topological_sort(order))


def _dominance(edges: Iterable[Edge], starts: Collection[str]) -> Callable[[str, str], bool]:
    """Return whether all paths from the starts to the second node pass the first."""
    graph = nx.DiGraph([(_OUTSIDE, start) for start in sorted(starts)])
    graph.add_node(_OUTSIDE)
    graph.add_edges_from(sorted(edges))
    above = nx.immediate_dominators(graph, _OUTSIDE)
    tree = nx.DiGraph((parent, name) for name, parent in above.items() if name != _OUTSIDE)
    tree.add_node(_OUTSIDE)
    depth = nx.single_source_shortest_path_length(tree, _OUTSIDE)

    def dominates(upper: str, lower: str) -> bool:
        if upper not in depth or lower not in depth:
            return False
        for _ in range(depth[lower] - depth[upper]):
            lower = above[lower]
        return lower == upper

    return dominates


def _looping(graph: "nx.DiGraph[str]") -> list[Edge]:
    """Return the edges that lie in a loop, sorted."""
    part = {name: i for i, names in enumerate(nx.strongly_connected_components(graph)) for name in names}
    return sorted((source, target) for source, target in graph.edges if part[source] == part[target])


def _check_decided(instant: "nx.DiGraph[str]", back: Sequence[Edge]) -> None:
    """Raise if a loop is left, or if no order of the nodes has exactly these edges going back."""
    order = nx.DiGraph(sorted(instant.edges))
    order.add_edges_from((target, source) for source, target in back if source != target)
    undecided = _looping(order)
    if not undecided:
        return
    ordered = nx.DiGraph(undecided)
    loop = [edge if instant.has_edge(*edge) else (edge[1], edge[0]) for edge in nx.find_cycle(ordered)]
    named = [f"'{source}' -> '{target}'" for source, target in loop]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    raise FrontendError(
        "a loop is entered and left in several places, so that it is ambiguous which of its edges comes "
        f"round one step later: {', '.join(named[:_NAMED])}{more}; put a Delay of one step where it is fed "
        "back"
    )
