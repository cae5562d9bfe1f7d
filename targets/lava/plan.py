"""From a graph in logical time to Lava processes in clock time: taps, relays, windows."""

from dataclasses import dataclass, field
from typing import Final, assert_never, final

import numpy as np
from scipy.sparse import csr_array

from toolchain import fixedpoint
from toolchain.fixedpoint import SignMode
from toolchain.ir import (
    Delay,
    Dense,
    EdgeKind,
    FixedDense,
    FixedLif,
    Graph,
    Input,
    Lif,
    Origin,
    Population,
    Stage,
    Synapses,
)
from toolchain.ir.matrix import Matrix, delay_slots
from toolchain.ir.types import size_of
from toolchain.passes import RetimeDelays, Schedule, find_schedule

_FORGET_AT_ONCE: Final = fixedpoint.DECAY_UNITY - 1


@final
@dataclass(frozen=True)
class SourceProcess:
    """Sends one input, late by `wait` steps.

    Attributes:
        name: Unique.
        input: Name of the graph's input.
        channels: Its size.
        wait: Steps between the stimulus and the sending.
        offset: Clock step of logical step 0.
    """

    name: str
    input: str
    channels: int
    wait: int
    offset: int


@final
@dataclass(frozen=True)
class NeuronProcess:
    """A population, or a relay that repeats another population one step later.

    Attributes:
        name: Unique.
        neurons: Its parameters.
        offset: Clock step of logical step 0.
        relay: Whether it was added to wait.
    """

    name: str
    neurons: Population = field(repr=False)
    offset: int
    relay: bool


@final
@dataclass(frozen=True)
class ConnectionProcess:
    """Synapses between two processes; one step late, as every Lava connection.

    Attributes:
        name: Unique.
        source: Name of a source or neuron process.
        target: Name of a neuron process.
        weights: `[targets, sources]`; integers in a fixed plan.
        exponent: Weight exponent; 0 in floating point.
        sign_mode: None in floating point.
        weight_bits: Bits of a weight.
        graded: Whether the source sends integers or reals instead of spikes.
    """

    name: str
    source: str
    target: str
    weights: Matrix = field(repr=False)
    exponent: int
    sign_mode: SignMode | None
    weight_bits: int
    graded: bool


@final
@dataclass(frozen=True)
class Plan:
    """Everything Lava has to build.

    Attributes:
        stage: Float plans run on the floating_pt models, fixed ones on fixed_pt.
        sources: What the host sends.
        neurons: Populations and relays.
        connections: Synapses.
        schedule: Offsets and the gap between samples.
    """

    stage: Stage
    sources: tuple[SourceProcess, ...]
    neurons: tuple[NeuronProcess, ...]
    connections: tuple[ConnectionProcess, ...]
    schedule: Schedule

    @property
    def relay_neurons(self) -> int:
        """Number of neurons that only wait."""
        return sum(size_of(item.neurons.vth.shape) for item in self.neurons if item.relay)


def plan_processes(graph: Graph) -> Plan:
    """Lay a graph out in clock time.

    Lava at step `t + offset` equals the reference at step `t` for every population.

    Raises:
        FeedbackError: A cycle has less logical delay than connections.
    """
    schedule = find_schedule(graph)
    planner = _Planner(graph, schedule)
    retimed = RetimeDelays()(graph)
    for population in graph.populations:
        offset = schedule.offsets[population.name]
        planner.neurons[population.name] = NeuronProcess(population.name, population, offset, relay=False)
    for node in retimed.synapses:
        planner.connect(retimed, node)
    return Plan(
        graph.stage,
        tuple(planner.sources.values()),
        tuple(planner.neurons.values()),
        tuple(planner.connections),
        schedule,
    )


@final
class _Planner:
    """Collects processes; taps of a source are shared by all its readers."""

    def __init__(self, graph: Graph, schedule: Schedule) -> None:
        self.graph = graph
        self.schedule = schedule
        self.sources: dict[str, SourceProcess] = {}
        self.neurons: dict[str, NeuronProcess] = {}
        self.connections: list[ConnectionProcess] = []

    def connect(self, retimed: Graph, node: Synapses) -> None:
        """Add one connection process per delay slot."""
        wait = retimed[node.inputs[0]]
        if not isinstance(wait, Delay):
            raise node.fail("is not retimed")
        (target,) = retimed.readers(node.name)
        slots = delay_slots(node.weights, node.delays)
        for delay, weights in slots:
            # The connection process itself is one step late.
            source = self._tap(wait.inputs[0], wait.least + delay - 1)
            name = node.name if len(slots) == 1 else f"{node.name}@{delay}"
            self.connections.append(_connection(name, source, target.name, node, weights, wait.edge))

    def _tap(self, name: str, wait: int) -> str:
        """Return the process that sends what `name` sends, `wait` steps later."""
        node = self.graph[name]
        if isinstance(node, Input):
            tap = f"{name}@{wait}"
            offset = self.schedule.offsets[name]
            self.sources[tap] = SourceProcess(tap, name, size_of(node.shape), wait, offset)
            return tap
        for step in range(1, wait + 1):
            self._relay(name, step)
        return name if wait == 0 else f"{name}~{wait}"

    def _relay(self, name: str, step: int) -> None:
        relay = f"{name}~{step}"
        if relay in self.neurons:
            return
        size = size_of(self.neurons[name].neurons.vth.shape)
        before = name if step == 1 else f"{name}~{step - 1}"
        offset = self.schedule.offsets[name] + step
        fixed = self.graph.stage is Stage.FIXED
        neurons = _fixed_relay(relay, size) if fixed else _float_relay(relay, size)
        self.neurons[relay] = NeuronProcess(relay, neurons, offset, relay=True)
        ones = np.ones(size, dtype=np.int32 if fixed else np.float64)
        identity = csr_array((ones, (np.arange(size), np.arange(size))), shape=(size, size))
        self.connections.append(
            ConnectionProcess(
                f"{before}>{relay}",
                before,
                relay,
                identity,
                0,
                SignMode.EXCITATORY if fixed else None,
                fixedpoint.WEIGHT_BITS,
                graded=False,
            )
        )


def _connection(
    name: str, source: str, target: str, node: Synapses, weights: Matrix, edge: EdgeKind
) -> ConnectionProcess:
    graded = edge is EdgeKind.GRADED
    match node:
        case Dense():
            return ConnectionProcess(name, source, target, weights, 0, None, fixedpoint.WEIGHT_BITS, graded)
        case FixedDense():
            return ConnectionProcess(
                name, source, target, weights, node.exponent, node.sign_mode, node.weight_bits, graded
            )
        case _:
            assert_never(node)


def _fixed_relay(name: str, size: int) -> FixedLif:
    """One spike of weight 1 lifts v to 64 > 0 and is forgotten at once."""
    zeros = np.zeros(size, dtype=np.int32)
    return FixedLif(
        name=name,
        inputs=(),
        du=zeros + _FORGET_AT_ONCE,
        dv=zeros + _FORGET_AT_ONCE,
        vth=zeros,
        bias_mantissa=zeros,
        bias_exponent=zeros,
        scale=np.ones(size),
        origin=Origin(name, np.full(size, -1)),
    )


def _float_relay(name: str, size: int) -> Lif:
    ones = np.ones(size)
    origin = Origin(name, np.full(size, -1))
    return Lif(name=name, inputs=(), du=ones, dv=ones, vth=ones / 2, bias=ones * 0, origin=origin)
