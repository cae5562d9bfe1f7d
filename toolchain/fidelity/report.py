"""The report: one HTML file that needs no network, readable on a phone and on paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from toolchain import ir
from toolchain.execution.trace import Trace
from toolchain.fidelity.agreement import thresholds
from toolchain.fidelity.attribution import LossAttribution
from toolchain.fidelity.change import Change
from toolchain.fidelity.compare import Comparison
from toolchain.fidelity.continuation import Continuation
from toolchain.fidelity.cost import Cost
from toolchain.fidelity.decode import in_model_units
from toolchain.fidelity.diagram import path_diagram
from toolchain.fidelity.explorer import explorer_data
from toolchain.fidelity.metrics import flattened
from toolchain.fidelity.neurobench import NeuroBench
from toolchain.fidelity.neuron_names import neuron_name
from toolchain.fidelity.report_tables import (
    agreement_table,
    causes_table,
    connections_table,
    cost_table,
    firing_table,
    horizon_table,
    outputs_table,
    populations_table,
    sizes_table,
    stages_table,
)
from toolchain.fidelity.resources_page import shown_resources
from toolchain.ir import Graph, Population, print_graph
from toolchain.ir.matrix import rows_of, values_of
from toolchain.pages import ACCENT, INK, WARM, bin_edges, panel, panels, plain, write_page
from toolchain.passes.quantization.ranges import by_rows
from toolchain.passes.quantization.report import QuantizationReport
from toolchain.target.chip_fit import Fit


@final
@dataclass(frozen=True)
class ReportContent:
    """What a report shows.

    Attributes:
        title: Heading of the page.
        graphs: Float graph and fixed graph.
        traces: Traces of the samples shown, with spikes and potentials, one per graph.
        samples: Indices of these samples in the stimulus.
        comparison: Comparison over the whole stimulus.
        costs: Costs of the float graph and of the fixed graph.
        quantization: Report of the quantization.
        sizes: Figures before and after pruning, with their names.
        checks: Sentences about what was proved, such as equality with Lava.
        attribution: The loss, split by cause; None if it was not asked for.
        resources: What a chip says of the network, and its metrics; None if no chip was asked.
        continuation: How the network continues a series by itself; None for what is no forecast.
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
    continuation: Continuation | None = None

    @property
    def start(self) -> int:
        """Which of the samples is shown at first: one in which a population first differs, if any does."""
        different = (node.first.sample for node in self.comparison.nodes.values() if node.first)
        sample = next(different, self.samples[0])
        return self.samples.index(sample) if sample in self.samples else 0


def write_report(path: Path, content: ReportContent) -> None:
    """Write the report, atomically."""
    nodes, attribution = content.comparison.nodes, content.attribution
    warnings: dict[str, list[str]] = {}
    for warning in content.quantization.warnings:
        warnings.setdefault(warning.node, []).append(warning.text)
    write_page(
        path,
        "toolchain.fidelity",
        "fidelity.html.j2",
        content=content,
        comparison=content.comparison,
        operations=content.costs[1].total_operations,
        warnings=list(warnings.items()),
        firsts={name: node.first for name, node in nodes.items() if node.first is not None},
        printed=print_graph(content.graphs[1]),
        diagram=path_diagram(content.graphs[1]),
        explorer=explorer_data(content.graphs, content.traces, content.samples) | {"start": content.start},
        outputs=None if content.comparison.outputs is None else outputs_table(content.comparison.outputs),
        horizon=None if content.continuation is None else horizon_table(content.continuation.figures),
        curves=None if content.continuation is None else _curves(content.continuation),
        stages=None if attribution is None else stages_table(attribution),
        causes=None if attribution is None else causes_table(attribution),
        sizes=sizes_table(content.sizes),
        agreement=agreement_table(nodes, content.costs[1].neurons),
        connections=connections_table(content.quantization),
        populations=populations_table(content.quantization),
        firing=firing_table(content.quantization),
        adapts=any(node.adaptation is not None for node in content.graphs[0].populations),
        cost=cost_table(content.costs),
        stills=_stills(content),
        weights=_weights(content.graphs),
        on_chip=None if content.resources is None else shown_resources(*content.resources),
    )


def _stills(content: ReportContent) -> Markup:
    """Draw one sample: the spikes of every population that fires, and the potential of its busiest neuron."""
    drawn: list[tuple[str, Any]] = []
    for node in content.graphs[0].populations:
        fired = [flattened(trace.spikes[node.name])[content.start] for trace in content.traces]
        if fired[0].any():
            drawn.append((f"Spikes of {node.name}", _raster(fired)))
        if all(node.name in trace.v for trace in content.traces):
            pair = tuple(
                flattened(in_model_units(graph, node.name, trace.v[node.name]))[content.start]
                for graph, trace in zip(content.graphs, content.traces, strict=True)
            )
            neuron = _busiest(fired[0], pair[0])
            title = f"Potential of {neuron_name(node.vth.shape, neuron)} of {node.name}"
            drawn.append((title, _potential(node, neuron, pair)))
    return panels(drawn)


def _curves(continuation: Continuation) -> Markup:
    """Draw how forecasts go on, a figure for every output of the first start, and the error of each value."""
    drawn: list[tuple[str, Any]] = []
    form, figures = continuation.form, continuation.figures
    shown = [
        (continuation.truth, INK, "-"),
        (continuation.real, ACCENT, "-"),
        (continuation.fixed, WARM, "--"),
    ]
    window, horizon = continuation.history.shape[1], continuation.truth.shape[1]
    for i, name in enumerate(form.scale.names):
        axis = panel("value", plain(name))
        before = form.scale.in_units(continuation.history[0])[:, i]
        axis.plot(range(1 - window, 1), before, color=INK, lw=0.8, marker=".", ms=3)
        for values, colour, style in shown:
            after = form.scale.in_units(values[0])[:, i]
            axis.plot(range(horizon + 1), [before[-1], *after], color=colour, lw=1.4, ls=style)
        axis.plot([0, horizon], [before[-1], before[-1]], color=INK, lw=0.7, ls=":")
        drawn.append((f"Forecast of {name}", axis))
    axis = panel("value after the window", "RMSE, standard deviations")
    steps = range(1, horizon + 1)
    for errors, colour, style in (
        (figures.float_rmse, ACCENT, "-"),
        (figures.fixed_rmse, WARM, "--"),
        (figures.persistence_rmse, INK, ":"),
    ):
        axis.plot(steps, errors, color=colour, lw=1.4, ls=style)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return panels([*drawn, ("Error of the forecasts", axis)])


def _raster(fired: list[NDArray[Any]]) -> Any:  # noqa: ANN401 - matplotlib's Axes
    axis = panel("time step", "index of the neuron")
    real, fixed = fired
    for spikes, colour, width in (
        ((real == fixed) & (real > 0), INK, 1.2),
        (real > fixed, ACCENT, 2.4),
        (fixed > real, WARM, 2.4),
    ):
        step, neuron = np.nonzero(spikes)
        gap = np.full(len(step), np.nan)
        # One line with gaps: a mark of its own for every spike would take ten times the room.
        ends = np.stack([neuron - 0.5, neuron + 0.5, gap], axis=1)
        axis.plot(np.repeat(step, 3), ends.ravel(), color=colour, lw=width, solid_capstyle="butt")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return axis


def _potential(node: Population, neuron: int, pair: tuple[NDArray[np.float64], ...]) -> Any:  # noqa: ANN401
    axis = panel("time step", "potential, model units")
    axis.plot(pair[0][:, neuron], color=ACCENT, lw=1.6)
    axis.plot(pair[1][:, neuron], color=WARM, lw=1.2, ls="--")
    threshold = thresholds(node).flat[neuron]
    if np.isfinite(threshold):
        axis.axhline(threshold, color=INK, lw=0.7, ls=":")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return axis


def _busiest(fired: NDArray[Any], v: NDArray[np.float64]) -> int:
    """Return the neuron of a sample whose potential moves most, one that spikes if any does."""
    return int(np.argmax(fired.any(axis=0) * 1e6 + (v != 0).sum(axis=0) + v.std(axis=0) / (v.std() or 1)))


def _weights(graphs: tuple[Graph, Graph]) -> Markup:
    """Draw histograms of the weights before and after, both in model units."""
    drawn: list[tuple[str, Any]] = []
    for node in graphs[0].synapses:
        before, after = (_in_model_units(graph, node.name) for graph in graphs)
        bins = bin_edges(np.concatenate([before, after]), 41)
        axis = panel("weight, model units", "weights", height=1.9)
        axis.stairs(np.histogram(before[before != 0], bins)[0], bins, fill=True, color=ACCENT, alpha=0.55)
        axis.stairs(np.histogram(after[after != 0], bins)[0], bins, color=WARM)
        drawn.append((node.name, axis))
    return panels(drawn)


def _in_model_units(graph: Graph, name: str) -> NDArray[np.float64]:
    node = next(node for node in graph.synapses if node.name == name)
    values = np.asarray(values_of(node.weights), dtype=np.float64)
    target = graph.readers(name)[0]
    if isinstance(node, ir.FixedDense | ir.FixedConv2d) and isinstance(target, ir.FixedLif):
        scale = by_rows(target.scale)[rows_of(node.weights), 0]
        return values * 2.0**node.exponent / scale * graph.message_scale(node)
    return values
