"""Second moments of what a population reads: they say what rounding its weights does to its potential."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.ir import EdgeKind, Graph
from toolchain.ir.matrix import sources_of

_WIDEST: Final = 2400
"""Sources per neuron up to which second moments are kept: 46 MB in float64."""
_MOMENTS: Final = 2**15
"""Points in time (and places) that are used of each part of the samples; more would change little."""
_FEWEST: Final = 256
"""Points that are used in any case."""
_WORK: Final = 4e9
"""Most products of points and pairs of sources that are summed for each part."""


def can_observe(graph: Graph, population: ir.Lif) -> bool:
    """Return whether second moments of what a population reads can be kept.

    They are not for grouped convolutions and delays per synapse, whose targets read different things, nor for
    more than 2,400 sources.
    """
    nodes = [graph[name] for name in population.inputs]
    alike = all(
        (isinstance(node, ir.Dense) and node.delays is None)
        or (isinstance(node, ir.Conv2d) and node.groups == 1)
        for node in nodes
    )
    return alike and sum(_width(node) for node in nodes if isinstance(node, ir.Dense | ir.Conv2d)) <= _WIDEST


def observe_drive(graph: Graph, population: ir.Lif, stimulus: Stimulus, trace: Trace) -> Floats:
    r"""Return second moments of what a population reads, as its potential feels it.

    .. math:: H = \sum_{samples,\, t,\, places} \tilde x \tilde x^\top, \qquad
        \tilde x_t = (1 - d_v)\, \tilde x_{t-1} + y_t, \quad y_t = (1 - d_u)\, y_{t-1} + x_t

    with the median decays of the population. If the weights of a neuron are off by `delta`, the mean
    square error of its potential is `delta H delta` up to a factor, as long as it does not fire.

    Args:
        graph: A float graph.
        population: One of its populations; see `can_observe`.
        stimulus: The samples that were run, fitted to the graph.
        trace: The record of that run, with spikes.

    Returns:
        Moments `[C, C]` in units of the integer message. The sources of all connections follow one another:
        those of a `Dense` in order, those of a convolution like its kernel, `[in, rows, columns]`
        flattened.
    """
    columns: list[NDArray[np.float32]] = []
    for name in population.inputs:
        node = graph[name]
        if isinstance(node, ir.Dense | ir.Conv2d):
            sent = _sent(graph, node.inputs[0], stimulus, trace).astype(np.float32)
            columns.append(_per_target(node, sent))
    together = np.concatenate(columns, axis=-1)
    for decay in (population.du, population.dv):
        _filter(together, 1 - float(np.median(decay)))
    flat = together.reshape(-1, together.shape[-1])
    points = int(min(_MOMENTS, max(_WORK / flat.shape[1] ** 2, _FEWEST)))
    if len(flat) > points:
        # Drawn at random: a regular step could fall on the same places over and over.
        flat = flat[np.random.default_rng(0).choice(len(flat), points, replace=False)]
    return (flat.T @ flat).astype(np.float64)


def _width(node: ir.Dense | ir.Conv2d) -> int:
    return sources_of(node.weights) if isinstance(node, ir.Dense) else int(np.prod(node.weights.shape[1:]))


def _sent(graph: Graph, name: str, stimulus: Stimulus, trace: Trace) -> NDArray[np.generic]:
    """Return what a node sends, `[batch, time, *features]`, in units of the integer message."""
    node = graph[name]
    match node:
        case ir.Input():
            values = stimulus.values[name]
            if node.edge is EdgeKind.GRADED:
                return fixedpoint.encode_graded(values, node.scale, node.bits)
            return values
        case ir.Delay():
            return _delayed(_sent(graph, node.inputs[0], stimulus, trace), node)
        case ir.SumPool2d() | ir.MaxPool2d():
            return node.pool(_sent(graph, node.inputs[0], stimulus, trace))
        case _:
            return trace.spikes[name]


def _delayed(values: NDArray[np.generic], node: ir.Delay) -> NDArray[np.generic]:
    delayed = np.zeros_like(values)
    for steps in np.unique(node.steps):
        waits = np.broadcast_to(node.steps == steps, node.shape)
        end = values.shape[1] - int(steps)
        if end > 0:
            delayed[:, int(steps) :, waits] = values[:, :end, waits]
    return delayed


def _per_target(node: ir.Dense | ir.Conv2d, sent: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what each target reads, `[batch, time, places, sources]`."""
    samples, steps = sent.shape[:2]
    if isinstance(node, ir.Dense):
        return sent.reshape(samples, steps, 1, -1)
    patches = np.stack(node.window.patches(sent), axis=3)
    # [batch, time, in, kernel, rows, columns] with the places before the sources.
    placed = np.moveaxis(patches.reshape(*patches.shape[:4], -1), -1, 2)
    return placed.reshape(samples, steps, placed.shape[2], -1)


def _filter(values: NDArray[np.float32], keep: float) -> None:
    """Let every step remember the one before, in place."""
    if keep > 0:
        for t in range(1, values.shape[1]):
            values[:, t] += np.float32(keep) * values[:, t - 1]
