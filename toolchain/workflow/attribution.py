"""Where a loss comes from: each integer rule switched on alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np
import torch

from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import Trace
from toolchain.fidelity import Comparer, Comparison
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
_SENTENCES: Final = {
    Rule.WEIGHTS: "rounding the weights",
    Rule.THRESHOLDS: "rounding the thresholds",
    Rule.DECAYS: "decays of 12 bits",
    Rule.BIAS: "rounding the biases",
    Rule.INPUT: "rounding the graded input",
    Rule.TRUNCATION: "states that round toward zero",
    Rule.SATURATION: "registers of 24 bits",
}


@final
@dataclass(frozen=True)
class Share:
    """What some of the rules do, against real numbers.

    Attributes:
        accuracy_drop: Points lost; None without labels.
        spike_f1: Over all populations.
        prediction_agreement: Percent.
        nodes: Spike F1 per population.
    """

    accuracy_drop: float | None
    spike_f1: float
    prediction_agreement: float
    nodes: Mapping[str, float]

    @classmethod
    def of(cls, comparison: Comparison) -> "Share":
        """Return what a comparison says."""
        nodes = {name: node.spike_f1 for name, node in comparison.nodes.items()}
        return cls(comparison.accuracy_drop, comparison.spike_f1, comparison.prediction_agreement, nodes)


@final
@dataclass(frozen=True)
class LossAttribution:
    """The loss of a build, split by cause. Shares do not add up: errors can cancel or meet.

    Attributes:
        samples: How many were run.
        alone: What each rule does alone; rules that cannot matter in this network are left out.
        rounded: What all rounded numbers do together, states being exact (fake quantization).
        together: What all rules do: the fixed graph itself.
        arithmetic: From the rounded numbers to the fixed graph: what the arithmetic of states adds.
    """

    samples: int
    alone: Mapping[Rule, Share]
    rounded: Share
    together: Share
    arithmetic: Share

    @property
    def largest(self) -> Rule:
        """The rule that changes most spikes alone."""
        return min(self.alone, key=lambda rule: self.alone[rule].spike_f1)

    def sentence(self) -> str:
        """Return the finding in words."""
        ranked = sorted(self.alone, key=lambda rule: self.alone[rule].spike_f1)
        parts = [f"{_SENTENCES[rule]} alone: spike F1 {self.alone[rule].spike_f1:.4f}" for rule in ranked[:3]]
        drop = self.together.accuracy_drop
        points = "" if drop is None else f", {drop:+.2f} points"
        return f"All rules: spike F1 {self.together.spike_f1:.4f}{points}. {'; '.join(parts)}."

    def to_json(self) -> dict[str, Any]:
        """Return the document that stands in `fidelity.json`."""
        return {
            "samples": self.samples,
            "alone": {rule.value: asdict(share) for rule, share in self.alone.items()},
            "rounded": asdict(self.rounded),
            "together": asdict(self.together),
            "arithmetic": asdict(self.arithmetic),
        }


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
        stimulus: By default the build's own.
        samples: At most how many of the first samples are run; large networks run fewer.
        progress: Told how many of the runs are done.
    """
    part = _first_samples(build, stimulus, samples)
    rules = [rule for rule in Rule if _matters(rule, build.fixed_graph)]
    runs = [*(frozenset({rule}) for rule in rules), ROUNDED, ALL_RULES]
    comparisons, arithmetic = _compare_runs(build, part, runs, progress)
    *alone, rounded, together = map(Share.of, comparisons)
    shares = dict(zip(rules, alone, strict=True))
    return LossAttribution(part.samples, shares, rounded, together, Share.of(arithmetic))


def _first_samples(build: Build, stimulus: Stimulus | None, samples: int) -> Stimulus:
    """Return the samples to run, checked: at most `samples`, and two batches."""
    chosen = stimulus or build.stimulus
    part = build.stimulus_for(None if chosen is None else chosen.take(slice(0, samples)))
    return part.take(slice(0, max(1, 2 * _BATCH_VALUES // _values(build, part))))


def _compare_runs(
    build: Build, stimulus: Stimulus, runs: Sequence[frozenset[Rule]], progress: Progress
) -> tuple[list[Comparison], Comparison]:
    """Compare runs by some of the rules with real numbers, and the last, by all rules, with rounded numbers.

    One batch goes through all runs before the next: only two of its traces are kept meanwhile.
    """
    graphs = build.fixed_graph, build.fixed_graph
    comparers, arithmetic = [Comparer(graphs) for _ in runs], Comparer(graphs)
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
        stimulus: What is given.
        rules: None are real numbers, all are the fixed graph bit for bit.
    """
    network = GraphNetwork(build.float_graph, build.fixed_graph, rules=rules)
    fitted = fit_stimulus(build.float_graph, stimulus)
    parts: list[Trace] = []
    with torch.inference_mode():
        for _, part in in_parts(fitted, _values(build, fitted), room=_BATCH_VALUES):
            streams = {name: torch.from_numpy(np.array(array)) for name, array in part.values.items()}
            activity = network(streams, record=True)
            parts.append(
                Trace(
                    {name: each.numpy().astype(bool) for name, each in activity.spikes.items()},
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
