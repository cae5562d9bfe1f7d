"""What the explorer of a report shows: spikes and potentials of a few samples."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.execution.trace import Trace
from toolchain.fidelity.agreement import thresholds
from toolchain.fidelity.decode import in_model_units
from toolchain.fidelity.metrics import flattened
from toolchain.ir import Graph

_ROWS: Final = 128
"""Neurons of a population that are shown; of larger ones, those that differ and the busiest."""
_TRACES: Final = 24
_STEPS: Final = 512
_DIGITS: Final = 5


def explorer_data(
    graphs: tuple[Graph, Graph], traces: tuple[Trace, Trace], samples: Sequence[int]
) -> dict[str, Any]:
    """Return spikes and potentials of both executions as JSON holds them.

    Args:
        graphs: Float and fixed.
        traces: Of the samples shown, with spikes and potentials.
        samples: Which samples these are, as they stand in the stimulus.

    Returns:
        `samples`, `steps`, and per population: name, size, the neurons shown and their element in the user's
        module, thresholds (null for a read-out), `spikes[execution][sample]` as pairs of step and row, and
        `v[execution][sample][row]` over the steps for the first rows in `traced`.
    """
    first = next(iter(traces[0].spikes.values()))
    steps = min(int(first.shape[1]), _STEPS)
    populations = [_population(graphs, traces, name, steps) for name in traces[0].spikes]
    return {"samples": list(samples), "steps": steps, "populations": populations}


def _population(
    graphs: tuple[Graph, Graph], traces: tuple[Trace, Trace], name: str, steps: int
) -> dict[str, Any]:
    fired = [flattened(trace.spikes[name]).astype(bool)[:, :steps] for trace in traces]
    rows = _chosen(fired, _ROWS)
    node = next(node for node in graphs[0].populations if node.name == name)
    levels = thresholds(node).ravel()[rows]
    document: dict[str, Any] = {
        "name": name,
        "size": int(node.vth.size),
        "neurons": rows.tolist(),
        "elements": node.origin.elements[rows].tolist(),
        "thresholds": [None if np.isinf(level) else _short(float(level)) for level in levels],
        "spikes": [[np.argwhere(sample[:, rows]).tolist() for sample in execution] for execution in fired],
        "traced": [],
        "v": [[], []],
    }
    if all(name in trace.v for trace in traces):
        traced = np.sort(np.argsort(-_activity(fired)[rows], kind="stable")[:_TRACES])
        document["traced"] = traced.tolist()
        for i, (graph, trace) in enumerate(zip(graphs, traces, strict=True)):
            v = flattened(in_model_units(graph, name, trace.v[name]))[:, :steps][:, :, rows[traced]]
            document["v"][i] = [[[_short(x) for x in row] for row in sample.T.tolist()] for sample in v]
    return document


def _chosen(fired: list[NDArray[np.bool_]], count: int) -> NDArray[np.int64]:
    return np.sort(np.argsort(-_activity(fired), kind="stable")[:count])


def _activity(fired: list[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return how interesting each neuron is: a difference counts more than any number of spikes."""
    different = (fired[0] != fired[1]).sum(axis=(0, 1))
    return different * 1e6 + fired[0].sum(axis=(0, 1))


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
