"""NIR files: HDF5 that is read as data, and written whole or not at all."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import nir
import numpy as np
from numpy.typing import NDArray

from toolchain.atomic import write_bytes
from toolchain.errors import CorruptArtifactError
from toolchain.interchange.hdf5 import Hdf5Reader

_MALFORMED: Final = (
    AssertionError,
    AttributeError,
    ArithmeticError,
    IndexError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What the classes of `nir` raise on values that are not theirs."""


def read_nir(path: Path, reader: Hdf5Reader | None = None) -> nir.NIRGraph:
    """Read a NIR graph; types are not inferred, `from_nir` does that.

    Args:
        path: The file.
        reader: A reading process to use again.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not a NIR file, or is damaged.
    """
    if reader is None:
        with Hdf5Reader() as own:
            return read_nir(path, own)
    tree = _nested(path, reader.read(path))
    if not isinstance(tree.get("node"), dict):
        raise CorruptArtifactError(path, "holds no 'node': it is not a NIR file")
    try:
        graph = nir.dict2NIRNode(_prepared(tree["node"]))
    except _MALFORMED as error:
        raise CorruptArtifactError(path, f"is not a well-formed NIR graph: {error!r}") from None
    if not isinstance(graph, nir.NIRGraph):
        raise CorruptArtifactError(path, f"holds a single {type(graph).__name__}, expected a graph")
    return graph


def write_nir(graph: nir.NIRGraph, path: Path) -> None:
    """Write a NIR graph for `nir.read`."""
    # In memory first: after a full disk the HDF5 library can neither close a file nor let go of it.
    content = io.BytesIO()
    nir.write(content, graph)  # pyright: ignore[reportArgumentType] - it takes any file
    write_bytes(path, content.getvalue())


def _nested(path: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the groups of a file as dictionaries."""
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        place = tree
        *groups, last = name.split("/")
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise CorruptArtifactError(path, f"'{name}' lies inside of values")
        place[last] = str(array) if array.dtype.kind == "U" and array.ndim == 0 else array[()]
    return tree


def _prepared(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a node for the classes of `nir`: graphs do not infer types while they are read."""
    if entry.get("type") != "NIRGraph":
        return entry
    nodes: dict[str, Any] = entry.get("nodes", {})
    edges = np.asarray(entry.get("edges", np.zeros((0, 2), np.str_)))
    pairs = [(str(source), str(target)) for source, target in edges]
    return entry | {
        "nodes": {name: _prepared(node) for name, node in nodes.items()},
        "edges": pairs,
        "type_check": False,
    }
