"""The rules of a well-formed graph: names, types, loops, delays, sums and memory."""

import re
from collections.abc import Mapping
from typing import Final

import networkx as nx
import numpy as np

from toolchain.errors import FeedbackError, VerifyError
from toolchain.ir.fixed import FixedConv2d
from toolchain.ir.footprint import check_footprint
from toolchain.ir.graph import Graph, Population, Stage
from toolchain.ir.pooling import SumPool2d
from toolchain.ir.routing import Delay
from toolchain.ir.types import ValueType, size_of

_SUM_LIMIT: Final = 2**31
"""Sums stay below: Lava holds them in 32 bits."""
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
"""Names become names of files and keys of archives."""
STEP_MS: Final = (1e-6, 1e6)
"""Shortest and longest step in milliseconds; with longer ones, what is counted in steps would overflow."""


def verify(graph: Graph) -> None:
    """Raise at the first rule that a graph breaks.

    The rules: names are unique; operands exist and stand earlier, except those of a `Delay` of a step or
    more; types fit; numbers are finite; every loop has a delay; float and integer operations do not mix;
    there is an input, a population and an output; outputs read populations; a step has a length; and
    running the graph takes no more memory than a graph may.

    Raises:
        VerifyError: A node breaks a rule.
        FeedbackError: A loop has no delay.
    """
    _check_header(graph)
    _check_names(graph)
    _check_delay_chains(graph)
    _check_loops(graph)
    _check_shapes(graph.types)
    _check_delays(graph)
    _check_sums(graph)
    _check_ends(graph)
    check_footprint(graph)


def _check_header(graph: Graph) -> None:
    least, most = STEP_MS
    if not least <= graph.dt_ms <= most:
        raise VerifyError(graph.name, f"expected steps of {least:g} to {most:g} ms, got {graph.dt_ms:g} ms")
    texts = [graph.name, *(node.origin.path for node in graph.populations)]
    for text in (*texts, *(name for output in graph.outputs for name in output.classes)):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise VerifyError(graph.name, f"holds {text!a}, which is no Unicode") from None


def _check_names(graph: Graph) -> None:
    names: set[str] = set()
    for node in graph:
        if not _NAME.fullmatch(node.name) or node.name in names:
            raise VerifyError(node.name, "expected a unique name of letters, digits, '_', '-' and '.'")
        names.add(node.name)
    for node in graph:
        for operand in node.inputs:
            if operand not in graph:
                raise VerifyError(node.name, f"reads '{operand}', which does not exist")
        if len(set(node.inputs)) < len(node.inputs):
            raise VerifyError(node.name, f"reads one of {', '.join(node.inputs)} twice; join the connections")


def _check_delay_chains(graph: Graph) -> None:
    for node in graph:
        visited: set[str] = set()
        current = node
        while isinstance(current, Delay):
            if len(current.inputs) != 1:
                raise current.fail(f"expected one input, got {len(current.inputs)}")
            if current.name in visited:
                raise node.fail("holds its own value for ever: a loop of delays without a neuron")
            visited.add(current.name)
            current = graph[current.inputs[0]]


def _check_loops(graph: Graph) -> None:
    """Raise if a loop has no delay: if one remains once every delay of a step or more is cut."""
    instant = nx.DiGraph()
    for node in graph:
        if isinstance(node, Delay) and node.min_steps >= 1:
            continue
        instant.add_edges_from((operand, node.name) for operand in node.inputs)
    try:
        cycle = nx.find_cycle(instant)
    except nx.NetworkXNoCycle:
        return
    raise FeedbackError([edge[0] for edge in cycle])


def _check_shapes(types: Mapping[str, ValueType]) -> None:
    for name, sent in types.items():
        if not size_of(sent.shape):
            raise VerifyError(name, f"expected a shape of at least one element, got {sent}")


def _check_delays(graph: Graph) -> None:
    types, fixed = graph.types, graph.stage is Stage.FIXED
    earlier: set[str] = set()
    for node in graph:
        earlier.add(node.name)
        if not isinstance(node, Delay):
            continue
        if not node.min_steps and node.inputs[0] not in earlier:
            raise node.fail(
                f"reads '{node.inputs[0]}', which stands later, in the same step; put it later, or give it a "
                "step"
            )
        if types[node.name] != types[node.inputs[0]]:
            raise node.fail(f"declares {types[node.name]}, but holds {types[node.inputs[0]]}")
        if fixed and not isinstance(node.steps, int):
            raise node.fail("delays per neuron belong into the synapses of a fixed graph")


def _check_sums(graph: Graph) -> None:
    """Raise where a sum can leave 32 bits, beyond which Lava's own cast of a convolution is undefined."""
    for node in graph.poolings:
        reach = graph.largest_message(node) * node.window.area
        if isinstance(node, SumPool2d) and reach >= _SUM_LIMIT:
            raise node.fail(f"its sums can reach {reach}, expected less than 2^31: use smaller windows")
    for node in graph.synapses:
        if isinstance(node, FixedConv2d):
            largest = graph.largest_message(node) << node.exponent
            reach = int(np.abs(node.weights).sum(axis=(1, 2, 3), dtype=np.int64).max(initial=0)) * largest
            if reach >= _SUM_LIMIT:
                raise node.fail(f"its sums can reach {reach}, expected less than 2^31: use smaller messages")


def _check_ends(graph: Graph) -> None:
    for what, nodes in (
        ("input", graph.inputs),
        ("population", graph.populations),
        ("output", graph.outputs),
    ):
        if not nodes:
            raise VerifyError(graph.name, f"the graph has no {what}")
    for node in graph.outputs:
        if not isinstance(graph[node.inputs[0]], Population):
            raise node.fail(f"reads '{node.inputs[0]}', expected a population of neurons")
