"""The meaning of a graph: runs it in real numbers or in integers, slowly and in an obvious way.

It takes one sample, one step and one node at a time, and everything that is faster is compared with it.
"""

from collections.abc import Mapping
from typing import assert_never

import numpy as np

from toolchain import fixedpoint, ir
from toolchain.arrays import Array
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import QUANTITIES, Trace, check_quantities
from toolchain.ir import EdgeKind, Graph, Stage, Window, verify
from toolchain.ir.matrix import Matrix, delay_slots, targets_of


def run(
    graph: Graph,
    stimulus: Stimulus | Array | Mapping[str, Array],
    record: tuple[str, ...] = QUANTITIES,
) -> Trace:
    """Run every sample from rest and return what every population did.

    Args:
        graph: A verified float or fixed graph.
        stimulus: `[batch, time, *features]` for a single input, or one array per input name.
        record: The quantities to record, of `spikes`, `v` and `u`.

    Returns:
        Potentials and currents are float64 for a float graph and int32 for a fixed one.
    """
    check_quantities(record)
    verify(graph)
    fitted = fit_stimulus(graph, stimulus)
    samples = [
        _run_sample(graph, {name: values[i] for name, values in fitted.values.items()})
        for i in range(fitted.samples)
    ]
    return Trace(
        **{
            quantity: {
                node.name: np.stack([sample[node.name][quantity] for sample in samples])
                for node in graph.populations
            }
            for quantity in record
        }
    )


def _run_sample(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    steps = len(next(iter(inputs.values())))
    state = {node.name: _rest(node) for node in graph.populations}
    history: dict[str, list[Array]] = {node.name: [] for node in graph}
    records = {node.name: {q: [] for q in QUANTITIES} for node in graph.populations}
    for t in range(steps):
        for node in graph:
            value = _step(node, t, inputs, state, history, graph)
            history[node.name].append(value)
            if isinstance(node, ir.Lif | ir.FixedLif):
                u, v = state[node.name]
                for quantity, values in zip(QUANTITIES, (value, v, u), strict=True):
                    records[node.name][quantity].append(values)
    return {name: {q: np.stack(rows) for q, rows in record.items()} for name, record in records.items()}


def _rest(node: ir.Lif | ir.FixedLif) -> tuple[Array, Array]:
    dtype = np.float64 if isinstance(node, ir.Lif) else np.int32
    return np.zeros(node.vth.shape, dtype), np.zeros(node.vth.shape, dtype)


def _step(
    node: object,
    t: int,
    inputs: Mapping[str, Array],
    state: dict[str, tuple[Array, Array]],
    history: Mapping[str, list[Array]],
    graph: Graph,
) -> Array:
    match node:
        case ir.Input():
            return _enter(node, inputs[node.name][t], fixed=graph.stage is Stage.FIXED)
        case ir.Delay():
            return _recall(node, t, history)
        case ir.Dense():
            return _synapses(node.weights, node.delays, history[node.inputs[0]], t)
        case ir.FixedDense():
            return _integer_synapses(node, history[node.inputs[0]], t)
        case ir.Conv2d() | ir.FixedConv2d() | ir.SumPool2d() | ir.MaxPool2d():
            return _image(node, history[node.inputs[0]][t])
        case ir.Lif():
            a = sum(history[name][t] for name in node.inputs)
            u, v = state[node.name]
            u = (1 - node.du) * u + a
            v = (1 - node.dv) * v + u + node.bias
            spikes = v > node.vth
            state[node.name] = u, np.where(spikes, 0.0, v)
            return spikes
        case ir.FixedLif():
            a = np.asarray(sum(history[name][t] for name in node.inputs), dtype=np.int32)
            u, v = state[node.name]
            u, v, spikes = fixedpoint.lif_step(u, v, a, du=node.du, dv=node.dv, vth=node.vth, bias=node.bias)
            state[node.name] = u, v
            return spikes
        case ir.Output():
            return history[node.inputs[0]][t]
        case _:
            assert_never(node)  # pyright: ignore[reportArgumentType] - `object` keeps the signature short


def _enter(node: ir.Input, value: Array, *, fixed: bool) -> Array:
    if node.edge is EdgeKind.GRADED and fixed:
        return fixedpoint.encode_graded(value, node.scale, node.bits)
    return value


def _recall(node: ir.Delay, t: int, history: Mapping[str, list[Array]]) -> Array:
    """Return, for each element, the value that the operand had `steps` ago; zero before the start."""
    past = history[node.inputs[0]]
    values = np.zeros(node.shape, dtype=past[0].dtype if past else np.dtype(bool))
    for steps in np.unique(node.steps):
        waits = np.broadcast_to(node.steps == steps, node.shape)
        if t >= steps:
            values[waits] = past[t - int(steps)][waits]
    return values


def _synapses(weights: Matrix, delays: Matrix | None, past: list[Array], t: int) -> Array:
    if delays is None:
        return weights @ past[t].ravel().astype(np.float64)
    total = np.zeros(targets_of(weights))
    for steps, slot in delay_slots(weights, delays):
        if t - steps >= 0:
            total += slot @ past[t - steps].ravel().astype(np.float64)
    return total


def _integer_synapses(node: ir.FixedDense, past: list[Array], t: int) -> Array:
    slots = delay_slots(node.weights, node.delays)
    total = np.zeros(targets_of(node.weights), dtype=np.int32)
    for steps, slot in slots:
        if t - steps >= 0:
            product = slot.astype(np.int64) @ past[t - steps].ravel().astype(np.int64)
            total += fixedpoint.shift(product, node.exponent)
    return total


def _image(node: ir.Conv2d | ir.FixedConv2d | ir.SumPool2d | ir.MaxPool2d, x: Array) -> Array:
    match node:
        case ir.Conv2d():
            return _convolve(x.astype(np.float64), node.weights, node.window, node.groups)
        case ir.FixedConv2d():
            total = _convolve(x.astype(np.int64), node.weights.astype(np.int64), node.window, node.groups)
            return fixedpoint.wrap_sum(total << node.exponent)
        case ir.SumPool2d() | ir.MaxPool2d():
            return node.pool(x)
        case _:
            assert_never(node)


def _convolve(x: Array, weights: Array, window: Window, groups: int) -> Array:
    """Sum over the elements of the kernel, and over the input channels of each group."""
    kernels = weights.reshape(groups, -1, *weights.shape[1:2], window.area)
    total: Array = np.zeros(1, weights.dtype)
    for k, patch in enumerate(window.patches(x)):
        sources = patch.reshape(groups, -1, *patch.shape[1:])
        total = total + np.einsum("goi,giyx->goyx", kernels[..., k], sources)
    return total.reshape(-1, *total.shape[2:])
