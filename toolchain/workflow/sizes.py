"""What pruning changed: sizes, activity and accuracy of a network before and after it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import UsageError
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import accuracy, predictions
from toolchain.fidelity.change import Change
from toolchain.fidelity.cost import Cost, cost_of, recurrent_synapses
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.workflow.build_facts import Sizes
from toolchain.workflow.run_folder import TrainedRun


def sizes_of(trained: TrainedRun, graph: Graph, stimulus: Stimulus) -> Sizes | None:
    """Return sizes and accuracies before and after pruning; None if nothing was pruned.

    Args:
        trained: The run.
        graph: Float graph of its network.
        stimulus: Its test samples, as graphs take them.
    """
    if trained.unpruned is None or isinstance(trained.unpruned, Graph):
        return None
    graphs = (from_torch(trained.unpruned, classes=trained.classes), graph)
    costs, rates = zip(*(judge_float(each, stimulus) for each in graphs), strict=True)
    inner = [_firing(each) for each in graphs]
    recurrent = [recurrent_synapses(each, cost) for each, cost in zip(graphs, costs, strict=True)]
    return Sizes(
        neurons=Change.of([_over(cost.neurons, names) for cost, names in zip(costs, inner, strict=True)]),
        recurrent_synapses=Change.of(recurrent) if any(recurrent) else None,
        parameters=None if any(recurrent) else Change.of([sum(cost.parameters.values()) for cost in costs]),
        synapses=Change.of([sum(cost.synapses.values()) for cost in costs]),
        spikes=Change.of([_over(cost.spikes, names) for cost, names in zip(costs, inner, strict=True)]),
        operations=Change.of([cost.total_operations for cost in costs]),
        accuracy=Change.of(rates),
    )


def _firing(graph: Graph) -> tuple[str, ...]:
    """Return the populations that can fire, which those that are only read out cannot."""
    return tuple(node.name for node in graph.populations if np.isfinite(node.vth).any())


def _over(figures: Mapping[str, float], names: Sequence[str]) -> float:
    return sum(figures[name] for name in names)


def judge_float(graph: Graph, stimulus: Stimulus) -> tuple[Cost, float]:
    """Return cost and accuracy of a float graph on labelled samples."""
    if stimulus.labels is None:
        raise UsageError("the test samples have no labels; accuracy cannot be measured")
    program = load_target(DEFAULT_EXECUTOR).build(graph)
    predicted: list[NDArray[np.int64]] = []
    activity: Activity | None = None
    for _, part in in_parts(stimulus, recorded_bytes(graph, stimulus.steps, ("spikes",)), program):
        trace = program.run(part)
        predicted.append(predictions(graph, trace, part.lengths))
        counted = count_events(graph, part, trace)
        activity = counted if activity is None else activity.merged(counted)
    if activity is None:
        raise UsageError("there are no test samples; accuracy cannot be measured")
    return cost_of(graph, activity), accuracy(np.concatenate(predicted), stimulus.labels)
