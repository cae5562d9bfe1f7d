"""A graph on disk: `graph.json` (structure) and `arrays.npz` (numbers). Never pickle.

The kinds of nodes that a file may name are the closed set of operations, and every value is checked against
the type of its field (`toolchain.ir.forms`), so that a file cannot create anything else.
"""

from collections.abc import Callable
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, cast, get_args

from pydantic import Field, create_model

from toolchain.errors import IRError
from toolchain.files.documents import FileDocument, parse_document, read_content, write_json
from toolchain.files.npz import read_arrays, write_arrays
from toolchain.intake import PathText, path_of
from toolchain.ir.forms import Arrays, NodeForm, StoredNodes, node_form, write_node
from toolchain.ir.graph import AnyNode, Graph
from toolchain.ir.verify import verify

GRAPH_FILES: Final = ("graph.json", "arrays.npz")
"""What a folder of a graph holds."""
GRAPH_FORMAT: Final = "pumice-graph"
"""What the document of a graph calls itself."""
_NODES: Final[dict[str, type[AnyNode]]] = {node.kind: node for node in get_args(AnyNode)}


class _GraphHeader(FileDocument):
    FORMAT: ClassVar[str] = GRAPH_FORMAT
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "structure of a pumice graph"
    WRITTEN_BY: ClassVar[str] = "pumice compile"

    format: str = FORMAT
    version: int = VERSION
    name: str
    dt_ms: float
    nodes: tuple[NodeForm, ...]


_AnyForm = Annotated[reduce(or_, map(node_form, _NODES.values())), Field(discriminator="kind")]
GraphDocument: Final = create_model(
    "GraphDocument",
    __base__=_GraphHeader,
    __doc__="""The nodes of a graph, and the keys of their arrays in `arrays.npz`.

    Attributes:
        name: Name of the graph.
        dt_ms: Length of a step in milliseconds.
        nodes: Nodes in an order in which each stands after what it reads, unless a delay lies between.
    """,
    nodes=(tuple[_AnyForm, ...], ...),
)
"""What `graph.json` holds."""


def save_graph(graph: Graph, folder: PathText) -> None:
    """Write a graph into `folder`, which is created if needed."""
    folder = path_of(folder, "folder")
    document, arrays = graph_document(graph)
    write_arrays(folder / "arrays.npz", arrays)
    write_json(folder / "graph.json", document)


def graph_document(graph: Graph) -> tuple[dict[str, Any], Arrays]:
    """Return a graph as JSON and the arrays that it names."""
    verify(graph)
    arrays: Arrays = {}
    nodes = [write_node(node, arrays) for node in graph]
    header = {"format": _GraphHeader.FORMAT, "version": _GraphHeader.VERSION}
    return header | {"name": graph.name, "dt_ms": graph.dt_ms, "nodes": nodes}, arrays


def load_graph(folder: PathText) -> Graph:
    """Read and verify a graph.

    Raises:
        MissingFileError: A file is missing.
        FormatVersionError: It was written by another version of the format.
        CorruptArtifactError: It is not a graph, or breaks a rule of the graph.
    """
    folder = path_of(folder, "folder")
    path = folder / "graph.json"
    return graph_from(read_content(path), lambda: read_arrays(folder / "arrays.npz"), path)


def graph_from(content: bytes | str, read: Callable[[], Arrays], path: Path) -> Graph:
    """Return the graph of a document and its arrays, which stand in the file `path`; see `load_graph`.

    Args:
        content: The document.
        read: Returns the arrays; asked once the document is found to be one.
        path: What errors name.
    """
    document = parse_document(content, path, GraphDocument)
    stored = StoredNodes(read(), path)
    nodes = tuple(cast("AnyNode", stored.read(_NODES[form.kind], form)) for form in document.nodes)
    graph = Graph(nodes, dt_ms=document.dt_ms, name=document.name)
    try:
        verify(graph)
    except IRError as error:
        error.add_note(f"while reading '{path}'")
        raise
    return graph
