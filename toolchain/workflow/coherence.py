"""Whether the parts of a build speak of one network: graphs, report of the quantization, samples.

Each part has been read and is sound by itself; whoever holds a checked build need not ask whether a name of
one part stands in another.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from toolchain import ir
from toolchain.data.codes.sample_encoder import series_code
from toolchain.data.new_samples.raw_encoder import RawEncoder
from toolchain.errors import CorruptArtifactError, StimulusError, UsageError
from toolchain.execution.clipping import graded_range
from toolchain.execution.stimulus import Stimulus, named_stimulus
from toolchain.fidelity.outputs import OutputForm
from toolchain.ir import AnyNode, EdgeKind, Graph, Stage, same_node
from toolchain.ir.matrix import values_of
from toolchain.passes.quantization.report import QuantizationReport

_FIXED: Final[dict[type[AnyNode], type[AnyNode]]] = {
    ir.Dense: ir.FixedDense,
    ir.Conv2d: ir.FixedConv2d,
    ir.Lif: ir.FixedLif,
}
"""What becomes of operations in real numbers; all others stay as they are."""


def check_coherent(
    folder: Path,
    graphs: tuple[Graph, Graph],
    report: QuantizationReport,
    stimulus: Stimulus | None,
    encoder: RawEncoder | None = None,
    outputs: OutputForm | None = None,
) -> None:
    """Raise unless the parts of a build belong together.

    Args:
        folder: Folder of the build.
        graphs: Float graph and fixed graph.
        report: Report of the quantization.
        stimulus: The samples of the build, whose values are not looked at.
        encoder: What encodes new samples.
        outputs: What real outputs mean; None for classes.

    Raises:
        CorruptArtifactError: Says which parts disagree, and in what.
    """
    problems = chain(
        _graph_problems(*graphs),
        _report_problems(graphs[1], report),
        _sample_problems(graphs[0], stimulus),
        encoder_problems(graphs[0], encoder),
        _output_problems(graphs[0], outputs),
    )
    problem = next(problems, "")
    if problem:
        raise CorruptArtifactError(folder, f"holds parts of different networks: {problem}; compile again")


def encoder_problems(graph: Graph, encoder: RawEncoder | None) -> Iterator[str]:
    """Yield why new samples, once they are encoded, would not enter a graph; nothing if they would."""
    if encoder is None:
        return
    try:
        features = encoder.features
    except UsageError as error:
        yield f"new samples cannot be encoded: {error}"
        return
    if [node.shape for node in graph.inputs] != [features]:
        yield f"new samples enter as {list(features)}, which is no input of the graph"
    if graph.scores != len(encoder.classes):
        yield f"new samples have {len(encoder.classes)} classes, the graph has {graph.scores}"


def _graph_problems(before: Graph, after: Graph) -> Iterator[str]:
    for graph, stage in ((before, Stage.FLOAT), (after, Stage.FIXED)):
        if graph.stage is not stage:
            yield f"the {stage.value} graph is a {graph.stage.value} graph"
    if (before.name, before.dt_ms) != (after.name, after.dt_ms):
        yield "the graphs differ in their name or in the length of a step"
    names = [node.name for node in before]
    if names != [node.name for node in after]:
        yield "the graphs differ in their nodes"
        return
    for name in names:
        if not _alike(before[name], after[name]):
            yield f"the graphs differ in '{name}'"
    for node in after.synapses:
        if not after.readers(node.name):
            yield f"nobody reads connection '{node.name}'"


def _alike(node: AnyNode, other: AnyNode) -> bool:
    """Return whether a node can be what another became in integers."""
    fixed = _FIXED.get(type(node))
    if fixed is None:
        return same_node(node, other)
    if type(other) is not fixed or node.inputs != other.inputs:
        return False
    match node, other:
        case (ir.Dense() | ir.Conv2d(), ir.FixedDense() | ir.FixedConv2d()):
            stored = values_of(node.weights).size == values_of(other.weights).size
            return stored and node.weights.shape == other.weights.shape
        case ir.Lif(), ir.FixedLif():
            both = [
                (each.reset, each.max_spikes, each.per_neuron.keys() - each.required)
                for each in (node, other)
            ]
            return node.vth.shape == other.vth.shape and both[0] == both[1]
        case _:
            return False


def _report_problems(graph: Graph, report: QuantizationReport) -> Iterator[str]:
    graded = {node.name for node in graph.inputs if node.edge is EdgeKind.GRADED}
    parts = {
        "connections": (report.connections, {node.name for node in graph.synapses}),
        "populations": (report.populations, {node.name for node in graph.populations}),
        "inputs": (report.inputs, graded),
    }
    for what, (rows, names) in parts.items():
        if rows.keys() != names:
            yield f"the report of the quantization speaks of other {what} than the graphs"
            return
    for node in (*graph.inputs, *graph.synapses, *graph.populations):
        if not _describes(report, node):
            yield f"the report of the quantization speaks of another '{node.name}' than the graphs"


def _describes(report: QuantizationReport, node: AnyNode) -> bool:
    """Return whether a report says of a node what its integers show."""
    match node:
        case ir.Input() if node.edge is EdgeKind.GRADED:
            row = report.inputs[node.name]
            return (row.bits, row.range) == (node.bits, graded_range(node))
        case ir.FixedDense() | ir.FixedConv2d():
            link = report.connections[node.name]
            integers = (node.exponent, node.sign_mode, node.weight_bits)
            return (link.exponent, link.sign_mode, link.weight_bits) == integers
        case ir.FixedLif():
            row = report.populations[node.name]
            firing = None if row.firing is None else (row.firing.reset, row.firing.max_spikes)
            does = None if node.is_plain else (node.reset, node.max_spikes)
            return (row.neurons, row.origin, firing) == (node.vth.size, node.origin.path, does)
        case _:
            return True


def _output_problems(graph: Graph, form: OutputForm | None) -> Iterator[str]:
    """Say what of the meaning of outputs does not fit the outputs, or the code of a series the input."""
    if form is None:
        return
    outputs = len(form.scale.names)
    if outputs != graph.scores:
        yield f"the manifest speaks of {outputs} real outputs, the network has {graph.scores}"
    elif form.forecast is not None:
        channels = series_code(form.forecast.encoding, outputs).channels
        if [node.shape for node in graph.inputs] != [(channels,)]:
            yield f"the manifest speaks of a code of {channels} channels, which is not the input's"


def _sample_problems(graph: Graph, stimulus: Stimulus | None) -> Iterator[str]:
    try:
        if stimulus is not None:
            named_stimulus(graph, stimulus)
    except StimulusError as error:
        yield f"its samples are not for this network: {error}"
