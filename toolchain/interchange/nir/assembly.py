"""The float graph of an imported network, put together from what drives each population and how it steps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, final

import networkx as nx
import numpy as np
from scipy.sparse import csr_array

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.interchange.nir.arrivals import Arrivals
from toolchain.interchange.nir.neurons import AfterSpike, Dynamics
from toolchain.interchange.nir.routes import Names
from toolchain.ir import AnyNode, Decode, Origin
from toolchain.ir.currents import Branch, Current, Sent, identity
from toolchain.ir.types import size_of
from toolchain.reset import Reset

_PASSING: Final = (ir.Delay, ir.SumPool2d, ir.MaxPool2d)
"""Nodes that only pass on what populations and inputs send."""
_READOUT: Final = ".readout"
"""Ending of the name of neurons that hold a current."""
_THRESHOLD: Final = 32.0
"""Threshold of neurons that fire at every step: a whole number that any chip holds, and twice it is added."""


class Assembled(NamedTuple):
    """The nodes of a graph, each after what it reads in the same step, and sentences for the user."""

    nodes: tuple[AnyNode, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def assembled(
    arrivals: Arrivals,
    dynamics: Mapping[str, Dynamics],
    decodes: Mapping[str, Decode | None],
    classes: tuple[str, ...],
) -> Assembled:
    """Put the nodes of a graph together.

    Args:
        arrivals: What drives the populations and what the outputs read.
        dynamics: How a step changes each node with neurons.
        decodes: How each output is read; where it says none, spikes are counted and potentials averaged.
        classes: Names of the classes.

    Raises:
        FrontendError: A population reads neurons that never fire, or scales a convolution within a map.
    """
    assembly = _Assembly(arrivals, dynamics)
    for leaf, name in arrivals.populations.items():
        assembly.populate(name, leaf, arrivals.currents[leaf], dynamics[leaf])
    for leaf, read in arrivals.outputs.items():
        population = read if isinstance(read, str) else assembly.hold(f"{leaf}{_READOUT}", read)
        assembly.read_out(leaf, population, decodes[leaf], classes)
    nodes = _in_running_order(_without_unread(assembly.nodes))
    return Assembled(nodes, tuple(assembly.notes), tuple(assembly.warnings))


@final
class _Assembly:
    """Collects the nodes of a graph."""

    def __init__(self, arrivals: Arrivals, dynamics: Mapping[str, Dynamics]) -> None:
        self.nodes: dict[str, AnyNode] = dict(arrivals.routes)
        self.notes = list[str]()
        self.warnings = list[str]()
        self._names = Names((*arrivals.routes, *arrivals.populations.values()))
        self._silent = {name: leaf for leaf, name in arrivals.populations.items() if dynamics[leaf].silent}
        self._constants: dict[str, str] = {}

    def populate(self, name: str, leaf: str, current: Current, step: Dynamics) -> None:
        """Add a population and its connections."""
        self.notes.extend(step.notes)
        if step.rest.any():
            self.notes.append(f"potentials of '{leaf}' are measured from where they begin")
        if (step.gain != 1).any():
            current = current.affine(current.channels(step.gain, leaf), np.zeros_like(current.bias))
        firing = step.firing
        inputs = self._incoming(leaf, current, step)
        if firing.later is not None:
            # What reaches the potential through a current that keeps a share is given back one step later.
            taps = (-firing.later, firing.later * (1 - step.du))
            inputs += self._answer(f"{leaf}.reset", name, current.shape, taps)
        if firing.threshold_again is not None:
            watching = self._names.new(f"{leaf}.above")
            inputs += self._answer(
                f"{leaf}.held", watching, current.shape, _pulse(-firing.threshold_again, step)
            )
            self._watch(watching, name, current, step, firing.threshold_again)
        self._add(name, leaf, inputs, current, step, step.vth, firing)

    def _add(
        self,
        name: str,
        leaf: str,
        inputs: Sequence[str],
        current: Current,
        step: Dynamics,
        vth: Floats,
        firing: AfterSpike,
    ) -> None:
        instant = bool((step.du == 1).all())
        self.nodes[name] = ir.Lif(
            name=name,
            inputs=tuple(inputs),
            du=step.du,
            dv=step.dv,
            vth=vth,
            bias=step.bias + (current.offsets if instant else 0.0),
            origin=Origin.whole(leaf, size_of(current.shape)),
            reset=firing.reset,
            reset_amount=firing.amount,
            refractory=firing.refractory,
            max_spikes=firing.most,
        )

    def _incoming(self, leaf: str, current: Current, step: Dynamics) -> list[str]:
        """Add the connections of a current, and return their names."""
        inputs = [self._connect(leaf, branch) for branch in current.branches]
        if current.bias.any() and not (step.du == 1).all():
            inputs.append(self._add_constant(leaf, current, inputs[0]))
        return inputs

    def _watch(self, name: str, watched: str, current: Current, step: Dynamics, thresholds: Floats) -> None:
        r"""Add neurons that fire where others are left above their thresholds by a step.

        With `w` the potential before the reset and `h` whether the step before ended above the threshold,
        the others fire where :math:`w - \theta h > \theta`, and end above it where
        :math:`w + \theta h > 2 \theta`. That needs nothing of the others in the same step, so a loop through
        both has as many steps as connections.

        Args:
            name: Name of the new neurons.
            watched: Name of the others.
            current: Current of both.
            step: Step of both.
            thresholds: Thresholds of the others.
        """
        inputs = self._incoming(name, current, step)
        taken = -thresholds * (1 - step.dv)
        inputs += self._answer(f"{name}.taken", watched, current.shape, (taken, -taken * (1 - step.du)))
        inputs += self._answer(f"{name}.held", name, current.shape, _pulse(thresholds, step))
        self._add(name, name, inputs, current, step, 2 * thresholds - step.rest, AfterSpike(Reset.NONE))
        # They are none of the framework's, so nobody has a record of them.
        added = Origin(name, np.full(size_of(current.shape), -1))
        self.nodes[name] = replace(self.nodes[name], origin=added)

    def _answer(self, leaf: str, source: str, shape: tuple[int, ...], taps: Sequence[Floats]) -> list[str]:
        """Add connections from each neuron to its counterpart: one for every step after a spike.

        Args:
            leaf: What they are called.
            source: Population that sends.
            shape: Its shape.
            taps: Weights after one step, two steps and so on.
        """
        names = list[str]()
        for steps, weights in enumerate(taps, start=1):
            if not weights.any():
                continue
            delay = self._names.new(f"{leaf}.{source}.{steps}")
            self.nodes[delay] = ir.Delay(name=delay, inputs=(source,), shape=shape, steps=steps)
            current = identity(f"{leaf}.{steps}", Sent(delay, shape, spikes=True))
            current = current.affine(current.channels(weights, leaf), np.zeros_like(current.bias))
            names.append(self._connect(leaf, current.branches[0]))
        return names

    def hold(self, leaf: str, current: Current) -> str:
        """Add neurons that never fire and forget at once: their potential is the current itself."""
        name = self._names.new(leaf)
        self._silent[name] = leaf
        ones, zeros = np.ones(current.shape), np.zeros(current.shape)
        self.populate(
            name, leaf, current, Dynamics(ones, ones, ones, zeros, np.full_like(ones, np.inf), zeros)
        )
        self.notes.append(f"'{leaf}' holds the current for one step, as neurons that never fire")
        self.warnings.append(
            f"'{leaf.removesuffix(_READOUT)}' reads weights, not neurons: what leaves is a current, which is "
            "averaged over the steps. If neurons stood there, the exporter has lost them"
        )
        return name

    def read_out(self, leaf: str, population: str, decode: Decode | None, classes: tuple[str, ...]) -> None:
        """Add an output."""
        usual = Decode.MEAN_V if population in self._silent else Decode.SPIKE_COUNT
        name = self._names.new(leaf)
        self.nodes[name] = ir.Output(name=name, inputs=(population,), decode=decode or usual, classes=classes)

    def _connect(self, leaf: str, branch: Branch) -> str:
        """Add a connection and return its name."""
        source = branch.source.node
        while isinstance(node := self.nodes.get(source), _PASSING):
            source = node.inputs[0]
        if source in self._silent:
            raise FrontendError(
                f"node '{self._silent[source]}' never fires, but '{branch.name}' reads it; only spikes "
                "travel, so such neurons can only be read out"
            )
        name = self._names.new(branch.name, f"{branch.name}.{branch.source.node}", f"{branch.name}.{leaf}")
        self.nodes[name] = branch.node(name)
        return name

    def _add_constant(self, leaf: str, current: Current, beside: str) -> str:
        """Add a connection that carries the constant of a current, and return its name.

        A bias in front of a current filter is none of the neuron's registers, so it comes from neurons that
        fire at every step.

        Args:
            leaf: Population that the current drives.
            current: The current.
            beside: Another connection of that population.
        """
        flat = len(current.shape) == 1
        shape = (1,) if flat else (1, *current.shape[1:])
        source = self._always_firing("constant" if flat else f"constant.{leaf}", shape, beside)
        name = self._names.new(f"{leaf}.bias")
        self.nodes[name] = (
            ir.Dense(name=name, inputs=(source,), weights=current.bias.reshape(-1, 1))
            if flat
            else ir.Conv2d(name=name, inputs=(source,), weights=current.bias.reshape(-1, 1, 1, 1))
        )
        self.notes.append(
            f"the bias in front of the current filter of '{leaf}' comes from '{source}', "
            "which fires at every step"
        )
        return name

    def _always_firing(self, wanted: str, shape: tuple[int, ...], beside: str) -> str:
        """Return neurons that fire at every step; a connection without weight ties them to the network.

        Args:
            wanted: Name of the neurons; the same name stands for the same neurons.
            shape: Shape of the neurons.
            beside: Connection of the population that they drive.
        """
        if wanted in self._constants:
            return self._constants[wanted]
        name, tie = self._names.new(wanted), self._names.new(f"{wanted}.tie")
        self._constants[wanted] = name
        like = self.nodes[beside]
        if isinstance(like, ir.Conv2d):
            silent = np.zeros((1, like.weights.shape[1] * like.groups, *like.weights.shape[2:]))
            self.nodes[tie] = replace(like, name=tie, weights=silent, groups=1)
        else:
            node = next(node for node in self.nodes.values() if isinstance(node, ir.Input))
            empty = csr_array((1, size_of(node.shape)))
            self.nodes[tie] = ir.Dense(name=tie, inputs=(node.name,), weights=empty)
        ones = np.ones(shape)
        self.nodes[name] = ir.Lif(
            name=name,
            inputs=(tie,),
            du=ones,
            dv=np.zeros(shape),
            vth=_THRESHOLD * ones,
            bias=2 * _THRESHOLD * ones,
            origin=Origin("constant", np.full(size_of(shape), -1)),
        )
        return name


def _pulse(amount: Floats, step: Dynamics) -> tuple[Floats, Floats, Floats]:
    """Return what has to arrive in three steps so that it changes the potential in the first of them only."""
    current, potential = 1 - step.du, 1 - step.dv
    return amount, -amount * (current + potential), amount * current * potential


def _without_unread(nodes: Mapping[str, AnyNode]) -> Mapping[str, AnyNode]:
    """Return the nodes without delays and poolings that nothing reads."""
    while True:
        read = {operand for node in nodes.values() for operand in node.inputs}
        unread = [name for name, node in nodes.items() if name not in read and isinstance(node, _PASSING)]
        if not unread:
            return nodes
        nodes = {name: node for name, node in nodes.items() if name not in unread}


def _in_running_order(nodes: Mapping[str, AnyNode]) -> tuple[AnyNode, ...]:
    """Return the nodes, each after what it reads in the same step; else as they came."""
    order = nx.DiGraph()
    order.add_nodes_from(nodes)
    for node in nodes.values():
        if not (isinstance(node, ir.Delay) and node.min_steps >= 1):
            order.add_edges_from((operand, node.name) for operand in node.inputs)
    place = {name: i for i, name in enumerate(nodes)}
    return tuple(nodes[name] for name in nx.lexicographical_topological_sort(order, key=place.__getitem__))
