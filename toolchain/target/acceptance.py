"""Whether a target runs a graph: what it declares, rule by rule."""

from collections.abc import Iterable, Mapping
from typing import Final

from toolchain import ir
from toolchain.errors import DoesNotFitError, FeedbackError, LackingNeuronsError, TargetError
from toolchain.ir import EdgeKind, Graph, Pooling, Population, Stage, Synapses, verify
from toolchain.ir.matrix import delay_slots, values_of
from toolchain.passes.retime_delays import clocked_edges, find_schedule, slow_loop
from toolchain.target.capabilities import NUMBERS, Capabilities, ImageRules

_OTHER: Final = {Stage.FLOAT: Stage.FIXED, Stage.FIXED: Stage.FLOAT}


def check_graph(graph: Graph, can: Capabilities) -> None:
    """Raise at the first rule of a declaration that a graph breaks.

    Raises:
        VerifyError: The graph is not well formed.
        LackingNeuronsError: Names the populations whose neurons the place lacks, and what they do.
        FeedbackError: A loop has less delay than connections.
        DoesNotFitError: A synapse waits for too long.
        TargetError: Anything else that the place does not run.
    """
    verify(graph)
    _check_stage(graph, can)
    check_neurons(graph.populations, can, graph.stage)
    if can.least_exponent is not None:
        _check_exponents(graph, can, can.least_exponent)
    _check_messages(graph, can)
    _check_images(graph, can)
    _check_delays(graph, can)
    if can.clocked:
        _check_clocked(graph, can)
    if can.most_read is not None:
        _check_readers(graph, can, can.most_read)
    if can.longest_delay is not None:
        _check_waits(graph, can, can.longest_delay)


def check_neurons(
    populations: Iterable[Population], can: Capabilities, stage: Stage, remedy: str = ""
) -> None:
    """Raise unless the neurons of a place do all that those of some populations do.

    Args:
        populations: Neurons of integers, or of the real numbers that become integers.
        can: What the place can; if it has no neurons of this stage, that is another rule.
        stage: Whether the neurons of the place are those of real numbers or of integers.
        remedy: What can be done; by default what the place advises.

    Raises:
        LackingNeuronsError: Names every population, and what its neurons do that none does there.
    """
    here, there = can.neurons(stage), can.neurons(_OTHER[stage])
    if here is None:
        return
    lacking: dict[str, tuple[str, ...]] = {}
    for node in populations:
        words = here.lacking(node)
        if words:
            # What the place has in the other kind of numbers is said to be lacking in these.
            only = there is not None and not there.lacking(node)
            lacking[node.name] = tuple(f"{what} in {NUMBERS[stage]}" for what in words) if only else words
    if lacking:
        raise LackingNeuronsError(can.name, lacking, remedy or can.remedy)


def synapse_waits(graph: Graph) -> Mapping[str, int]:
    """Return, by connection and pooling, how many steps its slowest synapse waits on a clocked place.

    That is beyond the one step that every connection takes. What enters can wait outside, except for the
    delays of synapses.

    Raises:
        FeedbackError: A loop has less delay than connections.
    """
    offsets, waits = find_schedule(graph).offsets, {}
    for edge in clocked_edges(graph):
        wait = offsets[edge.target] - offsets[edge.source] + edge.most - 1
        waits[edge.reader] = _own_delay(graph[edge.reader]) if edge.source in _entries(graph) else wait
    return waits


def _entries(graph: Graph) -> frozenset[str]:
    return frozenset(node.name for node in graph.inputs)


def _own_delay(node: ir.AnyNode) -> int:
    delays = node.delays if isinstance(node, ir.Dense | ir.FixedDense) else None
    return 0 if delays is None else int(values_of(delays).max(initial=0))


def _check_stage(graph: Graph, can: Capabilities) -> None:
    if graph.stage not in can.stages:
        runs = " and ".join(NUMBERS[stage] for stage in Stage if stage in can.stages)
        raise TargetError(
            f"{can.name} runs {runs} only, and graph '{graph.name}' holds {NUMBERS[graph.stage]}",
            'run another `stage`, or on `target="emulator"`, which runs both',
        )


def _check_exponents(graph: Graph, can: Capabilities, least: int) -> None:
    for node in graph.synapses:
        if isinstance(node, ir.FixedDense) and node.exponent < least:
            raise TargetError(
                f"connection '{node.name}' has the exponent {node.exponent}, expected at least "
                f"{least} on {can.name}",
                can.remedy,
            )


def _check_messages(graph: Graph, can: Capabilities) -> None:
    for node in graph.inputs:
        if node.edge is EdgeKind.GRADED and not can.graded_inputs:
            raise TargetError(
                f"input '{node.name}' takes graded values, and {can.name} takes spikes only",
                "code them as spikes",
            )
    if not can.graded_messages:
        for node in graph.synapses:
            _check_merged(graph, node, can.name)


def _check_merged(graph: Graph, node: Synapses, place: str) -> None:
    """Raise unless the sums that a connection reads can be part of it; the host adds up graded inputs."""
    pool, _ = graph.source(node.inputs[0])
    if graph.graded_input(node) is not None or not isinstance(pool, ir.SumPool2d):
        return
    source, _ = graph.source(pool.inputs[0])
    if isinstance(source, ir.SumPool2d):
        raise TargetError(
            f"'{node.name}' reads sums of sums ('{pool.name}' of '{source.name}'), which {place} cannot hold "
            "without graded spikes",
            "pool once with a larger window, or choose loihi2",
        )
    apart = pool.kernel == pool.stride and pool.padding == (0, 0)
    if isinstance(node, ir.Conv2d | ir.FixedConv2d) and not (apart and node.window.dilation == (1, 1)):
        raise TargetError(
            f"'{node.name}' reads sums of overlapping or padded windows ('{pool.name}'), or with gaps, which "
            f"{place} cannot hold without graded spikes",
            "pool with stride = kernel and no padding, or choose loihi2",
        )


def _check_images(graph: Graph, can: Capabilities) -> None:
    for node in (*graph.synapses, *graph.poolings):
        if isinstance(node, ir.Dense | ir.FixedDense):
            continue
        if can.images is None:
            kind = "pooling" if isinstance(node, Pooling) else "convolution"
            raise TargetError(f"'{node.name}' is a {kind}, and {can.name} computes none", can.remedy)
        _check_image(graph, node, can, can.images)


def _check_image(
    graph: Graph, node: ir.Conv2d | ir.FixedConv2d | Pooling, can: Capabilities, rules: ImageRules
) -> None:
    channels, rows, columns = graph.types[node.inputs[0]].shape
    most = rules.largest_image
    if most is not None and max(channels, columns) > most:
        raise TargetError(
            f"'{node.name}' reads {channels} channels of {columns} columns, {can.name} counts {most} of each",
            f"make them fewer, or {can.remedy}",
        )
    most = rules.largest_convolution
    if most is None or isinstance(node, Pooling):
        return
    window = node.window
    padded = (extent + 2 * pad for extent, pad in zip((rows, columns), window.padding, strict=True))
    counts = (len(node.weights), channels, *window.kernel, *window.stride, *window.dilation, *padded)
    if max(counts) > most:
        raise TargetError(
            f"convolution '{node.name}': {can.name} counts channels, groups, rows and columns with their "
            f"padding, kernel, stride and dilation up to {most} and cannot hold {max(counts)}",
            can.remedy,
        )


def _check_delays(graph: Graph, can: Capabilities) -> None:
    for node in graph:
        if isinstance(node, ir.Delay) and not (can.neuron_delays or isinstance(node.steps, int)):
            raise TargetError(f"delay '{node.name}' differs per neuron", "run 'fold-delays' first")
        if not can.synapse_delays and isinstance(node, ir.Dense | ir.FixedDense) and node.delays is not None:
            raise TargetError(
                f"synapses of '{node.name}' have delays of their own, {can.name} delays whole connections",
                can.remedy,
            )


def _check_clocked(graph: Graph, can: Capabilities) -> None:
    for node in graph.synapses:
        readers = graph.readers(node.name)
        if len(readers) != 1:
            raise TargetError(
                f"connection '{node.name}' leads to {len(readers)} populations, expected one on {can.name}",
                "repeat it for each of them, or leave it out if nothing reads it",
            )
    loop = slow_loop(list(clocked_edges(graph)))
    if loop is not None:
        raise FeedbackError(loop, needed=len(loop))


def _check_readers(graph: Graph, can: Capabilities, most: int) -> None:
    """Raise where a population reads too many: what it sends itself a step later is in its own memory."""
    entries = _entries(graph)
    for node in graph.populations:
        read: set[tuple[str, int]] = set()
        for name in node.inputs:
            synapses = graph[name]
            source, steps = graph.source(synapses.inputs[0])
            delays = (
                {delay for delay, _ in delay_slots(synapses.weights, synapses.delays)}
                if isinstance(synapses, ir.Dense | ir.FixedDense)
                else {0}
            )
            read |= {(source.name, steps + delay) for delay in delays if source.name not in entries}
        count = len(read - {(node.name, 1)})
        if count > most:
            raise TargetError(
                f"'{node.name}' reads {count} populations, each delay counted anew, expected at most "
                f"{most} on {can.name}",
                can.remedy,
            )


def _check_waits(graph: Graph, can: Capabilities, longest: int) -> None:
    waits = synapse_waits(graph)
    for node in (*graph.poolings, *graph.synapses):
        if _is_elsewhere(graph, node, can):
            continue
        pool, _ = graph.source(node.inputs[0])
        merged = isinstance(pool, ir.SumPool2d) and not can.graded_messages
        wait = waits[node.name] + (waits[pool.name] if merged else 0)
        if wait > longest:
            remedy = "shorten its delays, or put a population between"
            raise DoesNotFitError(node.name, "steps of delay", wait, longest, remedy)


def _is_elsewhere(graph: Graph, node: Synapses | Pooling, can: Capabilities) -> bool:
    """Return whether the host computes a node, or the connection that reads it does."""
    if can.graded_messages:
        return False
    return isinstance(node, ir.SumPool2d) or graph.graded_input(node) is not None
