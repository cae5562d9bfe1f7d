"""How much memory it takes to run a graph, estimated from its geometry before anything is allocated.

The estimate is what one sample takes on the reference, the emulator or Lava, whichever takes most: weights as
they are laid out there, the state of the neurons, values that are remembered for readers with a delay, and
what a step needs while a node is computed. What only one target allocates for a node, that target checks with
`check_node`.
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
"""Bytes of a neuron: its parameters and state twice, and the temporary values of a step."""
_SYNAPSE: Final = 24
"""Bytes of a synapse that is stored with its indices."""
_DENSE_ELEMENTS: Final = 2**24
"""Largest number of elements at which a sparse matrix is multiplied as a dense one."""
_DENSE_SHARE: Final = 32
"""Elements per synapse up to which an integer matrix is also multiplied as a dense one."""
_BLOCK: Final = 32
"""Number of targets whose weights lie side by side; each such block has room for all its sources."""


@final
@dataclass(frozen=True, slots=True)
class Footprint:
    """The memory that one node takes for one sample.

    Attributes:
        lasting: Bytes that are taken as long as the sample runs.
        working: Bytes that are taken while a step of the node is computed.
    """

    lasting: int
    working: int = 0


def footprint_of(
    node: AnyNode, operands: tuple[ValueType, ...], result: ValueType, streams: int
) -> Footprint:
    """Return the memory that running a node takes.

    Args:
        node: A node of a graph.
        operands: Types of what it reads.
        result: Type of what it sends.
        streams: Number of nodes of the graph that remember what they sent.
    """
    size = math.prod(result.shape)
    match node:
        case Input():
            return Footprint(2 * _NUMBER * size)
        case Delay():
            return Footprint(node.max_steps * _bytes_per_step(result, streams))
        case Output():
            return Footprint(0)
        case Lif() | FixedLif():
            return Footprint((_NEURON if node.is_plain else 2 * _NEURON) * size)
        case SumPool2d() | MaxPool2d():
            return Footprint(_NUMBER * size, _image_bytes(node.window, operands[0], result))
        case Conv2d() | FixedConv2d():
            channels = operands[0].shape[0]
            blocks = -(-len(node.weights) // _BLOCK) * _BLOCK * min(_BLOCK * node.weights.shape[1], channels)
            weights = _NUMBER * node.weights.size + 4 * blocks * node.window.area
            return Footprint(weights, _image_bytes(node.window, operands[0], result))
        case Dense() | FixedDense():
            delay = 0 if node.delays is None else int(values_of(node.delays).max(initial=0))
            weights = _matrix_bytes(node.weights, node.delays, fixed=isinstance(node, FixedDense))
            return Footprint(weights + delay * _bytes_per_step(operands[0], streams), 2 * _NUMBER * size)
        case _:
            assert_never(node)


def check_footprint(graph: Graph) -> None:
    """Raise if running a sample of a graph would take more memory than a graph may.

    Raises:
        VerifyError: Names the node that takes most, and how much.
    """
    streams = sum(not isinstance(node, Dense | Conv2d | FixedDense | FixedConv2d | Output) for node in graph)
    types = graph.types
    footprints = {
        node.name: footprint_of(node, tuple(types[name] for name in node.inputs), types[node.name], streams)
        for node in graph
    }
    lasting = sum(each.lasting for each in footprints.values())
    total = lasting + max((each.working for each in footprints.values()), default=0)
    excess = budget().excess(total)
    if excess:
        sizes = {name: each.lasting + each.working for name, each in footprints.items()}
        name = max(sizes, key=sizes.__getitem__)
        alone = budget().excess(sizes[name])
        raise VerifyError(name, f"for one sample it {alone}" if alone else f"the network around it {excess}")


def check_node(name: str, what: str, needed: int) -> None:
    """Raise before something is allocated for a node that takes more memory than a graph may.

    Args:
        name: Name of the node.
        what: What is allocated, such as `its dense matrix`.
        needed: Number of bytes.

    Raises:
        VerifyError: Names the node and how much is needed.
    """
    excess = budget().excess(needed)
    if excess:
        raise VerifyError(name, f"{what} {excess}")


def _bytes_per_step(kind: ValueType, streams: int) -> int:
    """Return the bytes for remembering a source one step longer: its values, and a place in every stream."""
    element = 1 if kind.kind is EdgeKind.SPIKE else _NUMBER
    return 2 * element * math.prod(kind.shape) + _NUMBER * streams


def _image_bytes(window: Window, operand: ValueType, result: ValueType) -> int:
    """Return the bytes of an image with its padding, of its patches at all positions, and of the result."""
    channels, *size = operand.shape
    rows, columns = (extent + 2 * pad for extent, pad in zip(size, window.padding, strict=True))
    positions = result.shape[1] * result.shape[2]
    return _NUMBER * (channels * (rows * columns + window.area * positions) + 2 * math.prod(result.shape))


def _matrix_bytes(weights: Matrix, delays: Matrix | None, *, fixed: bool) -> int:
    """Return the bytes of the matrices into which synapses are sorted by their delay."""
    elements, stored = targets_of(weights) * sources_of(weights), values_of(weights).size
    dense = not isinstance(weights, csr_array) or elements <= _DENSE_ELEMENTS
    dense = dense or (fixed and stored * _DENSE_SHARE >= elements)
    each = _NUMBER * (elements if dense else targets_of(weights) + sources_of(weights))
    count = 1 if delays is None else _count_distinct(values_of(delays))
    return count * each + _SYNAPSE * stored


def _count_distinct(delays: Any) -> int:  # noqa: ANN401 - an array of integers
    return int(np.unique(delays).size) if delays.size else 1
