"""NIR's equations, step by step in NumPy: what a graph means, written from the specification.

Nothing here is Pumice's own: nested graphs are opened, loops cut and every node is computed once more, in the
plainest way, so that the importer is held against something else than itself. Shapes are those of the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import nir
import numpy as np

from tests.oracles.nir_arrays import MalformedError, check_declared, convolution, matrix, pooling, spread
from tests.oracles.nir_edges import Edge, is_cut_off, looping, opened, reached
from toolchain.arrays import Array

FIRING = (nir.LIF, nir.CubaLIF, nir.IF, nir.Threshold)
SILENT = (nir.LI, nir.CubaLI, nir.I)
LIMIT = 2e-9
"""A potential this near to its threshold, relatively, may fall on either side after rounding."""


@dataclass(frozen=True)
class Rule:
    """How a framework makes a step of an equation: the table of the interchange README."""

    exponential: bool = False
    synapse_adds: bool = False
    membrane_adds: bool = False
    integrator_adds: bool = False
    at_threshold: bool = False
    begins: str = "zero"


RULES = {
    "nir": Rule(),
    "snntorch": Rule(integrator_adds=True),
    "norse": Rule(synapse_adds=True, integrator_adds=True, begins="v_leak"),
    "sinabs": Rule(exponential=True, membrane_adds=True, integrator_adds=True, at_threshold=True),
    "sinabs-normalised": Rule(exponential=True, integrator_adds=True, at_threshold=True),
    "spikingjelly": Rule(at_threshold=True, begins="v_reset"),
}


class Simulation:
    """One graph and what enters it, `[steps, *shape]` per input; values are computed when asked for."""

    def __init__(
        self,
        graph: nir.NIRGraph,
        entering: Mapping[str, Array],
        dt: float,
        rule: str,
        reset: str | None = None,
    ) -> None:
        self.nodes, self.edges = opened(graph)
        # Two spikes that meet are two, not one or the other.
        self.entering = {name: np.asarray(values, np.float64) for name, values in entering.items()}
        self.dt, self.rule, self.reset = dt, RULES[rule], reset
        self.steps = len(next(iter(entering.values())))
        self.sources = {name: [a for a, b in self.edges if b == name] for name in self.nodes}
        self.outputs = [name for name in graph.nodes if isinstance(graph.nodes[name], nir.Output)]
        self._sent: dict[tuple[str, int, bool], Array] = {}
        self.v: dict[str, list[Array]] = {name: [] for name in self.neurons}
        self.spikes: dict[str, list[Array]] = {name: [] for name in self.neurons}
        self._u: dict[str, Array] = {}
        self._kept: dict[str, Array] = {}
        self._known: dict[str, dict[str, Array]] = {}
        self.undecided = self.steps
        """The first step at which a potential lies so near to its threshold that rounding decides."""

    @cached_property
    def neurons(self) -> list[str]:
        return [name for name, node in self.nodes.items() if isinstance(node, FIRING + SILENT)]

    def run(self) -> None:
        """Compute every step of every neuron."""
        if looping([edge for edge in self.edges if not self._waits(edge[1]) and edge not in self.back]):
            raise MalformedError("a loop is ambiguous")
        for t in range(self.steps):
            for name in self.neurons:
                self._advance(name, t)

    # Which edges go back: by definition of dominance, with the node taken out.

    @cached_property
    def back(self) -> set[Edge]:
        instant = [edge for edge in self.edges if not self._waits(edge[1])]
        cut = {(u, v) for u, v in looping(instant) if is_cut_off(u, v, self._starts, self.edges)}
        left = [edge for edge in instant if edge not in cut]
        ends = self.outputs
        against = [(v, u) for u, v in self.edges]
        return cut | {
            (u, v)
            for u, v in looping(left)
            if reached([v], self.edges).intersection(ends) and is_cut_off(v, u, ends, against)
        }

    @cached_property
    def _starts(self) -> list[str]:
        return list(self.entering)

    def _waits(self, name: str) -> bool:
        node = self.nodes[name]
        return isinstance(node, nir.Delay) and bool((self._delay(name) >= 1).all())

    def _delay(self, name: str) -> Array:
        node = self.nodes[name]
        assert isinstance(node, nir.Delay)
        return np.rint(np.asarray(node.delay, np.float64) / self.dt).astype(int)

    # What a node sends at a step. `late`: what was fired in this very step counts as fired one step ago.

    def sent(self, name: str, t: int, *, late: bool = False) -> Array:
        key = (name, t, late)
        if key not in self._sent:
            self._sent[key] = self._compute(name, t, late)
        return self._sent[key]

    def _compute(self, name: str, t: int, late: bool) -> Array:
        node = self.nodes[name]
        if name in self.entering:
            at = t - late
            return self.entering[name][at] if at >= 0 else np.zeros(self.entering[name].shape[1:])
        if isinstance(node, FIRING + SILENT):
            at = t - late
            if at < 0:
                return np.zeros(self.shape(name))
            self._advance(name, at)
            return self.spikes[name][at] if isinstance(node, FIRING) else self.v[name][at]
        if isinstance(node, nir.Delay):
            return self._delayed(name, t, late)
        return self._linear(node, self._arriving(name, t, late))

    def _delayed(self, name: str, t: int, late: bool) -> Array:
        shape = self.shape(name)
        steps = spread(self._delay(name), shape)
        value = np.zeros(shape)
        for wait in np.unique(steps):
            wanted = steps == wait
            if wait == 0:
                value[wanted] = self._arriving(name, t, late)[wanted]
            elif t >= wait:
                value[wanted] = self._arriving(name, t - int(wait), late=False)[wanted]
        return value

    def _arriving(self, name: str, t: int, late: bool) -> Array:
        total: Any = None
        for source in self.sources[name]:
            value = self.sent(source, t, late=late or (source, name) in self.back)
            if total is not None and total.shape != value.shape:
                raise MalformedError(f"{name} adds {total.shape} and {value.shape}")
            total = value if total is None else total + value
        if total is None:
            raise MalformedError(f"{name} reads nothing")
        return total

    def shape(self, name: str, asked: frozenset[str] = frozenset()) -> tuple[int, ...]:
        """The shape of what a node sends, found from any source that does not need the node itself."""
        if name not in self._shapes:
            self._shapes[name] = self._shape(name, asked | {name})
        return self._shapes[name]

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: values.shape[1:] for name, values in self.entering.items()}

    def _shape(self, name: str, asked: frozenset[str]) -> tuple[int, ...]:
        node = self.nodes[name]
        if isinstance(node, nir.Linear | nir.Affine):
            return (len(node.weight),)
        for source in self.sources[name]:
            if source in asked:
                continue
            try:
                arriving = self.shape(source, asked)
            except MalformedError:
                continue
            if isinstance(node, FIRING + SILENT + (nir.Delay,)):
                return arriving
            return self._linear(node, np.zeros(arriving)).shape
        raise MalformedError(f"{name} has no shape")

    def _linear(self, node: nir.NIRNode, x: Array) -> Array:
        match node:
            case nir.Linear():
                return matrix(node.weight, x)
            case nir.Affine():
                y = matrix(node.weight, x)
                return y + spread(node.bias, y.shape)
            case nir.Scale():
                return x * spread(node.scale, x.shape)
            case nir.Conv2d() | nir.Conv1d():
                return convolution(node, x)
            case nir.SumPool2d() | nir.AvgPool2d():
                return pooling(node, x)
            case nir.Flatten():
                check_declared(node.input_type["input"], x.shape)
                return x.reshape(-1)
            case nir.Output():
                check_declared(node.output_type["output"], x.shape)
                return x
            case nir.Input():
                check_declared(node.input_type["input"], x.shape)
                return x
            case _:
                raise MalformedError(f"what is a {type(node).__name__}?")

    # Neurons.

    def parameters(self, name: str) -> dict[str, Array]:
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> dict[str, Array]:
        node, shape = self.nodes[name], self.shape(name)
        others = {"input_type", "output_type", "metadata"}
        names = [item.name for item in fields(node) if item.name not in others]
        return {key: spread(getattr(node, key), shape) for key in names}

    def start(self, name: str) -> Array:
        """Where the potential begins."""
        node, p = self.nodes[name], self.parameters(name)
        zero = np.zeros(self.shape(name))
        if self.rule.begins == "zero" or isinstance(node, nir.IF | nir.I | nir.Threshold):
            return p.get("v_reset", zero) if self.rule.begins == "v_reset" else zero
        silent = isinstance(node, SILENT)
        return p["v_leak"] if self.rule.begins == "v_leak" or silent else p["v_reset"]

    def _lost(self, tau: Array) -> Array:
        if self.rule.exponential:
            return 1 - np.exp(-self.dt / tau)
        # One step in single precision may be a hair shorter than one.
        lost = self.dt / tau
        return np.where((lost > 1) & (lost < 1 + 1e-6), 1.0, lost)

    def _advance(self, name: str, t: int) -> None:
        while len(self.v[name]) <= t:
            self._step(name, len(self.v[name]))

    def _step(self, name: str, t: int) -> None:
        node, p = self.nodes[name], self.parameters(name)
        x = self._arriving(name, t, late=False)
        if x.shape != self.shape(name):
            raise MalformedError(f"{name} of {self.shape(name)} reads {x.shape}")
        before = self._kept.get(name, self.start(name))
        fired = self.spikes[name][t - 1] if t else np.zeros(x.shape)
        if isinstance(node, SILENT):
            self._kept[name] = self.driven(name, before, x)
            self.v[name].append(self._kept[name])
            self.spikes[name].append(np.zeros(x.shape))
            return
        threshold = p["threshold" if isinstance(node, nir.Threshold) else "v_threshold"]
        firing = _Firing(self, name, before, fired, x, threshold)
        kind = "value" if isinstance(node, nir.Threshold) or p["v_reset"].any() else self.reset or "value"
        spikes, kept, shown = firing.step(kind)
        self._kept[name] = kept
        self.v[name].append(shown)
        self.spikes[name].append(spikes.astype(float))

    def driven(self, name: str, v: Array, x: Array) -> Array:
        """The potential before any reset, from the one of the step before."""
        node, p, rule = self.nodes[name], self.parameters(name), self.rule
        match node:
            case nir.LIF() | nir.LI():
                lost = self._lost(p["tau"])
                return v + lost * (p["v_leak"] - v) + p["r"] * (1 if rule.membrane_adds else lost) * x
            case nir.CubaLIF() | nir.CubaLI():
                lost = self._lost(p["tau_syn"])
                u = self._u.get(name, np.zeros(x.shape))
                u = u - lost * u + p["w_in"] * (1 if rule.synapse_adds else lost) * x
                self._u[name] = u
                lost = self._lost(p["tau_mem"])
                return v + lost * (p["v_leak"] - v) + p["r"] * (1 if rule.membrane_adds else lost) * u
            case nir.IF() | nir.I():
                return v + p["r"] * (1 if rule.integrator_adds else self.dt) * x
            case _:
                return x

    def stays(self, name: str) -> Array:
        """The share of the potential that a step leaves."""
        node, p = self.nodes[name], self.parameters(name)
        if isinstance(node, nir.IF):
            return np.ones(self.shape(name))
        return 1 - self._lost(p["tau_mem" if isinstance(node, nir.CubaLIF) else "tau"])

    def feeds_itself(self, name: str) -> bool:
        passing = [(a, b) for a, b in self.edges if not isinstance(self.nodes[a], FIRING + SILENT)]
        return name in reached([b for a, b in self.edges if a == name], passing)


@dataclass
class _Firing:
    """What happens at the threshold: every reset as its framework has it.

    Each returns the spikes, the potential that the framework keeps, and the one that is left in ours.
    """

    run: Simulation
    name: str
    before: Array
    fired: Array
    x: Array
    threshold: Array

    def step(self, kind: str) -> tuple[Array, Array, Array]:
        run, threshold = self.run, self.threshold
        match kind:
            case "subtract-delayed":
                v = self._driven(self.before) - self.fired * threshold
                spikes, stays = self._compare(v), run.stays(self.name)
                left = np.divide(threshold, stays, out=np.zeros(v.shape), where=stays > 0)
                return spikes, v, v - spikes * left
            case "subtract-snntorch":
                above = self.before > threshold
                self._decide(self.before, threshold)
                v = self._driven(self.before) - above * threshold
                spikes = self._compare(v)
                return spikes, v - (1.0 * spikes - above) * threshold, v - spikes * threshold
            case "zero-delayed":
                lossy = isinstance(run.nodes[self.name], nir.CubaLIF) or run.feeds_itself(self.name)
                stays = 1 - self.fired
                v = self._driven(self.before) * stays if lossy else self._driven(self.before * stays)
                spikes = self._compare(v)
                return spikes, v, v * ~spikes
        v = self._driven(self.before)
        if kind == "subtract-several":
            several = v / threshold
            self._decide(several, np.maximum(np.rint(several), 1))
            spikes = np.floor(several) if run.rule.at_threshold else np.ceil(several) - 1
            # No more are sent in a message of eight bits.
            spikes = np.clip(spikes, 0, 255)
            left = v - spikes * threshold
        else:
            spikes = self._compare(v)
            left = {"none": v, "subtract": v - spikes * threshold}.get(kind)
            left = np.where(spikes, self._target(kind), v) if left is None else left
        return spikes, left, left

    def _driven(self, v: Array) -> Array:
        return self.run.driven(self.name, v, self.x)

    def _target(self, kind: str) -> Array:
        p = self.run.parameters(self.name)
        zero = np.zeros(self.threshold.shape)
        return p.get("v_reset", zero) if kind == "value" else zero + (0.0 if kind == "zero" else float(kind))

    def _compare(self, v: Array) -> Array:
        self._decide(v, self.threshold)
        return v >= self.threshold if self.run.rule.at_threshold else v > self.threshold

    def _decide(self, v: Array, threshold: Array) -> None:
        """Remember the first step at which rounding may decide."""
        scale = np.maximum(1.0, np.maximum(np.abs(v), np.abs(threshold)))
        if (np.abs(v - threshold) < LIMIT * scale).any():
            self.run.undecided = min(self.run.undecided, len(self.run.v[self.name]))
