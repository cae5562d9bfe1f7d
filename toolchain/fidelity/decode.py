"""Reading an output population on the host: scores and predictions from a trace."""

from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint, ir
from toolchain.execution.trace import Trace
from toolchain.ir import Decode, Graph


def scores(
    graph: Graph, trace: Trace, output: ir.Output, lengths: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return class scores in the model's units.

    Args:
        graph: Float or fixed graph; integer potentials are divided by `64 S`.
        trace: Trace with the records that the output's `decode` reads.
        output: Output to be read.
        lengths: Number of valid steps per sample; later steps are not read.

    Returns:
        `[batch, classes]`.
    """
    return _weighted(output, _read(output.decode, _of_steps(graph, trace, output), lengths))


def scores_by_step(graph: Graph, trace: Trace, output: ir.Output) -> NDArray[np.float64]:
    """Return what an output reads at every step, before it is summed, averaged or chosen from.

    Args:
        graph: Float or fixed graph; integer potentials are divided by `64 S`.
        trace: Trace with the records that the output's `decode` reads.
        output: Output to be read.

    Returns:
        `[batch, time, classes]`.
    """
    values = _of_steps(graph, trace, output)
    rows = _weighted(output, values.reshape(-1, values.shape[2]))
    return rows.reshape(*values.shape[:2], -1)


def _of_steps(graph: Graph, trace: Trace, output: ir.Output) -> NDArray[np.float64]:
    """Return what an output reads of its population, `[batch, time, neurons]`."""
    name = output.inputs[0]
    if output.reads_potential:
        values = in_model_units(graph, name, trace.v[name])
    else:
        values = trace.spikes[name].astype(np.float64)
    # Feature maps are read flattened, as everywhere.
    return values.reshape(*values.shape[:2], -1)


def _weighted(output: ir.Output, read: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values `[rows, neurons]` through the affine read-out on the host, if there is one."""
    if output.weights is not None:
        # Not a matrix product, whose order of summation depends on how many samples are read together.
        read = (read[:, None, :] * output.weights).sum(axis=2)
    return read if output.bias is None else read + output.bias


def in_model_units(graph: Graph, population: str, v: NDArray[Any]) -> NDArray[np.float64]:
    """Return potentials or currents of a population as the float graph measures them."""
    units = units_of(graph, population)
    return np.asarray(v, dtype=np.float64) if units is None else v / units


def units_of(graph: Graph, population: str) -> NDArray[np.float64] | None:
    """Return how many units of a recorded potential are one of the model, per neuron; None for one each."""
    node = graph[population]
    return node.scale * 2.0**fixedpoint.ALIGNMENT_BITS if isinstance(node, ir.FixedLif) else None


def predictions(graph: Graph, trace: Trace, lengths: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the class of the highest score of the first output, `[batch]`."""
    return scores(graph, trace, graph.outputs[0], lengths).argmax(axis=1)


def accuracy(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return the share of right predictions in percent."""
    return float(np.mean(predicted == labels) * 100)


def _read(
    decode: Decode, values: NDArray[np.float64], lengths: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    samples, steps = values.shape[:2]
    ends = np.full(samples, steps) if lengths is None else lengths
    valid = (np.arange(steps) < ends[:, None])[:, :, None]
    match decode:
        case Decode.SPIKE_COUNT | Decode.NONE:
            return (values * valid).sum(axis=1)
        case Decode.LAST_V:
            return values[np.arange(samples), ends - 1]
        case Decode.MEAN_V | Decode.SPIKE_RATE:
            return (values * valid).sum(axis=1) / ends[:, None]
        case Decode.MAX_V:
            return np.where(valid, values, -np.inf).max(axis=1)
        case _:
            assert_never(decode)
