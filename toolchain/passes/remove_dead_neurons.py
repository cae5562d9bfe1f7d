"""Remove neurons that can never fire or that nothing reads; whole channels where weights are shared."""

from dataclasses import dataclass, replace
from typing import ClassVar, assert_never, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, Graph, Pooling, Stage
from toolchain.ir.matrix import columns_of, rows_of, sources_of, submatrix, values_of
from toolchain.passes.base import Pass

Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True, kw_only=True)
class RemoveDeadNeurons(Pass):
    """Shrink populations by the neurons, or channels of feature maps, that change nothing.

    A neuron of finite threshold is dead if it has neither a positive incoming weight nor a
    positive bias: its potential never rises above zero. That holds whatever a spike does, since without a
    first spike it does nothing: no reset sets a potential above zero, and no threshold, which begins above
    zero, ever falls below where it began. A neuron is unread if it is in no
    output population and all its outgoing weights are zero. Output populations stay whole, even
    where a neuron is silent, because its place says which class it stands for. Removing one neuron can make
    others dead, so the pass repeats until nothing changes. Every remaining neuron does exactly what it
    did before; a population keeps at least one neuron or channel. The neurons of a feature map share
    their weights, so they go together; a channel that a grouped convolution reads stays.
    """

    name: ClassVar[str] = "remove-dead-neurons"

    def requires(self, graph: Graph) -> None:
        """Accept float graphs only: in integers a wrapping current could wake a dead neuron."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError(
                "'remove-dead-neurons' needs a float graph; run it before 'quantize-graph'"
            )

    def rewrite(self, graph: Graph) -> Graph:
        """Return the graph without dead and unread neurons."""
        while True:
            alive = {node.name: _alive(graph, node) for node in graph.populations}
            if all(mask.all() for mask in alive.values()):
                return graph
            graph = _shrink(graph, alive)


def _alive(graph: Graph, node: AnyNode) -> Mask:
    """Return which neurons, or channels, of a population have an effect."""
    if not isinstance(node, ir.Lif):
        return np.ones(0, dtype=bool)
    if any(isinstance(reader, ir.Output) for reader in graph.readers(node.name)):
        return np.ones(len(node.vth), dtype=bool)
    alive: Mask = np.any((np.isinf(node.vth) | (node.bias > 0)).reshape(len(node.vth), -1), axis=1)
    for name in node.inputs:
        connection = _connection(graph, name)
        rows, values = rows_of(connection.weights), values_of(connection.weights)
        # A graded input may be negative, so a negative weight can excite as well.
        excites = values > 0 if graph.graded_input(connection) is None else values != 0
        alive[rows[excites]] = True
        if isinstance(connection, ir.Conv2d) and connection.groups > 1:
            alive[:] = True
    alive &= _read(graph, node)
    if not alive.any():
        alive[0] = True
    return alive


def _read(graph: Graph, node: ir.Lif) -> Mask:
    read = np.zeros(len(node.vth), dtype=bool)
    frontier = [node.name]
    while frontier:
        for reader in graph.readers(frontier.pop()):
            match reader:
                case ir.Output():
                    read[:] = True
                case ir.Delay() | ir.SumPool2d() | ir.MaxPool2d():
                    frontier.append(reader.name)
                case ir.Dense():
                    positions = sources_of(reader.weights) // len(read)
                    read[columns_of(reader.weights)[values_of(reader.weights) != 0] // positions] = True
                case ir.Conv2d() if reader.groups == 1:
                    read |= (reader.weights != 0).any(axis=(0, 2, 3))
                case ir.Conv2d():
                    read[:] = True
                case _:
                    pass
    return read


def _connection(graph: Graph, name: str) -> ir.Dense | ir.Conv2d:
    node = graph[name]
    if not isinstance(node, ir.Dense | ir.Conv2d):
        raise PreconditionError(f"population input '{name}' is a {node.kind}, expected a connection")
    return node


def _shrink(graph: Graph, alive: dict[str, Mask]) -> Graph:
    def source_mask(name: str) -> Mask | None:
        source, _ = graph.source(name)
        while isinstance(source, Pooling):
            source, _ = graph.source(source.inputs[0])
        return alive.get(source.name)

    def shrink(node: AnyNode) -> AnyNode:
        match node:
            case ir.Input() | ir.Output() | ir.SumPool2d() | ir.MaxPool2d():
                return node
            case ir.Delay():
                return _shrink_delay(node, source_mask(node.name))
            case ir.Dense():
                rows = alive[graph.readers(node.name)[0].name]
                return _shrink_dense(node, rows, source_mask(node.inputs[0]))
            case ir.Conv2d():
                rows = alive[graph.readers(node.name)[0].name]
                return _shrink_convolution(node, rows, source_mask(node.inputs[0]))
            case ir.Lif():
                return _shrink_population(node, alive[node.name])
            case ir.FixedDense() | ir.FixedConv2d() | ir.FixedLif():
                raise node.fail("is an integer operation in a float graph")
            case _:
                assert_never(node)

    return graph.map(shrink)


def _shrink_delay(node: ir.Delay, mask: Mask | None) -> ir.Delay:
    if mask is None or mask.all():
        return node
    channels = node.shape[0] * int(mask.sum()) // len(mask)
    shape = (channels, *node.shape[1:])
    return replace(node, shape=shape, steps=node.steps if isinstance(node.steps, int) else node.steps[mask])


def _shrink_population(node: ir.Lif, mask: Mask) -> ir.Lif:
    if mask.all():
        return node
    every = np.broadcast_to(mask.reshape(-1, *[1] * (node.vth.ndim - 1)), node.vth.shape).ravel()
    return replace(
        node,
        origin=node.origin.select(every),
        **{name: values[mask] for name, values in node.per_neuron.items()},
    )


def _shrink_dense(node: ir.Dense, rows: Mask, columns: Mask | None) -> ir.Dense:
    if rows.all() and (columns is None or columns.all()):
        return node
    # Feature maps are read flattened: a channel is a run of columns.
    chosen = slice(None) if columns is None else np.repeat(columns, sources_of(node.weights) // len(columns))
    delays = None if node.delays is None else submatrix(node.delays, rows, chosen)
    return replace(node, weights=submatrix(node.weights, rows, chosen), delays=delays)


def _shrink_convolution(node: ir.Conv2d, rows: Mask, columns: Mask | None) -> ir.Conv2d:
    if rows.all() and (columns is None or columns.all()):
        return node
    chosen = np.ones(node.weights.shape[1] * node.groups, bool) if columns is None else columns
    if node.groups == 1:
        return replace(node, weights=node.weights[rows][:, chosen])
    targets, sources = (mask.reshape(node.groups, -1) for mask in (rows, chosen))
    left = targets.any(axis=1) | sources.any(axis=1)
    sizes = np.stack([targets.sum(axis=1), sources.sum(axis=1)], axis=1)[left]
    if not (sizes.all() and (sizes == sizes[:1]).all()):
        # Groups have one size; so each target reads all sources, those of other groups with weight 0.
        return replace(node, weights=_ungrouped(node)[np.ix_(rows, chosen)], groups=1)
    of_target = sources[np.arange(len(rows)) // targets.shape[1]]
    kernels = [node.weights[target][of_target[target]] for target in np.flatnonzero(rows)]
    return replace(node, weights=np.stack(kernels), groups=int(left.sum()))


def _ungrouped(node: ir.Conv2d) -> NDArray[np.float64]:
    """Return the weights of all sources for every target, `[targets, sources, rows, columns]`."""
    targets, sources = node.weights.shape[:2]
    whole = np.zeros((targets, sources * node.groups, *node.weights.shape[2:]))
    for target, weights in enumerate(node.weights):
        first = target * node.groups // targets * sources
        whole[target, first : first + sources] = weights
    return whole
