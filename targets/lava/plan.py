"""From a graph in logical time to Lava processes in clock time: taps, relays, windows, poolings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, assert_never, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain import fixedpoint, ir
from toolchain.fixedpoint import SignMode
from toolchain.ir import (
    EdgeKind,
    Graph,
    Origin,
    Pooling,
    Population,
    Stage,
    Synapses,
    Window,
)
from toolchain.ir.footprint import check_node
from toolchain.ir.matrix import Matrix, delay_slots
from toolchain.ir.types import size_of
from toolchain.passes import ClockSchedule, RetimeDelays, find_schedule

_POOLED: Final = 64
"""Bytes that an element of a window takes while the matrix of a pooling is made."""
_RELAY: Final = 2**14
"""Bytes of a relay: a population, and the identity that leads to it."""
_RELAY_NEURON: Final = 80
"""Bytes of each of its neurons."""
_FORGET_AT_ONCE: Final = fixedpoint.DECAY_UNITY - 1


@final
@dataclass(frozen=True)
class SourceProcess:
    """Sends one input, late by `wait` steps.

    Attributes:
        name: Unique.
        input: Name of the graph's input.
        shape: Of one step.
        wait: Steps between the stimulus and the sending.
        offset: Clock step of logical step 0.
    """

    name: str
    input: str
    shape: tuple[int, ...]
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
class GradedProcess:
    """Sends on, as a message, what it receives: the neurons of a sum pooling, or a relay of their sums.

    Attributes:
        name: Unique.
        shape: Of one step.
        offset: Clock step of logical step 0.
    """

    name: str
    shape: tuple[int, ...]
    offset: int


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
class ConvolutionProcess:
    """A convolution between two processes; one step late, as every Lava connection.

    Attributes:
        name: Unique.
        source: Name of a source, neuron or graded process.
        target: Name of a neuron process.
        weights: `[out, in / groups, rows, columns]`; in a fixed plan integers with the exponent folded in.
        window: Its geometry.
        groups: Of channels.
        shape: `(C, H, W)` of what it reads.
        graded: Whether the source sends integers or reals instead of spikes.
    """

    name: str
    source: str
    target: str
    weights: NDArray[Any] = field(repr=False)
    window: Window
    groups: int
    shape: tuple[int, ...]
    graded: bool


@final
@dataclass(frozen=True)
class Plan:
    """Everything Lava has to build.

    Attributes:
        stage: Float plans run on the floating_pt models, fixed ones on fixed_pt.
        sources: What the host sends.
        neurons: Populations, max poolings and relays.
        graded: Sum poolings and their relays.
        connections: Synapses.
        convolutions: Those with shared weights.
        schedule: Offsets.
    """

    stage: Stage
    sources: tuple[SourceProcess, ...]
    neurons: tuple[NeuronProcess, ...]
    graded: tuple[GradedProcess, ...]
    connections: tuple[ConnectionProcess, ...]
    convolutions: tuple[ConvolutionProcess, ...]
    schedule: ClockSchedule

    @property
    def latest(self) -> int:
        """Steps that a run goes on after the last input of a sample: the largest offset of a population."""
        return max(item.offset for item in self.neurons if not item.relay)

    @property
    def gap(self) -> int:
        r"""Steps of silence between two samples of one simulation, so that nothing of one reaches the next.

        A process of offset o acts for sample k at the steps :math:`o + kP, \dots, o + kP + T - 1` and is
        silent at all others, with T steps a sample and a period :math:`P = T + gap`. Every connection is
        one step late, so at step t of a sample a target of offset o' gets what its source sent at step
        :math:`o' + kP + t - 1 = o + kP + (t - d)`, where :math:`d = o + 1 - o'` is the logical delay. If
        :math:`t \geq d`, that is step t - d of the same sample. If :math:`t < d`, it lies in the gap before
        the source's window, since :math:`d \leq gap`: the source was silent, as it must be before the first
        step of a sample. The gap is therefore the largest d of all connections; how many steps a sample
        has, and what the delay is made of, does not matter.
        """
        sends = {item.name: item.offset + item.wait for item in self.sources}
        sends |= {item.name: item.offset for item in (*self.neurons, *self.graded)}
        links = (*self.connections, *self.convolutions)
        return max((sends[link.source] + 1 - sends[link.target] for link in links), default=0)

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
    for node in graph.poolings:
        planner.add_pooling(node)
    for node in retimed.poolings:
        planner.join_pooling(retimed, node)
    for node in retimed.synapses:
        planner.connect(retimed, node)
    return Plan(
        graph.stage,
        tuple(planner.sources.values()),
        tuple(planner.neurons.values()),
        tuple(planner.graded.values()),
        tuple(planner.connections),
        tuple(planner.convolutions),
        schedule,
    )


@final
class _Planner:
    """Collects processes; taps of a source are shared by all its readers."""

    def __init__(self, graph: Graph, schedule: ClockSchedule) -> None:
        self.graph = graph
        self.types = graph.types
        self.schedule = schedule
        self.sources: dict[str, SourceProcess] = {}
        self.neurons: dict[str, NeuronProcess] = {}
        self.graded: dict[str, GradedProcess] = {}
        self.connections: list[ConnectionProcess] = []
        self.convolutions: list[ConvolutionProcess] = []

    def add_pooling(self, node: Pooling) -> None:
        """Add the neurons of a pooling: an OR needs stateless ones, a sum only passes on."""
        shape, offset = self.types[node.name].shape, self.schedule.offsets[node.name]
        if isinstance(node, ir.MaxPool2d):
            self.neurons[node.name] = NeuronProcess(
                node.name, self._stateless(node.name, shape), offset, relay=False
            )
        else:
            self.graded[node.name] = GradedProcess(node.name, shape, offset)

    def join_pooling(self, retimed: Graph, node: Pooling) -> None:
        """Connect a pooling to what it pools: every element of a window with weight 1."""
        wait = _wait_of(retimed, node)
        shape = self.types[wait.inputs[0]].shape
        made = size_of(self.types[node.name].shape) * node.window.area
        check_node(node.name, "on Lava the matrix of its windows", made * _POOLED)
        matrix = pooling_matrix(node.window, shape, self._number)
        source = self._tap(wait.inputs[0], wait.min_steps - 1)
        self._link(f"{node.name}@pool", source, node.name, matrix, wait.edge is EdgeKind.GRADED)

    def connect(self, retimed: Graph, node: Synapses) -> None:
        """Add one connection process per delay slot."""
        wait = _wait_of(retimed, node)
        (target,) = retimed.readers(node.name)
        if isinstance(node, ir.Conv2d | ir.FixedConv2d):
            source = self._tap(wait.inputs[0], wait.min_steps - 1)
            self.convolutions.append(_convolution(node, source, target.name, wait))
            return
        slots = delay_slots(node.weights, node.delays)
        for delay, weights in slots:
            # The connection process itself is one step late.
            source = self._tap(wait.inputs[0], wait.min_steps + delay - 1)
            name = node.name if len(slots) == 1 else f"{node.name}@{delay}"
            self.connections.append(_connection(name, source, target.name, node, weights, wait.edge))

    @property
    def _number(self) -> type[np.generic]:
        return np.int32 if self.graph.stage is Stage.FIXED else np.float64

    def _tap(self, name: str, wait: int) -> str:
        """Return the process that sends what `name` sends, `wait` steps later."""
        node = self.graph[name]
        if isinstance(node, ir.Input):
            tap = f"{name}@{wait}"
            offset = self.schedule.offsets[name]
            self.sources[tap] = SourceProcess(tap, name, node.shape, wait, offset)
            return tap
        each = _RELAY + _RELAY_NEURON * size_of(self.types[name].shape)
        check_node(name, f"on Lava the populations that repeat it for {wait} steps", wait * each)
        for step in range(1, wait + 1):
            self._relay(name, step)
        return name if wait == 0 else f"{name}~{wait}"

    def _relay(self, name: str, step: int) -> None:
        relay = f"{name}~{step}"
        if relay in self.neurons or relay in self.graded:
            return
        shape = self.types[name].shape
        before = name if step == 1 else f"{name}~{step - 1}"
        offset = self.schedule.offsets[name] + step
        graded = name in self.graded
        if graded:
            self.graded[relay] = GradedProcess(relay, shape, offset)
        else:
            self.neurons[relay] = NeuronProcess(relay, self._stateless(relay, shape), offset, relay=True)
        size = size_of(shape)
        ones = np.ones(size, self._number)
        identity = csr_array((ones, (np.arange(size), np.arange(size))), shape=(size, size))
        self._link(f"{before}>{relay}", before, relay, identity, graded)

    def _link(self, name: str, source: str, target: str, matrix: csr_array, graded: bool) -> None:  # noqa: FBT001
        sign_mode = SignMode.EXCITATORY if self.graph.stage is Stage.FIXED else None
        self.connections.append(
            ConnectionProcess(name, source, target, matrix, 0, sign_mode, fixedpoint.WEIGHT_BITS, graded)
        )

    def _stateless(self, name: str, shape: tuple[int, ...]) -> Population:
        fixed = self.graph.stage is Stage.FIXED
        return _fixed_stateless(name, shape) if fixed else _float_stateless(name, shape)


def pooling_matrix(window: Window, shape: Sequence[int], number: type[np.generic]) -> csr_array:
    """Return the ones of a pooling, `[targets, sources]`, features flattened in the order C, H, W."""
    channels, height, width = shape
    rows, columns = window.positions((height, width))
    targets = np.arange(channels * rows * columns).reshape(channels, rows, columns)
    pairs: list[NDArray[np.int64]] = []
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            y = np.arange(rows) * window.stride[0] + i - window.padding[0]
            x = np.arange(columns) * window.stride[1] + j - window.padding[1]
            inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
            sources = np.arange(channels)[:, None, None] * height * width + y[:, None] * width + x
            pairs.append(np.stack([targets[:, inside].ravel(), sources[:, inside].ravel()]))
    index = np.concatenate(pairs, axis=1)
    ones = np.ones(index.shape[1], number)
    return csr_array((ones, (index[0], index[1])), shape=(targets.size, channels * height * width))


def _wait_of(retimed: Graph, node: Synapses | Pooling) -> ir.Delay:
    wait = retimed[node.inputs[0]]
    if not isinstance(wait, ir.Delay):
        raise node.fail("is not retimed")
    return wait


def _convolution(
    node: ir.Conv2d | ir.FixedConv2d, source: str, target: str, wait: ir.Delay
) -> ConvolutionProcess:
    weights = node.weights << node.exponent if isinstance(node, ir.FixedConv2d) else node.weights
    graded = wait.edge is EdgeKind.GRADED
    return ConvolutionProcess(
        node.name, source, target, weights, node.window, node.groups, wait.shape, graded
    )


def _connection(
    name: str, source: str, target: str, node: ir.Dense | ir.FixedDense, weights: Matrix, edge: EdgeKind
) -> ConnectionProcess:
    graded = edge is EdgeKind.GRADED
    match node:
        case ir.Dense():
            return ConnectionProcess(name, source, target, weights, 0, None, fixedpoint.WEIGHT_BITS, graded)
        case ir.FixedDense():
            return ConnectionProcess(
                name, source, target, weights, node.exponent, node.sign_mode, node.weight_bits, graded
            )
        case _:
            assert_never(node)


def _fixed_stateless(name: str, shape: tuple[int, ...]) -> ir.FixedLif:
    """One spike of weight 1 lifts v to 64 > 0 and is forgotten at once."""
    zeros = np.zeros(shape, dtype=np.int32)
    return ir.FixedLif(
        name=name,
        inputs=(),
        du=zeros + _FORGET_AT_ONCE,
        dv=zeros + _FORGET_AT_ONCE,
        vth=zeros,
        bias_mantissa=zeros,
        bias_exponent=zeros,
        scale=np.ones(shape),
        origin=Origin(name, np.full(size_of(shape), -1)),
    )


def _float_stateless(name: str, shape: tuple[int, ...]) -> ir.Lif:
    ones = np.ones(shape)
    origin = Origin(name, np.full(size_of(shape), -1))
    return ir.Lif(name=name, inputs=(), du=ones, dv=ones, vth=ones / 2, bias=ones * 0, origin=origin)
