"""Names that look like keys of our own files."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from toolchain.ir import Graph

# fmt: off
_FIRST = [
    "labels", "lengths", "input", "key", "heartbeat", "source0", "record0-v", "step", "const", "axis",
    "batch", "silence", "p", "P", "x", "X", "0",
]
_THEN = [
    "v", "u", "spikes", "past", "next", "vth", "du", "bias", "bias_mant", "data", "indices", "indptr",
    "dense", "kernel", "weights", "elements", "origin", "pool", "sum", "row", "message", "npy", "0", "1",
    "steps", "end",
]
# fmt: on


def renamed(graph: Graph, rng: np.random.Generator) -> tuple[Graph, Mapping[str, str]]:
    """Return a graph whose nodes are called like fields and suffixes of ours, and the new name of each.

    Few first names and long chains make it likely that one node's key is another's name.
    """
    few = rng.choice(_FIRST, 4, replace=False)
    some = rng.choice(_THEN, 6, replace=False)
    names: dict[str, None] = {}
    while len(names) < len(graph.nodes):
        parts = [str(rng.choice(few)), *map(str, rng.choice(some, int(rng.integers(0, 3))))]
        names[".".join(parts)] = None
    new = dict(zip((node.name for node in graph), names, strict=True))
    nodes = (
        replace(node, name=new[node.name], inputs=tuple(new[operand] for operand in node.inputs))
        for node in graph
    )
    return graph.with_nodes(tuple(nodes)), new


def with_names(values: Mapping[str, Any], new: Mapping[str, str]) -> dict[str, Any]:
    """Return what is kept by name under the new names."""
    return {new[name]: value for name, value in values.items()}
