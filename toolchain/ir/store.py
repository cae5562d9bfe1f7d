"""A graph on disk: `graph.json` (structure) and `arrays.npz` (numbers). Never pickle.

Every value says its own form: `{"array": key}`, `{"csr": key, "shape": [r, c]}`,
`{"origin": path, "elements": key}`, `{"enum": [class, value]}`, `{"infinite": sign}` or plain
JSON. The classes that may be named are the closed sets below, so a file cannot create anything else.
"""

import math
from collections.abc import Callable
from dataclasses import MISSING, fields
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain.documents import read_json, write_json
from toolchain.errors import CorruptArtifactError, FormatVersionError, IRError
from toolchain.fixedpoint import SignMode
from toolchain.intake import PathText, path_of
from toolchain.ir.graph import AnyNode, Graph
from toolchain.ir.matrix import sources_of, targets_of
from toolchain.ir.types import Decode, EdgeKind, Origin
from toolchain.ir.verify import verify
from toolchain.npz import read_arrays, write_arrays

FORMAT_VERSION: Final = 1
GRAPH_FILES: Final = ("graph.json", "arrays.npz")
"""What a folder of a graph holds."""
_NODES: Final[dict[str, type[AnyNode]]] = {node.kind: node for node in get_args(AnyNode)}
_ENUMS: Final[dict[str, type[Enum]]] = {item.__name__: item for item in (EdgeKind, Decode, SignMode)}

Arrays = dict[str, NDArray[Any]]


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
    nodes = [
        {"kind": node.kind}
        | {
            item.name: _encode(getattr(node, item.name), f"{node.name}/{item.name}", arrays)
            for item in fields(node)
        }
        for node in graph
    ]
    header = {"format": "pumice-graph", "version": FORMAT_VERSION, "name": graph.name, "dt_ms": graph.dt_ms}
    return header | {"nodes": nodes}, {key.replace("/", "."): value for key, value in arrays.items()}


def load_graph(folder: PathText) -> Graph:
    """Read and verify a graph.

    Raises:
        MissingFileError: A file is missing.
        FormatVersionError: It was written by another version of the format.
        CorruptArtifactError: It is not a graph, or breaks a rule of the graph.
    """
    folder = path_of(folder, "folder")
    path = folder / "graph.json"
    return graph_from(read_json(path), lambda: read_arrays(folder / "arrays.npz"), path)


def graph_from(document: object, read: Callable[[], Arrays], path: Path) -> Graph:
    """Return the graph of a document and its arrays, which stand in the file `path`; see `load_graph`."""
    if not isinstance(document, dict) or document.get("format") != "pumice-graph":
        raise CorruptArtifactError(path, "is not a pumice graph")
    if document.get("version") != FORMAT_VERSION:
        raise FormatVersionError(f"'{path}'", document.get("version"), FORMAT_VERSION)
    arrays = read()
    try:
        nodes = tuple(_decode_node(entry, arrays) for entry in document["nodes"])
        graph = Graph(nodes, dt_ms=float(document["dt_ms"]), name=str(document["name"]))
        verify(graph)
    except IRError as error:
        error.add_note(f"while reading '{path}'")
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise CorruptArtifactError(path, f"is not a well-formed graph: {error!r}") from None
    return graph


def _encode(value: Any, key: str, arrays: Arrays) -> Any:  # noqa: ANN401 - values of any field
    key = key.replace("/", ".")
    match value:
        case csr_array():
            for part in ("data", "indices", "indptr"):
                arrays[f"{key}.{part}"] = getattr(value, part)
            return {"csr": key, "shape": [targets_of(value), sources_of(value)]}
        case np.ndarray():
            arrays[key] = value
            return {"array": key}
        case Origin():
            arrays[f"{key}.elements"] = value.elements
            return {"origin": value.path, "elements": f"{key}.elements"}
        case Enum():
            return {"enum": [type(value).__name__, value.value]}
        case float() if math.isinf(value):
            return {"infinite": 1 if value > 0 else -1}
        case tuple():
            return list(value)
        case _:
            return value


def _decode(value: Any, arrays: Arrays) -> Any:  # noqa: ANN401 - values of any field
    match value:
        case {"csr": str(key), "shape": [int(rows), int(columns)]}:
            parts = tuple(arrays[f"{key}.{part}"] for part in ("data", "indices", "indptr"))
            matrix = csr_array(parts, shape=(rows, columns))
            matrix.check_format(full_check=True)
            return matrix
        case {"array": str(key)}:
            return arrays[key]
        case {"origin": str(path), "elements": str(key)}:
            return Origin(path, arrays[key])
        case {"enum": [str(kind), str(name)]}:
            return _ENUMS[kind](name)
        case {"infinite": int(sign)}:
            return math.copysign(math.inf, sign)
        case dict():
            raise ValueError(f"unknown value {sorted(value)}")
        case list():
            return tuple(value)
        case _:
            return value


def _decode_node(entry: dict[str, Any], arrays: Arrays) -> AnyNode:
    node = _NODES[entry["kind"]]
    known = {item.name for item in fields(node)}
    unknown = entry.keys() - known - {"kind"}
    missing = {item.name for item in fields(node) if item.default is MISSING} - entry.keys()
    if unknown or missing:
        raise ValueError(f"node '{entry.get('name')}': unknown {sorted(unknown)}, missing {sorted(missing)}")
    return node(**{name: _decode(entry[name], arrays) for name in sorted(known & entry.keys())})
