"""Random NIR graphs, wider than what anybody exports, and now and then without meaning."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import nir
import numpy as np

from tests.oracles.nir_arrays import unstated
from tests.oracles.nir_equations import FIRING, SILENT
from tests.oracles.nir_rewritten import shuffled
from tests.oracles.nir_spoilers import SPOILERS
from tests.oracles.random_nir_nodes import RandomNodes, Shape
from toolchain.interchange.nir.conventions import CONVENTIONS

NAMES = ("lif", "Conv 1", "0", "10", "fc-2", "größe", "a", "b", "x", "y'", "constant", "w.rec", "in")


@dataclass(frozen=True)
class Case:
    """A graph, what enters it and how it is read.

    Attributes:
        graph: As an exporter returns it.
        entering: `[samples, steps, *shape]` per input.
        convention: How a step is made.
        exact: Whether every sum is exact in binary, so that a potential may equal its threshold.
        peak: Largest absolute value that enters; None for spikes.
        reset: What a spike does, where the file does not say it; None where its convention knows.
        spoiled: What was made wrong, if anything was.
    """

    graph: nir.NIRGraph
    entering: dict[str, np.ndarray]
    convention: str
    exact: bool
    spoiled: str = ""
    peak: float | None = None
    reset: str | None = None

    @property
    def dt(self) -> float:
        return CONVENTIONS[self.convention].dt


def random_case(rng: np.random.Generator, *, samples: int = 1, steps: int = 8) -> Case:
    """Any graph, of any sort."""
    convention = "nir" if rng.random() < 0.6 else str(rng.choice(_OTHERS))
    exact = convention in {"nir", "snntorch"} and rng.random() < 0.3
    builder = _Builder(RandomNodes(rng, convention, exact))
    graph = builder.graph()
    spoiled = ""
    if rng.random() < 0.15:
        spoiled = SPOILERS[int(rng.integers(len(SPOILERS)))](graph, rng)
    graded = not exact and rng.random() < 0.2
    entering = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Input):
            values = rng.random((samples, steps, *map(int, node.input_type["input"])))
            entering[name] = values * 2 - 0.5 if graded else values < rng.uniform(0.2, 0.8)
    known = CONVENTIONS[convention].reset is not None
    reset = None if known and rng.random() < 0.6 else str(rng.choice(RESETS[convention]))
    return Case(shuffled(graph, rng), entering, convention, exact, spoiled, 1.5 if graded else None, reset)


_OTHERS = ("snntorch", "norse", "sinabs", "sinabs-normalised", "spikingjelly")


_ANY = ("zero", "-0.25", "0.25", "none", *(word for word, _ in CONVENTIONS["snntorch"].resets))
_OF_SINABS = ("subtract-several", "subtract", "zero", "none")
RESETS = {
    "nir": (*_ANY, "subtract-several"),
    "snntorch": _ANY,
    "norse": ("zero", "-0.25", "0.25", "none", "subtract"),
    "sinabs": _OF_SINABS,
    "sinabs-normalised": _OF_SINABS,
    "spikingjelly": ("zero", "subtract", "none"),
}
"""What a user may say of the files of each convention."""


@dataclass
class _Builder:
    make: RandomNodes
    depth: int = 0
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    reads: dict[str, Shape] = field(default_factory=dict)
    """The shape of what a node reads."""
    silent: set[str] = field(default_factory=set)
    """What never fires, nested graphs that end in such neurons included."""
    plain: set[str] = field(default_factory=set)
    """What sends spikes, or those pooled, scaled or delayed: no weights since the last neurons."""

    def name(self) -> str:
        wanted = str(self.make.rng.choice(NAMES)) if self.make.maybe(0.3) else f"n{len(self.nodes)}"
        return wanted if wanted not in self.nodes else f"{wanted}_{len(self.nodes)}"

    def add(self, node: nir.NIRNode, sends: Shape, *sources: str) -> str:
        name = self.name()
        self.nodes[name], self.shapes[name] = node, sends
        self.reads[name] = self.shapes[sources[0]] if sources else sends
        self.edges.extend((source, name) for source in sources)
        if isinstance(node, SILENT):
            self.silent.add(name)
        keeps = isinstance(node, (nir.Scale, nir.Delay, nir.Flatten, nir.SumPool2d, nir.AvgPool2d))
        if isinstance(node, (*FIRING, nir.Input)) or (keeps and self.plain.issuperset(sources)):
            self.plain.add(name)
        return name

    def graph(self, entering: Shape | None = None) -> nir.NIRGraph:
        """A whole graph; one that is nested has the shape of its place and one end."""
        nested = entering is not None
        for _ in range(1 if nested else int(self.make.rng.choice([1, 1, 1, 2, 3]))):
            shape = entering or self._shape()
            self.add(nir.Input({"input": np.array(shape)}), shape)
        last = self._grown(int(self.make.rng.integers(2, 5 if nested else 9)))
        for _ in range(int(self.make.rng.choice([0, 0, 1, 2]))):
            self._skip()
        for _ in range(int(self.make.rng.choice([0, 1, 1, 2]))):
            self._loop()
        if nested:
            self._end(last)
            return self._finished()
        read = {source for source, _ in self.edges}
        ends = [name for name in self.nodes if name not in read]
        firing = [name for name, node in self.nodes.items() if isinstance(node, FIRING) and name not in ends]
        if firing and self.make.maybe(0.2):
            ends.append(str(self.make.rng.choice(firing)))
        for name in ends or [last]:
            self._end(name)
        return self._finished()

    def _finished(self) -> nir.NIRGraph:
        return nir.NIRGraph(self.nodes, self.edges, type_check=False)

    def _end(self, name: str) -> None:
        shape: Any = None if self.make.maybe(0.1) else np.array(self.shapes[name])
        self.add(nir.Output({"output": shape}), self.shapes[name], name)

    def _shape(self) -> Shape:
        size = lambda most: int(self.make.rng.integers(1, most + 1))  # noqa: E731
        kind = self.make.rng.choice(["flat", "flat", "line", "image"])
        if kind == "flat":
            return (size(5),)
        if kind == "line":
            return (size(3), int(self.make.rng.integers(2, 7)))
        return (size(3), 1 + size(5), 1 + size(5))

    def _grown(self, count: int) -> str:
        """Nodes behind nodes, mostly behind the last; returns the last."""
        last = list(self.nodes)[-1]
        for _ in range(count):
            open_ends = [name for name in self.nodes if name not in self.silent]
            if self.make.maybe(0.25) or last in self.silent:
                last = str(self.make.rng.choice(open_ends))
            last = self._next(last)
        return last

    def _next(self, source: str) -> str:
        make, shape = self.make, self.shapes[source]
        if self.depth < 2 and make.maybe(0.1):
            # Its numbers are of a type of their own.
            inner = _Builder(RandomNodes(make.rng, make.convention, make.exact), self.depth + 1)
            graph = inner.graph(shape)
            last = self.add(graph, inner.shapes[list(graph.nodes)[-1]], source)
            if inner.silent & {
                start for start, end in graph.edges if isinstance(graph.nodes[end], nir.Output)
            }:
                self.silent.add(last)
            return last
        spikes = isinstance(self.nodes[source], (*FIRING, nir.Input, nir.NIRGraph))
        if make.maybe(0.25 if spikes else 0.6):
            return self.add(make.neuron(shape), shape, source)
        plain = source in self.plain
        makers: list[Callable[[Shape], tuple[nir.NIRNode, Shape]]] = [make.scale]
        makers += [make.delay] if plain or make.maybe(0.05) else []
        if len(shape) == 1:
            makers += [make.dense] * 4
        else:
            makers += [partial(make.convolution, padded=plain or make.maybe(0.1))] * 3 + [make.flatten] * 2
            makers += [partial(make.pooling, padded=plain or make.maybe(0.1))] * 2 if len(shape) == 3 else []
        node, sends = makers[int(make.rng.integers(len(makers)))](shape)
        return self.add(node, sends, source)

    def _loop(self) -> None:
        """Lead something back, often to where it came from: through weights, a delay, both or nothing."""
        firing = [name for name, node in self.nodes.items() if isinstance(node, FIRING)]
        if not firing:
            return
        source = str(self.make.rng.choice(firing))
        goals = [name for name in self.nodes if not isinstance(self.nodes[name], nir.Input)]
        near = [name for name in goals if name == source or self.make.rng.random() < 0.5]
        target = str(self.make.rng.choice(near or goals))
        self._lead(source, target)

    def _skip(self) -> None:
        names = list(self.nodes)
        i, j = sorted(int(self.make.rng.integers(len(names))) for _ in range(2))
        if i != j and names[i] not in self.silent and not isinstance(self.nodes[names[j]], nir.Input):
            self._lead(names[i], names[j])

    def _lead(self, source: str, target: str) -> None:
        if self.make.maybe(0.8) and not isinstance(
            self.nodes[target], (*FIRING, *SILENT, nir.Affine, nir.Linear)
        ):
            return
        goal = self.reads[target]
        here = source
        if here in self.plain and self.make.maybe(0.3):
            node, sends = self.make.delay(self.shapes[here])
            here = self.add(node, sends, here)
        if self.shapes[here] != goal or self.make.maybe(0.5):
            if len(goal) > 1 and self.shapes[here] != goal:
                return
            if len(goal) == 1:
                if len(self.shapes[here]) > 1:
                    here = self.add(nir.Flatten(unstated(), 0, -1), (int(np.prod(self.shapes[here])),), here)
                here = self.add(self.make.dense(self.shapes[here], goal[0])[0], goal, here)
            elif len(goal) == 3:
                here = self.add(self.make.convolution(goal, same=True)[0], goal, here)
        if self.make.maybe(0.2 if here in self.plain else 0.02):
            node, sends = self.make.delay(goal)
            here = self.add(node, sends, here)
        self.edges.append((here, target))
