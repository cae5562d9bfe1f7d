"""Puts a float graph together from what stands in a file: names, delays of loops, constant input."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, final

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain.currents import Branch, Current, Sent
from toolchain.errors import FrontendError
from toolchain.interchange.conventions import Convention
from toolchain.interchange.nir_neurons import SILENT, Dynamics, Neuron, dynamics
from toolchain.ir import (
    AnyNode,
    Conv2d,
    Decode,
    Delay,
    Dense,
    EdgeKind,
    Graph,
    Input,
    Lif,
    Origin,
    Output,
    SumPool2d,
    Window,
    verify,
)
from toolchain.ir.types import size_of

Floats = NDArray[np.float64]

GRADED_BITS: Final = 8
_THRESHOLD: Final = 32.0
"""Of neurons that fire at every step: a whole number that any chip holds, reached by twice as much."""


@final
class Assembly:
    """Collects the nodes of a graph.

    Args:
        convention: What a step is.
        rank: Order in which the neurons of the file run.
        peak: Largest absolute value that enters; None for spikes.
    """

    def __init__(self, convention: Convention, rank: Mapping[str, int], peak: float | None) -> None:
        self.convention, self.notes = convention, list[str]()
        self._rank, self._peak = rank, peak
        self._nodes: dict[str, AnyNode] = {}
        self._leaves: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._silent: set[str] = set()
        self._before: dict[str, str] = {}
        self._constants: dict[str, str] = {}
        self._taken: set[str] = set()

    def enter(self, leaf: str, shape: tuple[int, ...]) -> Sent:
        """Add an input."""
        name = self._name(leaf)
        graded = self._peak is not None
        self._nodes[name] = Input(
            name=name,
            shape=shape,
            edge=EdgeKind.GRADED if graded else EdgeKind.SPIKE,
            scale=(2**GRADED_BITS - 1) / (self._peak or 1.0) if graded else 1.0,
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
        if sent.flat or len(sent.shape) != 3:
            raise FrontendError(f"pooling '{leaf}' reads {sent.features}, expected feature maps [C, H, W]")
        name = self._name(leaf)
        self._nodes[name] = SumPool2d(
            name=name, inputs=(sent.node,), kernel=window.kernel, stride=window.stride, padding=window.padding
        )
        shape = (sent.shape[0], *window.positions((sent.shape[1], sent.shape[2])))
        kept: float | Floats = factor
        if not sent.plain:
            kept = factor * sent.channels(leaf).reshape(-1, 1, 1)
        return Sent(name, shape, spikes=False, factor=kept)

    def wait(self, leaf: str, sent: Sent, steps: NDArray[np.int64]) -> Sent:
        """Add a delay of what is sent, the same for all or per element."""
        if not steps.any():
            return sent
        uniform = bool((steps == steps.ravel()[0]).all())
        name = self._name(leaf)
        self._nodes[name] = Delay(
            name=name,
            inputs=(sent.node,),
            shape=sent.shape,
            edge=EdgeKind.SPIKE if sent.spikes else EdgeKind.GRADED,
            steps=int(steps.ravel()[0]) if uniform else steps,
        )
        return replace(sent, node=name)

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
        self._nodes[name] = Output(name=name, inputs=(population,), decode=chosen, classes=tuple(classes))

    def graph(self, name: str, dt_ms: float) -> Graph:
        """Return the graph, in an order in which it can run."""
        order = nx.DiGraph()
        order.add_nodes_from(self._nodes)
        for node in self._nodes.values():
            if not (isinstance(node, Delay) and node.least >= 1):
                order.add_edges_from((operand, node.name) for operand in node.inputs)
        place = {key: i for i, key in enumerate(self._nodes)}
        try:
            names = list(nx.lexicographical_topological_sort(order, key=lambda key: place[key]))
        except nx.NetworkXUnfeasible:
            loop = " -> ".join(source for source, _ in nx.find_cycle(order))
            raise FrontendError(f"the loop {loop} has no delay") from None
        graph = Graph(tuple(self._nodes[key] for key in names), dt_ms=dt_ms, name=name)
        verify(graph)
        return graph

    def _add(self, name: str, leaf: str, current: Current, step: Dynamics) -> None:
        gained = self._gained(leaf, current, step.gain)
        instant = bool((step.du == 1).all())
        bias = gained.bias.reshape(-1, *[1] * (len(current.shape) - 1))
        inputs = [self._connect(leaf, branch) for branch in gained.branches]
        if gained.bias.any() and not instant:
            inputs.append(self._constant(leaf, gained, inputs[0]))
        self._nodes[name] = Lif(
            name=name,
            inputs=tuple(inputs),
            du=step.du,
            dv=step.dv,
            vth=step.vth,
            bias=step.bias + (np.broadcast_to(bias, current.shape) if instant else 0.0),
            origin=Origin.whole(leaf, size_of(current.shape)),
        )

    @staticmethod
    def _gained(leaf: str, current: Current, gain: Floats) -> Current:
        if (gain == 1).all():
            return current
        return current.affine(current.channels(gain, leaf), np.zeros_like(current.bias))

    def _connect(self, leaf: str, branch: Branch) -> str:
        """Add a connection; where the order goes back, what it reads comes one step later."""
        source, waits = self._origin(branch.source.node)
        if source in self._silent:
            raise FrontendError(
                f"node '{self._leaves[source]}' never fires, but '{branch.name}' reads it; only "
                "spikes travel, "
                "so such neurons can only be read out"
            )
        back = source in self._leaves and self._rank[self._leaves[source]] >= self._rank.get(
            leaf, len(self._rank)
        )
        sent = branch.source
        if back and not waits:
            self.notes.append(
                f"'{self._leaves[source]}' reaches '{leaf}' through '{branch.name}' one step later: "
                "it closes a loop"
            )
            if sent.node not in self._before:
                self._before[sent.node] = self.wait(
                    f"{sent.node}.before", sent, np.ones(sent.shape, int)
                ).node
            sent = replace(sent, node=self._before[sent.node])
        name = self._name(branch.name, f"{branch.name}.{branch.source.node}", f"{branch.name}.{leaf}")
        self._nodes[name] = replace(branch, source=sent).node(name)
        return name

    def _origin(self, name: str) -> tuple[str, bool]:
        """Return the input or population that a node reads from, and whether every path to it waits."""
        waits = False
        while name in self._nodes and isinstance(self._nodes[name], Delay | SumPool2d):
            node: Any = self._nodes[name]
            waits = waits or (isinstance(node, Delay) and node.least >= 1)
            name = node.inputs[0]
        return name, waits

    def _constant(self, leaf: str, current: Current, beside: str) -> str:
        """Add a connection that carries a constant: from a neuron that fires at every step.

        A bias in front of a current filter is none of the neuron's registers.
        """
        flat = len(current.shape) == 1
        shape = (1,) if flat else (1, *current.shape[1:])
        source = self._always("constant" if flat else f"constant.{leaf}", shape, beside)
        name = self._name(f"{leaf}.bias")
        self._nodes[name] = (
            Dense(name=name, inputs=(source,), weights=current.bias.reshape(-1, 1))
            if flat
            else Conv2d(name=name, inputs=(source,), weights=current.bias.reshape(-1, 1, 1, 1))
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
        if isinstance(like, Conv2d):
            silent = np.zeros((1, like.weights.shape[1] * like.groups, *like.weights.shape[2:]))
            self._nodes[tie] = replace(like, name=tie, weights=silent, groups=1)
        else:
            node = next(node for node in self._nodes.values() if isinstance(node, Input))
            empty = csr_array((1, size_of(node.shape)))
            self._nodes[tie] = Dense(name=tie, inputs=(node.name,), weights=empty)
        ones = np.ones(shape)
        self._nodes[name] = Lif(
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
