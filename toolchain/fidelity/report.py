"""The report: one HTML file that needs no network, readable on a phone and on paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from toolchain import ir
from toolchain.execution.trace import Trace
from toolchain.fidelity.agreement import thresholds
from toolchain.fidelity.attribution import LossAttribution, RuleEffect
from toolchain.fidelity.change import Change
from toolchain.fidelity.compare import Comparison
from toolchain.fidelity.cost import Cost
from toolchain.fidelity.decode import in_model_units
from toolchain.fidelity.diagram import path_diagram
from toolchain.fidelity.explorer import explorer_data
from toolchain.fidelity.metrics import flattened
from toolchain.fidelity.neurobench import NeuroBench
from toolchain.fidelity.resources_page import shown_resources
from toolchain.ir import Graph, print_graph
from toolchain.ir.matrix import rows_of, values_of
from toolchain.pages import ACCENT, INK, WARM, subplots, svg, write_page
from toolchain.passes.quantization.ranges import by_rows
from toolchain.passes.quantization.report import QuantizationReport
from toolchain.target.chip_fit import Fit

_TRACES = 3


@final
@dataclass(frozen=True)
class ReportContent:
    """What a report shows.

    Attributes:
        title: Heading.
        graphs: Float and fixed.
        traces: Of the samples shown, with spikes and potentials, one per graph.
        samples: Which samples these are, as they stand in the stimulus.
        comparison: Over the whole stimulus.
        costs: Float and fixed.
        quantization: What quantization did.
        sizes: Figures with their names, each with a `before` pruning and an `after`.
        checks: Sentences about what was proved, such as equality with Lava.
        attribution: The loss, split by cause.
        resources: What a chip says of the network, if it was asked.
    """

    title: str
    graphs: tuple[Graph, Graph]
    traces: tuple[Trace, Trace]
    samples: tuple[int, ...]
    comparison: Comparison
    costs: tuple[Cost, Cost]
    quantization: QuantizationReport
    sizes: Sequence[tuple[str, Change]] = ()
    checks: tuple[str, ...] = ()
    attribution: LossAttribution | None = None
    resources: tuple[Fit, NeuroBench] | None = None

    @property
    def start(self) -> int:
        """Which of the samples shown is seen first: one in which a population first differs, if any does."""
        found = (node.first.sample for node in self.comparison.nodes.values() if node.first)
        sample = next(found, self.samples[0])
        return self.samples.index(sample) if sample in self.samples else 0


def write_report(path: Path, content: ReportContent) -> None:
    """Write the report, atomically."""
    causes = _causes(content.attribution)
    write_page(
        path,
        "toolchain.fidelity",
        "fidelity.html.j2",
        content=content,
        comparison=content.comparison,
        nodes=content.comparison.nodes,
        float_cost=content.costs[0],
        fixed_cost=content.costs[1],
        printed=print_graph(content.graphs[1]),
        diagram=path_diagram(content.graphs[1]),
        explorer=explorer_data(content.graphs, content.traces, content.samples) | {"start": content.start},
        causes=causes,
        chain=_chain(content.attribution),
        worst=max((1 - row.spike_f1 for _, row in causes), default=0.0),
        raster=_raster(content),
        membranes=_membranes(content),
        weights=_weights(content.graphs),
        on_chip=None if content.resources is None else shown_resources(*content.resources),
    )


def _causes(attribution: LossAttribution | None) -> list[tuple[str, RuleEffect]]:
    """Return the rows of the table of causes."""
    if attribution is None:
        return []
    return [
        *attribution.alone.items(),
        ("all rounded numbers", attribution.rounded),
        ("all: the integers", attribution.together),
    ]


def _chain(attribution: LossAttribution | None) -> list[tuple[str, str, RuleEffect]]:
    """Return the steps from real numbers to integers."""
    if attribution is None:
        return []
    return [
        ("float graph", "rounded numbers, exact states", attribution.rounded),
        ("rounded numbers, exact states", "integers", attribution.arithmetic),
        ("float graph", "integers", attribution.together),
    ]


def _raster(content: ReportContent) -> Markup:
    """Spikes of one sample: both executions in one plot per population."""
    names = [name for name in content.traces[0].spikes if content.traces[0].spikes[name].any()]
    figure, axes = subplots(max(len(names), 1), 1, 7.5, 0.6 + 2.6 * max(len(names), 1))
    for axis, name in zip(axes[:, 0], names, strict=False):
        pairs = zip(content.traces, ("float", "fixed"), (ACCENT, WARM), ("o", "x"), strict=True)
        for trace, label, colour, mark in pairs:
            step, neuron = np.nonzero(flattened(trace.spikes[name])[content.start])
            hollow = {"facecolors": "none", "edgecolors": colour} if mark == "o" else {"color": colour}
            axis.scatter(step, neuron, s=9, marker=mark, linewidths=0.7, label=label, **hollow)
        axis.set(xlabel="step", ylabel=f"neuron of '{name}'")
        axis.legend(loc="upper right", fontsize=8)
    return svg(figure)


def _membranes(content: ReportContent) -> Markup:
    """Potentials of the busiest neurons of each population in one sample, in thresholds."""
    names = list(content.traces[0].v)
    figure, axes = subplots(max(len(names), 1), _TRACES, 9.0, 0.4 + 1.9 * max(len(names), 1))
    for row, name in zip(axes, names, strict=False):
        pair = tuple(
            flattened(in_model_units(graph, name, trace.v[name]))[content.start]
            for graph, trace in zip(content.graphs, content.traces, strict=True)
        )
        for axis, neuron in zip(
            row, _busiest(content.traces[0].spikes[name][content.start], pair[0]), strict=False
        ):
            _plot_membrane(axis, content.graphs[0], name, neuron, pair)
    return svg(figure)


def _plot_membrane(
    axis: Any,  # noqa: ANN401 - matplotlib's Axes
    graph: Graph,
    name: str,
    neuron: int,
    pair: tuple[NDArray[np.float64], ...],
) -> None:
    axis.plot(pair[0][:, neuron], color=ACCENT, lw=1.6, label="float")
    axis.plot(pair[1][:, neuron], color=WARM, lw=1.2, ls="--", label="fixed")
    node = next(node for node in graph.populations if node.name == name)
    threshold = thresholds(node).flat[neuron]
    if np.isfinite(threshold):
        axis.axhline(threshold, color=INK, lw=0.7, ls=":")
    axis.set_title(f"{name} {neuron}", fontsize=8)


def _busiest(spikes: NDArray[np.bool_], v: NDArray[np.float64]) -> list[int]:
    """Return the neurons of a sample whose potential moves most, those that spike first."""
    fired = spikes.reshape(len(v), -1).any(axis=0)
    activity = fired * 1e6 + (v != 0).sum(axis=0) + v.std(axis=0) / (v.std() or 1)
    return np.argsort(-activity, kind="stable")[:_TRACES].tolist()


def _weights(graphs: tuple[Graph, Graph]) -> Markup:
    """Histograms of the weights before and after, both in model units."""
    names = [node.name for node in graphs[0].synapses]
    rows = -(-len(names) // _TRACES)
    figure, axes = subplots(rows, _TRACES, 9.0, 1.9 * rows)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, names, strict=False):
        before, after = (_in_model_units(graph, name) for graph in graphs)
        bins = np.histogram_bin_edges(np.concatenate([before, after]), bins=41)
        axis.hist(before[before != 0], bins=bins, color=ACCENT, alpha=0.55)
        axis.hist(after[after != 0], bins=bins, histtype="step", color=WARM)
        axis.set_title(name, fontsize=8)
        axis.tick_params(labelsize=6)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
    return svg(figure)


def _in_model_units(graph: Graph, name: str) -> NDArray[np.float64]:
    node = next(node for node in graph.synapses if node.name == name)
    values = np.asarray(values_of(node.weights), dtype=np.float64)
    target = graph.readers(name)[0]
    if isinstance(node, ir.FixedDense | ir.FixedConv2d) and isinstance(target, ir.FixedLif):
        scale = by_rows(target.scale)[rows_of(node.weights), 0]
        return values * 2.0**node.exponent / scale * graph.message_scale(node)
    return values
