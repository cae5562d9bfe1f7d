"""Nodes and edges of a NIR graph without nesting, and what reaches what in it."""

import nir

from tests.oracles.nir_arrays import MalformedError

Edge = tuple[str, str]


def opened(graph: nir.NIRGraph, prefix: str = "") -> tuple[dict[str, nir.NIRNode], list[Edge]]:
    """Nodes and edges without nesting: an edge to a nested graph leads to its input."""
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[Edge] = []
    enters, leaves = {}, {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            inner, between = opened(node, f"{prefix}{name}.")
            here = [(f"{prefix}{name}.{key}", leaf) for key, leaf in node.nodes.items()]
            enters[name] = [key for key, leaf in here if isinstance(leaf, nir.Input)]
            leaves[name] = [key for key, leaf in here if isinstance(leaf, nir.Output)]
            nodes |= inner
            edges += between
        else:
            nodes[f"{prefix}{name}"] = node
            enters[name] = leaves[name] = [f"{prefix}{name}"]
    for source, target in graph.edges:
        if source not in leaves or target not in enters:
            raise MalformedError(f"{source} -> {target} leads nowhere")
        (before,), (after,) = leaves[source], enters[target]
        edges.append((before, after))
    return nodes, sorted(set(edges))


def reached(starts: list[str], edges: list[Edge]) -> set[str]:
    """The starts and all that can be reached from them."""
    found = set(starts)
    while more := {b for a, b in edges if a in found} - found:
        found |= more
    return found


def looping(edges: list[Edge]) -> list[Edge]:
    """The edges that are part of a loop."""
    return [(u, v) for u, v in edges if u in reached([v], edges)]


def is_cut_off(goal: str, removed: str, starts: list[str], edges: list[Edge]) -> bool:
    """Whether the goal is not reached from the starts once a node is taken out."""
    if removed == goal:
        return True
    kept = [edge for edge in edges if removed not in edge]
    return goal not in reached([name for name in starts if name != removed], kept)
