"""Comparing a float execution with a fixed one, in metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.execution.companions import are_real
from toolchain.execution.trace import Trace
from toolchain.fidelity.agreement import Agreement, PopulationTally
from toolchain.fidelity.decode import predictions, scores
from toolchain.fidelity.divergence import Divergence
from toolchain.fidelity.metrics import SpikeCounts
from toolchain.fidelity.outputs import OutputErrors, OutputForm, OutputTally
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
        prediction_agreement: Share of samples with equal predictions, percent; None where outputs are real.
        float_accuracy: Accuracy of the float graph in percent; None without classes.
        fixed_accuracy: Accuracy of the fixed graph in percent; None without classes.
        outputs: Errors of real outputs; None where outputs are scores of classes.
    """

    samples: int
    nodes: Mapping[str, Agreement]
    spike_f1: float
    prediction_agreement: float | None
    float_accuracy: float | None
    fixed_accuracy: float | None
    outputs: OutputErrors | None = None

    @property
    def accuracy_drop(self) -> float | None:
        """Points lost from float to fixed; negative if fixed is better."""
        if self.float_accuracy is None or self.fixed_accuracy is None:
            return None
        return self.float_accuracy - self.fixed_accuracy

    @property
    def error_rise(self) -> float | None:
        """How much larger the error of real outputs is in integers than in real numbers, in percent."""
        return None if self.outputs is None else self.outputs.error_rise

    def outcome(self) -> str:
        """Return what the integers are worth: equal predictions and accuracy, or errors of real outputs."""
        if self.outputs is not None:
            return self.outputs.sentence()
        accuracy = (
            ""
            if self.float_accuracy is None or self.fixed_accuracy is None
            else f", accuracy {self.float_accuracy:.2f} % float, {self.fixed_accuracy:.2f} % integers"
        )
        return f"equal predictions {self.prediction_agreement or 0:.2f} %{accuracy}"

    def summary(self) -> Summary:
        """Return the figures of the output, and those of every population."""
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
            f"Comparison of {self.samples} samples: spike F1 {self.spike_f1:.4f}, {self.outcome()}",
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
        form: What real outputs mean; None for scores of classes, or where nobody said it.
        start: Index of the first sample that is added, in the stimulus.
        centres: Centres of potentials by population, where the first sample that is added is not the first
            of the stimulus; see `centres_of`.
    """

    def __init__(
        self,
        graphs: tuple[Graph, Graph],
        form: OutputForm | None = None,
        *,
        start: int = 0,
        centres: Mapping[str, float] | None = None,
    ) -> None:
        self._graphs = graphs
        self._outputs = None if form is None else OutputTally(form.scale.names, form)
        self._present = True
        near = centres or {}
        self._populations = {
            node.name: PopulationTally(graphs, node.name, start, near.get(node.name))
            for node in graphs[0].populations
        }
        self._samples = self._alike = 0
        self._right: list[int] | None = [0, 0]

    def add(
        self,
        traces: tuple[Trace, Trace],
        *,
        labels: NDArray[Any] | None = None,
        lengths: NDArray[np.int64] | None = None,
        present: NDArray[np.float64] | None = None,
        entered: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Add the next samples.

        Args:
            traces: Traces of both executions, with spikes; with potentials if membrane errors are wanted.
            labels: True classes, `[batch]`, or real targets, `[batch, outputs]`; for all samples or for none.
            lengths: Number of valid steps per sample.
            present: Last values of samples of a series, `[batch, outputs]`.
            entered: Values that entered, per input, if clipped ones are to be blamed for differences.
        """
        # Each population has counts of its own, and most of the work leaves Python.
        in_threads(lambda tally: tally.add(traces, entered), list(self._populations.values()))
        self._samples += len(next(iter(traces[0].spikes.values())))
        if are_real(labels) and self._outputs is None:
            self._outputs = OutputTally(_output_names(self._graphs[0]))
        if self._outputs is None:
            self._add_classes(traces, labels, lengths)
        else:
            self._present &= present is not None
            self._outputs.add(self._said(traces, lengths), labels if are_real(labels) else None, present)

    def _said(self, traces: tuple[Trace, Trace], lengths: NDArray[np.int64] | None) -> list[Floats]:
        """Return the scores of the first output in both executions."""
        return [
            scores(graph, trace, graph.outputs[0], lengths)
            for graph, trace in zip(self._graphs, traces, strict=True)
        ]

    def _add_classes(
        self,
        traces: tuple[Trace, Trace],
        labels: NDArray[np.int64] | None,
        lengths: NDArray[np.int64] | None,
    ) -> None:
        pairs = zip(self._graphs, traces, strict=True)
        predicted = [predictions(graph, trace, lengths) for graph, trace in pairs]
        self._alike += int((predicted[0] == predicted[1]).sum())
        if labels is None:
            self._right = None
        if self._right is not None:
            self._right = [
                n + int((each == labels).sum()) for n, each in zip(self._right, predicted, strict=True)
            ]

    def __getstate__(self) -> dict[str, Any]:
        """Return what goes to another process: counts that can be included there, and no graphs."""
        return {name: value for name, value in vars(self).items() if name != "_graphs"}

    def include(self, other: "Comparer") -> None:
        """Add what was counted of other samples of the same stimulus.

        Counts are whole numbers, sums are exact, and of first differences the earliest stays: in whatever
        order shards are included, the figures are those of one comparer that was given all samples.
        """
        for name, tally in self._populations.items():
            tally.include(other._populations[name])
        self._samples += other._samples
        self._alike += other._alike
        self._present &= other._present
        if self._right is None or other._right is None:
            self._right = None
        else:
            self._right = [a + b for a, b in zip(self._right, other._right, strict=True)]
        if self._outputs is None:
            self._outputs = other._outputs
        elif other._outputs is not None:
            self._outputs.include(other._outputs)

    def firsts(self) -> dict[str, Divergence]:
        """Return the earliest difference of every population that differs so far, in order of execution."""
        return {name: tally.first for name, tally in self._populations.items() if tally.first is not None}

    def result(self) -> Comparison:
        """Return the comparison of all samples that were added."""
        outputs = self._outputs
        classes = outputs is None and self._right is not None
        rates = [self._percent(each) for each in self._right or ()] if classes else [None, None]
        # A population that never spikes adds nothing to what F1 is made of.
        counts = sum((tally.counts for tally in self._populations.values()), SpikeCounts())
        return Comparison(
            samples=self._samples,
            nodes={name: tally.result() for name, tally in self._populations.items()},
            spike_f1=counts.shares.f1,
            prediction_agreement=self._percent(self._alike) if outputs is None else None,
            float_accuracy=rates[0],
            fixed_accuracy=rates[1],
            outputs=None if outputs is None else outputs.result(present=self._present),
        )

    def _percent(self, count: int) -> float:
        return count / self._samples * 100


def _output_names(graph: Graph) -> tuple[str, ...]:
    """Return the names of the scores of the first output; numbers where there are none."""
    return graph.outputs[0].classes or tuple(f"output {i}" for i in range(graph.scores))


def compare_traces(
    graphs: tuple[Graph, Graph],
    traces: tuple[Trace, Trace],
    *,
    labels: NDArray[Any] | None = None,
    lengths: NDArray[np.int64] | None = None,
) -> Comparison:
    """Compare two executions that are in memory as a whole; see `Comparer`."""
    comparer = Comparer(graphs)
    comparer.add(traces, labels=labels, lengths=lengths)
    return comparer.result()
