"""Graphs that a declaration admits, at random and at its limits, and graphs one step beyond each limit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.graphs import dense, fixed_dense, fixed_lif, lif
from tests.image_graphs import random_image_recipe, random_images, random_stimuli_of_pictures
from tests.random_graphs import edge_of, random_fixed, random_recipe, random_stimuli
from tests.real_graphs import in_reals
from toolchain import ir
from toolchain.arrays import Array
from toolchain.errors import ToolchainError
from toolchain.fixedpoint import WEIGHT_EXPONENTS, SignMode
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, Stage
from toolchain.neuron_rules import NeuronRules
from toolchain.reset import LONGEST_REFRACTORY, MOST_SPIKES, Reset
from toolchain.target.acceptance import check_graph
from toolchain.target.capabilities import Capabilities

Stimuli = dict[str, Array]
SAMPLES, STEPS = 2, 6
_TRIES = 30


@dataclass(frozen=True)
class Limit:
    """What is the most that a declaration admits, and what is more than that.

    Attributes:
        name: What is limited, in words.
        admitted: A graph at the limit; None if nothing of the kind is admitted.
        beyond: A graph one step beyond it; None if no graph goes further.
    """

    name: str
    admitted: Graph | None
    beyond: Graph | None


def random_within(can: Capabilities, stage: Stage, seed: int) -> tuple[Graph, Stimuli]:
    """A random graph that a declaration admits, and what enters it; every third one has images."""
    for attempt in range(_TRIES):
        graph, stimuli = _drawn(can, np.random.default_rng([seed, attempt, 28]), images=seed % 3 == 2)
        if stage is Stage.FLOAT:
            graph = in_reals(graph)
        if is_admitted(can, graph):
            return graph, stimuli
    raise AssertionError(f"{can.name} admits none of {_TRIES} random graphs")


def is_admitted(can: Capabilities, graph: Graph) -> bool:
    """Whether a declaration admits a graph."""
    try:
        check_graph(graph, can)
    except ToolchainError:
        return False
    return True


def limits(can: Capabilities, stage: Stage) -> Iterator[Limit]:
    """Every limit of a declaration, for graphs of one of the stages that it has."""
    other = Stage.FIXED if stage is Stage.FLOAT else Stage.FLOAT
    yield Limit("stage", _pair(stage), None if other in can.stages else _pair(other))
    rules = can.neurons(stage)
    assert rules is not None
    yield from _neuron_limits(rules, stage)
    if stage is Stage.FIXED:
        least = can.least_exponent
        beyond = None if least is None else _scaled(least - 1)
        yield Limit("exponents", _scaled(WEIGHT_EXPONENTS[0] if least is None else least), beyond)
    yield from _delay_limits(can, stage)
    yield from _message_limits(can, stage)
    yield from _image_limits(can, stage)


def stimuli_of(graph: Graph) -> Stimuli:
    """Something that enters every input of a graph."""
    rng = np.random.default_rng(7)
    sizes = {node.name: (SAMPLES, STEPS, *node.shape) for node in graph.inputs}
    graded = {node.name: node.edge is EdgeKind.GRADED for node in graph.inputs}
    return {
        name: rng.uniform(-1, 1, size) if graded[name] else rng.random(size) < 0.5
        for name, size in sizes.items()
    }


def _drawn(can: Capabilities, rng: np.random.Generator, *, images: bool) -> tuple[Graph, Stimuli]:
    if images and can.images is not None:
        image = replace(random_image_recipe(rng), firing=True)
        if not can.graded_inputs:
            image = replace(image, graded=False, inputs=1)
        if not can.synapse_delays:
            image = replace(image, longest=0)
        if not can.graded_messages:
            image = replace(image, summed=False)
        graph, stimuli = random_images(image), random_stimuli_of_pictures(image, SAMPLES, STEPS)
    else:
        recipe = replace(random_recipe(rng), firing=True)
        if not can.graded_inputs:
            recipe = replace(recipe, graded=False, inputs=1)
        if not can.synapse_delays:
            recipe = replace(recipe, synaptic_delays=False)
        graph, stimuli = random_fixed(recipe), random_stimuli(recipe, SAMPLES, STEPS)
    rules = can.fixed or can.real
    assert rules is not None
    return _scaled_up(_limited(graph, rules), can.least_exponent), stimuli


def _scaled_up(graph: Graph, least: int | None) -> Graph:
    """The graph with no exponent below the smallest that there is."""

    def change(node: AnyNode) -> AnyNode:
        if least is None or not isinstance(node, ir.FixedDense):
            return node
        return replace(node, exponent=max(node.exponent, least))

    return graph.map(change)


def _limited(graph: Graph, rules: NeuronRules) -> Graph:
    """The graph with neurons that do no more than some rules have."""
    firing = {node.name: _limited_firing(node, rules) for node in graph.populations}

    def change(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.Delay):
            source, _ = graph.source(node.name)
            return replace(node, edge=edge_of(firing[source.name])) if source.name in firing else node
        return replace(node, **firing[node.name]) if isinstance(node, ir.FixedLif) else node

    return graph.map(change)


def _limited_firing(node: Any, rules: NeuronRules) -> dict[str, Any]:
    fields: dict[str, Any] = {"max_spikes": min(node.max_spikes, rules.max_spikes)}
    if node.reset not in rules.resets:
        fields |= {"reset": Reset.ZERO, "reset_amount": None, "max_spikes": 1}
    if node.refractory is not None:
        steps = np.minimum(node.refractory, rules.longest_refractory)
        if rules.one_period and steps.any():
            steps = np.full(steps.shape, steps.max())
            fields["dv"] = np.full(node.dv.shape, node.dv.flat[0])
        fields["refractory"] = steps
    if not rules.adapts:
        fields |= {"adaptation": None, "adaptation_decay": None}
    return fields


def _pair(stage: Stage, **firing: Any) -> Graph:
    """Two neurons `p` that an input `x` excites, and two that read them."""
    arrays = {key: np.asarray(value) for key, value in firing.items() if key not in {"reset", "max_spikes"}}
    return _graph(
        ir.Input(name="x", shape=(2,)),
        _synapses(stage, "w", "x", 2, 2),
        _neurons(stage, "p", ("w",), 2, **firing | arrays),
        _synapses(stage, "r", "p", 2, 2),
        _neurons(stage, "q", ("r",), 2),
    )


def _scaled(exponent: int) -> Graph:
    """Two neurons that read synapses of an exponent."""
    weights = replace(_synapses(Stage.FIXED, "w", "x", 2, 2), exponent=exponent)
    return _graph(ir.Input(name="x", shape=(2,)), weights, _neurons(Stage.FIXED, "p", ("w",), 2))


def _graph(*nodes: AnyNode) -> Graph:
    output = ir.Output(name="o", inputs=(nodes[-1].name,), decode=Decode.SPIKE_COUNT)
    return Graph((*nodes, output))


def _synapses(stage: Stage, name: str, source: str, targets: int, sources: int, **changes: Any) -> AnyNode:
    weights = np.arange(1, targets * sources + 1).reshape(targets, sources) * 2
    if stage is Stage.FLOAT:
        return dense(name, source, weights / 8.0, **changes)
    return fixed_dense(name, source, weights, **changes)


def _neurons(stage: Stage, name: str, inputs: tuple[str, ...], size: int, **changes: Any) -> AnyNode:
    """Neurons whose amounts are those of a threshold of 1, or of 4 in integers."""
    if stage is Stage.FLOAT:
        return lif(name, inputs, size, **changes)
    units = {"reset_amount": 256, "adaptation": 256, "adaptation_decay": 4096, "dv": 4096}
    changes = {
        key: (value * units[key]).astype(int) if key in units else value for key, value in changes.items()
    }
    return fixed_lif(name, inputs, size, **{"vth": 4} | changes)


def _neuron_limits(rules: NeuronRules, stage: Stage) -> Iterator[Limit]:
    for reset in Reset:
        fields = {"reset_amount": [0.25, 0.5]} if reset.has_amount else {}
        graph = _pair(stage, reset=reset, **fields)
        has = reset in rules.resets
        yield Limit(f"reset {reset.value}", graph if has else None, None if has else graph)
    most = rules.longest_refractory
    yield Limit(
        "refractory period",
        _pair(stage, refractory=most) if most else None,
        None if most == LONGEST_REFRACTORY else _pair(stage, refractory=most + 1),
    )
    adapting = _pair(stage, adaptation=[0.5, 0.25], adaptation_decay=[0.5, 0.125])
    yield Limit("adaptation", *((adapting, None) if rules.adapts else (None, adapting)))
    several = {"reset": Reset.SUBTRACT, "reset_amount": [0.25, 0.5]}
    if Reset.SUBTRACT in rules.resets:
        most = rules.max_spikes
        beyond = None if most == MOST_SPIKES else _pair(stage, max_spikes=most + 1, **several)
        yield Limit("spikes a step", _pair(stage, max_spikes=most, **several), beyond)
    if rules.longest_refractory > 1:
        periods = _pair(stage, refractory=[1, 2])
        decays = _pair(stage, refractory=2, dv=[0.25, 0.5])
        for name, graph in (("periods", periods), ("decays beside a period", decays)):
            yield Limit(name, *((None, graph) if rules.one_period else (graph, None)))
    if rules.one_period:
        yield Limit("one period", _pair(stage, refractory=2), None)


def _delay_limits(can: Capabilities, stage: Stage) -> Iterator[Limit]:
    entry = ir.Input(name="x", shape=(2,))
    delays = np.array([[0, 1], [2, 3]])
    own = _graph(entry, _synapses(stage, "w", "x", 2, 2, delays=delays), _neurons(stage, "p", ("w",), 2))
    yield Limit("delays of synapses", *((own, None) if can.synapse_delays else (None, own)))
    if stage is Stage.FLOAT:
        wait = ir.Delay(name="d", inputs=("x",), shape=(2,), steps=np.array([1, 3]))
        each = _graph(entry, wait, _synapses(stage, "w", "d", 2, 2), _neurons(stage, "p", ("w",), 2))
        yield Limit("delays of neurons", *((each, None) if can.neuron_delays else (None, each)))
    if can.longest_delay is not None:
        most = can.longest_delay + 1
        yield Limit("longest delay", _looped(stage, most), _looped(stage, most + 1))
    # A loop of two connections, and a connection with two readers.
    fast, shared = _looped(stage, 1, two=True), _shared(stage)
    yield Limit("loops", _looped(stage, 2, two=True), fast if can.clocked else None)
    yield Limit("readers of a connection", *((None, shared) if can.clocked else (shared, None)))
    if can.most_read is not None:
        yield Limit("populations read", _reading(stage, can.most_read), _reading(stage, can.most_read + 1))


def _looped(stage: Stage, steps: int, *, two: bool = False) -> Graph:
    """A population that reads itself after some steps, directly or by way of a second one."""
    last = "q" if two else "p"
    nodes = [
        ir.Input(name="x", shape=(2,)),
        ir.Delay(name="d", inputs=(last,), shape=(2,), steps=steps),
        _synapses(stage, "w", "x", 2, 2),
        _synapses(stage, "b", "d", 2, 2),
        _neurons(stage, "p", ("w", "b"), 2),
    ]
    if two:
        nodes += [_synapses(stage, "f", "p", 2, 2), _neurons(stage, "q", ("f",), 2)]
    return _graph(*nodes)


def _shared(stage: Stage) -> Graph:
    entry, synapses = ir.Input(name="x", shape=(2,)), _synapses(stage, "w", "x", 2, 2)
    return _graph(entry, synapses, _neurons(stage, "p", ("w",), 2), _neurons(stage, "q", ("w",), 2))


def _reading(stage: Stage, count: int) -> Graph:
    """A population that reads so many others."""
    first = [(f"w{i}", f"p{i}", f"r{i}") for i in range(count)]
    nodes: list[AnyNode] = [ir.Input(name="x", shape=(2,))]
    for weights, name, _ in first:
        nodes += [_synapses(stage, weights, "x", 2, 2), _neurons(stage, name, (weights,), 2)]
    nodes += [_synapses(stage, read, name, 2, 2) for _, name, read in first]
    return _graph(*nodes, _neurons(stage, "q", tuple(read for *_, read in first), 2))


def _message_limits(can: Capabilities, stage: Stage) -> Iterator[Limit]:
    entry = ir.Input(name="x", shape=(2,), edge=EdgeKind.GRADED, scale=8.0, bits=4)
    graded = _graph(entry, _synapses(stage, "w", "x", 2, 2), _neurons(stage, "p", ("w",), 2))
    yield Limit("graded inputs", *((graded, None) if can.graded_inputs else (None, graded)))
    if can.images is not None:
        apart, overlapping = _summed(stage, (2, 2)), _summed(stage, (1, 1))
        yield Limit("sums apart", apart, None)
        yield Limit("sums", *((overlapping, None) if can.graded_messages else (None, overlapping)))
        again = _summed(stage, (2, 2), again=True)
        yield Limit("sums of sums", *((again, None) if can.graded_messages else (None, again)))


def _summed(stage: Stage, stride: tuple[int, int], *, again: bool = False) -> Graph:
    """A convolution of sums of windows of 2 x 2 pixels."""
    nodes: list[AnyNode] = [ir.Input(name="x", shape=(1, 8, 8))]
    nodes.append(ir.SumPool2d(name="s", inputs=("x",), kernel=(2, 2), stride=stride))
    if again:
        nodes.append(ir.SumPool2d(name="t", inputs=("s",), kernel=(2, 2), stride=(2, 2)))
    return _convolved(stage, *nodes)


def _convolved(stage: Stage, *nodes: AnyNode, stride: int = 1) -> Graph:
    """The nodes, a convolution of the last one, and its neurons."""
    shape = Graph(nodes).types[nodes[-1].name].shape
    values = np.full((1, shape[0], 1, 1), 4)
    fields: dict[str, Any] = {"name": "c", "inputs": (nodes[-1].name,)}
    step = (1, stride)
    convolution: Any = (
        ir.Conv2d(**fields, weights=values / 8.0, stride=step)
        if stage is Stage.FLOAT
        else ir.FixedConv2d(**fields, weights=values, exponent=0, sign_mode=SignMode.MIXED, stride=step)
    )
    rows, columns = convolution.window.positions(shape[1:])
    flat: Any = _neurons(stage, "p", ("c",), rows * columns)
    maps = {name: array.reshape(1, rows, columns) for name, array in flat.per_neuron.items()}
    return _graph(*nodes, convolution, replace(flat, **maps))


def _image_limits(can: Capabilities, stage: Stage) -> Iterator[Limit]:
    image = _convolved(stage, ir.Input(name="x", shape=(1, 2, 3)))
    if can.images is None:
        yield Limit("images", None, image)
        return
    yield Limit("images", image, None)
    for name in ("largest_convolution", "largest_image"):
        most = getattr(can.images, name)
        if most is not None:
            at, beyond = (
                _convolved(stage, ir.Input(name="x", shape=(1, 1, columns)), stride=64)
                for columns in (most, most + 1)
            )
            yield Limit(name.replace("_", " "), at, beyond)
