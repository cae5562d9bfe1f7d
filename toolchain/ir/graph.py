"""The graph: nodes in an order in which they can run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, assert_never, final

import numpy as np
from scipy.sparse import csr_array

from toolchain.errors import VerifyError
from toolchain.ir.fixed import FixedConv2d, FixedDense, FixedLif
from toolchain.ir.matrix import values_of
from toolchain.ir.neurons import Lif
from toolchain.ir.node import Node
from toolchain.ir.pooling import MaxPool2d, SumPool2d
from toolchain.ir.routing import Delay, Input, Output
from toolchain.ir.synapses import Conv2d, Dense
from toolchain.ir.types import EdgeKind, Origin, ValueType
from toolchain.stage import Stage
from toolchain.summary import Summarised, Summary

AnyNode = (
    Input
    | Delay
    | Output
    | SumPool2d
    | MaxPool2d
    | Dense
    | Conv2d
    | Lif
    | FixedDense
    | FixedConv2d
    | FixedLif
)
"""All operations there are. Code that treats each of them uses `match` and `assert_never`."""
Synapses = Dense | Conv2d | FixedDense | FixedConv2d
"""The operations that make a current of spikes or messages."""
Population = Lif | FixedLif
"""The operations with neurons."""
Pooling = SumPool2d | MaxPool2d
"""The operations that join the elements of a window."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Graph(Summarised):
    """An immutable network: nodes in execution order, and the length of a step.

    Attributes:
        nodes: The operations. Operands stand before their readers; only a `Delay` may name a later node.
        dt_ms: Length of one step in milliseconds; only reports use it.
        name: Name of the network, for people.
    """

    nodes: tuple[AnyNode, ...]
    dt_ms: float = 1.0
    name: str = "network"
    _by_name: Mapping[str, AnyNode] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {node.name: node for node in self.nodes})

    def __getitem__(self, name: str) -> AnyNode:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[AnyNode]:
        return iter(self.nodes)

    def summary(self) -> Summary:
        """Return the size of the network, and its nodes."""
        neurons = sum(node.vth.size for node in self.populations)
        synapses = sum(int(np.count_nonzero(values_of(node.weights))) for node in self.synapses)
        rows = [(node.name, type(node).__name__, ", ".join(node.inputs)) for node in self.nodes]
        stages = {stage_of(node) for node in self.nodes} - {None}
        kind = "integers" if stages == {Stage.FIXED} else "real numbers"
        line = f"Graph '{self.name}' in {kind}: {neurons:,} neurons, {synapses:,} stored weights"
        return Summary(line, ("node", "operation", "reads"), rows)

    @cached_property
    def stage(self) -> Stage:
        """Whether it computes in real numbers or in integers; in real numbers if it only moves values."""
        stages = {stage for node in self.nodes if (stage := stage_of(node)) is not None}
        if len(stages) > 1:
            node = next(node for node in self.nodes if stage_of(node) is Stage.FLOAT)
            raise VerifyError(node.name, "is a float operation in a graph that also holds integer ones")
        return stages.pop() if stages else Stage.FLOAT

    @cached_property
    def types(self) -> Mapping[str, ValueType]:
        """The type of what every node sends, worked out once, when it is first asked for.

        Raises:
            VerifyError: The operands of a node do not fit it, or stand later.
        """
        types: dict[str, ValueType] = {}
        for node in self.nodes:
            operands = () if isinstance(node, Delay) else node.inputs
            for operand in operands:
                if operand not in types:
                    raise VerifyError(
                        node.name, f"reads '{operand}', which stands later; put a Delay in between"
                    )
            types[node.name] = node.result_type(*(types[name] for name in operands))
        return types

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Input))

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Output))

    @property
    def scores(self) -> int:
        """Number of scores that the first output gives, one for each class; 0 without an output."""
        return self.scores_of(self.outputs[0]) if self.outputs else 0

    def scores_of(self, output: Output) -> int:
        """Return the number of scores that an output gives."""
        source = self[output.inputs[0]]
        if output.weights is None and isinstance(source, Lif | FixedLif):
            return source.vth.size
        return 0 if output.weights is None else len(output.weights)

    @cached_property
    def populations(self) -> tuple[Population, ...]:
        """The neuron populations, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Lif | FixedLif))

    @cached_property
    def synapses(self) -> tuple[Synapses, ...]:
        """The connections, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Synapses))

    @cached_property
    def poolings(self) -> tuple[Pooling, ...]:
        """The poolings, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Pooling))

    def readers(self, name: str) -> tuple[AnyNode, ...]:
        """Return the nodes that read `name`."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def source(self, name: str) -> tuple[AnyNode, int]:
        """Follow `Delay` nodes upwards from `name`.

        Returns:
            The first node that is not a delay, and the least logical delay on the way.
        """
        node, steps = self[name], 0
        while isinstance(node, Delay):
            steps += node.min_steps
            node = self[node.inputs[0]]
        return node, steps

    def recorded(self, record: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """Return the quantities that a run records of every population.

        These are the quantities in `record`, and the potential where an output reads it.
        """
        read = {node.inputs[0] for node in self.outputs if node.reads_potential}
        wanted = {node.name: {*record, "v"} if node.name in read else {*record} for node in self.populations}
        return {name: tuple(q for q in ("spikes", "v", "u") if q in qs) for name, qs in wanted.items()}

    def graded_input(self, node: AnyNode) -> Input | None:
        """Return the graded input that a node reads, pooled or not; None if it reads spikes."""
        source, _ = self.source(node.inputs[0])
        while isinstance(source, SumPool2d):
            source, _ = self.source(source.inputs[0])
        return source if isinstance(source, Input) and source.edge is EdgeKind.GRADED else None

    def message_scale(self, node: AnyNode) -> float:
        """Return how many integers a unit of what a connection reads is: 1 for spikes and their sums."""
        source = self.graded_input(node)
        return 1.0 if source is None else source.scale

    def largest_message(self, node: AnyNode) -> int:
        """Return the largest integer that a connection or pooling can be sent: 1 for single spikes."""
        source, _ = self.source(node.inputs[0])
        largest = 1
        while isinstance(source, SumPool2d):
            largest *= source.window.area
            source, _ = self.source(source.inputs[0])
        if isinstance(source, Population):
            return largest * source.max_spikes
        if isinstance(source, Input) and source.edge is EdgeKind.GRADED:
            return largest * (2**source.bits - 1)
        return largest

    def largest_delay(self) -> int:
        """Return the largest logical delay from any source to any reader, in steps."""
        return max((self._path_delay(node) for node in (*self.synapses, *self.poolings)), default=0)

    def _path_delay(self, node: Synapses | Pooling) -> int:
        delays = node.delays if isinstance(node, Dense | FixedDense) else None
        steps = 0 if delays is None else int(max(delays.max(), 0))
        operand = self[node.inputs[0]]
        while isinstance(operand, Delay):
            steps += operand.max_steps
            operand = self[operand.inputs[0]]
        return steps

    def with_nodes(self, nodes: Iterable[AnyNode]) -> "Graph":
        """Return a graph of the same name and step length with other nodes."""
        return replace(self, nodes=tuple(nodes))

    def map(self, change: Callable[[AnyNode], AnyNode]) -> "Graph":
        """Return the graph with every node changed by a function, or this graph if none was."""
        nodes = tuple(change(node) for node in self.nodes)
        unchanged = all(new is old for new, old in zip(nodes, self.nodes, strict=True))
        return self if unchanged else self.with_nodes(nodes)


def stage_of(node: AnyNode) -> Stage | None:
    """Return the stage that a node belongs to; None for routing and pooling, which belong to both."""
    match node:
        case Input() | Delay() | Output() | SumPool2d() | MaxPool2d():
            return None
        case Dense() | Conv2d() | Lif():
            return Stage.FLOAT
        case FixedDense() | FixedConv2d() | FixedLif():
            return Stage.FIXED
        case _:
            assert_never(node)


def same_structure(left: Graph, right: Graph) -> bool:
    """Return whether two graphs hold the same nodes with the same values, bit for bit."""
    same_header = (left.name, left.dt_ms, len(left.nodes)) == (right.name, right.dt_ms, len(right.nodes))
    return same_header and all(same_node(a, b) for a, b in zip(left.nodes, right.nodes, strict=True))


def same_node(left: Node, right: Node) -> bool:
    """Return whether two nodes hold the same values, bit for bit."""
    return type(left) is type(right) and all(
        _same_value(getattr(left, item.name), getattr(right, item.name)) for item in fields(left)
    )


def _same_value(left: Any, right: Any) -> bool:  # noqa: ANN401 - field values of any sort
    match left:
        case csr_array():
            return isinstance(right, csr_array) and all(
                np.array_equal(getattr(left, part), getattr(right, part))
                for part in ("data", "indices", "indptr")
            )
        case np.ndarray():
            return isinstance(right, np.ndarray) and left.dtype == right.dtype and np.array_equal(left, right)
        case Origin():
            return left.path == right.path and np.array_equal(left.elements, right.elements)
        case _:
            # An array that one of two nodes lacks is compared with None.
            return not isinstance(right, np.ndarray | csr_array) and bool(left == right)
