"""From a graph in logical time to Lava processes in clock time: taps, relays, poolings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
from scipy.sparse import csr_array

from targets.lava.runtime.documents import (
    LavaAdder,
    LavaConnection,
    LavaConvolution,
    LavaInput,
    LavaNetwork,
    LavaPopulation,
    LavaSource,
    Numbers,
)
from targets.lava.runtime.firing import OPTIONAL, SpikeEffect
from toolchain import fixedpoint, ir
from toolchain.arrays import Array
from toolchain.execution.stimulus import stored_key
from toolchain.fixedpoint import SignMode
from toolchain.ir import EdgeKind, Graph, Pooling, Population, Stage, Synapses, Window
from toolchain.ir.footprint import check_node
from toolchain.ir.matrix import Matrix, delay_slots, sources_of, targets_of
from toolchain.ir.types import size_of
from toolchain.passes import ClockSchedule, RetimeDelays, find_schedule

_POOLED: Final = 64
"""Bytes that an element of a window takes while the matrix of a pooling is made."""
_RELAY: Final = 2**14
"""Bytes of a relay: a population, and the identity that leads to it."""
_RELAY_NEURON: Final = 80
"""Bytes of each neuron of a relay."""
_FORGET_AT_ONCE: Final = fixedpoint.DECAY_UNITY - 1


@final
@dataclass(frozen=True)
class Plan:
    """Everything that Lava has to build.

    Attributes:
        network: The processes.
        weights: Their arrays, `"<process>/<part>"`.
        schedule: Offsets of the populations, poolings and inputs of the graph.
    """

    network: LavaNetwork
    weights: dict[str, Array] = field(repr=False)
    schedule: ClockSchedule


def plan_processes(graph: Graph) -> Plan:
    """Lay a graph out in clock time.

    Lava at step `t + offset` equals the reference at step `t` for every population.

    Raises:
        FeedbackError: A cycle has less logical delay than connections.
    """
    schedule = find_schedule(graph)
    retimed = RetimeDelays(schedule=schedule)(graph)
    planner = _Planner(graph, schedule)
    for population in graph.populations:
        planner.add_population(population)
    for pooling in graph.poolings:
        planner.add_pooling(pooling)
    for pooling in retimed.poolings:
        planner.join_pooling(retimed, pooling)
    for synapses in retimed.synapses:
        planner.connect(retimed, synapses)
    return Plan(planner.network(), planner.weights, schedule)


@final
class _Planner:
    """Collects processes; the taps of a source are shared by all its readers."""

    def __init__(self, graph: Graph, schedule: ClockSchedule) -> None:
        self._graph = graph
        self._types = graph.types
        self._offsets = schedule.offsets
        self._numbers = Numbers.FIXED if graph.stage is Stage.FIXED else Numbers.REAL
        self._sources: dict[str, LavaSource] = {}
        self._populations: dict[str, LavaPopulation] = {}
        self._adders: dict[str, LavaAdder] = {}
        self._connections: list[LavaConnection] = []
        self._convolutions: list[LavaConvolution] = []
        self.weights: dict[str, Array] = {}

    def network(self) -> LavaNetwork:
        """Return what was collected."""
        return LavaNetwork(
            name=self._graph.name,
            numbers=self._numbers,
            inputs=tuple(map(_input, self._graph.inputs)),
            sources=tuple(self._sources.values()),
            populations=tuple(self._populations.values()),
            adders=tuple(self._adders.values()),
            connections=tuple(self._connections),
            convolutions=tuple(self._convolutions),
            potentials_read=tuple(
                sorted({node.inputs[0] for node in self._graph.outputs if node.reads_potential})
            ),
        )

    def add_population(self, node: Population) -> None:
        """Add a population of the graph."""
        name, offset = node.name, self._offsets[node.name]
        effect, most = SpikeEffect(node.reset.value), node.max_spikes
        population = LavaPopulation(name, node.vth.shape, offset, relay=False, reset=effect, max_spikes=most)
        self._keep(population, _parameters(node))

    def add_pooling(self, node: Pooling) -> None:
        """Add the neurons of a pooling: an OR needs stateless ones, a sum only passes on."""
        shape, offset = self._types[node.name].shape, self._offsets[node.name]
        if isinstance(node, ir.MaxPool2d):
            self._keep(LavaPopulation(node.name, shape, offset, relay=False), self._stateless(shape))
        else:
            self._adders[node.name] = LavaAdder(node.name, shape, offset)

    def join_pooling(self, retimed: Graph, node: Pooling) -> None:
        """Connect a pooling to what it pools: every element of a window with weight 1."""
        wait = _wait_of(retimed, node)
        shape = self._types[wait.inputs[0]].shape
        elements = size_of(self._types[node.name].shape) * node.window.area
        check_node(node.name, "on Lava the matrix of its windows", elements * _POOLED)
        matrix = pooling_matrix(node.window, shape, self._numbers.dtype)
        source = self._tap(wait.inputs[0], wait.min_steps - 1)
        self._join_ones(f"{node.name}@pool", source, node.name, matrix)

    def connect(self, retimed: Graph, node: Synapses) -> None:
        """Add one connection process per delay slot."""
        wait = _wait_of(retimed, node)
        (target,) = retimed.readers(node.name)
        graded = wait.edge is EdgeKind.GRADED
        # The connection process itself is one step late.
        late = wait.min_steps - 1
        if isinstance(node, ir.Conv2d | ir.FixedConv2d):
            source = self._tap(wait.inputs[0], late)
            self._convolutions.append(_convolution(node, source, target.name, wait))
            self.weights[f"{node.name}/kernel"] = _in_lava_order(node)
            return
        slots = delay_slots(node.weights, node.delays)
        for delay, weights in slots:
            source = self._tap(wait.inputs[0], late + delay)
            name = node.name if len(slots) == 1 else f"{node.name}@{delay}"
            self._add_connection(name, source, target.name, weights, node, graded=graded)

    def _tap(self, name: str, wait: int) -> str:
        """Return the process that sends what `name` sends, `wait` steps later."""
        node = self._graph[name]
        if isinstance(node, ir.Input):
            tap = f"{name}@{wait}"
            self._sources[tap] = LavaSource(tap, name, node.shape, wait, self._offsets[name])
            return tap
        each = _RELAY + _RELAY_NEURON * size_of(self._types[name].shape)
        check_node(name, f"on Lava the populations that repeat it for {wait} steps", wait * each)
        for step in range(1, wait + 1):
            self._relay(name, step)
        return name if wait == 0 else f"{name}~{wait}"

    def _relay(self, name: str, step: int) -> None:
        """Add the process that repeats another one `step` steps later, unless it is there."""
        relay = f"{name}~{step}"
        if relay in self._populations or relay in self._adders:
            return
        shape, offset = self._types[name].shape, self._offsets[name] + step
        if self._types[name].kind is EdgeKind.GRADED:
            self._adders[relay] = LavaAdder(relay, shape, offset)
        else:
            self._keep(LavaPopulation(relay, shape, offset, relay=True), self._stateless(shape))
        before = name if step == 1 else f"{name}~{step - 1}"
        size = np.arange(size_of(shape))
        ones = np.ones(size.size, self._numbers.dtype)
        identity = csr_array((ones, (size, size)), shape=(size.size, size.size))
        self._join_ones(f"{before}>{relay}", before, relay, identity)

    def _join_ones(self, name: str, source: str, target: str, matrix: csr_array) -> None:
        """Connect two processes by synapses of weight 1."""
        self._add_connection(name, source, target, matrix, None, graded=target in self._adders)

    def _keep(self, population: LavaPopulation, parameters: dict[str, Array]) -> None:
        self._populations[population.name] = population
        self.weights |= {f"{population.name}/{part}": values for part, values in parameters.items()}

    def _add_connection(
        self,
        name: str,
        source: str,
        target: str,
        matrix: Matrix,
        node: ir.Dense | ir.FixedDense | None,
        *,
        graded: bool,
    ) -> None:
        """Add synapses, with the rules of a node or those of excitatory ones."""
        sparse = isinstance(matrix, csr_array)
        if isinstance(matrix, csr_array):
            parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
        else:
            parts = {"dense": matrix}
        self.weights |= {f"{name}/{part}": values for part, values in parts.items()}
        exponent, weight_bits, sign_mode = 0, fixedpoint.WEIGHT_BITS, None
        if self._numbers is Numbers.FIXED:
            sign_mode = SignMode.EXCITATORY.value
        if isinstance(node, ir.FixedDense):
            exponent, weight_bits, sign_mode = node.exponent, node.weight_bits, node.sign_mode.value
        self._connections.append(
            LavaConnection(
                name=name,
                source=source,
                target=target,
                shape=(targets_of(matrix), sources_of(matrix)),
                sparse=sparse,
                exponent=exponent,
                sign_mode=sign_mode,
                weight_bits=weight_bits,
                graded=graded,
            )
        )

    def _stateless(self, shape: tuple[int, ...]) -> dict[str, Array]:
        """Return neurons that spike at once and forget.

        In integers one spike of weight 1 lifts v to 64 > 0, and the decays leave nothing of it.
        """
        decay, vth = (_FORGET_AT_ONCE, 0) if self._numbers is Numbers.FIXED else (1, 0.5)
        values = {"du": decay, "dv": decay, "vth": vth, "bias_mant": 0, "bias_exp": 0}
        return {part: np.full(shape, value, self._numbers.dtype) for part, value in values.items()}


def pooling_matrix(window: Window, shape: Sequence[int], dtype: type[np.generic]) -> csr_array:
    """Return the ones of a pooling, `[targets, sources]`, features flattened in the order C, H, W."""
    marks = np.arange(1, size_of(tuple(shape)) + 1).reshape(tuple(shape))
    # Zero marks what lies outside of the image.
    patches = np.stack([patch.ravel() for patch in window.patches(marks)], axis=1)
    targets, elements = np.nonzero(patches)
    ones = np.ones(targets.size, dtype)
    return csr_array((ones, (targets, patches[targets, elements] - 1)), shape=(len(patches), marks.size))


def _input(node: ir.Input) -> LavaInput:
    graded = node.edge is EdgeKind.GRADED
    return LavaInput(node.name, stored_key(node.name), node.shape, graded, float(node.scale), node.bits)


def _wait_of(retimed: Graph, node: Synapses | Pooling) -> ir.Delay:
    wait = retimed[node.inputs[0]]
    if not isinstance(wait, ir.Delay):
        raise node.fail("is not retimed")
    return wait


def _convolution(
    node: ir.Conv2d | ir.FixedConv2d, source: str, target: str, wait: ir.Delay
) -> LavaConvolution:
    """Return a convolution in Lava's order: columns before rows."""
    channels, rows, columns = wait.shape
    window = node.window
    return LavaConvolution(
        name=node.name,
        source=source,
        target=target,
        input_shape=(columns, rows, channels),
        stride=(window.stride[1], window.stride[0]),
        padding=(window.padding[1], window.padding[0]),
        dilation=(window.dilation[1], window.dilation[0]),
        groups=node.groups,
        graded=wait.edge is EdgeKind.GRADED,
    )


def _in_lava_order(node: ir.Conv2d | ir.FixedConv2d) -> Array:
    """Return weights `[out, in, rows, columns]` as Lava wants them: `[out, columns, rows, in]`, flipped.

    Lava convolves in the sense of mathematics, whose kernel runs backwards; it knows no exponent here.
    """
    weights = node.weights << node.exponent if isinstance(node, ir.FixedConv2d) else node.weights
    return np.ascontiguousarray(weights[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))


def _parameters(neurons: Population) -> dict[str, Array]:
    """Return the arrays of a population under Lava's names."""
    shared: dict[str, Array] = {"du": neurons.du, "dv": neurons.dv, "vth": neurons.vth}
    if isinstance(neurons, ir.FixedLif):
        shared |= {"bias_mant": neurons.bias_mantissa, "bias_exp": neurons.bias_exponent}
    else:
        shared |= {"bias_mant": neurons.bias, "bias_exp": np.zeros(neurons.bias.shape)}
    return shared | {part: neurons.per_neuron[part] for part in OPTIONAL if part in neurons.per_neuron}
