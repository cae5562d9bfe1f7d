"""What pruning changed: sizes, activity and accuracy of a network before and after it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import UsageError
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import accuracy, scores
from toolchain.fidelity.change import Change
from toolchain.fidelity.cost import Cost, cost_of, recurrent_synapses
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.workflow.build_facts import Sizes
from toolchain.workflow.real_readout import with_real_readout
from toolchain.workflow.run_folder import TrainedRun


def sizes_of(trained: TrainedRun, graph: Graph, stimulus: Stimulus) -> Sizes | None:
    """Return sizes, and accuracies or errors, before and after pruning; None if nothing was pruned.

    Args:
        trained: The run.
        graph: Float graph of its network.
        stimulus: Its test samples, as graphs take them.
    """
    if trained.unpruned is None or isinstance(trained.unpruned, Graph):
        return None
    unpruned = with_real_readout(trained.unpruned, stimulus)
    graphs = (from_torch(unpruned, classes=trained.classes), graph)
    costs, rates = zip(*(judge_float(each, stimulus) for each in graphs), strict=True)
    change = Change.of(rates)
    inner = [_firing(each) for each in graphs]
    recurrent = [recurrent_synapses(each, cost) for each, cost in zip(graphs, costs, strict=True)]
    return Sizes(
        neurons=Change.of([_over(cost.neurons, names) for cost, names in zip(costs, inner, strict=True)]),
        recurrent_synapses=Change.of(recurrent) if any(recurrent) else None,
        parameters=None if any(recurrent) else Change.of([sum(cost.parameters.values()) for cost in costs]),
        synapses=Change.of([sum(cost.synapses.values()) for cost in costs]),
        spikes=Change.of([_over(cost.spikes, names) for cost, names in zip(costs, inner, strict=True)]),
        operations=Change.of([cost.total_operations for cost in costs]),
        accuracy=None if trained.stimulus.real else change,
        error=change if trained.stimulus.real else None,
    )


def _firing(graph: Graph) -> tuple[str, ...]:
    """Return the populations that can fire, which those that are only read out cannot."""
    return tuple(node.name for node in graph.populations if np.isfinite(node.vth).any())


def _over(figures: Mapping[str, float], names: Sequence[str]) -> float:
    return sum(figures[name] for name in names)


def judge_float(graph: Graph, stimulus: Stimulus) -> tuple[Cost, float]:
    """Return cost of a float graph on labelled samples, and its accuracy, or the error of real outputs."""
    if stimulus.labels is None:
        raise UsageError("the test samples have no labels; accuracy cannot be measured")
    program = load_target(DEFAULT_EXECUTOR).build(graph)
    said: list[NDArray[np.float64]] = []
    activity: Activity | None = None
    for _, part in in_parts(stimulus, recorded_bytes(graph, stimulus.steps, ("spikes",)), program):
        trace = program.run(part)
        said.append(scores(graph, trace, graph.outputs[0], part.lengths))
        counted = count_events(graph, part, trace)
        activity = counted if activity is None else activity.merged(counted)
    if activity is None:
        raise UsageError("there are no test samples; accuracy cannot be measured")
    together = np.concatenate(said)
    if stimulus.real:
        return cost_of(graph, activity), float(np.sqrt(np.mean((together - stimulus.labels) ** 2)))
    return cost_of(graph, activity), accuracy(together.argmax(axis=1), stimulus.labels)
