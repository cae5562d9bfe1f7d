"""The same NIR graph written in another way: in another order, or under other names."""

import nir
import numpy as np


def shuffled(graph: nir.NIRGraph, rng: np.random.Generator) -> nir.NIRGraph:
    """The same graph, its nodes and edges in another order."""
    names, edges = list(graph.nodes), list(graph.edges)
    inner = {
        name: shuffled(node, rng) if isinstance(node, nir.NIRGraph) else node
        for name, node in graph.nodes.items()
    }
    nodes = {names[i]: inner[names[i]] for i in rng.permutation(len(names))}
    return nir.NIRGraph(nodes, [edges[i] for i in rng.permutation(len(edges))], type_check=False)


def renamed(graph: nir.NIRGraph, rng: np.random.Generator) -> tuple[nir.NIRGraph, dict[str, str]]:
    """The same graph under other names, and the new name of every leaf."""
    numbers = rng.permutation(len(graph.nodes))
    new = {name: f"n{number}" for name, number in zip(graph.nodes, numbers, strict=True)}
    nodes, leaves = {}, {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            nodes[new[name]], inner = renamed(node, rng)
            leaves |= {f"{name}.{old}": f"{new[name]}.{fresh}" for old, fresh in inner.items()}
        else:
            nodes[new[name]] = node
            leaves[name] = new[name]
    edges = [(new.get(source, source), new.get(target, target)) for source, target in graph.edges]
    return nir.NIRGraph(nodes, edges, type_check=False), leaves
