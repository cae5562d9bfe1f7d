"""Random graphs of integers, and what enters them: any wiring, any delays, anything that a spike may do."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tests.graphs import fixed_lif
from toolchain import ir
from toolchain.fixedpoint import SignMode, round_weights, weight_limits
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, Matrix, Pooling, Synapses
from toolchain.reset import Reset


@dataclass(frozen=True)
class Recipe:
    """What a random integer graph is made of; small numbers are simple graphs."""

    seed: int = 0
    sizes: tuple[int, ...] = (3,)
    channels: int = 2
    graded: bool = False
    recurrent: bool = False
    feedback: bool = False
    skip: bool = False
    synaptic_delays: bool = False
    sparse: bool = False
    biased: bool = False
    extreme: bool = False
    wide: bool = False
    """Whether graded messages have all 24 bits, so that sums leave 32."""
    inputs: int = 1
    """The second input, and every second one after it, sends the other kind of message."""
    waits: int = 0
    """The longest delay in front of a connection; 0 for none."""
    longest: int = 3
    """The longest delay of a synapse, where synapses have delays."""
    firing: bool = False
    """Whether populations differ in what a spike does: resets, refractory periods, adaptive thresholds, and
    several spikes a step, each of them at random."""


recipes = st.builds(
    Recipe,
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple),
    channels=st.integers(1, 5),
    graded=st.booleans(),
    recurrent=st.booleans(),
    feedback=st.booleans(),
    skip=st.booleans(),
    synaptic_delays=st.booleans(),
    sparse=st.booleans(),
    biased=st.booleans(),
    extreme=st.booleans(),
    wide=st.booleans(),
    waits=st.integers(0, 8),
    longest=st.integers(1, 9),
    firing=st.booleans(),
)
"""Of one input."""

plain_recipes = recipes.map(lambda recipe: replace(recipe, firing=False))
"""With neurons whose spikes set their potential to zero and do nothing else."""

wide_recipes = st.builds(replace, recipes, inputs=st.integers(1, 3))


def random_recipe(rng: np.random.Generator) -> Recipe:
    """The same, drawn without Hypothesis: where one run holds many graphs, it cannot shrink them."""
    flags = [bool(flag) for flag in rng.integers(0, 2, 9)]
    sizes = tuple(int(size) for size in rng.integers(1, 7, rng.integers(1, 4)))
    seed, channels, inputs = (int(rng.integers(1, most)) for most in (2**32, 6, 4))
    waits, longest = int(rng.integers(0, 9)), int(rng.integers(1, 10))
    firing = bool(rng.integers(0, 2))
    return Recipe(seed, sizes, channels, *flags, inputs=inputs, waits=waits, longest=longest, firing=firing)


def random_fixed(recipe: Recipe) -> Graph:
    """An integer graph in which currents wrap and potentials saturate, if the recipe is extreme."""
    rng = np.random.default_rng(recipe.seed)
    builder = _Builder(recipe, rng)
    entries = _inputs(recipe)
    nodes: list[AnyNode] = [*entries]
    last = len(recipe.sizes) - 1
    firing = [
        random_firing(np.random.default_rng([recipe.seed, 2, i]), size) for i, size in enumerate(recipe.sizes)
    ]
    if not recipe.firing:
        firing = [{} for _ in recipe.sizes]
    for i, size in enumerate(recipe.sizes):
        before, width = ("x", recipe.channels) if i == 0 else (f"p{i - 1}", recipe.sizes[i - 1])
        connections = [builder.dense(f"w{i}", before, size, width)]
        connections += [
            builder.dense(f"{node.name}.w", node.name, size, recipe.channels)
            for node in entries[1:]
            if i == 0
        ]
        if recipe.skip and i > 0:
            entry = entries[i % len(entries)].name
            connections.append(builder.dense(f"skip{i}", entry, size, recipe.channels))
        if recipe.recurrent:
            nodes.append(
                ir.Delay(
                    name=f"d{i}",
                    inputs=(f"p{i}",),
                    shape=(size,),
                    steps=int(rng.integers(1, 4)),
                    edge=edge_of(firing[i]),
                )
            )
            connections.append(builder.dense(f"r{i}", f"d{i}", size, size))
        if recipe.feedback and i == 0 and last > 0:
            # One step per connection of the loop, or a clocked target could not run it.
            steps = last + 1 + int(rng.integers(0, 2))
            nodes.append(
                ir.Delay(
                    name="back",
                    inputs=(f"p{last}",),
                    shape=(recipe.sizes[last],),
                    steps=steps,
                    edge=edge_of(firing[last]),
                )
            )
            connections.append(builder.dense("f0", "back", size, recipe.sizes[last]))
        nodes += connections
        nodes.append(builder.population(f"p{i}", tuple(node.name for node in connections), size, firing[i]))
    nodes.append(ir.Output(name="output", inputs=(f"p{last}",), decode=Decode.SPIKE_COUNT))
    graph = Graph(tuple(nodes), name="random")
    return late(graph, rng, recipe.waits) if recipe.waits else graph


def random_firing(rng: np.random.Generator, size: int | tuple[int, ...]) -> dict[str, Any]:
    """What a spike does in a population of integers: fields of `FixedLif`, every combination of them."""
    largest = 2**23 - 1
    reset = list(Reset)[rng.integers(len(Reset))]
    # Amounts around the thresholds of ordinary graphs, in units of the potential, and far beyond.
    reach = int(rng.choice([1, 64, 2**12, 2**16, largest]))
    fields: dict[str, Any] = {"reset": reset}
    if reset.has_amount:
        lowest = -reach if reset is Reset.VALUE else 0
        fields["reset_amount"] = rng.integers(lowest, reach + 1, size)
    if reset is Reset.SUBTRACT and rng.random() < 0.5:
        fields["reset_amount"] = np.maximum(fields["reset_amount"], 1)
        fields["max_spikes"] = int(rng.choice([2, 3, 15, 255]))
    if rng.random() < 0.5:
        fields["refractory"] = rng.integers(0, int(rng.choice([2, 5, 30])), size)
    if rng.random() < 0.5:
        fields["adaptation"] = rng.integers(0, reach + 1, size)
        fields["adaptation_decay"] = rng.integers(1, int(rng.choice([3, 300, 4097])), size)
    return fields


def random_real_firing(rng: np.random.Generator, vth: NDArray[Any]) -> dict[str, Any]:
    """The same for a population of real numbers with these thresholds: fields of `Lif`."""
    reset = list(Reset)[rng.integers(len(Reset))]
    reach = np.where(np.isfinite(vth), vth, 1.0) * rng.choice([0.1, 1.0, 5.0])
    fields: dict[str, Any] = {"reset": reset}
    if reset.has_amount:
        fields["reset_amount"] = reach * rng.uniform(-1 if reset is Reset.VALUE else 0.01, 1, vth.shape)
    if reset is Reset.SUBTRACT and rng.random() < 0.5:
        fields["max_spikes"] = int(rng.choice([2, 3, 15, 255]))
    if rng.random() < 0.5:
        fields["refractory"] = rng.integers(0, int(rng.choice([2, 5, 30])), vth.shape)
    if rng.random() < 0.5:
        fields["adaptation"] = reach * rng.random(vth.shape)
        fields["adaptation_decay"] = rng.uniform(0.01, 1, vth.shape)
    return fields


def firing_reals(graph: Graph, rng: np.random.Generator) -> Graph:
    """The float graph with populations that differ in what a spike does."""
    fired = {node.name: random_real_firing(rng, node.vth) for node in graph.populations}

    def change(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.Delay):
            source, _ = graph.source(node.name)
            return replace(node, edge=edge_of(fired[source.name])) if source.name in fired else node
        return replace(node, **fired[node.name]) if isinstance(node, ir.Lif) else node

    return graph.map(change)


def edge_of(firing: dict[str, Any]) -> EdgeKind:
    """What a population sends whose spikes do what `random_firing` says."""
    return EdgeKind.GRADED if firing.get("max_spikes", 1) > 1 else EdgeKind.SPIKE


def _inputs(recipe: Recipe) -> list[ir.Input]:
    entries: list[ir.Input] = []
    for i in range(recipe.inputs):
        graded = recipe.graded is (i % 2 == 0)
        scale, bits = ((2.0**23, 24) if recipe.wide else (16.0, 5)) if graded else (1.0, 1)
        edge = EdgeKind.GRADED if graded else EdgeKind.SPIKE
        name = "x" if i == 0 else f"x{i}"
        entries.append(ir.Input(name=name, shape=(recipe.channels,), edge=edge, scale=scale, bits=bits))
    return entries


def random_stimulus(recipe: Recipe, samples: int, steps: int) -> NDArray[Any]:
    """What the first input gets."""
    rng = np.random.default_rng([recipe.seed, 1])
    shape = (samples, steps, recipe.channels)
    return rng.uniform(-2, 2, shape) if recipe.graded else rng.random(shape) < 0.5


def random_stimuli(recipe: Recipe, samples: int, steps: int) -> dict[str, NDArray[Any]]:
    """What every input gets."""
    stimuli: dict[str, NDArray[Any]] = {}
    for i, node in enumerate(_inputs(recipe)):
        part = replace(recipe, seed=recipe.seed + i, graded=node.edge is EdgeKind.GRADED)
        stimuli[node.name] = random_stimulus(part, samples, steps)
    return stimuli


def late(graph: Graph, rng: np.random.Generator, longest: int) -> Graph:
    """The graph with a delay of 0 to `longest` steps in front of every connection and pooling."""
    nodes: list[AnyNode] = []
    for node in graph:
        if isinstance(node, Synapses | Pooling):
            before = graph.types[node.inputs[0]]
            steps = int(rng.integers(0, longest + 1))
            wait = ir.Delay(
                name=f"{node.name}.late",
                inputs=node.inputs,
                shape=before.shape,
                edge=before.kind,
                steps=steps,
            )
            nodes += [wait, replace(node, inputs=(wait.name,))]
        else:
            nodes.append(node)
    return graph.with_nodes(nodes)


class _Builder:
    def __init__(self, recipe: Recipe, rng: np.random.Generator) -> None:
        self.recipe = recipe
        self.rng = rng

    def dense(self, name: str, source: str, targets: int, sources: int) -> ir.FixedDense:
        rng = self.rng
        mode = list(SignMode)[rng.integers(3)]
        bits = int(rng.integers(4, 9))
        lowest, highest = weight_limits(mode)
        weights = round_weights(
            rng.integers(lowest, highest + 1, (targets, sources)).astype(float), mode, bits
        )
        delays: NDArray[Any] | None = (
            rng.integers(0, self.recipe.longest + 1, weights.shape) if self.recipe.synaptic_delays else None
        )
        matrix: Matrix = weights
        if self.recipe.sparse:
            rows, columns = np.nonzero(rng.random(weights.shape) < 0.6)
            matrix = csr_array((weights[rows, columns], (rows, columns)), shape=weights.shape)
            if delays is not None:
                stored = csr_array((delays[rows, columns], (rows, columns)), shape=weights.shape)
                return self._node(name, source, matrix, mode, bits, stored)
        return self._node(name, source, matrix, mode, bits, delays)

    def _node(
        self, name: str, source: str, weights: Matrix, mode: SignMode, bits: int, delays: Matrix | None
    ) -> ir.FixedDense:
        lowest, end = (2, 6) if self.recipe.extreme else (-8, 3) if self.recipe.wide else (-3, 3)
        exponent = int(self.rng.integers(lowest, end))
        return ir.FixedDense(
            name=name,
            inputs=(source,),
            weights=weights,
            exponent=exponent,
            sign_mode=mode,
            weight_bits=bits,
            delays=delays,
        )

    def population(
        self, name: str, inputs: tuple[str, ...], size: int, firing: dict[str, Any]
    ) -> ir.FixedLif:
        rng, extreme = self.rng, self.recipe.extreme
        return fixed_lif(
            name,
            inputs,
            size,
            # Small decays pile currents up until they wrap, and potentials until they saturate.
            du=rng.integers(0, 60 if extreme else 4096, size),
            dv=rng.integers(0, 60 if extreme else 4096, size),
            vth=rng.integers(0, 2**17 if extreme else 600, size),
            bias_mantissa=rng.integers(-4096, 4096, size) if self.recipe.biased else 0,
            bias_exponent=rng.integers(0, 8, size) if self.recipe.biased else 0,
            **firing,
        )
