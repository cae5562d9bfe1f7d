"""Puts a float graph together from what stands in a file: names, delays of loops, constant input."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, final

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.interchange.nir.conventions import Convention
from toolchain.interchange.nir.neurons import SILENT, Dynamics, Neuron, dynamics
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, Origin, Window, verify
from toolchain.ir.currents import Branch, Current, Sent
from toolchain.ir.types import size_of

GRADED_BITS: Final = 8
_THRESHOLD: Final = 32.0
"""Of neurons that fire at every step: a whole number that any chip holds, reached by twice as much."""


@final
class Assembly:
    """Collects the nodes of a graph.

    Args:
        convention: What a step is.
    """

    def __init__(self, convention: Convention) -> None:
        self.convention, self.notes = convention, list[str]()
        self._nodes: dict[str, AnyNode] = {}
        self._leaves: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._silent: set[str] = set()
        self._later: dict[str, str] = {}
        self._constants: dict[str, str] = {}
        self._taken: set[str] = set()

    def enter(self, leaf: str, shape: tuple[int, ...], peak: float | Mapping[str, float] | None) -> Sent:
        """Add an input; of graded values if it has a largest one."""
        name = self._name(leaf)
        largest = peak.get(name) if isinstance(peak, Mapping) else peak
        graded = largest is not None
        self._nodes[name] = ir.Input(
            name=name,
            shape=shape,
            edge=EdgeKind.GRADED if graded else EdgeKind.SPIKE,
            scale=(2**GRADED_BITS - 1) / (largest or 1.0) if graded else 1.0,
            bits=GRADED_BITS if graded else 1,
        )
        return Sent(name, shape, spikes=not graded)

    def announce(self, leaf: str, shape: tuple[int, ...], *, flat: bool) -> Sent:
        """Return what a population will send; `population` adds it."""
        name = self._name(leaf)
        self._leaves[name], self._names[leaf] = leaf, name
        return Sent(name, shape, spikes=True, flat=flat)

    def is_population(self, name: str) -> bool:
        """Return whether a node is a population."""
        return name in self._leaves

    def pool(self, leaf: str, sent: Sent, window: Window, factor: float) -> Sent:
        """Add a sum over windows; an average is one whose factor goes into the weights that read it."""
        name = self._name(leaf)
        self._nodes[name] = ir.SumPool2d(
            name=name, inputs=(sent.node,), kernel=window.kernel, stride=window.stride, padding=window.padding
        )
        shape = (sent.shape[0], *window.positions((sent.shape[1], sent.shape[2])))
        kept: float | Floats = factor
        if not sent.plain:
            kept = factor * sent.channels(leaf).reshape(-1, 1, 1)
        return Sent(name, shape, spikes=False, factor=kept)

    def wait(self, leaf: str, sent: Sent, steps: NDArray[np.int64]) -> Sent:
        """Add a delay of what is sent, the same for all or per element; two in a row are one."""
        if not steps.any():
            return sent
        behind = self._nodes.get(sent.node)
        base = sent.node
        if isinstance(behind, ir.Delay):
            base, steps = behind.inputs[0], steps + behind.steps
        uniform = bool((steps == steps.ravel()[0]).all())
        name = self._name(leaf)
        self._nodes[name] = ir.Delay(
            name=name,
            inputs=(base,),
            shape=sent.shape,
            edge=EdgeKind.SPIKE if sent.spikes else EdgeKind.GRADED,
            steps=int(steps.ravel()[0]) if uniform else steps,
        )
        return replace(sent, node=name)

    def later(self, sent: Sent) -> Sent:
        """Return what is sent at least one step late: elements that wait already wait no longer.

        Raises:
            FrontendError: Delays that differ per element stand before and behind a pooling, so that no delay
                in one place adds a step where both are 0.
        """
        if sent.node not in self._later:
            self._later[sent.node] = self._one_later(sent)
        return replace(sent, node=self._later[sent.node])

    def _one_later(self, sent: Sent) -> str:
        node, before = self._nodes.get(sent.node), f"{sent.node}.before"
        least, most = self._range(sent.node)
        if least >= 1:
            return sent.node
        if most == 0:
            return self.wait(before, sent, np.ones(sent.shape, np.int64)).node
        if isinstance(node, ir.SumPool2d):
            # The pooling sums elements that wait and others: they are told apart before it.
            behind = self._nodes[node.inputs[0]]
            shape = behind.shape if isinstance(behind, ir.Delay) else sent.shape
            base = self.later(Sent(behind.name, shape, spikes=not isinstance(behind, ir.SumPool2d)))
            name = self._name(before)
            self._nodes[name] = replace(node, name=name, inputs=(base.node,))
            return name
        if isinstance(node, ir.Delay) and self._range(node.inputs[0])[1] == 0:
            missing = (np.broadcast_to(node.steps, node.shape) == 0).astype(np.int64)
            return self.wait(before, sent, missing).node
        raise FrontendError(
            f"delay '{sent.node}' lies in a loop, as does another before its pooling; both differ per "
            "element and are 0 for some: let one of them be one step or more"
        )

    def _range(self, name: str) -> tuple[int, int]:
        """Return the smallest and the largest delay since a node was fired."""
        node = self._nodes.get(name)
        if not isinstance(node, ir.Delay | ir.SumPool2d):
            return 0, 0
        least, most = self._range(node.inputs[0])
        return (
            (least + node.min_steps, most + node.max_steps) if isinstance(node, ir.Delay) else (least, most)
        )

    def population(self, leaf: str, node: Neuron, current: Current) -> None:
        """Add a population and its connections.

        Raises:
            FrontendError: Its parameters do not fit, or cannot be converted.
        """
        name = self._names[leaf]
        step = dynamics(leaf, node, current.shape, self.convention)
        if isinstance(node, SILENT):
            self._silent.add(name)
        self.notes.extend(step.notes)
        if step.rest.any():
            self.notes.append(f"potentials of '{leaf}' are measured from where they begin")
        self._add(name, leaf, current, step)

    def hold(self, leaf: str, current: Current) -> str:
        """Add neurons that never fire and forget at once: their potential is the current itself."""
        name = self._name(leaf)
        self._leaves[name] = leaf
        self._silent.add(name)
        ones, zeros = np.ones(current.shape), np.zeros(current.shape)
        self._add(name, leaf, current, Dynamics(ones, ones, ones, zeros, np.full_like(ones, np.inf), zeros))
        self.notes.append(f"'{leaf}' holds the current for one step, as neurons that never fire")
        return name

    def leave(self, leaf: str, population: str, decode: Decode | None, classes: Sequence[str]) -> None:
        """Add an output."""
        chosen = decode or (Decode.MEAN_V if population in self._silent else Decode.SPIKE_COUNT)
        name = self._name(leaf)
        self._nodes[name] = ir.Output(name=name, inputs=(population,), decode=chosen, classes=tuple(classes))

    def graph(self, name: str, dt_ms: float) -> Graph:
        """Return the graph, in an order in which it can run, without delays that nothing reads."""
        unread = {""}
        while unread:
            read = {operand for node in self._nodes.values() for operand in node.inputs}
            unread = {
                key for key, node in self._nodes.items() if isinstance(node, ir.Delay | ir.SumPool2d)
            } - read
            self._nodes = {key: node for key, node in self._nodes.items() if key not in unread}
        order = nx.DiGraph()
        order.add_nodes_from(self._nodes)
        for node in self._nodes.values():
            if not (isinstance(node, ir.Delay) and node.min_steps >= 1):
                order.add_edges_from((operand, node.name) for operand in node.inputs)
        place = {key: i for i, key in enumerate(self._nodes)}
        names = nx.lexicographical_topological_sort(order, key=lambda key: place[key])
        graph = Graph(tuple(self._nodes[key] for key in names), dt_ms=dt_ms, name=name)
        verify(graph)
        return graph

    def _add(self, name: str, leaf: str, current: Current, step: Dynamics) -> None:
        gained = self._gained(leaf, current, step.gain)
        instant = bool((step.du == 1).all())
        inputs = [self._connect(leaf, branch) for branch in gained.branches]
        if gained.bias.any() and not instant:
            inputs.append(self._constant(leaf, gained, inputs[0]))
        self._nodes[name] = ir.Lif(
            name=name,
            inputs=tuple(inputs),
            du=step.du,
            dv=step.dv,
            vth=step.vth,
            bias=step.bias + (gained.offsets if instant else 0.0),
            origin=Origin.whole(leaf, size_of(current.shape)),
        )

    @staticmethod
    def _gained(leaf: str, current: Current, gain: Floats) -> Current:
        if (gain == 1).all():
            return current
        return current.affine(current.channels(gain, leaf), np.zeros_like(current.bias))

    def _connect(self, leaf: str, branch: Branch) -> str:
        """Add a connection."""
        source = self._origin(branch.source.node)
        if source in self._silent:
            raise FrontendError(
                f"node '{self._leaves[source]}' never fires, but '{branch.name}' reads it; only spikes "
                "travel, so such neurons can only be read out"
            )
        name = self._name(branch.name, f"{branch.name}.{branch.source.node}", f"{branch.name}.{leaf}")
        self._nodes[name] = branch.node(name)
        return name

    def _origin(self, name: str) -> str:
        """Return the input or population that a node reads from."""
        while isinstance(node := self._nodes.get(name), ir.Delay | ir.SumPool2d):
            name = node.inputs[0]
        return name

    def _constant(self, leaf: str, current: Current, beside: str) -> str:
        """Add a connection that carries a constant: from a neuron that fires at every step.

        A bias in front of a current filter is none of the neuron's registers.
        """
        flat = len(current.shape) == 1
        shape = (1,) if flat else (1, *current.shape[1:])
        source = self._always("constant" if flat else f"constant.{leaf}", shape, beside)
        name = self._name(f"{leaf}.bias")
        self._nodes[name] = (
            ir.Dense(name=name, inputs=(source,), weights=current.bias.reshape(-1, 1))
            if flat
            else ir.Conv2d(name=name, inputs=(source,), weights=current.bias.reshape(-1, 1, 1, 1))
        )
        self.notes.append(
            f"the bias in front of the current filter of '{leaf}' comes from '{source}', "
            "which fires at every step"
        )
        return name

    def _always(self, wanted: str, shape: tuple[int, ...], beside: str) -> str:
        """Return neurons that fire at every step; a connection without weight ties them to the network.

        Args:
            wanted: Name; asked for again, the same neurons are returned.
            shape: Of one step.
            beside: A connection of the population that they drive.
        """
        if wanted in self._constants:
            return self._constants[wanted]
        name, tie = self._name(wanted), self._name(f"{wanted}.tie")
        self._constants[wanted] = name
        like = self._nodes[beside]
        if isinstance(like, ir.Conv2d):
            silent = np.zeros((1, like.weights.shape[1] * like.groups, *like.weights.shape[2:]))
            self._nodes[tie] = replace(like, name=tie, weights=silent, groups=1)
        else:
            node = next(node for node in self._nodes.values() if isinstance(node, ir.Input))
            empty = csr_array((1, size_of(node.shape)))
            self._nodes[tie] = ir.Dense(name=tie, inputs=(node.name,), weights=empty)
        ones = np.ones(shape)
        self._nodes[name] = ir.Lif(
            name=name,
            inputs=(tie,),
            du=ones,
            dv=np.zeros(shape),
            vth=_THRESHOLD * ones,
            bias=2 * _THRESHOLD * ones,
            origin=Origin("constant", np.full(size_of(shape), -1)),
        )
        return name

    def _name(self, *wanted: str) -> str:
        """Return the first name that is free, as a name may be written here."""
        clean = [re.sub(r"[^A-Za-z0-9_.-]", "_", text).lstrip(".-")[:180] or "node" for text in wanted]
        free = [name for name in clean if name not in self._taken]
        number = 2
        while not free:
            free = [f"{clean[0]}.{number}" for _ in range(1) if f"{clean[0]}.{number}" not in self._taken]
            number += 1
        self._taken.add(free[0])
        return free[0]
