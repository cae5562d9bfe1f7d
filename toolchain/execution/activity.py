"""How often each element of every source of a graph was active in a recorded run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Array
from toolchain.compiled import njit
from toolchain.errors import TraceError
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import Trace
from toolchain.ir import Graph, Window


@final
@dataclass(frozen=True)
class Activity:
    """Events of a run.

    Attributes:
        samples: Number of samples.
        steps: Number of steps of a sample.
        events: Number of events of each element of every input, pooling and population, over all samples
            and steps, flattened in the order C, H, W. A graded message that is not zero is one event, and so
            are several spikes that a neuron sends in one step.
        spikes: Number of spikes of every population, over all samples and steps.
        still: Names of the inputs that are the same at all steps of each sample.
    """

    samples: int
    steps: int
    events: Mapping[str, NDArray[np.int64]] = field(repr=False)
    spikes: Mapping[str, int] = field(repr=False)
    still: frozenset[str] = frozenset()

    def rates(self, name: str) -> NDArray[np.float64]:
        """Return the mean events per step of each element of a source."""
        return self.events[name] / max(self.samples * self.steps, 1)

    def merged(self, other: "Activity") -> "Activity":
        """Return the events of both runs of one graph: counts of its parts are those of the whole."""
        events = {name: counts + other.events[name] for name, counts in self.events.items()}
        spikes = {name: count + other.spikes[name] for name, count in self.spikes.items()}
        return Activity(self.samples + other.samples, self.steps, events, spikes, self.still & other.still)


def count_events(graph: Graph, stimulus: Stimulus, trace: Trace) -> Activity:
    """Return how often every source of a graph sent something.

    Args:
        graph: A float or fixed graph.
        stimulus: The samples that were run.
        trace: The record of that run, with spikes.

    Raises:
        TraceError: The trace is of another network, or of another stimulus.
    """
    fitted = fit_stimulus(graph, stimulus)
    check_trace(graph, trace, fitted.samples, fitted.steps)
    values: dict[str, Array] = dict(fitted.values)
    values |= {node.name: trace.spikes[node.name] for node in graph.populations}
    for node in graph.poolings:
        source, _ = graph.source(node.inputs[0])
        sent = values[source.name]
        # A sum of spikes is an event if any of them is: only those of signed values can vanish.
        any_of = graph.graded_input(node) is None
        values[node.name] = _any_of(node.window, sent) if any_of else node.pool(sent)
    counts = {name: _count_active(sent) for name, sent in values.items()}
    still = (name for name, shown in fitted.values.items() if bool((shown[:, :1] == shown).all()))
    spikes = {node.name: _total(trace.spikes[node.name]) for node in graph.populations}
    return Activity(fitted.samples, fitted.steps, counts, spikes, frozenset(still))


def _any_of(window: Window, sent: Array) -> Array:
    """Return whether any element of each window is set: down first, along whole rows, and then across."""
    kernel, stride, padding, dilation = window.kernel, window.stride, window.padding, window.dilation
    down = Window((kernel[0], 1), (stride[0], 1), (padding[0], 0), (dilation[0], 1))
    across = Window((1, kernel[1]), (1, stride[1]), (0, padding[1]), (1, dilation[1]))
    return reduce(np.logical_or, across.patches(reduce(np.logical_or, down.patches(sent))))


def check_trace(graph: Graph, trace: Trace, samples: int, steps: int) -> None:
    """Raise unless a trace holds the spikes of every population of a graph, for so many samples and steps.

    Raises:
        TraceError: Names the population.
    """
    for node in graph.populations:
        spikes = trace.spikes.get(node.name)
        if spikes is None:
            names = ", ".join(sorted(trace.spikes)) or "no spikes"
            raise TraceError(node.name, f"is missing, the trace holds {names}")
        expected = (samples, steps, *graph.types[node.name].shape)
        if spikes.shape != expected:
            raise TraceError(node.name, f"has shape {spikes.shape}, expected {expected}")
        number, what = (
            (np.bool_, "a spike or none") if node.max_spikes == 1 else (np.uint8, "how many spikes")
        )
        if spikes.dtype != number:
            raise TraceError(node.name, f"holds {spikes.dtype}, expected {np.dtype(number)}, {what}")
    known = {node.name for node in graph.populations}
    for name in trace.spikes:
        if name not in known:
            raise TraceError(name, "is in the trace, but not in the network")


def _count_active(sent: Array) -> NDArray[np.int64]:
    """Return how often each element of `[batch, time, *features]` is not 0, flattened."""
    rows = np.ascontiguousarray(sent).reshape(sent.shape[0] * sent.shape[1], -1)
    return _count_rows(rows.view(np.uint8) if rows.dtype == np.bool_ else rows)


def _total(spikes: NDArray[Any]) -> int:
    """Return the sum of spikes or counts."""
    return int(np.count_nonzero(spikes) if spikes.dtype == np.bool_ else spikes.sum(dtype=np.int64))


@njit(nogil=True, cache=True)
def _count_rows(rows: Array) -> Array:
    counts = np.zeros(rows.shape[1], np.int64)
    for row in rows:
        for i in range(row.size):
            counts[i] += row[i] != 0
    return counts
