"""Comparing a float execution with a fixed one, in metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain.execution.trace import Trace
from toolchain.fidelity.agreement import Agreement, PopulationTally
from toolchain.fidelity.decode import predictions
from toolchain.fidelity.divergence import Divergence
from toolchain.fidelity.metrics import SpikeCounts
from toolchain.ir import Graph
from toolchain.summary import Summarised, Summary
from toolchain.threads import in_threads


@final
@dataclass(frozen=True, repr=False)
class Comparison(Summarised):
    """Float against fixed on one stimulus.

    Attributes:
        samples: Number of samples.
        nodes: Agreement per population.
        spike_f1: Spike F1 over the spikes of all populations that fire.
        prediction_agreement: Share of samples with equal predictions, percent.
        float_accuracy: Accuracy of the float graph in percent; None without labels.
        fixed_accuracy: Accuracy of the fixed graph in percent; None without labels.
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

    def summary(self) -> Summary:
        """Return the figures of the output, and those of every population."""
        accuracy = (
            ""
            if self.float_accuracy is None or self.fixed_accuracy is None
            else f", accuracy {self.float_accuracy:.2f} % float, {self.fixed_accuracy:.2f} % integers"
        )
        rows = [
            (
                name,
                f"{node.spike_agreement:.5f}",
                f"{node.spike_f1:.4f}",
                "none" if node.first is None else f"step {node.first.step}, neuron {node.first.neuron}",
            )
            for name, node in self.nodes.items()
        ]
        return Summary(
            f"Comparison of {self.samples} samples: spike F1 {self.spike_f1:.4f}, equal predictions "
            f"{self.prediction_agreement:.2f} %{accuracy}",
            ("population", "equal spikes", "spike F1", "first difference"),
            rows,
        )


@final
class Comparer:
    """Compares a float execution with a fixed one of the same network, part by part.

    It keeps counts and exact sums, no records: memory does not grow with the samples, and no figure depends
    on how they are divided into parts.

    Args:
        graphs: The float graph and the fixed graph quantized from it.
    """

    def __init__(self, graphs: tuple[Graph, Graph]) -> None:
        self._graphs = graphs
        self._populations = {node.name: PopulationTally(graphs, node.name) for node in graphs[0].populations}
        self._samples = self._alike = 0
        self._right: list[int] | None = [0, 0]

    def add(
        self,
        traces: tuple[Trace, Trace],
        *,
        labels: NDArray[np.int64] | None = None,
        lengths: NDArray[np.int64] | None = None,
        entered: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Add the next samples.

        Args:
            traces: Traces of both executions, with spikes; with potentials if membrane errors are wanted.
            labels: True classes, `[batch]`; for all samples or for none.
            lengths: Number of valid steps per sample.
            entered: Values that entered, per input, if clipped ones are to be blamed for differences.
        """
        # Each population has counts of its own, and most of the work leaves Python.
        in_threads(lambda tally: tally.add(traces, entered), list(self._populations.values()))
        pairs = zip(self._graphs, traces, strict=True)
        predicted = [predictions(graph, trace, lengths) for graph, trace in pairs]
        self._samples += len(predicted[0])
        self._alike += int((predicted[0] == predicted[1]).sum())
        if labels is None:
            self._right = None
        if self._right is not None:
            self._right = [
                n + int((each == labels).sum()) for n, each in zip(self._right, predicted, strict=True)
            ]

    def firsts(self) -> dict[str, Divergence]:
        """Return the earliest difference of every population that differs so far, in order of execution."""
        return {name: tally.first for name, tally in self._populations.items() if tally.first is not None}

    def result(self) -> Comparison:
        """Return the comparison of all samples that were added."""
        rates = [None, None] if self._right is None else [self._percent(each) for each in self._right]
        # A population that never spikes adds nothing to what F1 is made of.
        counts = sum((tally.counts for tally in self._populations.values()), SpikeCounts())
        return Comparison(
            samples=self._samples,
            nodes={name: tally.result() for name, tally in self._populations.items()},
            spike_f1=counts.shares.f1,
            prediction_agreement=self._percent(self._alike),
            float_accuracy=rates[0],
            fixed_accuracy=rates[1],
        )

    def _percent(self, count: int) -> float:
        return count / self._samples * 100


def compare_traces(
    graphs: tuple[Graph, Graph],
    traces: tuple[Trace, Trace],
    *,
    labels: NDArray[np.int64] | None = None,
    lengths: NDArray[np.int64] | None = None,
) -> Comparison:
    """Compare two executions that are in memory as a whole; see `Comparer`."""
    comparer = Comparer(graphs)
    comparer.add(traces, labels=labels, lengths=lengths)
    return comparer.result()
