"""What every pass of the compiler made of a network, kept in its build: `passes.json` and `passes.npz`.

Most of these graphs are, in whole or in large parts, those that a build holds anyway. So a graph is named
where it is the float graph, the fixed graph or the graph of the pass before; of any other graph only the
arrays are stored that the float graph, or the fixed graph, has not.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolchain.errors import CorruptArtifactError
from toolchain.files.documents import Document, FileDocument, parse_document, write_document
from toolchain.files.npz import write_arrays
from toolchain.ir import Graph, Stage, graph_document, graph_from
from toolchain.passes import Pass

PASS_FILES: Final = ("passes.json", "passes.npz")
"""The files of a build folder that hold the graphs between its passes; the second only if needed."""


@final
@dataclass(frozen=True)
class PassGraph:
    """What one pass made of a network.

    Attributes:
        name: Name of the pass; where it ran before, with the number of its run: `fold-delays-2`.
        graph: The graph that it returned.
    """

    name: str
    graph: Graph = field(repr=False)


@final
class PassRecord:
    """Keeps what every pass returns, as the callback of a pipeline."""

    def __init__(self) -> None:
        self.graphs: tuple[PassGraph, ...] = ()
        self._runs: Counter[str] = Counter()

    def __call__(self, step: Pass, graph: Graph) -> None:
        """Keep the graph that a pass returned."""
        self._runs[step.name] += 1
        runs = self._runs[step.name]
        name = step.name if runs == 1 else f"{step.name}-{runs}"
        self.graphs = (*self.graphs, PassGraph(name, graph))


class StoredPass(Document):
    """A pass and its graph.

    Attributes:
        name: Name of the pass.
        stage: Whether its graph is in real numbers or in integers.
        graph: The graph itself; or `stored` for the graph of that stage in the build, `before` for that
            of the pass before.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=200)]
    stage: Stage
    graph: Literal["stored", "before"] | dict[str, Any]


class StoredPasses(FileDocument):
    """The passes that made a build.

    Attributes:
        passes: The passes, the first one first.
    """

    FORMAT: ClassVar[str] = "pumice-passes"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "list of the passes of a pumice build"
    WRITTEN_BY: ClassVar[str] = "pumice compile"

    format: str = FORMAT
    version: int = VERSION
    passes: Annotated[tuple[StoredPass, ...], Field(min_length=1)]


def write_passes(folder: Path, passes: Sequence[PassGraph], float_graph: Graph, fixed_graph: Graph) -> None:
    """Write the graphs between the passes of a build."""
    stored_graphs = {graph.stage: graph for graph in (float_graph, fixed_graph)}
    known = {stage: graph_document(graph)[1] for stage, graph in stored_graphs.items()}
    arrays: dict[str, NDArray[Any]] = {}
    rows: list[StoredPass] = []
    before: Graph | None = None
    for place, step in enumerate(passes):
        graph, stage = step.graph, step.graph.stage
        form: Any = "before" if graph is before else "stored"
        if graph is not before and graph is not stored_graphs[stage]:
            form, values = graph_document(graph)
            arrays |= {
                f"{place}/{key}": each for key, each in values.items() if not _in(known[stage], key, each)
            }
        rows.append(StoredPass(name=step.name, stage=stage, graph=form))
        before = graph
    document, numbers = (folder / name for name in PASS_FILES)
    if arrays:
        write_arrays(numbers, arrays)
    write_document(document, StoredPasses(passes=tuple(rows)))


def _in(known: Mapping[str, NDArray[Any]], key: str, values: NDArray[Any]) -> bool:
    """Return whether an array of that name exists that holds the same numbers."""
    other = known.get(key)
    return other is not None and other.dtype == values.dtype and np.array_equal(other, values)


def read_passes(
    content: bytes, own: Mapping[str, NDArray[Any]], path: Path, float_graph: Graph, fixed_graph: Graph
) -> tuple[PassGraph, ...]:
    """Return the graphs that `write_passes` wrote.

    Args:
        content: What `passes.json` holds.
        own: The arrays of `passes.npz`.
        path: The file that errors name.
        float_graph: The float graph of the build.
        fixed_graph: The fixed graph of the build.

    Raises:
        FormatVersionError: They were written by another version of the format.
        CorruptArtifactError: They are no graphs, or the last one is not the fixed graph.
    """
    stored_graphs = {graph.stage: graph for graph in (float_graph, fixed_graph)}
    rows = parse_document(content, path, StoredPasses).passes
    if len({row.name for row in rows}) < len(rows):
        raise CorruptArtifactError(path, "names two passes alike; compile again")
    passes: list[PassGraph] = []
    for place, row in enumerate(rows):
        if row.graph == "stored":
            graph = stored_graphs[row.stage]
        elif isinstance(row.graph, dict):
            start = f"{place}/"
            changed = {key.removeprefix(start): own[key] for key in own if key.startswith(start)}
            arrays = {**graph_document(stored_graphs[row.stage])[1], **changed}
            graph = graph_from(json.dumps(row.graph), partial(dict, arrays), path)
        elif passes:
            graph = passes[-1].graph
        else:
            raise CorruptArtifactError(path, "names a graph before the first pass; compile again")
        passes.append(PassGraph(row.name, graph))
    if passes[-1].graph is not fixed_graph:
        raise CorruptArtifactError(path, "does not end with the integers of its build; compile again")
    return tuple(passes)
