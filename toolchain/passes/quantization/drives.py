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
_MOST, _FEWEST = 2**9, 2**4
"""Most and fewest points in time (and places) that are used of a sample."""
_WORK: Final = 2**26
"""Products of points and pairs of sources that are summed for a sample, unless so few points are too few."""


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


def observe_drive(
    graph: Graph, population: ir.Lif, stimulus: Stimulus, trace: Trace, rng: np.random.Generator
) -> Floats:
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
        rng: Draws the points that are used, where there are more than change anything.

    Returns:
        Moments `[C, C]` in units of the integer message. The sources of all connections follow one another:
        those of a `Dense` in order, those of a convolution like its kernel, `[in, rows, columns]`
        flattened.
    """
    nodes = [node for name in population.inputs if isinstance(node := graph[name], ir.Dense | ir.Conv2d)]
    places = int(np.prod(population.vth.shape[1:])) if isinstance(nodes[0], ir.Conv2d) else 1
    wanted = int(np.clip(_WORK / sum(map(_width, nodes)) ** 2, _FEWEST, _MOST)) * stimulus.samples
    points = stimulus.samples * stimulus.steps * places
    # Drawn at random: a regular step could fall on the same places over and over.
    chosen = rng.choice(points, wanted, replace=False) if wanted < points else np.arange(points)
    where = np.unravel_index(chosen, (stimulus.samples, stimulus.steps, places))
    columns: list[NDArray[np.float32]] = []
    for node in nodes:
        sent = _sent(graph, node.inputs[0], stimulus, trace).astype(np.float32)
        for decay in (population.du, population.dv):
            _filter(sent, 1 - float(np.median(decay)))
        columns.append(_read(node, sent, where))
    together = np.concatenate(columns, axis=1)
    return (together.T @ together).astype(np.float64)


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


def _read(
    node: ir.Dense | ir.Conv2d, sent: NDArray[np.float32], where: tuple[NDArray[np.int64], ...]
) -> NDArray[np.float32]:
    """Return what targets read at some samples, steps and places, `[points, sources]`."""
    sample, step, place = where
    if isinstance(node, ir.Dense):
        return sent.reshape(*sent.shape[:2], -1)[sample, step]
    patches = node.window.patches(sent)
    row, column = np.divmod(place, patches[0].shape[-1])
    # A channel's elements follow one another, as in its kernel.
    read = np.stack([patch[sample, step, :, row, column] for patch in patches], axis=2)
    return read.reshape(len(read), -1)


def _filter(values: NDArray[np.float32], keep: float) -> None:
    """Let every step remember the one before, in place."""
    if keep > 0:
        for t in range(1, values.shape[1]):
            values[:, t] += np.float32(keep) * values[:, t - 1]
