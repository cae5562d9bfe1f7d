"""Serving a chip that lacks the resets of a network: replaced where that is asked for, and measured."""

from typing import cast

from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.fidelity import Comparer, Comparison
from toolchain.fidelity.change import Change
from toolchain.ir import Graph, Population
from toolchain.neuron_rules import EVERY_NEURON
from toolchain.passes import ReplaceResets
from toolchain.reset import Reset
from toolchain.stage import Stage
from toolchain.target.acceptance import check_neurons
from toolchain.target.capabilities import Capabilities
from toolchain.target.parts import in_parts
from toolchain.target.records import recorded_bytes
from toolchain.target.registry import DEFAULT_EXECUTOR, load_target
from toolchain.workflow.build_facts import ReplacedResets

_REMEDY = (
    '`replace_reset="zero"` gives them neurons that it has, and measures what that costs; training with the '
    "integers may win some of it back"
)


def replacement(graph: Graph, reset: Reset | None, can: Capabilities) -> ReplaceResets | None:
    """Return the pass that replaces what spikes do in a graph; None where there is nothing to replace.

    Raises:
        LackingNeuronsError: Nobody asked for it, and the place lacks neurons of the graph.
    """
    if all(node.is_plain for node in graph.populations):
        return None
    replaces = ReplaceResets(reset=reset, rules=can.fixed or EVERY_NEURON)
    after = replaces(graph)
    check_neurons(after.populations, can, Stage.FIXED, _REMEDY)
    return None if after is graph else replaces


def replaced_resets(before: Graph, after: Graph, samples: Stimulus | None) -> ReplacedResets | None:
    """Return which populations a pass gave other neurons, and what that changed; None if none can fire.

    Args:
        before: The float graph before it.
        after: The float graph after it.
        samples: Samples to run both on; None if there are none.
    """
    fire = [node for node in before.populations if node.vth.min() < float("inf")]
    replaced = {
        node.name: _replaced(node, cast("Population", after[node.name]))
        for node in fire
        if after[node.name] is not node
    }
    if not replaced:
        return None
    if samples is None or not samples.samples:
        return ReplacedResets(populations=replaced)
    comparison = _compared(before, after, samples)
    accuracy = None
    if comparison.float_accuracy is not None and comparison.fixed_accuracy is not None:
        accuracy = Change.of((comparison.float_accuracy, comparison.fixed_accuracy))
    error = None
    outputs = comparison.outputs
    if outputs is not None and outputs.float_error is not None and outputs.fixed_error is not None:
        error = Change.of((outputs.float_error.together, outputs.fixed_error.together))
    return ReplacedResets(
        populations=replaced,
        samples=comparison.samples,
        spike_f1=comparison.spike_f1,
        prediction_agreement=comparison.prediction_agreement,
        accuracy=accuracy,
        error=error,
    )


def after_training(
    replaced: ReplacedResets | None, graphs: tuple[Graph, Graph], samples: Stimulus | None
) -> ReplacedResets | None:
    """Return the facts with the accuracy that training with the integers ended with.

    Args:
        replaced: What was replaced before the training; None if nothing was.
        graphs: The float graph and its integers after the training.
        samples: Samples that the build is judged by; None if there are none.
    """
    if replaced is None or replaced.accuracy is None or samples is None:
        return replaced
    return replaced.model_copy(update={"repaired": _compared(*graphs, samples).fixed_accuracy})


def _compared(before: Graph, after: Graph, samples: Stimulus) -> Comparison:
    programs = [load_target(DEFAULT_EXECUTOR).build(graph) for graph in (before, after)]
    comparer, fitted = Comparer((before, after)), fit_stimulus(before, samples)
    record = ("spikes", "v")
    for _, part in in_parts(fitted, 2 * recorded_bytes(before, fitted.steps, record), programs[0]):
        first, second = (program.run(part, record=record) for program in programs)
        comparer.add((first, second), labels=part.labels, lengths=part.lengths)
    return comparer.result()


def _replaced(before: Population, after: Population) -> str:
    """Return what a population no longer does."""
    words = []
    if before.reset is not after.reset:
        words.append(f"reset '{before.reset.value}'")
    if before.max_spikes > after.max_spikes:
        words.append(f"up to {before.max_spikes} spikes a step")
    longest, left = _longest_silence(before), _longest_silence(after)
    if longest > left:
        words.append(f"refractory for up to {longest} steps" + (f" (now {left})" if left else ""))
    if before.adaptation is not None and after.adaptation is None:
        words.append("thresholds that spikes raise")
    return ", ".join(words)


def _longest_silence(node: Population) -> int:
    return 0 if node.refractory is None else int(node.refractory.max(initial=0))
