"""Random NIR graphs, wider than what anybody exports, and now and then without meaning."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import nir
import numpy as np

from tests.oracles.nir_arrays import unstated
from tests.oracles.nir_equations import FIRING, SILENT
from tests.oracles.nir_spoilers import SPOILERS
from toolchain.interchange.nir.conventions import CONVENTIONS

Shape = tuple[int, ...]
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
    builder = _Builder(rng, convention, exact)
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


def shuffled(graph: nir.NIRGraph, rng: np.random.Generator) -> nir.NIRGraph:
    """The same graph, its nodes and edges in another order."""
    names, edges = list(graph.nodes), list(graph.edges)
    inner = {
        name: shuffled(node, rng) if isinstance(node, nir.NIRGraph) else node
        for name, node in graph.nodes.items()
    }
    nodes = {names[i]: inner[names[i]] for i in rng.permutation(len(names))}
    return nir.NIRGraph(nodes, [edges[i] for i in rng.permutation(len(edges))], type_check=False)


def renamed(graph: nir.NIRGraph, rng: np.random.Generator) -> tuple[nir.NIRGraph, dict[str, str]]:
    """The same graph under other names, and the new name of every leaf."""
    numbers = rng.permutation(len(graph.nodes))
    new = {name: f"n{number}" for name, number in zip(graph.nodes, numbers, strict=True)}
    nodes, leaves = {}, {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            nodes[new[name]], inner = renamed(node, rng)
            leaves |= {f"{name}.{old}": f"{new[name]}.{fresh}" for old, fresh in inner.items()}
        else:
            nodes[new[name]] = node
            leaves[name] = new[name]
    edges = [(new.get(source, source), new.get(target, target)) for source, target in graph.edges]
    return nir.NIRGraph(nodes, edges, type_check=False), leaves


@dataclass
class _Builder:
    rng: np.random.Generator
    convention: str
    exact: bool
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

    def __post_init__(self) -> None:
        self.dt = CONVENTIONS[self.convention].dt
        small = self.exact or self.convention == "norse"
        kinds: Any = [np.float64] if small else [np.float64, np.float64, np.float32, np.float16]
        self.dtype = self.rng.choice(kinds)

    def _maybe(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def name(self) -> str:
        wanted = str(self.rng.choice(NAMES)) if self._maybe(0.3) else f"n{len(self.nodes)}"
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
        for _ in range(1 if nested else int(self.rng.choice([1, 1, 1, 2, 3]))):
            shape = entering or self._shape()
            self.add(nir.Input({"input": np.array(shape)}), shape)
        last = self._grown(int(self.rng.integers(2, 5 if nested else 9)))
        for _ in range(int(self.rng.choice([0, 0, 1, 2]))):
            self._skip()
        for _ in range(int(self.rng.choice([0, 1, 1, 2]))):
            self._loop()
        if nested:
            self._end(last)
            return self._finished()
        read = {source for source, _ in self.edges}
        ends = [name for name in self.nodes if name not in read]
        firing = [name for name, node in self.nodes.items() if isinstance(node, FIRING) and name not in ends]
        if firing and self._maybe(0.2):
            ends.append(str(self.rng.choice(firing)))
        for name in ends or [last]:
            self._end(name)
        return self._finished()

    def _finished(self) -> nir.NIRGraph:
        return nir.NIRGraph(self.nodes, self.edges, type_check=False)

    def _end(self, name: str) -> None:
        shape: Any = None if self._maybe(0.1) else np.array(self.shapes[name])
        self.add(nir.Output({"output": shape}), self.shapes[name], name)

    def _shape(self) -> Shape:
        size = lambda most: int(self.rng.integers(1, most + 1))  # noqa: E731
        kind = self.rng.choice(["flat", "flat", "line", "image"])
        if kind == "flat":
            return (size(5),)
        return (
            (size(3), int(self.rng.integers(2, 7))) if kind == "line" else (size(3), 1 + size(5), 1 + size(5))
        )

    def _grown(self, count: int) -> str:
        """Nodes behind nodes, mostly behind the last; returns the last."""
        last = list(self.nodes)[-1]
        for _ in range(count):
            open_ends = [name for name in self.nodes if name not in self.silent]
            if self._maybe(0.25) or last in self.silent:
                last = str(self.rng.choice(open_ends))
            last = self._next(last)
        return last

    def _next(self, source: str) -> str:
        shape = self.shapes[source]
        if self.depth < 2 and self._maybe(0.1):
            inner = _Builder(self.rng, self.convention, self.exact, self.depth + 1)
            graph = inner.graph(shape)
            last = self.add(graph, inner.shapes[list(graph.nodes)[-1]], source)
            if inner.silent & {
                start for start, end in graph.edges if isinstance(graph.nodes[end], nir.Output)
            }:
                self.silent.add(last)
            return last
        spikes = isinstance(self.nodes[source], (*FIRING, nir.Input, nir.NIRGraph))
        if self._maybe(0.25 if spikes else 0.6):
            return self.add(self.neuron(shape), shape, source)
        plain = source in self.plain
        makers: list[Callable[[Shape], tuple[nir.NIRNode, Shape]]] = [self.scale]
        makers += [self.delay] if plain or self._maybe(0.05) else []
        if len(shape) == 1:
            makers += [self.dense] * 4
        else:
            makers += [partial(self.convolution, padded=plain or self._maybe(0.1))] * 3 + [self.flatten] * 2
            makers += [partial(self.pooling, padded=plain or self._maybe(0.1))] * 2 if len(shape) == 3 else []
        node, sends = makers[int(self.rng.integers(len(makers)))](shape)
        return self.add(node, sends, source)

    def _loop(self) -> None:
        """Lead something back, often to where it came from: through weights, a delay, both or nothing."""
        firing = [name for name, node in self.nodes.items() if isinstance(node, FIRING)]
        if not firing:
            return
        source = str(self.rng.choice(firing))
        goals = [name for name in self.nodes if not isinstance(self.nodes[name], nir.Input)]
        near = [name for name in goals if name == source or self.rng.random() < 0.5]
        target = str(self.rng.choice(near or goals))
        self._lead(source, target)

    def _skip(self) -> None:
        names = list(self.nodes)
        i, j = sorted(int(self.rng.integers(len(names))) for _ in range(2))
        if i != j and names[i] not in self.silent and not isinstance(self.nodes[names[j]], nir.Input):
            self._lead(names[i], names[j])

    def _lead(self, source: str, target: str) -> None:
        if self._maybe(0.8) and not isinstance(
            self.nodes[target], (*FIRING, *SILENT, nir.Affine, nir.Linear)
        ):
            return
        goal = self.reads[target]
        here = source
        if here in self.plain and self._maybe(0.3):
            node, sends = self.delay(self.shapes[here])
            here = self.add(node, sends, here)
        if self.shapes[here] != goal or self._maybe(0.5):
            if len(goal) > 1 and self.shapes[here] != goal:
                return
            if len(goal) == 1:
                if len(self.shapes[here]) > 1:
                    here = self.add(nir.Flatten(unstated(), 0, -1), (int(np.prod(self.shapes[here])),), here)
                here = self.add(self.dense(self.shapes[here], goal[0])[0], goal, here)
            elif len(goal) == 3:
                here = self.add(self.convolution(goal, same=True)[0], goal, here)
        if self._maybe(0.2 if here in self.plain else 0.02):
            node, sends = self.delay(goal)
            here = self.add(node, sends, here)
        self.edges.append((here, target))

    # Numbers.

    def number(self, shape: Shape, low: float, high: float) -> np.ndarray:
        values = self.rng.uniform(low, high, shape)
        if self.exact:
            values = np.rint(values * 4) / 4
        return values.astype(self.dtype)

    def weights(self, *shape: int) -> np.ndarray:
        values = self.rng.normal(size=shape) * 2
        return (np.rint(values * 2) / 2 if self.exact else values).astype(self.dtype)

    def part(self, shape: Shape) -> Shape:
        """A shape that NumPy broadcasts to another; mostly itself."""
        if self._maybe(0.6):
            return shape
        kept = tuple(extent if self._maybe(0.5) else 1 for extent in shape)
        return kept[int(self.rng.integers(len(shape) + 1)) :]

    def tau(self, shape: Shape) -> np.ndarray:
        if self.exact:
            return self.dt * 2.0 ** self.rng.integers(0, 3, shape)
        return (self.dt / self.rng.uniform(0.05, 0.95, shape)).astype(self.dtype)

    def threshold(self, part: Shape, reset: np.ndarray) -> np.ndarray:
        threshold = (self.number(part, 0.5, 2.0) + np.maximum(reset, 0)).astype(self.dtype)
        if self.exact:
            return np.maximum(threshold, 0.5)
        return np.ceil(threshold).astype(np.int32) if self._maybe(0.1) else threshold

    # Nodes.

    def neuron(self, shape: Shape) -> nir.NIRNode:
        part = self.part(shape)
        if len(shape) > 1 and self._maybe(0.92):
            part = (shape[0], *[1] * (len(shape) - 1)) if self._maybe(0.6) else (1,)
        zero = np.zeros(part, self.dtype)
        leak = self.number(part, -0.5, 0.5) if self._maybe(0.3) else zero
        reset = zero
        if self.convention in {"norse", "spikingjelly"}:
            reset = leak
        if self.convention in {"nir", "norse"} and self._maybe(0.2):
            reset = self.number(part, -0.5, 0.5)
        threshold = self.threshold(part, np.maximum(leak, reset) if self.convention == "norse" else reset)
        r = self.number(part, 0.5, 3.0)
        kind = self.rng.choice(["lif", "lif", "cubalif", "cubalif", "if", "threshold", "li", "cubali", "i"])
        step = 1.0 if CONVENTIONS[self.convention].integrator.name == "ADDED" else 1 / self.dt
        wide = np.float64 if step > 1 else self.dtype
        match kind:
            case "lif":
                return nir.LIF(self.tau(part), r, leak, threshold, reset)
            case "cubalif":
                w_in = self.number(self.part(part), 0.5, 2.0) if self._maybe(0.5) else 1.0
                return _with(
                    nir.CubaLIF(self.tau(part), self.tau(part), r, leak, threshold, reset),
                    w_in=np.asarray(w_in),
                )
            case "if":
                zeros = self.convention != "spikingjelly" or self._maybe(0.5)
                return nir.IF((r * step).astype(wide), threshold, zero if zeros else reset)
            case "threshold":
                return nir.Threshold(np.maximum(threshold, np.asarray(0.25, self.dtype)))
            case "li":
                return nir.LI(self.tau(part), r, leak)
            case "cubali":
                return nir.CubaLI(self.tau(part), self.tau(part), r, leak, self.number(part, 0.5, 2.0))
            case _:
                return nir.I((r * step).astype(wide))

    def dense(self, shape: Shape, targets: int | None = None) -> tuple[nir.NIRNode, Shape]:
        outputs = targets or int(self.rng.integers(1, 6))
        weights = self.weights(outputs, shape[0])
        if self._maybe(0.5):
            return nir.Linear(weights), (outputs,)
        bias = self.number((outputs,) if self._maybe(0.9) else (1,), -0.5, 0.5)
        return nir.Affine(weights, bias), (outputs,)

    def scale(self, shape: Shape) -> tuple[nir.NIRNode, Shape]:
        part = (shape[0], *[1] * (len(shape) - 1)) if self._maybe(0.92) else self.part(shape)
        return nir.Scale(self.number(part, -1.5, 1.5)), shape

    def delay(self, shape: Shape) -> tuple[nir.NIRNode, Shape]:
        part = (1,) if self._maybe(0.5) else self.part(shape)
        steps = self.rng.integers(0, 4, part)
        fine = np.float64 if self.dtype == np.float16 else self.dtype
        return nir.Delay((steps * self.dt).astype(fine)), shape

    def flatten(self, shape: Shape) -> tuple[nir.NIRNode, Shape]:
        declared: Any = np.array(shape) if self._maybe(0.5) else None
        return nir.Flatten({"input": declared}, 0, -1), (int(np.prod(shape)),)

    def convolution(
        self, shape: Shape, *, same: bool = False, padded: bool = True
    ) -> tuple[nir.NIRNode, Shape]:
        line = len(shape) == 2
        groups = int(self.rng.choice([g for g in (1, 2, 3) if shape[0] % g == 0]))
        groups = groups if self._maybe(0.4) else 1
        outputs = shape[0] if same else groups * int(self.rng.integers(1, 4))
        kernel, stride, padding, dilation, extents = [], [], [], [], []
        for extent in shape[1:]:
            k = 3 if same else int(self.rng.integers(1, min(3, extent) + 1))
            d = 1 if same or extent < 2 * k or self._maybe(0.7) else 2
            s = 1 if same or self._maybe(0.6) else 2
            p = 1 if same else int(self.rng.choice([0, 0, 1, 2])) if padded else 0
            for values, value in ((kernel, k), (stride, s), (padding, p), (dilation, d)):
                values.append(value)
            extents.append((extent + 2 * p - d * (k - 1) - 1) // s + 1)
        weight = self.weights(outputs, shape[0] // groups, *kernel)
        bias = self.number((outputs,), -0.5, 0.5) if self._maybe(0.5) else np.zeros(outputs, self.dtype)
        declared: Any = None if self._maybe(0.3) else shape[1] if line else shape[1:]
        sends = (outputs, *extents)
        if line:
            return nir.Conv1d(declared, weight, stride[0], padding[0], dilation[0], groups, bias), sends
        around: Any = tuple(padding)
        whole = all(d * (k - 1) == 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True))
        if whole and stride == [1, 1] and self._maybe(0.5):
            around = "same"
        elif not any(padding) and self._maybe(0.3):
            around = "valid"
        return nir.Conv2d(declared, weight, tuple(stride), around, tuple(dilation), groups, bias), sends

    def pooling(self, shape: Shape, *, padded: bool = True) -> tuple[nir.NIRNode, Shape]:
        most = 2 if self.exact else 3
        kernel = [int(self.rng.integers(1, min(most, extent) + 1)) for extent in shape[1:]]
        stride = [k if self._maybe(0.7) else int(self.rng.integers(1, 3)) for k in kernel]
        padding = [int(padded and k > 1 and self._maybe(0.2)) for k in kernel]
        axes = zip(shape[1:], kernel, stride, padding, strict=True)
        sends = (shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in axes))
        kind = nir.AvgPool2d if self._maybe(0.5) else nir.SumPool2d
        return kind(np.array(kernel), np.array(stride), np.array(padding)), sends


def _with(node: nir.NIRNode, **changes: Any) -> nir.NIRNode:
    for name, value in changes.items():
        setattr(node, name, value)
    return node


# What has no meaning, or none here.
