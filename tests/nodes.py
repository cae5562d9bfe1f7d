"""Parts of a graph as what a test knows them to be: a wrong guess fails where it is made."""

from typing import TypeVar

from scipy.sparse import csr_array

from toolchain.ir import AnyNode, Graph, Matrix, Population, Synapses

Kind = TypeVar("Kind", bound=AnyNode)


def node_of(graph: Graph, name: str, kind: type[Kind]) -> Kind:
    """The node of this name."""
    found = graph[name]
    assert isinstance(found, kind), f"{name} is a {type(found).__name__}"
    return found


def neurons_of(graph: Graph, name: str) -> Population:
    """The population of this name, in real numbers or in integers."""
    found = graph[name]
    assert isinstance(found, Population), f"{name} is a {type(found).__name__}"
    return found


def weights_of(graph: Graph, name: str) -> Matrix:
    """The weights of the connection of this name, of whatever sort it is."""
    found = graph[name]
    assert isinstance(found, Synapses), f"{name} is a {type(found).__name__}"
    return found.weights


def sparse(matrix: Matrix) -> csr_array:
    """A matrix that is stored as a sparse one."""
    assert isinstance(matrix, csr_array), f"the matrix is a {type(matrix).__name__}"
    return matrix
