"""The layers for a netx file are read as netx would read them, and must be the same integers."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.errors import FrontendError, PreconditionError
from toolchain.interchange.netx.from_netx import layers_to_graphs
from toolchain.interchange.netx.layers import NetxLayer
from toolchain.interchange.netx.weights import total_weights
from toolchain.ir import Graph

_REGISTERS = ("du", "dv", "vth", "bias")


def prove(
    graph: Graph, layers: Sequence[Mapping[str, Any]], weights: Sequence[tuple[str, NDArray[np.int64]]]
) -> None:
    """Raise unless netx would read the network that was written.

    Args:
        graph: The graph that was written.
        layers: The layers of the file.
        weights: What a spike over each connection adds, in units of 64.

    Raises:
        PreconditionError: netx would read another network, or none.
    """
    stored = [{name: np.asarray(value) for name, value in values.items()} for values in layers]
    numbered = [NetxLayer(number, str(values["type"]), values) for number, values in enumerate(stored)]
    try:
        read = layers_to_graphs(numbered, graph.name).fixed
    except FrontendError as error:
        raise PreconditionError(f"netx would not read it: {error}") from None
    if read is None:  # pragma: no cover - netx files hold integers
        raise PreconditionError("netx would not read integers")
    for node, other in zip(graph.populations, read.populations, strict=True):
        for name in _REGISTERS:
            if not np.array_equal(getattr(node, name), getattr(other, name)):
                raise PreconditionError(f"netx would read another {name} than that of '{node.name}'")
    totals = [total for node in read.populations for total in _incoming(read, cast("ir.FixedLif", node))]
    # An input layer with neurons has no weights of its own in a file.
    first = 1 if "neuron/type" in stored[0] and str(stored[0]["type"]) == "input" else 0
    for (name, expected), total in zip(weights, totals[first:], strict=True):
        if not np.array_equal(expected, total):
            raise PreconditionError(f"netx would read other weights than those of '{name}'")


def _incoming(graph: Graph, node: ir.FixedLif) -> list[NDArray[np.int64]]:
    """Return what a spike adds, per source."""
    groups: dict[str, list[ir.FixedDense | ir.FixedConv2d]] = {}
    for name in node.inputs:
        connection = cast("ir.FixedDense | ir.FixedConv2d", graph[name])
        groups.setdefault(connection.inputs[0], []).append(connection)
    sums = (total_weights(parts) for parts in groups.values())
    return [total >> -exponent for total, exponent in sums]
