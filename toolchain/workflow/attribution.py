"""Where a loss comes from: each integer rule switched on alone."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import Trace
from toolchain.fidelity import Comparer, Comparison
from toolchain.fidelity.attribution import LossAttribution, RuleEffect
from toolchain.ir import EdgeKind, Graph
from toolchain.progress import Progress, no_progress
from toolchain.target.parts import in_parts
from toolchain.training import ALL_RULES, GraphNetwork, Rule
from toolchain.workflow.build_folder import Build

ROUNDED: Final = frozenset({Rule.WEIGHTS, Rule.THRESHOLDS, Rule.DECAYS, Rule.BIAS, Rule.INPUT})
"""The rules that change numbers of the network, not the arithmetic of its states: fake quantization."""
_SAMPLES: Final = 256
_BATCH_VALUES: Final = 2**23
"""States (times steps) that are held at once."""


def attribute_loss(
    build: Build,
    stimulus: Stimulus | None = None,
    *,
    samples: int = _SAMPLES,
    progress: Progress = no_progress,
) -> LossAttribution:
    """Run the float graph with each integer rule alone, and compare.

    Args:
        build: A compiled network.
        stimulus: Samples to run; by default the build's own.
        samples: Number of the first samples that are run at most; large networks run fewer.
        progress: Callback with the number of runs that are done.
    """
    first = _first_samples(build, stimulus, samples)
    rules = [rule for rule in Rule if _matters(rule, build.fixed_graph)]
    runs = [*(frozenset({rule}) for rule in rules), ROUNDED, ALL_RULES]
    comparisons, arithmetic = _compare_runs(build, first, runs, progress)
    *alone, rounded, together = map(RuleEffect.of, comparisons)
    return LossAttribution(
        samples=first.samples,
        alone=dict(zip((rule.value for rule in rules), alone, strict=True)),
        rounded=rounded,
        together=together,
        arithmetic=RuleEffect.of(arithmetic),
    )


def _first_samples(build: Build, stimulus: Stimulus | None, samples: int) -> Stimulus:
    """Return the samples to run, checked: at most `samples`, and two batches."""
    stimulus = stimulus or build.stimulus
    first = build.stimulus_for(None if stimulus is None else stimulus.take(slice(0, samples)))
    return first.take(slice(0, max(1, 2 * _BATCH_VALUES // _values(build, first))))


def _compare_runs(
    build: Build, stimulus: Stimulus, runs: Sequence[frozenset[Rule]], progress: Progress
) -> tuple[list[Comparison], Comparison]:
    """Compare runs by some of the rules with real numbers, and the last, by all rules, with rounded numbers.

    One batch goes through all runs before the next: only two of its traces are kept meanwhile.
    """
    graphs = build.fixed_graph, build.fixed_graph
    form = build.facts.outputs
    comparers, arithmetic = [Comparer(graphs, form) for _ in runs], Comparer(graphs, form)
    batches = list(in_parts(stimulus, _values(build, stimulus), room=_BATCH_VALUES))
    total = len(batches) * len(runs)
    for first, (_, batch) in enumerate(batches):
        real, rounded = (run_rules(build, batch, rules) for rules in (frozenset[Rule](), ROUNDED))
        trace = rounded
        for i, rules in enumerate(runs):
            progress(first * len(runs) + i, total)
            trace = rounded if rules == ROUNDED else run_rules(build, batch, rules)
            comparers[i].add((real, trace), labels=batch.labels, lengths=batch.lengths)
        arithmetic.add((rounded, trace), labels=batch.labels, lengths=batch.lengths)
    progress(total, total)
    return [each.result() for each in comparers], arithmetic.result()


def _values(build: Build, stimulus: Stimulus) -> int:
    """Return how many states a sample has, times its steps."""
    return sum(node.vth.size for node in build.fixed_graph.populations) * stimulus.steps


def run_rules(build: Build, stimulus: Stimulus, rules: frozenset[Rule]) -> Trace:
    """Return what the network does by some of the integer rules, in the units of the fixed graph.

    Args:
        build: A compiled network.
        stimulus: Samples to run.
        rules: The rules that are on: without any, real numbers; with all, the fixed graph bit for bit.
    """
    network = GraphNetwork(build.float_graph, build.fixed_graph, rules=rules)
    fitted = fit_stimulus(build.float_graph, stimulus)
    populations = build.float_graph.populations
    sent = {node.name: np.uint8 if node.max_spikes > 1 else np.bool_ for node in populations}
    parts: list[Trace] = []
    with torch.inference_mode():
        for _, part in in_parts(fitted, _values(build, fitted), room=_BATCH_VALUES):
            streams = {name: torch.from_numpy(np.array(array)) for name, array in part.values.items()}
            activity = network(streams, record=True)
            parts.append(
                Trace(
                    {name: each.numpy().astype(sent[name]) for name, each in activity.spikes.items()},
                    {name: each.double().numpy() for name, each in activity.v.items()},
                )
            )
    return Trace(
        *(
            {name: np.concatenate([getattr(part, q)[name] for part in parts]) for name in parts[0].v}
            for q in ("spikes", "v")
        )
    )


def _matters(rule: Rule, graph: Graph) -> bool:
    """Return whether a rule can change anything in a network."""
    match rule:
        case Rule.BIAS:
            return any(bool(node.bias.any()) for node in graph.populations)
        case Rule.INPUT:
            return any(node.edge is EdgeKind.GRADED for node in graph.inputs)
        case _:
            return True
