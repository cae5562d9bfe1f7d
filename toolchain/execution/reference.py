"""The meaning of a graph: runs it in real numbers or in integers, slowly and in an obvious way.

It takes one sample, one step and one node at a time, and everything that is faster is compared with it.

Sums of real numbers depend on their order, which is part of the meaning, so that others can be equal bit for
bit. A neuron adds one connection after the other as it reads them, and of a connection one delay after the
other, from the shortest to the longest; what it adds is the sum over the sources that have this delay, from
the first to the last. Feature maps are added pixel by pixel, row by row, and of each pixel one channel after
the other, by a convolution as by a dense connection. A pooling adds its window row by row.
"""

from collections.abc import Mapping
from typing import Final, assert_never

import numpy as np

from toolchain import fixedpoint, ir
from toolchain.arrays import Array
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import QUANTITIES, Trace, check_quantities
from toolchain.fixedpoint import NeuronState
from toolchain.ir import EdgeKind, Graph, Population, Stage, Window, verify
from toolchain.ir.matrix import columns_of, delay_slots, rows_of, targets_of, values_of

_IMAGE: Final = 3


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
    state = {node.name: rest(node) for node in graph.populations}
    history: dict[str, list[Array]] = {node.name: [] for node in graph}
    records = {node.name: {q: [] for q in QUANTITIES} for node in graph.populations}
    for t in range(steps):
        for node in graph:
            value = _step(node, t, inputs, state, history, graph)
            history[node.name].append(value)
            if isinstance(node, ir.Lif | ir.FixedLif):
                after = state[node.name]
                for quantity, values in zip(QUANTITIES, (value, after.v, after.u), strict=True):
                    records[node.name][quantity].append(values)
    return {name: {q: np.stack(rows) for q, rows in record.items()} for name, record in records.items()}


def rest(node: Population) -> NeuronState:
    """Return the state of a population at rest."""
    number = np.float64 if isinstance(node, ir.Lif) else np.int32
    zero = np.zeros(node.vth.shape, number)
    return NeuronState(zero, zero, np.zeros(node.vth.shape, np.int32), zero)


def advance_reals(state: NeuronState, a: Array, node: ir.Lif) -> tuple[NeuronState, Array]:
    """Advance a population of real numbers by one step; its equations stand at `Lif`.

    Returns:
        The state after the step, and the spikes: bool, or uint8 where a neuron may send several.
    """
    u = (1 - node.du) * state.u + a
    active = state.wait == 0
    v = np.where(active, (1 - node.dv) * state.v + u + node.bias, state.v)
    threshold = node.vth + state.rise
    spikes: Array = active & (v > threshold)
    amount = np.float64(0) if node.reset_amount is None else node.reset_amount
    if node.max_spikes > 1:
        whole = np.floor(np.where(spikes, v - threshold, 0.0) / amount)
        count = whole + (v - whole * amount > threshold)
        spikes = np.where(spikes, np.minimum(count, node.max_spikes), 0).astype(np.uint8)
    match node.reset:
        case ir.Reset.ZERO | ir.Reset.VALUE:
            v = np.where(spikes > 0, amount, v)
        case ir.Reset.SUBTRACT:
            v = v - spikes * amount
        case ir.Reset.NONE:
            pass
    wait = np.maximum(state.wait - 1, 0)
    if node.refractory is not None:
        wait = np.where(spikes > 0, node.refractory, wait)
    rise = state.rise
    if node.adaptation is not None and node.adaptation_decay is not None:
        rise = (1 - node.adaptation_decay) * rise + node.adaptation * spikes
    return NeuronState(u, v, wait, rise), spikes


def _step(
    node: object,
    t: int,
    inputs: Mapping[str, Array],
    state: dict[str, NeuronState],
    history: Mapping[str, list[Array]],
    graph: Graph,
) -> Array:
    match node:
        case ir.Input():
            return _enter(node, inputs[node.name][t], fixed=graph.stage is Stage.FIXED)
        case ir.Delay():
            return _recall(node, t, history, np.int32 if graph.stage is Stage.FIXED else np.float64)
        case ir.Dense():
            return _synapses(node, history[node.inputs[0]], t)
        case ir.FixedDense():
            return _integer_synapses(node, history[node.inputs[0]], t)
        case ir.Conv2d() | ir.FixedConv2d() | ir.SumPool2d() | ir.MaxPool2d():
            return _image(node, history[node.inputs[0]][t])
        case ir.Lif():
            state[node.name], spikes = advance_reals(state[node.name], _received(node, t, history), node)
            return spikes
        case ir.FixedLif():
            a = np.asarray(sum(history[name][t] for name in node.inputs), dtype=np.int32)
            state[node.name], spikes = fixedpoint.lif_step(state[node.name], a, node)
            return spikes
        case ir.Output():
            return history[node.inputs[0]][t]
        case _:
            assert_never(node)  # pyright: ignore[reportArgumentType] - `object` keeps the signature short


def _enter(node: ir.Input, value: Array, *, fixed: bool) -> Array:
    if node.edge is EdgeKind.GRADED and fixed:
        return fixedpoint.encode_graded(value, node.scale, node.bits)
    return value


def _recall(node: ir.Delay, t: int, history: Mapping[str, list[Array]], number: type[np.generic]) -> Array:
    """Return, for each element, the value that the operand had `steps` ago; zero before the start."""
    past = history[node.inputs[0]]
    values = np.zeros(node.shape, number if node.edge is EdgeKind.GRADED else np.bool_)
    for steps in np.unique(node.steps):
        waits = np.broadcast_to(node.steps == steps, node.shape)
        if t >= steps:
            values[waits] = past[t - int(steps)][waits]
    return values


def _received(node: ir.Lif, t: int, history: Mapping[str, list[Array]]) -> Array:
    """Add the currents of all connections and their delays."""
    total = np.zeros(node.vth.shape)
    for name in node.inputs:
        for current in history[name][t]:
            total = total + current
    return total


def _synapses(node: ir.Dense, past: list[Array], t: int) -> Array:
    """Return the current of every delay, `[delays, targets]`."""
    targets = targets_of(node.weights)
    currents: list[Array] = []
    for steps, slot in delay_slots(node.weights, node.delays):
        if t - steps >= 0:
            sent = past[t - steps].astype(np.float64)
            order = np.argsort(_places(sent.shape)[columns_of(slot)], kind="stable")
            brought = values_of(slot) * sent.ravel()[columns_of(slot)]
            # It adds the synapses of a target one after the other.
            currents.append(np.bincount(rows_of(slot)[order], brought[order], targets))
    return np.array(currents).reshape(-1, targets)


def _places(shape: tuple[int, ...]) -> Array:
    """Return the place of every source, flattened, in the order in which sources are added."""
    sources = np.arange(np.prod(shape)).reshape(shape)
    return np.argsort(np.moveaxis(sources, 0, -1).ravel()) if len(shape) == _IMAGE else sources


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
            return _convolve_in_order(x.astype(np.float64), node.weights, node.window, node.groups)[None]
        case ir.FixedConv2d():
            total = _convolve(x.astype(np.int64), node.weights.astype(np.int64), node.window, node.groups)
            return fixedpoint.wrap_sum(total << node.exponent)
        case ir.SumPool2d() | ir.MaxPool2d():
            return node.pool(x)
        case _:
            assert_never(node)


def _convolve(x: Array, weights: Array, window: Window, groups: int) -> Array:
    """Sum over the elements of the kernel, and over the input channels of each group."""
    kernels = weights.reshape(groups, -1, weights.shape[1], window.area)
    total: Array = np.zeros(1, weights.dtype)
    for k, patch in enumerate(window.patches(x)):
        sources = patch.reshape(groups, -1, *patch.shape[1:])
        total = total + np.einsum("goi,giyx->goyx", kernels[..., k], sources)
    return total.reshape(-1, *total.shape[2:])


def _convolve_in_order(x: Array, weights: Array, window: Window, groups: int) -> Array:
    """Do the same in real numbers, one element of the kernel and one channel after the other."""
    kernels = weights.reshape(groups, -1, weights.shape[1], window.area)
    total: Array = np.zeros(1)
    for k, patch in enumerate(window.patches(x)):
        sources = patch.reshape(groups, -1, *patch.shape[1:])
        for i in range(kernels.shape[2]):
            total = total + kernels[:, :, i, k, None, None] * sources[:, None, i]
    return total.reshape(-1, *total.shape[2:])
