"""Give populations the neurons that a place has, where it lacks theirs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np

from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.ir import AnyNode, EdgeKind, Graph, Stage
from toolchain.neuron_rules import EVERY_NEURON, NeuronRules
from toolchain.passes.base import Pass
from toolchain.reset import Reset


@final
@dataclass(frozen=True, kw_only=True)
class ReplaceResets(Pass):
    """Let every spike reset to zero, and leave out what else a spike does that a place does not know.

    That is another network: its loss has to be measured, and training may win some of it back. A population
    that resets to zero sends one spike a step at most; refractory periods become no longer than the place
    allows, and adaptation goes where it does not exist. Where all thresholds are infinite no spike ever does
    anything, so that such a population loses all of that without a loss.

    Attributes:
        reset: The reset of every population that can fire; None leaves these as they are.
        rules: What the neurons of the place can do.
    """

    name: ClassVar[str] = "replace-resets"

    reset: Reset | None = Reset.ZERO
    rules: NeuronRules = EVERY_NEURON

    def requires(self, graph: Graph) -> None:
        """Accept float graphs, and the reset to zero: no other can take the place of all the others."""
        if graph.stage is not Stage.FLOAT:
            raise PreconditionError("'replace-resets' needs a float graph; run it before 'quantize-graph'")
        if self.reset not in {None, Reset.ZERO}:
            raise PreconditionError("expected a reset to zero: any other needs an amount of every neuron")

    def rewrite(self, graph: Graph) -> Graph:
        """Return the graph with other neurons; where one spike takes the place of several, delays know it."""
        changed = {node.name: self._changed(node) for node in graph.populations if isinstance(node, ir.Lif)}
        if all(node is graph[name] for name, node in changed.items()):
            return graph

        def change(node: AnyNode) -> AnyNode:
            if isinstance(node, ir.Delay):
                kind = _sent(graph, node, changed)
                return node if node.edge is kind else replace(node, edge=kind)
            return changed.get(node.name, node)

        return graph.map(change)

    def _changed(self, node: ir.Lif) -> ir.Lif:
        if node.is_plain:
            return node
        if np.isinf(node.vth).all():
            return _plain(node)
        if self.reset is None:
            return node
        new = node if node.reset is self.reset else replace(_plain(node), **_others(node))
        if new.refractory is not None and new.refractory.max(initial=0) > self.rules.longest_refractory:
            steps = np.minimum(new.refractory, self.rules.longest_refractory)
            new = replace(new, refractory=steps if steps.any() else None)
        if new.adaptation is not None and not self.rules.adapts:
            new = replace(new, adaptation=None, adaptation_decay=None)
        return new


def _plain(node: ir.Lif) -> ir.Lif:
    """Return a population in which a spike sets the potential to zero and does nothing else."""
    return ir.Lif(
        name=node.name,
        inputs=node.inputs,
        du=node.du,
        dv=node.dv,
        vth=node.vth,
        bias=node.bias,
        origin=node.origin,
    )


def _others(node: ir.Lif) -> dict[str, Any]:
    """Return what a spike does beside the reset."""
    return {
        "refractory": node.refractory,
        "adaptation": node.adaptation,
        "adaptation_decay": node.adaptation_decay,
    }


def _sent(graph: Graph, node: AnyNode, changed: Mapping[str, ir.Lif]) -> EdgeKind:
    """Return what reaches a delay from the changed populations: loops of delays lead through one of them."""
    match node:
        case ir.Delay() | ir.MaxPool2d():
            return _sent(graph, graph[node.inputs[0]], changed)
        case ir.Input():
            return node.edge
        case ir.Lif():
            return changed[node.name].sent.kind
        case _:
            return EdgeKind.GRADED
