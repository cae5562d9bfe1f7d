"""What arrives at the neurons and outputs of a NIR graph, once the nodes between them are worked out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast, final

import nir
import numpy as np

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.interchange.nir.neurons import Dynamics
from toolchain.interchange.nir.parameters import (
    groups_of,
    kernels_of,
    matrix_of,
    numbers,
    steps_of,
    window_of,
)
from toolchain.interchange.nir.routes import Names, Route, Routes
from toolchain.interchange.nir.shapes import Form
from toolchain.interchange.nir.structure import Structure
from toolchain.ir.convolved_currents import convolved
from toolchain.ir.currents import Branch, Current, Sent, identity, multiplied, summed

Value = tuple[Sent, ...] | Current
"""What a node of the file sends: sources without weights, which are summed, or weighted sources."""


@final
@dataclass(frozen=True)
class Arrivals:
    """What drives the populations of a graph and what its outputs read.

    Attributes:
        populations: Name in the new graph of each node with neurons.
        currents: Current that drives each node with neurons.
        outputs: Population that each output reads, by its new name, or a current that is no population's.
        routes: Inputs, poolings and delays that the currents read, by their new names.
        notes: Sentences for the user.
    """

    populations: Mapping[str, str]
    currents: Mapping[str, Current]
    outputs: Mapping[str, str | Current]
    routes: Mapping[str, Route]
    notes: tuple[str, ...]


def arrivals(
    structure: Structure,
    steps: Mapping[str, Dynamics],
    dt: float,
    peak: float | Mapping[str, float] | None,
) -> Arrivals:
    """Work out every node between neurons.

    Args:
        structure: A graph without nesting.
        steps: How a step changes each node with neurons.
        dt: Length of a step in the file's unit of time.
        peak: Largest absolute value that enters, for inputs that are not spikes; by name, where they differ.

    Raises:
        FrontendError: A node has no exact counterpart; names it.
    """
    names = Names()
    streams = _Streams(structure, dt, Routes(names), {})
    forms, values = structure.forms, streams.values
    for leaf in structure.inputs:
        values[leaf] = (streams.routes.enter(leaf, forms[leaf].shape, peak),)
    populations = {leaf: names.new(leaf) for leaf in structure.neurons}
    for leaf, name in populations.items():
        shape, step = forms[leaf].shape, steps[leaf]
        sent = Sent(name, shape, spikes=step.firing.most == 1, flat=forms[leaf].flat)
        late = np.full(shape, int(step.late))
        values[leaf] = (streams.routes.wait(f"{leaf}.late", sent, late),)
    linear = structure.linear_order()
    for leaf in linear:
        values[leaf] = streams.sent_by(leaf, streams.arriving(leaf))
    currents = {leaf: _current(leaf, streams.arriving(leaf)) for leaf in populations}
    outputs = {
        leaf: _population_or_current(leaf, streams.arriving(leaf), streams.routes, populations)
        for leaf in structure.outputs
    }
    notes = tuple(
        f"what '{source}' sends to '{leaf}' arrives one step later: it closes a loop"
        for leaf in (*linear, *populations, *outputs)
        for source in structure.sources(leaf)
        if (source, leaf) in structure.back
    )
    return Arrivals(populations, currents, outputs, streams.routes.nodes, notes)


def _population_or_current(
    leaf: str, value: Value, routes: Routes, populations: Mapping[str, str]
) -> str | Current:
    """Return the population that an output reads; of one whose spikes leave late, the population, too."""
    if not isinstance(value, Current) and len(value) == 1 and value[0].plain:
        name = value[0].node
        late = {f"{population}.late": population for population in populations.values()}
        node = routes.nodes.get(name)
        if isinstance(node, ir.Delay) and late.get(name) == node.inputs[0]:
            name = late[name]
        if name in populations.values():
            return name
    return _current(leaf, value)


def _current(leaf: str, value: Value) -> Current:
    """Return what arrives as a current: spikes without a connection go one to one."""
    if isinstance(value, Current):
        return value
    # Flattened feature maps go on as maps, so that they can meet others.
    currents = [
        replace(identity(f"{leaf}.from.{sent.node}", replace(sent, flat=False)), flat=sent.flat)
        for sent in value
    ]
    return currents[0] if len(currents) == 1 else summed(currents)


@final
@dataclass(frozen=True)
class _Streams:
    """Values along the edges of a graph.

    Attributes:
        structure: The graph.
        dt: Length of a step.
        routes: Inputs, poolings and delays, which grow as nodes are worked out.
        values: What each node sends, as far as it is known.
    """

    structure: Structure
    dt: float
    routes: Routes
    values: dict[str, Value]

    def arriving(self, leaf: str) -> Value:
        """Return the sum of what a node reads."""
        values = [self._over_edge(source, leaf) for source in self.structure.sources(leaf)]
        if len(values) == 1:
            return values[0]
        if all(not isinstance(value, Current) for value in values):
            return tuple(sent for value in values for sent in cast("tuple[Sent, ...]", value))
        return summed([_current(leaf, value) for value in values])

    def _over_edge(self, source: str, leaf: str) -> Value:
        """Return what an edge carries; over one that goes back, all but a bias arrives a step late."""
        value = self.values[source]
        if (source, leaf) not in self.structure.back:
            return value
        if not isinstance(value, Current):
            return tuple(self.routes.one_step_late(sent) for sent in value)
        branches = [
            replace(branch, source=self.routes.one_step_late(branch.source)) for branch in value.branches
        ]
        return replace(value, branches=tuple(branches))

    def sent_by(self, leaf: str, value: Value) -> Value:
        """Return what a node without neurons makes of what arrives."""
        node = self.structure.nodes[leaf]
        match node:
            case nir.Affine() | nir.Linear():
                return _affine(leaf, node, value)
            case nir.Scale():
                return _scaled(leaf, node, value, self.structure.forms[leaf])
            case nir.Conv1d() | nir.Conv2d():
                return _convolution(leaf, node, value)
            case nir.SumPool2d() | nir.AvgPool2d():
                return self._pooled(leaf, node, value)
            case nir.Flatten():
                if isinstance(value, Current):
                    return replace(value, flat=True)
                return tuple(replace(sent, flat=True) for sent in value)
            case nir.Delay():
                return self._delayed(leaf, node, value)
            case _:
                return value

    def _pooled(self, leaf: str, node: nir.SumPool2d | nir.AvgPool2d, value: Value) -> Value:
        window = window_of(leaf, node)
        factor = 1.0 / window.area if isinstance(node, nir.AvgPool2d) else 1.0
        if not isinstance(value, Current):
            return tuple(self.routes.pool(leaf, sent, window, factor) for sent in value)
        if window.padding != (0, 0):
            raise FrontendError(f"pooling '{leaf}' pads what is not yet spikes; put neurons before it")
        kernels = np.full((value.shape[0], 1, *window.kernel), factor)
        return convolved(leaf, value, kernels, stride=window.stride, groups=value.shape[0])

    def _delayed(self, leaf: str, node: nir.Delay, value: Value) -> Value:
        form = self.structure.forms[leaf]
        steps = form.fit(leaf, "delay", steps_of(leaf, node, self.dt)).astype(np.int64)
        if not isinstance(value, Current):
            return tuple(self.routes.wait(leaf, sent, steps.reshape(sent.shape)) for sent in value)
        first = int(steps.ravel()[0])
        if (steps != first).any() or value.bias.any():
            raise FrontendError(
                f"delay '{leaf}' follows a linear layer with a bias, or differs per target; delay the spikes "
                "instead"
            )
        branches = [
            replace(branch, source=self.routes.wait(leaf, branch.source, np.full(branch.source.shape, first)))
            for branch in value.branches
        ]
        return replace(value, branches=tuple(branches))


def _affine(leaf: str, node: nir.Affine | nir.Linear, value: Value) -> Current:
    weights = matrix_of(leaf, node)
    bias = np.zeros(len(weights))
    if isinstance(node, nir.Affine):
        bias = _bias(leaf, node.bias, len(weights))
    if isinstance(value, Current):
        return multiplied(leaf, value, weights).affine(np.ones(len(bias)), bias)
    return Current(tuple(Branch(leaf, sent, weights) for sent in value), bias, (len(weights),))


def _scaled(leaf: str, node: nir.Scale, value: Value, form: Form) -> Value:
    scale = form.fit(leaf, "scale", node.scale)
    if isinstance(value, Current):
        return value.affine(value.channels(scale.reshape(value.shape), leaf), np.zeros(len(value.bias)))
    return tuple(sent.scaled(scale) for sent in value)


def _convolution(leaf: str, node: nir.Conv1d | nir.Conv2d, value: Value) -> Current:
    kernels, window, groups = kernels_of(leaf, node), window_of(leaf, node), groups_of(leaf, node)
    bias = _bias(leaf, node.bias, len(kernels))
    if isinstance(value, Current):
        if window.padding != (0, 0):
            raise FrontendError(
                f"convolution '{leaf}' pads what is not yet spikes; put neurons before it, or do not pad"
            )
        stream = convolved(
            leaf, value, kernels, stride=window.stride, dilation=window.dilation, groups=groups
        )
        return stream.affine(np.ones(len(bias)), bias)
    branches = tuple(
        Branch(leaf, sent, kernels, window.stride, window.padding, window.dilation, groups) for sent in value
    )
    rows, columns = window.positions((value[0].shape[1], value[0].shape[2]))
    return Current(branches, bias, (len(kernels), rows, columns))


def _bias(leaf: str, values: object, count: int) -> Floats:
    return Form((count,)).fit(leaf, "bias", numbers(leaf, "bias", values))
