"""The structure of a NIR graph: nested graphs opened, an order in which a step runs, shapes of everything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, final

import networkx as nx
import nir
import numpy as np
from numpy.typing import NDArray

from toolchain.currents import check_size
from toolchain.errors import FrontendError
from toolchain.interchange.nir_geometry import Windowed, kernels_of, window_of
from toolchain.interchange.nir_neurons import NEURONS, numbers
from toolchain.ir.types import size_of

Leaf = nir.NIRNode
Edge = tuple[str, str]

_DEEPEST: Final = 32
_LINE: Final = 2
_IMAGE: Final = 3


@final
@dataclass(frozen=True)
class Form:
    """What a node sends: its shape, and whether it was flattened."""

    shape: tuple[int, ...]
    flat: bool = False

    @property
    def features(self) -> tuple[int, ...]:
        """The shape as the next node sees it."""
        return (size_of(self.shape),) if self.flat else self.shape


@final
@dataclass(frozen=True)
class Structure:
    """A NIR graph without nesting.

    Attributes:
        nodes: By name; nodes of a nested graph as `graph.node`.
        edges: Between them.
        rank: Position in the order in which a step runs; a loop comes round where the order goes back.
        forms: What every node sends.
        notes: What was found on the way.
    """

    nodes: Mapping[str, Leaf]
    edges: Sequence[Edge]
    rank: Mapping[str, int]
    forms: Mapping[str, Form] = field(repr=False)
    outer: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

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
        """Return what a node reads."""
        return self._sources[name]

    @cached_property
    def _sources(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            found[target].append(source)
        return found

    def linear_order(self) -> list[str]:
        """Return the linear nodes, each after the linear nodes it reads.

        Raises:
            FrontendError: A loop has no neurons.
        """
        ends = {*self.neurons, *self.inputs, *self.outputs}
        inner = nx.DiGraph()
        inner.add_nodes_from(name for name in self.rank if name not in ends)
        inner.add_edges_from(edge for edge in self.edges if not ends & set(edge))
        try:
            return list(nx.lexicographical_topological_sort(inner, key=lambda name: self.rank[name]))
        except nx.NetworkXUnfeasible:
            loop = " -> ".join(source for source, _ in nx.find_cycle(inner))
            raise FrontendError(
                f"the loop {loop} has no neurons: a value would feed itself for ever"
            ) from None


def flattened(graph: nir.NIRGraph) -> Structure:
    """Open nested graphs, find an order and infer every shape.

    Raises:
        FrontendError: An edge leads nowhere, a node is not reached, or shapes do not fit.
    """
    nodes: dict[str, Leaf] = {}
    edges: list[Edge] = []
    outer = _open(graph, "", nodes, edges, 0)
    unique = list(dict.fromkeys(edges))
    notes = ["an edge stands twice in the file and counts once"] if len(unique) < len(edges) else []
    if not outer[0]:
        raise FrontendError("the graph has no Input; add one with its shape")
    for source, target in unique:
        if source in outer[1] or target in outer[0]:
            raise FrontendError(f"edge '{source}' -> '{target}' leaves an Output or enters an Input")
    rank = _order(outer[0], nodes, unique)
    missed = nodes.keys() - rank.keys()
    if missed:
        raise FrontendError(f"node '{min(missed)}' is not reached from any input; remove it")
    forms = _infer(nodes, unique, rank)
    return Structure(nodes, unique, rank, forms, frozenset(outer[0] + outer[1]), tuple(notes))


def _open(
    graph: nir.NIRGraph, prefix: str, nodes: dict[str, Leaf], edges: list[Edge], depth: int
) -> tuple[list[str], list[str]]:
    """Add the nodes of a graph; return the names of its inputs and outputs."""
    if depth > _DEEPEST:
        raise FrontendError(f"graphs are nested more than {_DEEPEST} deep")
    ends: dict[str, tuple[list[str], list[str]]] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    for name, node in graph.nodes.items():
        whole = f"{prefix}{name}"
        if isinstance(node, nir.NIRGraph):
            ends[name] = _open(node, f"{whole}.", nodes, edges, depth + 1)
            continue
        if whole in nodes:
            raise FrontendError(f"two nodes are called '{whole}' once nested graphs are opened; rename one")
        nodes[whole] = node
        ends[name] = ([whole], [whole])
        if isinstance(node, nir.Input):
            inputs.append(whole)
        if isinstance(node, nir.Output):
            outputs.append(whole)
    edges.extend(_leaf_edges(graph, prefix, ends))
    return inputs, outputs


def _leaf_edges(
    graph: nir.NIRGraph, prefix: str, ends: Mapping[str, tuple[list[str], list[str]]]
) -> Iterator[Edge]:
    """Yield the edges of a graph; one to a nested graph leads to its input."""
    for source, target in graph.edges:
        for end in (source, target):
            if end not in ends:
                raise FrontendError(f"edge '{source}' -> '{target}': there is no node '{prefix}{end}'")
        leaves, enters = ends[source][1], ends[target][0]
        if len(leaves) != 1 or len(enters) != 1:
            raise FrontendError(
                f"edge '{prefix}{source}' -> '{prefix}{target}' joins a nested graph that has not "
                "exactly one "
                "input and one output; an edge cannot say which"
            )
        yield leaves[0], enters[0]


def _order(inputs: Sequence[str], nodes: Mapping[str, Leaf], edges: Sequence[Edge]) -> dict[str, int]:
    """Return every reached node with its place: depth first from the inputs, sources before readers.

    Where there is no loop this is a topological order.
    """
    readers: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        readers[source].append(target)
    done: list[str] = []
    seen: set[str] = set()
    for start in reversed(inputs):
        stack = [] if start in seen else [(start, iter(reversed(readers[start])))]
        seen.add(start)
        while stack:
            name, rest = stack[-1]
            following = next((reader for reader in rest if reader not in seen), None)
            if following is None:
                done.append(name)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(reversed(readers[following]))))
    return {name: place for place, name in enumerate(reversed(done))}


def _infer(nodes: Mapping[str, Leaf], edges: Sequence[Edge], rank: Mapping[str, int]) -> dict[str, Form]:
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    readers: dict[str, list[Leaf]] = {name: [] for name in nodes}
    for source, target in edges:
        sources[target].append(source)
        readers[source].append(nodes[target])
    forms: dict[str, Form] = {}
    for name in rank:
        node = nodes[name]
        known = next((forms[source] for source in sources[name] if source in forms), None)
        if known is None:
            if not isinstance(node, nir.Input):
                raise FrontendError(f"node '{name}' reads nothing")
            known = _entered(name, node, readers[name])
        forms[name] = _form(name, node, known)
        check_size(name, *forms[name].shape)
    check_size(
        "all neurons", sum(size_of(forms[name].shape) for name in rank if isinstance(nodes[name], NEURONS))
    )
    return forms


def _entered(name: str, node: nir.Input, readers: Sequence[Leaf]) -> Form:
    """Return the shape of an input; a line of samples per channel becomes an image of one row.

    Some exporters leave a batch of one in front.
    """
    declared = node.input_type.get("input")
    if declared is None:
        raise FrontendError(f"input '{name}' has no shape; write the file with one")
    shape = tuple(int(extent) for extent in numbers(name, "shape", declared).ravel())
    lines = any(isinstance(reader, nir.Conv1d) for reader in readers)
    if shape[:1] == (1,) and (len(shape) == _IMAGE + 1 or (len(shape) == _LINE and not lines)):
        shape = shape[1:]
    if not 1 <= len(shape) <= _IMAGE or min(shape) < 1:
        raise FrontendError(f"input '{name}' has shape {shape}, expected [N], [C, L] or [C, H, W]")
    return Form((shape[0], 1, shape[1]) if len(shape) == _LINE else shape)


def _form(name: str, node: Leaf, known: Form) -> Form:
    match node:
        case nir.Affine() | nir.Linear():
            weights = matrix_of(name, node)
            if known.features != (weights.shape[1],):
                raise FrontendError(
                    f"node '{name}' reads {weights.shape[1]} values, but {known.features} come"
                )
            return Form((len(weights),))
        case nir.Conv1d() | nir.Conv2d() | nir.SumPool2d() | nir.AvgPool2d():
            return Form(_mapped(name, node, known))
        case nir.Flatten():
            return _flat(name, node, known)
        case _:
            return known


def matrix_of(name: str, node: nir.Affine | nir.Linear) -> NDArray[np.float64]:
    """Return the weights of a linear node, `[targets, sources]`."""
    weights = numbers(name, "weight", node.weight)
    if weights.ndim != 2 or not weights.size:
        raise FrontendError(f"node '{name}' has weights {weights.shape}, expected a matrix")
    return weights


def _mapped(name: str, node: Windowed, known: Form) -> tuple[int, ...]:
    if known.flat or len(known.shape) != 3:
        raise FrontendError(f"node '{name}' reads {known.features}, expected feature maps [C, H, W]")
    rows, columns = window_of(name, node).positions((known.shape[1], known.shape[2]))
    if rows < 1 or columns < 1:
        raise FrontendError(f"node '{name}' reads {known.shape}, which is smaller than its window")
    pools = isinstance(node, nir.SumPool2d | nir.AvgPool2d)
    return (known.shape[0] if pools else len(kernels_of(name, node)), rows, columns)


def _flat(name: str, node: nir.Flatten, known: Form) -> Form:
    """Return the flattened form: all features, in the order C, H, W."""
    start, end = int(node.start_dim), int(node.end_dim)
    whole = start == 0 or (start == 1 and known.shape[0] == 1)
    if not known.flat and len(known.shape) > 1 and (not whole or end not in {-1, len(known.shape) - 1}):
        raise FrontendError(
            f"node '{name}' flattens dimensions {start} .. {end} of {known.shape}, "
            "expected all of them (0 .. -1)"
        )
    return Form(known.shape, flat=True)
