"""Comparing executions: float against fixed with metrics, integers against integers with `==`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint
from toolchain.fidelity.decode import accuracy, in_model_units, predictions
from toolchain.fidelity.divergence import Divergence, different_inputs
from toolchain.fidelity.metrics import (
    compare_spikes,
    first_difference,
    flattened,
    membrane_error,
    rate_error,
)
from toolchain.fidelity.spike_distances import van_rossum, victor_purpura
from toolchain.ir import FixedLif, Graph, Population
from toolchain.trace import QUANTITIES, Trace

FORMAT_VERSION = 1


@final
@dataclass(frozen=True)
class Agreement:
    """Agreement of one population.

    Attributes:
        spike_agreement: Share of equal entries.
        precision: Of the second execution's spikes, the share that the first has too.
        recall: Of the first execution's spikes, the share that the second has too.
        spike_f1: Harmonic mean of the two; 1 if neither execution spikes.
        rate_error: Mean |difference of spike counts| per neuron and sample, over the mean count.
        membrane_error: Root mean square difference of potentials in thresholds (for a read-out:
            in standard deviations of the first); None if not recorded.
        van_rossum: Mean distance of spike trains, 0 if equal; see `spike_distances.van_rossum`.
        victor_purpura: Mean cost of turning one train into the other.
        diverged: Share of samples with at least one different spike.
        first: The earliest difference, or None.
    """

    spike_agreement: float
    precision: float
    recall: float
    spike_f1: float
    rate_error: float
    membrane_error: float | None
    van_rossum: float
    victor_purpura: float
    diverged: float
    first: Divergence | None


@final
@dataclass(frozen=True)
class Comparison:
    """Float against fixed on one stimulus.

    Attributes:
        samples: Number of samples.
        nodes: Agreement per population.
        spike_f1: Over the spikes of all populations that fire.
        prediction_agreement: Share of samples with equal predictions, percent.
        float_accuracy: Percent; None without labels.
        fixed_accuracy: Percent; None without labels.
    """

    samples: int
    nodes: Mapping[str, Agreement]
    spike_f1: float
    prediction_agreement: float
    float_accuracy: float | None
    fixed_accuracy: float | None

    @property
    def accuracy_drop(self) -> float | None:
        """Points lost from float to fixed; negative if fixed is better."""
        if self.float_accuracy is None or self.fixed_accuracy is None:
            return None
        return self.float_accuracy - self.fixed_accuracy

    def to_json(self) -> dict[str, Any]:
        """Return the document stored as `fidelity.json`."""
        return {"version": FORMAT_VERSION, **asdict(self), "accuracy_drop": self.accuracy_drop}


def compare_traces(
    graphs: tuple[Graph, Graph],
    traces: tuple[Trace, Trace],
    *,
    labels: NDArray[np.int64] | None = None,
    lengths: NDArray[np.int64] | None = None,
) -> Comparison:
    """Compare a float execution with a fixed one of the same network.

    Args:
        graphs: The float graph and the fixed graph quantized from it.
        traces: What each did, with spikes; potentials if membrane errors are wanted.
        labels: True classes, `[batch]`.
        lengths: Valid steps per sample.
    """
    expected, got = traces
    nodes = {node.name: _agreement(graphs, traces, node.name) for node in graphs[0].populations}
    firing = [name for name in nodes if expected.spikes[name].any() or got.spikes[name].any()]
    joined = [
        np.concatenate([t.spikes[name].ravel() for name in firing] or [np.zeros(0, bool)]) for t in traces
    ]
    predicted = [predictions(graph, trace, lengths) for graph, trace in zip(graphs, traces, strict=True)]
    agreement = float(np.mean(predicted[0] == predicted[1]) * 100)
    rates = [None, None] if labels is None else [accuracy(each, labels) for each in predicted]
    f1 = compare_spikes(*joined)[3] if firing else 1.0
    return Comparison(len(predicted[0]), nodes, f1, agreement, rates[0], rates[1])


def _agreement(graphs: tuple[Graph, Graph], traces: tuple[Trace, Trace], name: str) -> Agreement:
    node = _population(graphs[0], name)
    expected, got = (trace.spikes[name].astype(bool) for trace in traces)
    agreement, precision, recall, f1 = compare_spikes(expected, got)
    potentials = None
    if all(name in trace.v for trace in traces):
        potentials = tuple(in_model_units(g, name, t.v[name]) for g, t in zip(graphs, traces, strict=True))
    error = None
    if potentials is not None:
        threshold = thresholds(node)
        spread = potentials[0].std() or 1.0
        unit = np.where(np.isfinite(threshold), threshold, spread)
        error = membrane_error(potentials[0], potentials[1], unit)
    flat = (expected != got).reshape(len(expected), -1)
    return Agreement(
        agreement,
        precision,
        recall,
        f1,
        rate_error(expected, got),
        error,
        van_rossum(expected, got),
        victor_purpura(expected, got),
        float(flat.any(axis=1).mean()),
        _divergence(graphs[0], traces, node, potentials),
    )


def _divergence(
    graph: Graph,
    traces: tuple[Trace, Trace],
    node: Population,
    potentials: tuple[NDArray[np.float64], ...] | None,
) -> Divergence | None:
    where = first_difference(*(trace.spikes[node.name] for trace in traces))
    if where is None:
        return None
    sample, step, neuron = where
    values = (None, None)
    if potentials is not None:
        values = tuple(float(flattened(v)[sample, step, neuron]) for v in potentials)
    element = int(node.origin.elements[neuron])
    threshold = float(thresholds(node).flat[neuron])
    inputs = different_inputs(graph, traces, node.name, where)
    return Divergence(sample, step, neuron, element, values[0], values[1], threshold, inputs)


def thresholds(node: Population) -> NDArray[np.float64]:
    """Return the thresholds in model units, infinite for a read-out, in the population's shape."""
    if isinstance(node, FixedLif):
        never = node.vth >= fixedpoint.THRESHOLD_MAX
        return np.where(never, np.inf, node.vth / node.scale)
    return node.vth


def _population(graph: Graph, name: str) -> Population:
    return next(node for node in graph.populations if node.name == name)


_CAUSES: Final = ("u", "spikes", "v")
"""What follows from what within a step: v is recorded after the reset, so a spike explains it."""
_MEANING: Final = {
    "u": "its synaptic input differs: a weight, an exponent or a delay of what it reads",
    "v": "its current is equal, its potential is not: its decay or bias",
    "spikes": "its current is equal, and so was its potential before: its threshold",
}


@final
@dataclass(frozen=True)
class Mismatch:
    """Where two integer executions that must be equal are not.

    Attributes:
        record: Such as `hidden.v`.
        sample: Index in the stimulus.
        step: Time step, from 0.
        neuron: Index in the population.
        expected: Value in the first execution.
        got: Value in the second.
        meaning: What can make such a difference, everything before it being equal.
    """

    record: str
    sample: int
    step: int
    neuron: int
    expected: int
    got: int
    meaning: str = ""

    def __str__(self) -> str:
        text = (
            f"{self.record} of neuron {self.neuron} in sample {self.sample} at step {self.step}: "
            f"expected {self.expected}, got {self.got}"
        )
        return f"{text} ({self.meaning})" if self.meaning else text


def first_mismatch(expected: Trace, got: Trace) -> Mismatch | None:
    """Return the earliest difference between two integer traces, or None if they are equal.

    Of the differences at one step it is the one that others follow from: the first population in the order
    of execution, and there the current before the spike before the potential. Every record of `expected` must
    exist in `got`; a missing one counts as different.
    """
    found: list[tuple[tuple[int, int, int], Mismatch]] = []
    others = got.items()
    order = list(expected.spikes or expected.v or expected.u)
    for record, values in expected.items().items():
        other = others.get(record)
        if other is None or other.shape != values.shape:
            return Mismatch(record, -1, -1, -1, values.size, 0 if other is None else other.size)
        where = first_difference(values, other)
        if where is not None:
            pair = (int(flattened(each)[where]) for each in (values, other))
            node, _, quantity = record.rpartition(".")
            complete = all(node in getattr(expected, each) for each in QUANTITIES)
            meaning = _MEANING[quantity] if complete else ""
            rank = (where[1], order.index(node), _CAUSES.index(quantity))
            found.append((rank, Mismatch(record, *where, *pair, meaning=meaning)))
    return min(found, key=lambda item: item[0], default=(None, None))[1]
