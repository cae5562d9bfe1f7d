"""What the explorer of a report shows: spikes and potentials of a few samples."""

import base64
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
_STEPS: Final = 512
_POTENTIALS: Final = 2**19
"""Potentials of a population in a page, of both executions: 1.4 MB as text. Long runs show fewer neurons."""
_DIGITS: Final = 5


def explorer_data(
    graphs: tuple[Graph, Graph], traces: tuple[Trace, Trace], samples: Sequence[int]
) -> dict[str, Any]:
    """Return spikes and potentials of both executions as JSON holds them.

    Args:
        graphs: Float graph and fixed graph.
        traces: Traces of the samples shown, with spikes and potentials.
        samples: Indices of these samples in the stimulus.

    Returns:
        `samples`, `steps`, `dt_ms`, and per population: name, shape, the neurons shown and their element in
        the user's module, thresholds (null for a read-out; without what adaptation adds),
        `spikes[execution][sample]` as pairs of step and row, with their number in third place where a neuron
        may send several, and `v[execution][sample]` as `[row, step]` in base64 of 16 bits, which count from
        `low[row]` in units of `unit[row]`; without entries if potentials were not recorded.
    """
    first = next(iter(traces[0].spikes.values()))
    steps = min(int(first.shape[1]), _STEPS)
    rows = min(_ROWS, max(1, _POTENTIALS // (2 * len(samples) * steps)))
    populations = [_population(graphs, traces, name, steps, rows) for name in traces[0].spikes]
    return {
        "samples": list(samples),
        "steps": steps,
        "dt_ms": graphs[0].dt_ms,
        "populations": populations,
    }


def _population(
    graphs: tuple[Graph, Graph], traces: tuple[Trace, Trace], name: str, steps: int, count: int
) -> dict[str, Any]:
    fired = [flattened(trace.spikes[name])[:, :steps] for trace in traces]
    rows = np.sort(np.argsort(-_activity(fired), kind="stable")[:count])
    node = next(node for node in graphs[0].populations if node.name == name)
    levels = thresholds(node).ravel()[rows]
    document: dict[str, Any] = {
        "name": name,
        "shape": list(node.vth.shape),
        "neurons": rows.tolist(),
        "elements": node.origin.elements[rows].tolist(),
        "thresholds": [None if np.isinf(level) else float(f"{level:.{_DIGITS}g}") for level in levels],
        "spikes": [[_listed(sample[:, rows]) for sample in execution] for execution in fired],
        "low": [],
        "unit": [],
        "v": [[], []],
    }
    if all(name in trace.v for trace in traces):
        pair = zip(graphs, traces, strict=True)
        document |= _encoded(
            [flattened(in_model_units(graph, name, trace.v[name]))[:, :steps, rows] for graph, trace in pair]
        )
    return document


def _listed(spikes: NDArray[Any]) -> list[list[int]]:
    """Return step and row of every message, and how many spikes it holds where that may be several."""
    places = np.argwhere(spikes)
    if spikes.dtype != np.bool_:
        places = np.concatenate([places, spikes[spikes > 0][:, None]], axis=1)
    return places.tolist()


def _encoded(potentials: list[NDArray[np.float64]]) -> dict[str, Any]:
    """Return potentials `[sample, step, row]` in 16 bits, each row over its own range."""
    together = np.nan_to_num(np.stack(potentials))
    low, high = together.min(axis=(0, 1, 2)), together.max(axis=(0, 1, 2))
    unit = np.where(high > low, (high - low) / np.iinfo(np.uint16).max, 1.0)
    whole = np.rint((together - low) / unit).astype("<u2").swapaxes(2, 3)
    texts = [[base64.b64encode(sample.tobytes()).decode() for sample in execution] for execution in whole]
    return {"low": low.tolist(), "unit": unit.tolist(), "v": texts}


def _activity(fired: list[NDArray[Any]]) -> NDArray[np.float64]:
    """Return how interesting each neuron is: a difference counts more than any number of spikes."""
    different = (fired[0] != fired[1]).sum(axis=(0, 1))
    return different * 1e6 + fired[0].sum(axis=(0, 1))
