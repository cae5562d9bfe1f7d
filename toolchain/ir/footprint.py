"""How much memory it takes to run a graph, told from its geometry before anything is allocated.

Counted is what one sample takes on the reference, the emulator and Lava, whichever takes most: weights as
they are laid out there, the state of neurons, what is remembered for readers with a delay, and what a step
needs while a node is computed. What only one target makes of a graph is asked for there, by `check_node`.
"""

import math
from dataclasses import dataclass
from typing import Any, Final, assert_never, final

import numpy as np
from scipy.sparse import csr_array

from toolchain.errors import VerifyError
from toolchain.ir.fixed import FixedConv2d, FixedDense, FixedLif
from toolchain.ir.graph import AnyNode, Graph
from toolchain.ir.matrix import Matrix, sources_of, targets_of, values_of
from toolchain.ir.neurons import Lif
from toolchain.ir.pooling import MaxPool2d, SumPool2d
from toolchain.ir.routing import Delay, Input, Output
from toolchain.ir.synapses import Conv2d, Dense
from toolchain.ir.types import EdgeKind, ValueType
from toolchain.ir.windows import Window
from toolchain.memory import budget

_NUMBER: Final = 8
"""Bytes of a real number, and of an index."""
_NEURON: Final = 100
"""Bytes of a neuron: its parameters and state, twice, and what a step makes of them."""
_SYNAPSE: Final = 24
"""Bytes of a synapse that is stored with its indices."""
_DENSE_ELEMENTS: Final = 2**24
"""Sparse matrices of up to so many elements are multiplied as dense ones."""
_DENSE_SHARE: Final = 32
"""So are integer matrices of which one element in so many is a synapse."""
_BLOCK: Final = 32
"""Targets whose weights lie side by side; each block has room for all that it reads."""


@final
@dataclass(frozen=True, slots=True)
class Footprint:
    """What one node takes for one sample.

    Attributes:
        held: Bytes as long as the sample runs.
        working: Bytes while a step of the node is computed.
    """

    held: int
    working: int = 0


def footprint_of(
    node: AnyNode, operands: tuple[ValueType, ...], result: ValueType, streams: int
) -> Footprint:
    """Return what running a node takes.

    Args:
        node: Of a graph.
        operands: What it reads.
        result: What it sends.
        streams: How many nodes of the graph remember what they sent.
    """
    size = math.prod(result.shape)
    match node:
        case Input():
            return Footprint(2 * _NUMBER * size)
        case Delay():
            return Footprint(node.max_steps * _remembered(result, streams))
        case Output():
            return Footprint(0)
        case Lif() | FixedLif():
            return Footprint(_NEURON * size)
        case SumPool2d() | MaxPool2d():
            return Footprint(_NUMBER * size, _seen(node.window, operands[0], result))
        case Conv2d() | FixedConv2d():
            channels = operands[0].shape[0]
            blocks = -(-len(node.weights) // _BLOCK) * _BLOCK * min(_BLOCK * node.weights.shape[1], channels)
            held = _NUMBER * node.weights.size + 4 * blocks * node.window.area
            return Footprint(held, _seen(node.window, operands[0], result))
        case Dense() | FixedDense():
            delay = 0 if node.delays is None else int(values_of(node.delays).max(initial=0))
            held = _slots(node.weights, node.delays, fixed=isinstance(node, FixedDense))
            return Footprint(held + delay * _remembered(operands[0], streams), 2 * _NUMBER * size)
        case _:
            assert_never(node)


def check_footprint(graph: Graph) -> None:
    """Raise if running a sample of a graph would take more memory than a graph may.

    Raises:
        VerifyError: Names the node that takes most, and how much.
    """
    streams = sum(not isinstance(node, Dense | Conv2d | FixedDense | FixedConv2d | Output) for node in graph)
    types = graph.types
    found = {
        node.name: footprint_of(node, tuple(types[name] for name in node.inputs), types[node.name], streams)
        for node in graph
    }
    total = sum(each.held for each in found.values()) + max(
        (each.working for each in found.values()), default=0
    )
    excess = budget().excess(total)
    if excess:
        name, most = max(found.items(), key=lambda item: item[1].held + item[1].working)
        alone = budget().excess(most.held + most.working)
        raise VerifyError(name, f"for one sample it {alone}" if alone else f"the network around it {excess}")


def check_node(name: str, what: str, needed: int) -> None:
    """Raise before something is allocated for a node that takes more memory than a graph may.

    Args:
        name: Of the node.
        what: Such as `its dense matrix`.
        needed: Bytes.

    Raises:
        VerifyError: Names the node and how much is needed.
    """
    excess = budget().excess(needed)
    if excess:
        raise VerifyError(name, f"{what} {excess}")


def _remembered(kind: ValueType, streams: int) -> int:
    """Return the bytes of one more step that a source is remembered; all nodes then keep its place."""
    element = 1 if kind.kind is EdgeKind.SPIKE else _NUMBER
    return 2 * element * math.prod(kind.shape) + _NUMBER * streams


def _seen(window: Window, operand: ValueType, result: ValueType) -> int:
    """Return the bytes of an image with its padding, of what all positions see of it, and of the result."""
    channels, *size = operand.shape
    rows, columns = (extent + 2 * pad for extent, pad in zip(size, window.padding, strict=True))
    positions = result.shape[1] * result.shape[2]
    return _NUMBER * (channels * (rows * columns + window.area * positions) + 2 * math.prod(result.shape))


def _slots(weights: Matrix, delays: Matrix | None, *, fixed: bool) -> int:
    """Return the bytes of the matrices into which synapses are sorted, one for each delay."""
    elements, stored = targets_of(weights) * sources_of(weights), values_of(weights).size
    dense = not isinstance(weights, csr_array) or elements <= _DENSE_ELEMENTS
    dense = dense or (fixed and stored * _DENSE_SHARE >= elements)
    each = _NUMBER * (elements if dense else targets_of(weights) + sources_of(weights))
    count = 1 if delays is None else _different(values_of(delays))
    return count * each + _SYNAPSE * stored


def _different(delays: Any) -> int:  # noqa: ANN401 - an array of integers
    return int(np.unique(delays).size) if delays.size else 1
