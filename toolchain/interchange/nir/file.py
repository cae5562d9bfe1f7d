"""NIR files: HDF5 that is read as data, and written whole or not at all."""

import io
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final, cast

import nir
import numpy as np
from numpy.typing import NDArray

from toolchain.confined.reader import ConfinedReader, read_hdf5
from toolchain.errors import CorruptArtifactError
from toolchain.files.atomic import write_bytes

VERSION: Final = "nir_version"
"""Key of a graph's metadata under which the version of the `nir` that wrote its file stands."""

_KNOWN_VERSIONS: Final = (0, 1)
"""Major versions of `nir` whose files are read; within one, files only gained fields."""
_GRAPH: Final = "NIRGraph"
_KINDS: Final[Mapping[str, type[nir.NIRNode]]] = {
    kind.__name__: kind
    for kind in (
        nir.Affine,
        nir.AvgPool2d,
        nir.Conv1d,
        nir.Conv2d,
        nir.CubaLI,
        nir.CubaLIF,
        nir.Delay,
        nir.Flatten,
        nir.I,
        nir.IF,
        nir.Input,
        nir.LI,
        nir.LIF,
        nir.Linear,
        nir.Output,
        nir.Scale,
        nir.SumPool2d,
        nir.Threshold,
    )
}
_ENDS: Final = ("Input", "Output")
_UNSAID: Final = ("input_shape", "input_type")
"""What files may leave out, because it follows from the edges."""
_TEXTS: Final = ("padding",)
_ONE_SHAPE: Final = ("tau", "tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset")
"""Parameters of neurons, which NIR wants in one shape."""
_DEEPEST: Final = 32
_MALFORMED: Final = (
    AssertionError,
    AttributeError,
    ArithmeticError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)
"""What the classes of `nir` raise on values that are not theirs."""


def read_nir(path: Path, reader: ConfinedReader | None = None) -> nir.NIRGraph:
    """Read a NIR graph; types are not inferred, `from_nir` does that.

    The version of the `nir` that wrote the file is kept in the metadata of the graph, under `nir_version`.

    Args:
        path: Path of the file.
        reader: A reading process to use again.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not a NIR file of a known version, or is damaged; names the node.
    """
    tree = _nested(path, read_hdf5(path, reader))
    if not isinstance(tree.get("node"), dict):
        raise CorruptArtifactError(path, "holds no 'node': it is not a NIR file")
    version = _version(path, tree.get("version"))
    entry = cast("dict[str, Any]", tree["node"])
    if entry.get("type") != _GRAPH:
        raise CorruptArtifactError(
            path, f"holds a single {entry.get('type', 'node without type')}, expected a graph"
        )
    graph = _graph(path, entry, ())
    if version:
        graph.metadata = {**graph.metadata, VERSION: version}
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


def _version(path: Path, version: object) -> str:
    """Return the version that a file states, or nothing; files without one are read as they are."""
    if version is None:
        return ""
    stated = re.match(r"(\d{1,9})(\.|$)", version) if isinstance(version, str) else None
    if stated is None or int(stated[1]) not in _KNOWN_VERSIONS:
        known = " and ".join(f"{major}.x" for major in _KNOWN_VERSIONS)
        raise CorruptArtifactError(
            path,
            f"is not a NIR file of a known version: it says {version!r}, and versions {known} of nir are "
            "read; write it again with nir 1.x, or update pumice",
        )
    return str(version)


def _graph(path: Path, entry: Mapping[str, Any], inside: tuple[str, ...]) -> nir.NIRGraph:
    """Return a graph of nodes that are read one by one, so that an error names its node."""
    where = f"graph '{'.'.join(inside)}'" if inside else "the graph"
    if len(inside) > _DEEPEST:
        raise CorruptArtifactError(path, f"{where} lies more than {_DEEPEST} graphs deep")
    _check_keys(path, where, entry, needed=(), known=("nodes", "edges"))
    nodes = entry.get("nodes", {})
    if not isinstance(nodes, dict):
        raise CorruptArtifactError(path, f"{where} holds values as 'nodes', expected a group")
    children = {name: _node(path, node, (*inside, name)) for name, node in nodes.items()}
    edges = np.asarray(entry.get("edges", np.zeros((0, 2), np.str_)))
    if edges.size and (edges.dtype.kind != "U" or edges.shape[1:] != (2,)):
        raise CorruptArtifactError(
            path, f"{where} has edges of shape {edges.shape}, expected pairs of names, [edges, 2]"
        )
    pairs = [(str(source), str(target)) for source, target in edges]
    return nir.NIRGraph(children, pairs, metadata=_metadata(path, where, entry), type_check=False)


def _node(path: Path, entry: object, place: tuple[str, ...]) -> nir.NIRNode:
    """Return a node of any kind.

    Raises:
        CorruptArtifactError: Names the node, what it holds and what was expected.
    """
    name = f"node '{'.'.join(place)}'"
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise CorruptArtifactError(path, f"{name} does not say its type")
    values = cast("dict[str, Any]", entry)
    kind = values["type"]
    if kind == _GRAPH:
        return _graph(path, values, place)
    if kind not in _KINDS:
        raise CorruptArtifactError(
            path, f"{name} is of type '{kind}', which is not known; known: {', '.join((*_KINDS, _GRAPH))}"
        )
    name = f"{name} ({kind})"
    needed, optional = _fields(kind)
    _check_keys(path, name, values, needed, (*needed, *optional))
    for key in (*needed, *optional):
        value = values.get(key)
        if isinstance(value, dict):
            raise CorruptArtifactError(path, f"{name} holds a group as '{key}', expected values")
        if isinstance(value, str) and key not in _TEXTS:
            raise CorruptArtifactError(path, f"{name} holds the text '{value}' as '{key}', expected numbers")
    _check_shapes(path, name, values)
    arguments = {key: values.get(key) for key in _UNSAID if key in optional}
    arguments |= {key: values[key] for key in (*needed, *optional) if key in values}
    try:
        node = _KINDS[kind].from_dict({"type": kind} | arguments)
    except _MALFORMED as error:
        reason = str(error) or type(error).__name__
        raise CorruptArtifactError(path, f"{name} cannot be read: {reason}") from None
    node.metadata = _metadata(path, name, values)
    return node


def _fields(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a node of a type must hold in a file, and what it may hold besides."""
    if kind in _ENDS:
        return ("shape",), ()
    own = [item for item in fields(_KINDS[kind]) if item.init and item.name != "metadata"]
    needed = [item.name for item in own if item.default is MISSING and item.name not in _UNSAID]
    return tuple(needed), tuple(item.name for item in own if item.name not in needed)


def _check_keys(
    path: Path, name: str, entry: Mapping[str, Any], needed: tuple[str, ...], known: tuple[str, ...]
) -> None:
    missing = [key for key in needed if key not in entry]
    if missing:
        raise CorruptArtifactError(path, f"{name} lacks {', '.join(missing)}; expected {', '.join(known)}")
    extra = sorted(set(entry) - {*known, "type", "metadata"})
    if extra:
        raise CorruptArtifactError(
            path,
            f"{name} holds {', '.join(extra)}, expected only {', '.join(known)}; what is not a parameter "
            "belongs into metadata",
        )


def _check_shapes(path: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Raise if the parameters of neurons are not of one shape; `w_in` may be one value for all."""
    shapes = {key: np.shape(entry[key]) for key in _ONE_SHAPE if key in entry}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
        raise CorruptArtifactError(
            path, f"{name} has parameters of several shapes: {listed}; NIR wants one shape for all"
        )
    shape, w_in = next(iter(shapes.values()), ()), np.shape(entry.get("w_in", 1.0))
    if w_in not in ((), (1,), shape):
        raise CorruptArtifactError(
            path,
            f"{name} has w_in of shape {w_in}, expected one value or one per neuron, {shape}; weights "
            "between neurons belong into a Linear node before it",
        )


def _metadata(path: Path, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    metadata = entry.get("metadata", {})
    if not isinstance(metadata, dict):
        raise CorruptArtifactError(path, f"{name} holds values as 'metadata', expected a group")
    return dict(metadata)
