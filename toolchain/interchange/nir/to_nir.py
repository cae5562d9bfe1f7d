"""From a float graph to a NIR graph that means the same, and that other frameworks can read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never, final

import networkx as nx
import nir
import numpy as np
from scipy.sparse import csr_array

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.errors import FrontendError, PreconditionError
from toolchain.interchange.nir.conventions import PRODUCER, Convention, Drive, Rest
from toolchain.interchange.nir.neurons import NEURONS
from toolchain.interchange.nir.structure import Structure, flattened
from toolchain.interchange.nir.written_resets import WrittenResets
from toolchain.ir import Graph, Stage, ValueType
from toolchain.ir.footprint import check_node
from toolchain.ir.matrix import Matrix, delay_slots, sources_of, targets_of


@final
@dataclass(frozen=True)
class Exported:
    """A NIR graph, and sentences on what the file cannot say or says in another way."""

    graph: nir.NIRGraph
    notes: tuple[str, ...]


def to_nir(graph: Graph, reader: Convention) -> Exported:
    """Convert a float graph for the importer of a framework.

    A loop of one step is closed without a `Delay`, as every framework reads it, if a reader would delay the
    same connection (`nir_loops`); if it would delay another, all loops are written with a `Delay` each.
    Thresholds are written so that the reader fires where this network does.

    Args:
        graph: A graph in real numbers.
        reader: What the importing framework makes of a file; see `reader_convention`.

    Raises:
        PreconditionError: NIR has no words for a node, or the reader would read something else.
        FrontendError: Part of the network is reached from no input, which no reader takes.
    """
    if graph.stage is not Stage.FLOAT:
        raise PreconditionError("NIR holds real numbers", 'export the float graph: `stage="float"`')
    writer = _written(graph, reader, explicit=False)
    if not writer.is_read_as_meant():
        # Every loop of a graph waits at least one step somewhere: with that step in the file none is cut.
        writer = _written(graph, reader, explicit=True)
        flattened(writer.whole(), reader.dt)
        writer.notes.append(
            "loops are written with a Delay each: without, a reader would delay other connections than these"
        )
    return writer.finished()


def _written(graph: Graph, reader: Convention, *, explicit: bool) -> "_NirWriter":
    writer = _NirWriter(graph, reader, explicit=explicit)
    for node in graph:
        match node:
            case ir.Input():
                writer.add(node.name, nir.Input({"input": np.array(node.shape)}))
            case ir.Output():
                writer.add(node.name, _output(node, writer.types), writer.sent(node, node.name))
            case ir.Lif():
                writer.population(node)
            case ir.SumPool2d() | ir.MaxPool2d():
                writer.pool(node)
            case ir.Dense() | ir.Conv2d() | ir.Delay():
                pass
            case ir.FixedDense() | ir.FixedConv2d() | ir.FixedLif():
                raise PreconditionError(f"node '{node.name}' holds integers, NIR real numbers")
            case _:
                assert_never(node)
    return writer


def _output(node: ir.Output, types: Mapping[str, ValueType]) -> nir.Output:
    return nir.Output(
        {"output": np.array(types[node.inputs[0]].shape)}, metadata={"decode": node.decode.value}
    )


@final
@dataclass
class _NirWriter:
    """Adds nodes and edges.

    Attributes:
        graph: The graph that is written.
        reader: What the importing framework makes of it.
        explicit: Whether loops of one step have a `Delay`, too.
        nodes: Nodes of the file so far.
        edges: Edges between those nodes.
        notes: What the file says in another way.
        late: Nodes of the file that read one step late without a `Delay`.
        connections: Linear nodes of the file, each with its population.
    """

    graph: Graph
    reader: Convention
    explicit: bool
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    connections: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.types = self.graph.types
        whole = nx.DiGraph((operand, node.name) for node in self.graph for operand in node.inputs)
        self.resets = WrittenResets(self.reader)
        parts = nx.strongly_connected_components(whole)
        self.part = {name: i for i, names in enumerate(parts) for name in names}

    def add(self, name: str, node: nir.NIRNode, *sources: str) -> str:
        """Add a node that reads others."""
        if name in self.nodes:
            raise PreconditionError(
                f"two nodes of the file would be called '{name}'; rename the one you have"
            )
        self.nodes[name] = node
        self.edges.extend((source, name) for source in sources)
        return name

    def pool(self, node: ir.SumPool2d | ir.MaxPool2d) -> None:
        """Add a pooling; the largest of spikes is whether their sum is more than a half."""
        window = [np.array(pair) for pair in (node.kernel, node.stride, node.padding)]
        source = self.sent(node, node.name)
        if isinstance(node, ir.SumPool2d):
            self.add(node.name, nir.SumPool2d(*window), source)
            return
        summed = self.add(f"{node.name}.sum", nir.SumPool2d(*window), source)
        half = np.full(self.types[node.name].shape, 0.5)
        self.add(node.name, nir.Threshold(half), summed)
        self.notes.append(f"max-pooling '{node.name}' is written as a sum over a threshold: NIR has none")

    def sent(
        self,
        node: ir.Output | ir.SumPool2d | ir.MaxPool2d | ir.Dense | ir.Conv2d,
        reader: str,
        extra: int = 0,
    ) -> str:
        """Return the node of the file that holds what a node reads, delays included.

        Args:
            node: Node that reads.
            reader: Name of that node in the file.
            extra: Steps that its synapses wait besides.
        """
        source, steps = self.graph[node.inputs[0]], np.int64(extra)
        while isinstance(source, ir.Delay):
            steps = steps + source.steps
            source = self.graph[source.inputs[0]]
        if not steps.any():
            return source.name
        loops = self.part[node.name] == self.part[source.name]
        if loops and not self.explicit and (steps == 1).all():
            self.late.add(reader)
            return source.name
        delays = np.broadcast_to(steps * self.reader.dt, self.types[source.name].shape)
        delay = f"{reader}.delay{extra}" if extra else f"{reader}.delay"
        return self.add(delay, nir.Delay(np.array(delays)), source.name)

    def population(self, node: ir.Lif) -> None:
        """Add neurons and their connections."""
        instant = bool((node.du == 1).all())
        leaks = instant and bool((node.dv > 0).all())
        self.gain: Floats = np.ones_like(node.dv)
        if leaks and self.reader.ignores_r and self.reader.membrane is Drive.INTEGRATED:
            self.gain = 1.0 / node.dv
        left = self._connect(node, node.bias if instant else None)
        bias = left if instant else node.bias
        leftover = np.zeros_like(node.bias) if bias is None else bias
        self.add(node.name, self._neuron(node, leftover))
        self.edges.extend((name, node.name) for name in self.incoming)
        self.connections.extend((name, node.name) for name in self.incoming)

    def _connect(self, node: ir.Lif, bias: Floats | None) -> Floats | None:
        """Add the connections of a population; return the bias that none of them could take."""
        self.incoming: list[str] = []
        left = None if bias is None or not bias.any() else bias
        for name in node.inputs:
            connection = self.graph[name]
            if isinstance(connection, ir.Dense):
                taken = left
                self._dense(connection, taken)
                left = None
            elif isinstance(connection, ir.Conv2d):
                channels = None if left is None else left.reshape(len(left), -1)
                shared = channels is not None and bool((channels == channels[:, :1]).all())
                taken = (
                    channels[:, 0] if channels is not None and shared else np.zeros(len(connection.weights))
                )
                self._convolution(connection, node.name, taken)
                left = None if shared else left
        return left

    def _dense(self, node: ir.Dense, bias: Floats | None) -> None:
        slots = delay_slots(node.weights, node.delays) or [(0, node.weights)]
        elements = targets_of(node.weights) * sources_of(node.weights)
        check_node(node.name, "as NIR writes matrices it", 8 * len(slots) * elements)
        for number, (delay, weights) in enumerate(slots):
            name = node.name if len(slots) == 1 else f"{node.name}.{delay}"
            source = self.sent(node, name, delay)
            shape = self.types[node.inputs[0]].shape
            if len(shape) > 1:
                source = self.add(f"{name}.flatten", nir.Flatten({"input": np.array(shape)}, 0, -1), source)
            matrix = _array(weights) * self.gain.reshape(-1, 1)
            carried = None if number else bias
            linear = nir.Linear(matrix) if carried is None else nir.Affine(matrix, carried * self.gain)
            self.incoming.append(self.add(name, linear, source))

    def _convolution(self, node: ir.Conv2d, population: str, bias: Floats) -> None:
        shape = self.types[node.inputs[0]].shape
        source = self.sent(node, node.name)
        gain = self.gain.reshape(len(node.weights), -1)
        if (gain != gain[:, :1]).any():
            raise PreconditionError(
                f"population '{population}' has decays that differ within a feature map, which "
                f"{self.reader.name} would multiply its input by"
            )
        kernel = nir.Conv2d(
            (shape[1], shape[2]),
            node.weights * gain[:, :1, None, None],
            node.stride,
            node.padding,
            node.dilation,
            node.groups,
            bias * gain[:, 0],
        )
        self.incoming.append(self.add(node.name, kernel, source))

    def _neuron(self, node: ir.Lif, bias: Floats) -> nir.NIRNode:
        """Return neurons whose step is that of a population.

        A unit of input adds a unit, whatever the reader multiplies; a bias that no connection took is a leak
        toward a potential of its own.
        """
        silent = bool(np.isinf(node.vth).all())
        if not silent and np.isinf(node.vth).any():
            raise PreconditionError(
                f"population '{node.name}' has read-out and spiking neurons; NIR cannot say so"
            )
        vth = np.array(node.vth)
        if self.reader.fires_at_threshold and not silent:
            vth = np.nextafter(vth, np.inf)
        v_reset = np.zeros_like(vth) if silent else self.resets.add(node, vth)
        instant = bool((node.du == 1).all())
        if instant and not node.dv.any():
            self._refuse_bias(node, bias)
            step = self.reader.dt if self.reader.integrator is Drive.INTEGRATED else 1.0
            r = np.full(vth.shape, 1.0 / step)
            return nir.I(r) if silent else nir.IF(r, vth, v_reset)
        if (node.dv == 0).any():
            self._refuse(node, "dv = 0 beside a current filter or other decays", "an infinite time constant")
        leak = bias / node.dv
        # Neurons that never fire have no v_reset to begin at.
        begins = {Rest.LEAK, Rest.RESET} if silent else {Rest.LEAK}
        if leak.any() and self.reader.rest in begins:
            self._refuse(
                node, "a bias behind its current filter", f"one that {self.reader.name} does not begin at"
            )
        tau, r = self._filter(node.dv, self.reader.membrane)
        if instant:
            r = np.ones_like(r) if self.reader.ignores_r else r
            return nir.LI(tau, r, leak) if silent else nir.LIF(tau, r, leak, vth, v_reset)
        if (node.du == 0).any():
            self._refuse(node, "du = 0", "an infinite time constant")
        tau_syn, w_in = self._filter(node.du, self.reader.synapse)
        if silent:
            return nir.CubaLI(tau_syn, tau, r, leak, w_in)
        return nir.CubaLIF(tau_syn, tau, r, leak, vth, v_reset, w_in)

    def _filter(self, decay: Floats, drive: Drive) -> tuple[Floats, Floats]:
        """Return time constants, and gains with which a unit of input adds a unit."""
        taus = self.reader.taus(decay)
        return taus, 1.0 / (decay if drive is Drive.INTEGRATED else self.reader.gain(taus, drive))

    def _refuse_bias(self, node: ir.Lif, bias: Floats) -> None:
        if bias.any():
            self._refuse(node, "a bias that no connection can carry, and no leak", "a constant input")

    def _refuse(self, node: ir.Lif, what: str, need: str) -> None:
        raise PreconditionError(f"population '{node.name}' has {what}; NIR would need {need}")

    def whole(self) -> nir.NIRGraph:
        """Return the graph as the reader gets it."""
        metadata = {
            "dt": self.reader.dt,
            "convention": self.reader.name,
            "reset": self.resets.word,
            "producer": PRODUCER,
        }
        return nir.NIRGraph(self.nodes, self.edges, metadata=metadata, type_check=False)

    def is_read_as_meant(self) -> bool:
        """Return whether a reader delays just the connections that are one step late."""
        try:
            structure = flattened(self.whole(), self.reader.dt)
        except FrontendError:
            return False
        return all(self._waits(structure, *connection) for connection in self.connections)

    def _waits(self, structure: Structure, connection: str, population: str) -> bool:
        """Return whether a connection waits in the file as long as in the graph."""
        path = [(connection, population)]
        delayed = False
        while not isinstance(structure.nodes[path[-1][0]], (*NEURONS, nir.Input)) or self._pools(path[-1][0]):
            (source,) = structure.sources(path[-1][0])
            delayed |= isinstance(structure.nodes[source], nir.Delay)
            path.append((source, path[-1][0]))
        back = sum(edge in structure.back for edge in path)
        return back == sum(name in self.late for name, _ in path) and not (back and delayed)

    def _pools(self, name: str) -> bool:
        """Return whether neurons of the file are a max-pooling here."""
        return name in self.graph and isinstance(self.graph[name], ir.MaxPool2d)

    def finished(self) -> Exported:
        """Return the graph."""
        if any(isinstance(node, nir.Delay) for node in self.nodes.values()):
            self.notes.append(
                "delays are written as Delay, which snnTorch, Norse, sinabs and SpikingJelly refuse"
            )
        if self.reader.note and any(isinstance(node, nir.IF | nir.LIF) for node in self.nodes.values()):
            self.notes.append(self.reader.note)
        return Exported(self.whole(), tuple(self.notes))


def _array(weights: Matrix) -> Floats:
    return weights.toarray() if isinstance(weights, csr_array) else np.array(weights)
