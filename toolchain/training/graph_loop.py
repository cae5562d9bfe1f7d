"""Populations that feed back into one another, run over all steps by the compiled loops."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain import ir
from toolchain.ir import AnyNode, Graph
from toolchain.models.loops.compiled_passes import CompiledPasses
from toolchain.models.loops.neurons import COLUMNS, KIND, NUMBERS, PORT, START, STOP, VTH
from toolchain.models.loops.plan import BIAS_PLACE, GIVEN, Places
from toolchain.models.loops.ruled_neurons import LIMIT, TARGET, TRUNCATES
from toolchain.models.loops.run import EarlyCurrent, LoopPass, Run
from toolchain.models.loops.synapses import ConnectedPart, SynapseLists
from toolchain.training.graph_connection import TrainedConnection
from toolchain.training.graph_parts import GraphActivity, GraphParts
from toolchain.training.ruled_layers import numbers_of, row_of, slope_of

Connections = Mapping[str, TrainedConnection]
_KINDS: Final[dict[torch.dtype, Any]] = {torch.float32: np.float32, torch.float64: np.float64}


def loop_obstacle(graph: Graph, nodes: Sequence[AnyNode]) -> str | None:
    """Return why the loops do not know nodes that feed back, as a clause; None if they do."""
    order = {node.name: i for i, node in enumerate(graph)}
    for node in nodes:
        match node:
            case ir.Conv2d():
                return f"convolution '{node.name}' feeds back"
            case ir.SumPool2d() | ir.MaxPool2d():
                return f"pooling '{node.name}' feeds back"
            case ir.Dense():
                source, steps = graph.source(node.inputs[0])
                if steps == 0 and order[source.name] > order[node.name]:
                    return f"connection '{node.name}' reads within a step what is computed later in it"
            case _:
                pass
    return None


@final
class GraphLoop:
    """Populations that feed back into one another, made ready for runs.

    A connection whose sums are rounded or wrapped before they meet others has a port for each of its delays:
    a place in the row of neurons where they are formed.

    Args:
        graph: Float graph.
        connections: Its connections.
        nodes: The populations, and the connections and delays between them.
        kind: Type of all numbers.
    """

    def __init__(
        self, graph: Graph, connections: Connections, nodes: Sequence[AnyNode], kind: torch.dtype
    ) -> None:
        self.kind = kind
        self.populations = [node for node in nodes if isinstance(node, ir.Lif)]
        members = {node.name for node in nodes}
        self.outer = {
            node.name: [name for name in node.inputs if name not in members] for node in self.populations
        }
        inner = [(node, name) for node in self.populations for name in node.inputs if name in members]
        self._inner = [name for _, name in inner]
        ports = {
            (node.name, name): [_port(node, name, delay) for delay in _slots(connections[name])]
            for node, name in inner
            if not connections[name].is_linear
        }
        sizes: dict[str, int] = {}
        for node in self.populations:
            own = [port for (target, _), names in ports.items() if target == node.name for port in names]
            sizes |= dict.fromkeys(own, node.vth.size) | {node.name: node.vth.size}
        self.places = Places.of(sizes, kind)
        self._table = self._layers(connections, ports)
        self._parts = [self._part(graph, connections[name], node) for node, name in inner]
        self._lists: tuple[int, SynapseLists] | None = None

    def _layers(
        self, connections: Connections, ports: Mapping[tuple[str, str], Sequence[str]]
    ) -> NDArray[np.int64]:
        """Return the table of layers with their places, and all that is to say of ports."""
        bounds = [start for start, _ in self.places.layers.values()] + [self.places.neurons]
        table = np.zeros((len(self.places.layers), COLUMNS), np.int64)
        table[:, START], table[:, STOP] = bounds[:-1], bounds[1:]
        rows = dict(zip(self.places.layers, table, strict=True))
        for (target, name), own in ports.items():
            connection = connections[name]
            for port in own:
                rows[port][[KIND, TARGET]] = PORT, self.places.layers[target][0]
                rows[port][[TRUNCATES, LIMIT]] = connection.floors, int(connection.limit)
        return table

    def _part(self, graph: Graph, connection: TrainedConnection, target: ir.Lif) -> ConnectedPart:
        """Return the synapses of a connection with all delays on their way."""
        stored = connection.synapses()
        source, waits = _followed(graph, connection.node.inputs[0])
        starts = np.full(len(stored.targets), self.places.layers[target.name][0])
        if not connection.is_linear:
            for delay in _slots(connection):
                port = _port(target, connection.node.name, delay)
                starts[stored.delays == delay] = self.places.layers[port][0]
        waited = np.broadcast_to(waits, source.vth.shape).reshape(-1)[stored.sources]
        first, _ = self.places.layers[source.name]
        begin = int(starts[0]) if len(starts) else 0
        return ConnectedPart(
            (first, source.vth.size, begin, target.vth.size),
            self.places.layers[source.name][0] + stored.sources,
            starts + stored.targets,
            stored.delays + waited,
            stored.stored,
        )

    def run(
        self,
        parts: GraphParts,
        currents: Mapping[str, Tensor],
        extent: tuple[int, int],
        wanted: Collection[str],
    ) -> GraphActivity:
        """Run all steps from rest.

        Args:
            parts: What the graph computes with.
            currents: What the populations receive from elsewhere, `[batch, time, N]` by population.
            extent: Samples and steps.
            wanted: Populations whose spikes are asked for.
        """
        names = [node.name for node in self.populations]
        biases = {
            node.name: parts.biases[node.name].to(self.kind).expand(node.vth.shape).reshape(-1)
            for node in self.populations
        }
        shown, heard = (self._range(some) for some in (parts.shown.intersection(names), wanted))
        table, slopes, numbers = self._filled(parts, biases)
        run = Run(
            batch=extent[0],
            steps=extent[1],
            places=self.places,
            like=torch.empty(0, dtype=self.kind),
            lists=self._lists_of(extent[1]),
            passes=partial(CompiledPasses, numbers, table, slopes),
            products=(),
            currents=[EarlyCurrent(0, name) for name in currents],
            inner=[tuple(parts.connections[name].values.shape) for name in self._inner],
            shown=shown,
            heard=heard,
            currents_too=parts.records,
            recompute=False,
            backward=torch.is_grad_enabled(),
        )
        values = [each.flatten(2).to(self.kind) for each in currents.values()]
        weights = [parts.connections[name].acting().to(self.kind) for name in self._inner]
        # Of all numbers of neurons, biases alone are trained.
        given: list[Tensor | None] = []
        for name in self.places.layers:
            given += [biases.get(name) if place == BIAS_PLACE else None for place in range(len(GIVEN))]
        v, spikes, u = LoopPass.apply(run, *values, *weights, *given)  # type: ignore[misc]
        return GraphActivity(
            self._by_name(spikes, wanted, heard),
            self._by_name(v, parts.shown.intersection(names), shown),
            self._by_name(u, parts.shown.intersection(names) if parts.records else (), shown),
        )

    def _lists_of(self, steps: int) -> SynapseLists:
        """Return the synapses for runs of so many steps; the last ones are remembered."""
        if self._lists is None or self._lists[0] != steps:
            layers, device = list(self.places.layers.values()), torch.device("cpu")
            lists = SynapseLists.of(self._parts, layers, self.places.neurons, steps, device, wide=True)
            self._lists = (steps, lists)
        return self._lists[1]

    def _filled(
        self, parts: GraphParts, biases: Mapping[str, Tensor]
    ) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
        """Return the table of layers, slopes, and numbers; what is no neuron never fires."""
        table, kind = self._table.copy(), _KINDS[self.kind]
        slopes = np.zeros(len(table), kind)
        numbers = np.zeros((NUMBERS, self.places.neurons), kind)
        numbers[VTH] = np.inf
        for k, name in enumerate(self.places.layers):
            if name in biases:
                neurons = parts.neurons[name]
                table[k] += row_of(neurons, self.kind)
                slopes[k] = slope_of(neurons)
                numbers[:, self.places.slice(name)] = numbers_of(neurons, biases[name])
        return table, slopes, numbers

    def _range(self, names: Collection[str]) -> tuple[int, int]:
        """Return first neuron and number of a range that holds some populations: of one alone, or of all."""
        if len(names) > 1:
            return (0, self.places.neurons)
        return next((self.places.layers[name] for name in names), (0, 0))

    def _by_name(self, values: Tensor, names: Collection[str], within: tuple[int, int]) -> dict[str, Tensor]:
        """Return the part of each population of values that begin at a neuron."""
        shapes = {node.name: node.vth.shape for node in self.populations}
        places = {name: self.places.layers[name] for name in names}
        return {
            name: values[:, :, start - within[0] : start - within[0] + size].unflatten(2, shapes[name])
            for name, (start, size) in places.items()
        }


def _port(target: ir.Lif, connection: str, delay: int) -> str:
    """Return the name of a port; no node has one with a blank."""
    return f"{target.name} {connection} {delay}"


def _slots(connection: TrainedConnection) -> list[int]:
    """Return the delays of the synapses of a connection, each once."""
    return np.unique(connection.synapses().delays).tolist()


def _followed(graph: Graph, name: str) -> tuple[ir.Lif, NDArray[np.int64]]:
    """Return the population from which a message comes, and how many steps it waits, for each neuron."""
    node, waits = graph[name], np.zeros((), np.int64)
    while isinstance(node, ir.Delay):
        waits = waits + np.asarray(node.steps)
        node = graph[node.inputs[0]]
    if not isinstance(node, ir.Lif):
        raise TypeError(f"'{node.name}' is no population")
    return node, waits
