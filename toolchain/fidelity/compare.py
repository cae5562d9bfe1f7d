"""Comparing executions: float against fixed with metrics, integers against integers with `==`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint
from toolchain.fidelity.decode import accuracy, in_model_units, predictions
from toolchain.fidelity.metrics import (
    Agreement,
    Divergence,
    compare_spikes,
    first_difference,
    flattened,
    membrane_error,
    rate_error,
)
from toolchain.ir import FixedLif, Graph, Population
from toolchain.trace import Trace

FORMAT_VERSION = 1


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
        float(flat.any(axis=1).mean()),
        _divergence(node, first_difference(expected, got), potentials),
    )


def _divergence(
    node: Population,
    where: tuple[int, int, int] | None,
    potentials: tuple[NDArray[np.float64], ...] | None,
) -> Divergence | None:
    if where is None:
        return None
    sample, step, neuron = where
    values = (None, None)
    if potentials is not None:
        values = tuple(float(flattened(v)[sample, step, neuron]) for v in potentials)
    element = int(node.origin.elements[neuron])
    threshold = float(thresholds(node).flat[neuron])
    return Divergence(sample, step, neuron, element, values[0], values[1], threshold)


def thresholds(node: Population) -> NDArray[np.float64]:
    """Return the thresholds in model units, infinite for a read-out, in the population's shape."""
    if isinstance(node, FixedLif):
        never = node.vth >= fixedpoint.THRESHOLD_MAX
        return np.where(never, np.inf, node.vth / node.scale)
    return node.vth


def _population(graph: Graph, name: str) -> Population:
    return next(node for node in graph.populations if node.name == name)


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
    """

    record: str
    sample: int
    step: int
    neuron: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"{self.record} of neuron {self.neuron} in sample {self.sample} at step {self.step}: "
            f"expected {self.expected}, got {self.got}"
        )


def first_mismatch(expected: Trace, got: Trace) -> Mismatch | None:
    """Return the earliest difference between two integer traces, or None if they are equal.

    Every record of `expected` must exist in `got`; a missing one counts as different.
    """
    found: list[Mismatch] = []
    others = got.items()
    for record, values in expected.items().items():
        other = others.get(record)
        if other is None or other.shape != values.shape:
            return Mismatch(record, -1, -1, -1, values.size, 0 if other is None else other.size)
        where = first_difference(values, other)
        if where is not None:
            pair = (int(flattened(each)[where]) for each in (values, other))
            found.append(Mismatch(record, *where, *pair))
    return min(found, key=lambda item: item.step, default=None)
