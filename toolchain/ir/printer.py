"""A graph as text: one line per node, small arrays in full, large ones as a summary."""

from dataclasses import fields
from enum import Enum
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from toolchain.ir.graph import Graph
from toolchain.ir.matrix import sources_of, targets_of
from toolchain.ir.node import Node
from toolchain.ir.types import Origin

_FULL = 8


def print_graph(graph: Graph) -> str:
    """Return the graph as text; golden tests compare it, and `pumice show` prints it."""
    head = f"graph {graph.name} ({graph.stage.value}, dt {graph.dt_ms:g} ms)"
    return "\n".join([head, *(f"  {print_node(node)} : {graph.types[node.name]}" for node in graph)]) + "\n"


def print_node(node: Node) -> str:
    """Return `name = kind(inputs) field=value ...`."""
    options = [
        f"{item.name}={_print_value(value)}"
        for item in fields(node)
        if item.name not in {"name", "inputs"}
        and (value := getattr(node, item.name)) not in _Omitted()
        and not node.has_default(item.name)
    ]
    return " ".join([f"{node.name} = {node.kind}({', '.join(node.inputs)})", *options])


class _Omitted:
    """The values of absent options, which are not printed."""

    def __contains__(self, value: object) -> bool:
        return value is None or (isinstance(value, tuple) and not value)


def _print_value(value: Any) -> str:  # noqa: ANN401 - field values of any sort
    match value:
        case csr_array():
            return f"csr({targets_of(value)}x{sources_of(value)}, {value.nnz} stored, {_range(value.data)})"
        case np.ndarray() if value.size <= _FULL:
            return str(value.tolist()).replace(" ", "")
        case np.ndarray():
            return f"{value.dtype}({_shape(value.shape)}, {_range(value)})"
        case Origin():
            return f"{value.path}[{value.elements.size}]"
        case Enum():
            return str(value.value)
        case tuple() if all(isinstance(item, str) for item in value):
            return ",".join(value)
        case tuple():
            return _shape(value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _range(values: np.ndarray[Any, Any]) -> str:
    if values.size == 0:
        return "empty"
    lowest, highest = values.min(), values.max()
    return f"{lowest:.6g}" if lowest == highest else f"{lowest:.6g}..{highest:.6g}"
