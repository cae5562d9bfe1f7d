"""How far down the neurons of a network can be driven, whatever enters it.

Some frameworks stop potentials at a limit that no file holds. Where nothing can reach it, it does not
matter.
"""

from collections.abc import Sequence

import numpy as np

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.ir import EdgeKind, Graph
from toolchain.ir.matrix import rows_of, targets_of, values_of

Range = tuple[float, float]


def falling(graph: Graph, floor: float) -> Sequence[str]:
    """Return the populations whose potentials may fall below a limit, by their names in the file."""
    return [name for name, lowest in lowest_potentials(graph).items() if lowest < floor]


def lowest_potentials(graph: Graph) -> dict[str, float]:
    r"""Return a lower bound of the potentials of every population that fires, by its name in the file.

    With `n` the most that one step can take from the current of a neuron, and `b` its bias,

    .. math::
        u_t \geq -n / d_u, \qquad v_t \geq (-n / d_u + \min(b, 0)) / d_v

    at every step, or where a spike leaves the potential lower, what it leaves; the bound is minus infinity
    where nothing leaks.

    Args:
        graph: A graph in real numbers.
    """
    bounds: dict[str, float] = {}
    for node in graph.populations:
        if not isinstance(node, ir.Lif) or np.isinf(node.vth).all():
            continue
        down = np.minimum(node.bias, 0.0)
        for connection in (graph[name] for name in node.inputs):
            if isinstance(connection, ir.Dense | ir.Conv2d):
                least = _least(connection, _range(graph, connection.inputs[0]), down.shape)
                down = down + _lasting(least, node.du)
        lowest = np.minimum(_lasting(down, node.dv), _left_by_a_spike(node))
        bounds[node.origin.path] = float(lowest.min())
    return bounds


def _left_by_a_spike(node: ir.Lif) -> Floats:
    """Return the least that a spike leaves of the potential, or zero."""
    if node.reset_amount is None:
        return np.zeros_like(node.vth)
    left = node.reset_amount if node.reset is ir.Reset.VALUE else node.vth - node.reset_amount
    return np.minimum(left, 0.0)


def _lasting(step: Floats, decay: Floats) -> Floats:
    """Return where a leaky sum ends that takes the same, or more, at every step."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(step < 0, step / decay, 0.0)


def _range(graph: Graph, name: str) -> Range:
    """Return the least and the largest value that a node can send; every loop passes a population."""
    node = graph[name]
    match node:
        case ir.Input(edge=EdgeKind.GRADED):
            peak = (2**node.bits - 1) / node.scale
            return -peak, peak
        case ir.SumPool2d():
            least, most = _range(graph, node.inputs[0])
            return node.kernel[0] * node.kernel[1] * least, node.kernel[0] * node.kernel[1] * most
        case ir.Delay() | ir.MaxPool2d():
            return _range(graph, node.inputs[0])
        case ir.Lif():
            return 0.0, float(node.max_spikes)
        case _:
            return 0.0, 1.0


def _least(connection: ir.Dense | ir.Conv2d, sent: Range, shape: tuple[int, ...]) -> Floats:
    """Return the least that a connection can bring to every neuron in a step; padding brings zero."""
    if isinstance(connection, ir.Conv2d):
        channels = _taken(connection.weights, sent).sum(axis=(1, 2, 3))
        return np.broadcast_to(channels.reshape(-1, 1, 1), shape)
    sums = np.zeros(targets_of(connection.weights))
    np.add.at(sums, rows_of(connection.weights), _taken(values_of(connection.weights), sent))
    return sums.reshape(shape)


def _taken(weights: Floats, sent: Range) -> Floats:
    return np.minimum(np.minimum(weights * sent[0], weights * sent[1]), 0.0)
