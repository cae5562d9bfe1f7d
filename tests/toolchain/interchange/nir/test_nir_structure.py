"""Nodes and edges of NIR: what leads nowhere is refused with the name that was meant, whatever the order."""

from dataclasses import dataclass

import nir
import numpy as np
import pytest

from tests.real_data import real_data
from tests.toolchain.interchange.nir_graphs import DT, V, W, chain, full, imported, lif
from toolchain.errors import FrontendError
from toolchain.interchange.nir.conventions import convention
from toolchain.interchange.nir.file import read_nir
from toolchain.interchange.nir.from_nir import from_nir


@dataclass(eq=False)
class Resonator(nir.NIRNode):
    """A node that NIR has not."""

    tau: np.ndarray

    def __post_init__(self) -> None:
        self.input_type, self.output_type = {"input": np.array([2])}, {"output": np.array([2])}


def edged(*edges: tuple[str, str]) -> nir.NIRGraph:
    graph = chain(nir.Linear(W), lif(2))
    return nir.NIRGraph(graph.nodes, [*graph.edges, *edges], type_check=False)


def nested(*edges: tuple[str, str]) -> nir.NIRGraph:
    inner = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([2])}),
            "cell": lif(2),
            "output": nir.Output({"output": np.array([2])}),
        },
        list(edges),
        type_check=False,
    )
    return chain(nir.Linear(W), inner, out=(2,))


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (edged(("n0", "nn1")), "edge 'n0' -> 'nn1': there is no node 'nn1'; did you mean 'n1'?"),
        (edged(("inpt", "n1")), "there is no node 'inpt'; did you mean 'input'?"),
        (edged(("n1", "zzz")), "there is no node 'zzz'; there are input, n0, n1, output"),
        (nested(("input", "cel"), ("cell", "output")), "'n1.cel': there is no node 'n1.cel'"),
        (nested(("input", "cells"), ("cells", "output")), "no node 'n1.cells'; did you mean 'n1.cell'?"),
        (chain(nir.Linear(W), Resonator(full(2, DT))), "'n1' is a Resonator, .* known are Affine"),
        (nir.NIRGraph({"i": nir.Input({"input": np.array([2])})}, [], type_check=False), "no Output"),
        (edged(("output", "n1")), "edge 'output' -> 'n1' leaves an Output"),
        (nir.NIRGraph({**edged().nodes, "b": lif(2), "a": lif(2)}, edged().edges, type_check=False),
         "node 'a' is not reached"),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_refused_by_name(graph: nir.NIRGraph, said: str) -> None:
    with pytest.raises(FrontendError, match=said):
        imported(graph)


def test_a_file_whose_edges_name_a_node_that_is_called_otherwise_says_which() -> None:
    graph = read_nir(real_data("nir", "braille_zero_subgraph.nir"))
    with pytest.raises(FrontendError, match="there is no node 'lif1.lif'; did you mean 'lif1.lif1'?"):
        from_nir(graph, convention("snntorch"))


def test_an_edge_that_stands_twice_counts_once_and_is_named() -> None:
    found = from_nir(edged(("n0", "n1")), convention("nir"))
    assert "edge 'n0' -> 'n1' stands twice in the file and counts once" in found.notes


def test_the_same_file_in_another_order_is_the_same_graph_to_the_last_bit() -> None:
    nodes = {"a": lif(2), "b": lif(2), "va": nir.Linear(V), "vb": nir.Linear(V.T), "w": nir.Linear(W)}
    ends = {"input": nir.Input({"input": np.array([3])}), "output": nir.Output({"output": np.array([2])})}
    edges = [("input", "w"), ("w", "a"), ("w", "b"), ("a", "va"), ("va", "b"), ("b", "vb"), ("vb", "a"),
             ("a", "a"), ("b", "output")]  # fmt: skip
    there = imported(nir.NIRGraph(ends | nodes, edges, type_check=False))
    back = nir.NIRGraph(dict(reversed((ends | nodes).items())), edges[::-1], type_check=False)
    assert [(node.name, node.inputs) for node in imported(back)] == [
        (node.name, node.inputs) for node in there
    ]
