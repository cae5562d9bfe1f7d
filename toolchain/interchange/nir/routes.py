"""Inputs, poolings and delays of a graph that is imported: what stands before the weights that read it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain, count
from typing import Final, final

import numpy as np

from toolchain import ir
from toolchain.arrays import Floats, Ints
from toolchain.errors import FrontendError
from toolchain.ir import EdgeKind, Window
from toolchain.ir.currents import Sent

Route = ir.Input | ir.SumPool2d | ir.MaxPool2d | ir.Delay

GRADED_BITS: Final = 8
_LONGEST_NAME: Final = 180


@final
class Names:
    """Names of a new graph, none of which is given twice.

    Args:
        taken: Names that are in use already.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def new(self, *wanted: str) -> str:
        """Return the first wanted name that is free, spelled as names are here; else a numbered one."""
        clean = [
            re.sub(r"[^A-Za-z0-9_.-]", "_", text).lstrip(".-")[:_LONGEST_NAME] or "node" for text in wanted
        ]
        candidates = chain(clean, (f"{clean[0]}.{number}" for number in count(2)))
        name = next(candidate for candidate in candidates if candidate not in self._taken)
        self._taken.add(name)
        return name


@final
class Routes:
    """Collects the inputs, poolings and delays of a graph.

    Args:
        names: Names of the graph.

    Attributes:
        nodes: The nodes so far, by name.
    """

    def __init__(self, names: Names) -> None:
        self.nodes: dict[str, Route] = {}
        self._names = names
        self._one_step_late: dict[str, str] = {}

    def enter(self, leaf: str, shape: tuple[int, ...], peak: float | Mapping[str, float] | None) -> Sent:
        """Add an input; it takes graded values if it has a largest one."""
        name = self._names.new(leaf)
        largest = peak.get(name) if isinstance(peak, Mapping) else peak
        graded = largest is not None
        self.nodes[name] = ir.Input(
            name=name,
            shape=shape,
            edge=EdgeKind.GRADED if graded else EdgeKind.SPIKE,
            scale=(2**GRADED_BITS - 1) / (largest or 1.0) if graded else 1.0,
            bits=GRADED_BITS if graded else 1,
        )
        return Sent(name, shape, spikes=not graded)

    def pool(self, leaf: str, sent: Sent, window: Window, factor: float) -> Sent:
        """Add a sum over windows; the factor of an average goes into the weights that read it."""
        name = self._names.new(leaf)
        self.nodes[name] = ir.SumPool2d(
            name=name, inputs=(sent.node,), kernel=window.kernel, stride=window.stride, padding=window.padding
        )
        shape = (sent.shape[0], *window.positions((sent.shape[1], sent.shape[2])))
        factors: float | Floats = factor
        if not sent.plain:
            factors = factor * sent.channels(leaf).reshape(-1, 1, 1)
        return Sent(name, shape, spikes=False, factor=factors)

    def largest(self, leaf: str, sent: Sent, window: Window) -> Sent:
        """Add a pooling of spikes, which sends one where any of its window does."""
        name = self._names.new(leaf)
        self.nodes[name] = ir.MaxPool2d(
            name=name, inputs=(sent.node,), kernel=window.kernel, stride=window.stride, padding=window.padding
        )
        shape = (sent.shape[0], *window.positions((sent.shape[1], sent.shape[2])))
        return Sent(name, shape, spikes=True)

    def wait(self, leaf: str, sent: Sent, steps: Ints) -> Sent:
        """Add a delay of what is sent, the same for all or per element; two in a row become one."""
        if not steps.any():
            return sent
        source, before = sent.node, self.nodes.get(sent.node)
        if isinstance(before, ir.Delay):
            source, steps = before.inputs[0], steps + before.steps
        uniform = bool((steps == steps.ravel()[0]).all())
        name = self._names.new(leaf)
        self.nodes[name] = ir.Delay(
            name=name,
            inputs=(source,),
            shape=sent.shape,
            edge=EdgeKind.SPIKE if sent.spikes else EdgeKind.GRADED,
            steps=int(steps.ravel()[0]) if uniform else steps,
        )
        return replace(sent, node=name)

    def one_step_late(self, sent: Sent) -> Sent:
        """Return what is sent at least one step late: elements that wait already wait no longer.

        Raises:
            FrontendError: Delays that differ per element stand before and behind a pooling, so that no delay
                in one place adds a step where both are 0.
        """
        if sent.node not in self._one_step_late:
            self._one_step_late[sent.node] = self._wait_at_least_once(sent)
        return replace(sent, node=self._one_step_late[sent.node])

    def _wait_at_least_once(self, sent: Sent) -> str:
        node, before = self.nodes.get(sent.node), f"{sent.node}.before"
        least, most = self._delay_range(sent.node)
        if least >= 1:
            return sent.node
        if most == 0:
            return self.wait(before, sent, np.ones(sent.shape, np.int64)).node
        if isinstance(node, ir.SumPool2d):
            # The pooling sums elements that wait and elements that do not, so they wait in front of it.
            pooled = self.nodes[node.inputs[0]]
            shape = pooled.shape if isinstance(pooled, ir.Delay) else sent.shape
            spikes = isinstance(pooled, ir.MaxPool2d) or (
                not isinstance(pooled, ir.SumPool2d) and pooled.edge is EdgeKind.SPIKE
            )
            late = self.one_step_late(Sent(pooled.name, shape, spikes=spikes))
            name = self._names.new(before)
            self.nodes[name] = replace(node, name=name, inputs=(late.node,))
            return name
        if isinstance(node, ir.Delay) and self._delay_range(node.inputs[0])[1] == 0:
            missing = (np.broadcast_to(node.steps, node.shape) == 0).astype(np.int64)
            return self.wait(before, sent, missing).node
        raise FrontendError(
            f"delay '{sent.node}' lies in a loop, as does another before its pooling; both differ per "
            "element and are 0 for some: let one of them be one step or more"
        )

    def _delay_range(self, name: str) -> tuple[int, int]:
        """Return the smallest and the largest delay between an input or population and a node."""
        node = self.nodes.get(name)
        if not isinstance(node, ir.Delay | ir.SumPool2d | ir.MaxPool2d):
            return 0, 0
        least, most = self._delay_range(node.inputs[0])
        return (
            (least + node.min_steps, most + node.max_steps) if isinstance(node, ir.Delay) else (least, most)
        )
