"""Nodes of a graph that run step by step, every operation known to autograd: the reference for training."""

from collections.abc import Collection, Mapping, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toolchain import ir
from toolchain.errors import TrainingError
from toolchain.ir import AnyNode
from toolchain.training.graph_parts import GraphActivity, GraphParts
from toolchain.training.neuron_update import NeuronUpdate

History = dict[str, list[Tensor]]


def run_steps(
    parts: GraphParts,
    nodes: Sequence[AnyNode],
    entering: Mapping[str, Tensor],
    wanted: Collection[str],
    extent: tuple[int, int],
) -> GraphActivity:
    """Run nodes from rest.

    Args:
        parts: What they compute with.
        nodes: The nodes, in an order in which they can run; no inputs.
        entering: What they read of others, `[batch, time, *features]` by name.
        wanted: Nodes among them whose messages are asked for.
        extent: Samples and steps.
    """
    batch, length = extent
    # Taken apart at once, because the gradient of a slice fills a tensor of all steps, at every step.
    past: History = {name: list(values.unbind(1)) for name, values in entering.items()}
    past |= {node.name: [] for node in nodes}
    slots = {
        node.name: parts.connections[node.name].slots()
        for node in nodes
        if isinstance(node, ir.Dense | ir.Conv2d)
    }
    layers = {
        node.name: _Layer(parts.neurons[node.name], parts.biases[node.name], batch)
        for node in nodes
        if isinstance(node, ir.Lif)
    }
    like = next(iter(layers.values())).state.v
    for t in range(length):
        for node in nodes:
            match node:
                case ir.Delay():
                    value = _recall(node, past[node.inputs[0]], t, like)
                case ir.SumPool2d() | ir.MaxPool2d():
                    value = pool(node, past[node.inputs[0]][t])
                case ir.Dense() | ir.Conv2d():
                    value = _conduct(parts, node, slots[node.name], past[node.inputs[0]], t)
                case ir.Lif():
                    value = layers[node.name].advance([past[name][t] for name in node.inputs])
                case _:
                    raise TrainingError(f"node '{node.name}' is an integer operation")
            past[node.name].append(value)
    shown = {name: layer for name, layer in layers.items() if name in parts.shown}
    return GraphActivity(
        {name: torch.stack(past[name], 1) for name in wanted},
        {name: torch.stack(layer.v_rows, 1) for name, layer in shown.items()},
        {name: torch.stack(layer.u_rows, 1) for name, layer in shown.items() if parts.records},
    )


def _conduct(
    parts: GraphParts,
    node: ir.Dense | ir.Conv2d,
    slots: Sequence[tuple[int, Tensor]],
    past: Sequence[Tensor],
    t: int,
) -> Tensor:
    connection = parts.connections[node.name]
    arrived = [connection.conduct(past[t - delay], weights) for delay, weights in slots if t >= delay]
    if arrived:
        return sum(arrived[1:], arrived[0])
    return torch.zeros_like(connection.conduct(torch.zeros_like(past[t]), slots[0][1]))


@final
class _Layer:
    """A population in the middle of a run, and what it did."""

    def __init__(self, neurons: NeuronUpdate, bias: Tensor, batch: int) -> None:
        self.neurons = neurons
        self.bias = bias.to(neurons.threshold.dtype)
        self.state = neurons.rest(batch)
        self.u_rows, self.v_rows = list[Tensor](), list[Tensor]()

    def advance(self, currents: Sequence[Tensor]) -> Tensor:
        """Take one step and return the spikes, or how many of them."""
        # In the type of the state: connections of several exponents may each be exact in float32 only alone.
        first, *others = (each.to(self.state.v.dtype) for each in currents)
        sent, self.state = self.neurons.step(sum(others, first), self.state, self.bias)
        self.u_rows.append(self.state.u)
        self.v_rows.append(self.state.v)
        return sent


def _recall(node: ir.Delay, past: Sequence[Tensor], t: int, like: Tensor) -> Tensor:
    """Return what a delay lets out at step t; nothing came before the first step."""
    silence = like.new_zeros(like.shape[0], *node.shape)
    if isinstance(node.steps, int):
        return past[t - node.steps] if t >= node.steps else silence
    recalled = silence
    for steps in np.unique(node.steps):
        if t >= steps:
            chosen = torch.from_numpy(node.steps == steps).to(like.device)
            recalled = torch.where(chosen, past[t - int(steps)].to(recalled.dtype), recalled)
    return recalled


def pool(node: ir.SumPool2d | ir.MaxPool2d, x: Tensor) -> Tensor:
    """Return sums over windows, or their largest element: of spikes, whether there was any."""
    if isinstance(node, ir.SumPool2d):
        return functional.avg_pool2d(x, node.kernel, node.stride, node.padding, divisor_override=1)
    padded = functional.pad(x, (node.padding[1], node.padding[1], node.padding[0], node.padding[0]))
    return functional.max_pool2d(padded, node.kernel, node.stride)
